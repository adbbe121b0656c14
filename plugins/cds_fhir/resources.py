"""Resources as they are kept: what they are found by, and the version that they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Final

from cds_fhir import moments
from cds_fhir.elements import Element, Unreadable, child, children, text, written

TYPES: Final = ("Patient", "Observation", "DiagnosticReport")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_VERSION: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_REFERENCE: Final = re.compile(
    r"(?:(?P<base>https?://[^\s?#]+)/)?(?P<at>[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/\S+)?"
)
STATUSES: Final[Mapping[str, frozenset[str]]] = {
    "Observation": frozenset(
        ("registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown")
    ),
    "DiagnosticReport": frozenset(
        (
            "registered",
            "partial",
            "preliminary",
            "final",
            "amended",
            "corrected",
            "appended",
            "cancelled",
            "entered-in-error",
            "unknown",
        )
    ),
}
"""R4 value sets observation-status and diagnostic-report-status."""


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A business identifier; `system` is ``""`` where it is not said."""

    value: str = field(repr=False)
    system: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One version of a resource.

    Attributes
    ----------
    type, id
        Together they name it within its server.
    version
        ``meta.versionId``; ``""`` where there is none.
    updated_at
        ``meta.lastUpdated`` in UTC, sortable as text; ``""`` where there is none.
    body, digest
        The resource in one spelling, and the SHA-256 of it without ``meta``.
    subject
        ``Patient/ID``, or an absolute URL on another server; ``""`` where it is not said by reference.
    observed
        Seconds since 1970 of its clinical time, as in UTC where it names no zone; None where there is none.
    identifiers
        Of a Patient its own; of others those of a subject that is contained or told by identifier.
    links
        Of a Patient: the others that concern the same person (Patient.link).
    """

    type: str
    id: str
    version: str
    updated_at: str
    body: bytes = field(repr=False)
    digest: bytes
    subject: str = ""
    observed: float | None = None
    identifiers: tuple[Identifier, ...] = field(repr=False, default=())
    links: tuple[str, ...] = ()


def resource_of(element: Element, base: str, *, assigned_id: str = "") -> Resource:
    """A resource as it is kept.

    Parameters
    ----------
    base
        Of the server: references that begin with it are to its own resources. ``""``: only relative ones are.
    assigned_id
        Where the resource has none.

    Raises
    ------
    Unreadable
        When it is not of a type that is kept, or has no usable id, status, code or subject.
    """
    kind = text(element, "resourceType")
    if kind not in TYPES:
        raise Unreadable(f"the resource type is not kept; there are: {', '.join(TYPES)}")
    identity = text(element, "id") or assigned_id
    if not _ID.fullmatch(identity):
        raise Unreadable("the resource has no id, or one that FHIR does not allow")
    subject = "" if kind == "Patient" else reference(child(element, "subject"), base)
    identifiers = tuple(dict.fromkeys(_identifiers(kind, element)))
    _check(kind, element, subject, identifiers)
    meta = child(element, "meta")
    version = text(meta, "versionId")
    plain = {name: value for name, value in element.items() if name != "meta"} | {"id": identity}
    return Resource(
        type=kind,
        id=identity,
        version=version if _VERSION.fullmatch(version) else "",
        updated_at=_instant(text(meta, "lastUpdated")),
        body=written({**element, "id": identity}),
        digest=hashlib.sha256(written(plain)).digest(),
        subject=subject,
        observed=_observed(element),
        identifiers=identifiers,
        links=_links(element, base) if kind == "Patient" else (),
    )


def reference(element: Element, base: str) -> str:
    """A literal reference: ``Type/ID`` on the server of `base`, else the whole URL; ``""`` where it is none."""
    found = _REFERENCE.fullmatch(text(element, "reference"))
    if found is None:
        return ""
    at = str(found["at"])
    return at if not found["base"] or found["base"] == base.rstrip("/") else f"{found['base']}/{at}"


def contained_subject(element: Element) -> Element:
    """The contained Patient that the subject refers to; an empty element where it is none."""
    wanted = text(child(element, "subject"), "reference")
    if not wanted.startswith("#"):
        return {}
    inside = (each for each in children(element, "contained") if text(each, "resourceType") == "Patient")
    return next((each for each in inside if text(each, "id") == wanted[1:]), {})


def identifiers_of(element: Element) -> tuple[Identifier, ...]:
    """The business identifiers of a resource that have a value."""
    return tuple(_as_identifier(each) for each in children(element, "identifier") if text(each, "value"))


def observed_text(element: Element) -> str:
    """The clinical time as the resource says it: of a period its end, else its begin.

    A specimen that was collected over a period is complete at its end.
    """
    period = child(element, "effectivePeriod")
    return (
        text(element, "effectiveDateTime")
        or text(element, "effectiveInstant")
        or text(period, "end")
        or text(period, "start")
    )


def _identifiers(kind: str, element: Element) -> Iterator[Identifier]:
    if kind == "Patient":
        yield from identifiers_of(element)
        return
    told = child(child(element, "subject"), "identifier")
    if text(told, "value"):
        yield _as_identifier(told)
    yield from identifiers_of(contained_subject(element))


def _as_identifier(element: Element) -> Identifier:
    return Identifier(text(element, "value"), text(element, "system"))


def _check(kind: str, element: Element, subject: str, identifiers: tuple[Identifier, ...]) -> None:
    if kind == "Patient":
        return
    if text(element, "status") not in STATUSES[kind]:
        raise Unreadable("the resource has no status, or one that R4 does not have")
    if not child(element, "code"):
        raise Unreadable("the resource has no code")
    if not (subject and subject.rpartition("/")[0].endswith("Patient")) and not identifiers:
        raise Unreadable("the resource has no Patient as its subject")


def _links(element: Element, base: str) -> tuple[str, ...]:
    found = (reference(child(link, "other"), base) for link in children(element, "link"))
    return tuple(dict.fromkeys(each for each in found if each.rpartition("/")[0].endswith("Patient")))


def _instant(said: str) -> str:
    try:
        found = moments.moment(said, UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return found.isoformat(timespec="microseconds")


def _observed(element: Element) -> float | None:
    try:
        found = moments.moment(observed_text(element), UTC)
    except ValueError:
        return None
    return found.timestamp()


ZONE_MARGIN: Final = timedelta(hours=26)
"""Between two readings of a date alone there are at most so many hours (time zones reach from -12 to +14)."""
