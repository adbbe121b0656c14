"""HTTP to one FHIR server: its host only, TLS verified, deadlines; no redirect, no proxy, no URL in a message."""

from __future__ import annotations

import email.utils
import ipaddress
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import httpx2

from cds.errors import ConfigError
from cds_fhir.budget import Budget
from cds_fhir.elements import Element, Unreadable, child, children, parsed, text

_MEDIA_TYPES: Final = ("application/fhir+json", "application/json", "application/json+fhir")
_LONGEST_WAIT_SECONDS: Final = 3600.0
_LATE: Final = "the server's answer was not whole in time"
_STALE: Final = (400, 404, 410)
"""How servers answer for a page of a search that they have forgotten."""


class Unanswered(Exception):
    """The server gave no usable answer; the message carries no URL.

    `retry_after` is how long it asks to wait, in seconds; `is_stale`, that it no longer knows a page.
    """

    def __init__(self, reason: str, retry_after: float = 0.0, *, is_stale: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.is_stale = is_stale


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the server is, and how we speak with it; times in seconds."""

    url: str
    token_file: str = ""
    ca_file: str = ""
    plain: bool = False
    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    answer_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a search."""

    resources: tuple[Element, ...]
    next: str


def checked_url(server: Server) -> httpx2.URL:
    """The server's base URL.

    Raises
    ------
    ConfigError
        When it is none, or not encrypted on its way to another machine.
    """
    wanted = "[records.fhir] url must be like https://host/fhir"
    try:
        url = httpx2.URL(server.url)
    except httpx2.InvalidURL:
        raise ConfigError(wanted) from None
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or url.userinfo:
        raise ConfigError(wanted)
    if url.scheme == "http" and not server.plain and not _is_this_machine(url.host):
        raise ConfigError(f"{wanted}; plain = true allows http to another machine, unencrypted")
    return url


def token_of(file: str, where: str) -> str:
    """The bearer token in a file; ``""`` where none is named.

    Raises
    ------
    ConfigError
        When it cannot be read, or holds no token.
    """
    if not file:
        return ""
    try:
        token = Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} token_file cannot be read: {type(error).__name__}") from error
    if not token or not token.isprintable() or " " in token:
        raise ConfigError(f"{where} token_file must hold one token, of ASCII without spaces")
    return token


def tls_context(server: Server) -> ssl.SSLContext | None:
    """How the server's certificate is verified; None where there is no TLS.

    Raises
    ------
    ConfigError
        When the file of authorities is not usable.
    """
    if checked_url(server).scheme == "http":
        return None
    try:
        context = ssl.create_default_context(cafile=server.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[records.fhir] ca_file is not usable: {type(error).__name__}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Client:
    """Asks one server; a context manager. Building it reads token and authorities anew.

    Parameters
    ----------
    seconds
        All that is asked of it takes so long at most: then connections are shut, whatever is awaited on them.

    Raises
    ------
    ConfigError
        When a setting or a file is not usable.
    """

    def __init__(self, server: Server, *, seconds: float) -> None:
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log whole URLs
        self._server = server
        self._base = checked_url(server)
        self._budget = Budget(seconds)
        context = tls_context(server)
        token = token_of(server.token_file, "[records.fhir]")
        headers = {"Accept": _MEDIA_TYPES[0], "Accept-Encoding": "identity", "User-Agent": "CDS"}
        self._http = httpx2.Client(
            verify=context if context is not None else False,
            trust_env=False,
            follow_redirects=False,
            headers=headers | ({"Authorization": f"Bearer {token}"} if token else {}),
        )

    def __enter__(self) -> Client:
        self._budget.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.__exit__(kind, error, trace)
        self._http.close()

    def left(self) -> float:
        """Seconds that are left to ask in; 0 when the time is over."""
        return self._budget.left()

    def search(self, kind: str, query: Mapping[str, str]) -> str:
        """The URL of a search for resources of a type."""
        return str(httpx2.URL(f"{self._server.url.rstrip('/')}/{kind}", params=dict(query)))

    def page(self, url: str) -> Page:
        """Ask for a page.

        Raises
        ------
        Unanswered
            When none comes, it is on another host, too long, or no Bundle in JSON.
        """
        bundle = self._read(self._own(url))
        if text(bundle, "resourceType") != "Bundle":
            raise Unanswered("the server's answer is no Bundle")
        links = (text(link, "url") for link in children(bundle, "link") if text(link, "relation") == "next")
        following = next(links, "")
        resources = tuple(child(entry, "resource") for entry in children(bundle, "entry"))
        return Page(resources, str(self._own(following)) if following else "")

    def capabilities(self) -> Element:
        """The server's CapabilityStatement. Errors as in `page`."""
        return self._read(self._own(f"{self._server.url.rstrip('/')}/metadata"))

    def _own(self, url: str) -> httpx2.URL:
        """A URL on the configured host, port and scheme: the token and our questions go nowhere else."""
        try:
            found = self._base.join(url)
        except httpx2.InvalidURL:
            raise Unanswered("the server's link to the next page is no URL") from None
        if (found.scheme, found.host, _port(found)) != (self._base.scheme, self._base.host, _port(self._base)):
            raise Unanswered("the server's link to the next page leads to another host; it is not followed")
        return found

    def _read(self, url: httpx2.URL) -> Element:
        server, left = self._server, self._budget.left()
        if not left:
            raise Unanswered(_LATE)
        seconds = min(server.answer_seconds, left)
        deadline = time.monotonic() + seconds
        timeout = httpx2.Timeout(seconds, connect=min(server.connect_seconds, left))
        try:
            with self._http.stream("GET", url, timeout=timeout, extensions={"trace": self._budget.trace}) as response:
                _check(response)
                body = whole(response, deadline, server.answer_bytes)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:  # their messages may carry the URL
            reason = f"the server cannot be asked ({type(error).__name__})" if self._budget.left() else _LATE
            raise Unanswered(reason) from None
        try:
            return parsed(body)
        except Unreadable:
            raise Unanswered("the server's answer is no JSON object") from None


def whole(response: httpx2.Response, deadline: float, most_bytes: int) -> bytes:
    """The body of a response, as it was sent.

    Raises
    ------
    Unanswered
        When it is longer, or not whole at the deadline (of `time.monotonic`).
    """
    body = bytearray()
    for chunk in response.iter_raw():  # as it comes: gathered into larger pieces, a trickle would never be looked at
        body += chunk
        if len(body) > most_bytes:
            raise Unanswered(f"the server's answer is longer than {most_bytes} bytes")
        if time.monotonic() > deadline:
            raise Unanswered(_LATE)
    return bytes(body)


def _check(response: httpx2.Response) -> None:
    status = response.status_code
    if status != 200:
        refused = f"the server answers {status}: the token is not accepted (token_file)"
        reason = refused if status in (401, 403) else f"the server answers {status}"
        wait = _retry_after(response.headers.get("retry-after", "")) if status in (429, 503) else 0.0
        raise Unanswered(reason, wait, is_stale=status in _STALE)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unanswered("the server's answer is compressed, which was not asked for")
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() not in _MEDIA_TYPES:
        raise Unanswered("the server's answer is not JSON (application/fhir+json)")


def _retry_after(said: str) -> float:
    """Seconds that a server asks to wait (RFC 9110 10.2.3), an hour at most."""
    if said.strip().isascii() and said.strip().isdigit():
        wanted = float(said)
    else:
        try:
            wanted = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError):
            wanted = 0.0
    return min(max(wanted, 0.0), _LONGEST_WAIT_SECONDS)


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
