"""What becomes of a request: kept and then answered, or refused with the reason."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cds.errors import ConfigError, OutOfResources
from cds_fhir import outcomes
from cds_fhir.elements import Element, Unreadable, child, children, parsed, text, written
from cds_fhir.kept import ResourceStore
from cds_fhir.outcomes import MEDIA_TYPE, Refused
from cds_fhir.resources import TYPES, Resource, resource_of
from cds_fhir.wire import Answer, Request

_LOG: Final = logging.getLogger(__name__)
_MEDIA_TYPES: Final = (MEDIA_TYPE, "application/json", "application/json+fhir")
_LATER: Final = ("Retry-After", "30")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Who may send what.

    Attributes
    ----------
    root
        Path of the service, without a slash at its end.
    base
        URL of the server whose absolute references are to what it sends.
    origins
        Reads which name of origin each token has; empty where no token is wanted.
    origin
        The name where no token is wanted.
    networks
        From where requests are taken; None: from everywhere.
    entries
        Of a Bundle at most.
    """

    root: str
    base: str
    origins: Callable[[], Mapping[str, str]]
    origin: str
    networks: tuple[Network, ...] | None
    entries: int = 5000


class Desk:
    """Looks at requests and hands resources to the store; safe to call from several threads."""

    def __init__(self, store: ResourceStore, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    def admit(self, request: Request) -> Answer | None:
        """What the head alone decides: who calls, what for, in which form; None where the body is wanted."""
        try:
            self._origin(request)
            if self._path(request) == ["metadata"] and request.method == "GET":
                return outcomes.capabilities(datetime.now(UTC).isoformat(timespec="seconds"))
            self._check_head(request)
        except Refused as refused:
            return _logged(refused, request.address)
        return None

    def take(self, request: Request) -> Answer:
        """Keep what a request carries; its answer."""
        try:
            return self._take(request)
        except Refused as refused:
            return _logged(refused, request.address)
        except OutOfResources as error:
            return _logged(Refused(503, f"{error}; send it again later", _LATER), request.address)

    def refuse(self, status: int, why: str) -> Answer:
        """The answer to what cannot be read."""
        return _logged(Refused(status, why), "a caller")

    def _take(self, request: Request) -> Answer:
        origin, path = self._origin(request), self._path(request)
        try:
            element = parsed(request.body)
        except Unreadable as error:
            raise Refused(400, str(error)) from None
        if not path:
            return self._take_bundle(origin, element)
        resource = self._resource(element, path, request.method)
        return outcomes.kept(resource, self._store.keep(origin, [resource])[0], self._rules.root)

    def _origin(self, request: Request) -> str:
        if self._rules.networks is not None and not _may_connect(request.address, self._rules.networks):
            raise Refused(403, "the address is not among those that may send")
        try:
            origins = self._rules.origins()
        except ConfigError as error:
            _LOG.error("nobody may send: %s", error)
            raise Refused(503, "the endpoint cannot read its tokens", _LATER) from None
        if not origins:
            return self._rules.origin
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        for known, origin in origins.items():
            if scheme.lower() == "bearer" and hmac.compare_digest(known.encode(), token.strip().encode()):
                return origin
        raise Refused(401, "a bearer token is wanted", ("WWW-Authenticate", 'Bearer realm="cds"'))

    def _path(self, request: Request) -> list[str]:
        """The path below the root.

        Raises
        ------
        Refused
            When it is not below it.
        """
        path = request.target.partition("?")[0]
        below = path.removeprefix(self._rules.root)
        if (below == path and self._rules.root) or (below and not below.startswith("/")):
            raise Refused(404, f"there is nothing here; the service is at {self._rules.root or '/'}")
        return [part for part in below.split("/") if part]

    def _check_head(self, request: Request) -> None:
        path = self._path(request)
        if path and (path[0] not in TYPES or len(path) > 2):
            raise Refused(404, f"the resource type is not taken; there are: {', '.join(TYPES)}, and Bundle at the root")
        allowed = "PUT" if len(path) == 2 else "POST"
        if request.method != allowed:
            raise Refused(405, f"only {allowed} is taken here", ("Allow", allowed))
        kind, _, rest = request.headers.get("content-type", "").partition(";")
        if kind.strip().lower() not in _MEDIA_TYPES:
            raise Refused(415, f"only JSON is taken ({MEDIA_TYPE}), not XML or anything else")
        if "charset" in rest.lower() and "utf-8" not in rest.lower():
            raise Refused(415, "only UTF-8 is taken")
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(415, "a compressed body is not taken")

    def _resource(self, element: Element, path: Sequence[str], method: str) -> Resource:
        kind = text(element, "resourceType")
        if kind != path[0]:
            raise Refused(400, "the resource type is not the one of the URL")
        if method == "PUT" and text(element, "id") != path[1]:
            raise Refused(400, "the id of the resource is not the one of the URL")
        return _as_resource(element, self._rules.base)

    def _take_bundle(self, origin: str, element: Element) -> Answer:
        kind, entries = text(element, "type"), children(element, "entry")
        if text(element, "resourceType") != "Bundle" or kind not in ("batch", "transaction"):
            raise Refused(422, "at the root a Bundle of type batch or transaction is taken")
        if len(entries) > self._rules.entries:
            raise Refused(413, f"the Bundle has more than {self._rules.entries} entries")
        names = _names(entries)
        read = [self._entry(entry, names) for entry in entries]
        refused = [each for each in read if isinstance(each, Refused)]
        if kind == "transaction" and refused:
            place = read.index(refused[0]) + 1
            raise Refused(refused[0].status, f"nothing of the transaction is kept; entry {place}: {refused[0]}")
        resources = [each for each in read if isinstance(each, Resource)]
        found = iter(self._store.keep(origin, resources))
        return outcomes.bundle(kind, [each if isinstance(each, Refused) else (each, next(found)) for each in read])

    def _entry(self, entry: Element, names: Mapping[str, str]) -> Resource | Refused:
        request, resource = child(entry, "request"), child(entry, "resource")
        path = [part for part in text(request, "url").partition("?")[0].split("/") if part]
        method = text(request, "method")
        if method not in ("POST", "PUT") or not path or len(path) != (2 if method == "PUT" else 1):
            return Refused(405, "only POST to a type and PUT to an id are taken")
        try:
            return self._resource(_renamed(resource, names, text(entry, "fullUrl")), path, method)
        except Refused as refused:
            return refused


def _as_resource(element: Element, base: str) -> Resource:
    """A resource; one without an id gets one that is made of what it says, so that sent again it is the same."""
    try:
        given = "" if text(element, "id") else _assigned(element)
        return resource_of(element, base, assigned_id=given)
    except Unreadable as error:
        raise Refused(422, str(error)) from None


def _assigned(element: Element) -> str:
    plain = {name: value for name, value in element.items() if name not in ("meta", "id")}
    return "cds-" + hashlib.sha256(written(plain)).hexdigest()[:32]


def _names(entries: Sequence[Element]) -> dict[str, str]:
    """Of the URLs that entries go by within their Bundle (R4 bundle.html: fullUrl), the names they are kept by."""
    found = {}
    for entry in entries:
        resource, url = child(entry, "resource"), text(entry, "fullUrl")
        if url and text(resource, "resourceType") in TYPES:
            try:
                found[url] = f"{text(resource, 'resourceType')}/{text(resource, 'id') or _assigned(resource)}"
            except Unreadable:
                continue
    return found


def _renamed(resource: Element, names: Mapping[str, str], url: str) -> Element:
    """The resource with its references within the Bundle resolved, and the id that others there know it by."""
    given = names.get(url, "/").partition("/")[2]
    changed: dict[str, object] = {**resource}
    if given and not text(resource, "id"):
        changed["id"] = given
    if "subject" in resource:
        changed["subject"] = _resolved(child(resource, "subject"), names)
    if "link" in resource:
        changed["link"] = [
            {**link, "other": _resolved(child(link, "other"), names)} for link in children(resource, "link")
        ]
    return changed


def _resolved(element: Element, names: Mapping[str, str]) -> Element:
    known = names.get(text(element, "reference"))
    return {**element, "reference": known} if known else element


def _may_connect(address: str, networks: Sequence[Network]) -> bool:
    given = ipaddress.ip_address(address.partition("%")[0])
    plain = getattr(given, "ipv4_mapped", None) or given
    return any(plain in network for network in networks)


def _logged(refused: Refused, address: str) -> Answer:
    _LOG.warning("request from %s refused with %d: %s", address, refused.status, refused)
    return outcomes.refusal(refused)
