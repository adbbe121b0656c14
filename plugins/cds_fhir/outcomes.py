"""Answers in FHIR's form (R4 http.html, OperationOutcome): status, reason, and nothing of a patient."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from cds_fhir.kept import Outcome
from cds_fhir.resources import TYPES, Resource
from cds_fhir.wire import Answer

MEDIA_TYPE: Final = "application/fhir+json"
ISSUE_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "structure",
        401: "login",
        403: "forbidden",
        404: "not-found",
        405: "not-supported",
        408: "timeout",
        413: "too-long",
        415: "not-supported",
        422: "processing",
        431: "too-long",
        500: "exception",
        503: "transient",
    }
)
"""R4 value set issue-type, by the status that we answer."""


class Refused(Exception):
    """A request or an entry that is not taken; the message carries nothing of a patient."""

    def __init__(self, status: int, why: str, *headers: tuple[str, str]) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers


def outcome(status: int, why: str) -> dict[str, object]:
    """An OperationOutcome with one issue."""
    severity = "information" if status < 300 else "error"
    code = "informational" if status < 300 else ISSUE_CODES.get(status, "processing")
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code, "diagnostics": why}]}


def refusal(refused: Refused) -> Answer:
    """The answer to what is not taken."""
    return _json(refused.status, outcome(refused.status, str(refused)), refused.headers)


def kept_status(found: Outcome) -> int:
    """201 for a new resource, 200 for a version of one that was there, or the same once more."""
    return 201 if found is Outcome.CREATED else 200


def kept(resource: Resource, found: Outcome, root: str) -> Answer:
    """The answer for one resource that is on the disk."""
    status = kept_status(found)
    return _json(status, outcome(status, found.value), [("Location", f"{root}/{resource.type}/{resource.id}")])


def bundle(kind: str, entries: Sequence[tuple[Resource, Outcome] | Refused]) -> Answer:
    """The answer to a batch or a transaction: an entry for each entry."""
    return _json(
        200, {"resourceType": "Bundle", "type": f"{kind}-response", "entry": [_entry(each) for each in entries]}
    )


def _entry(said: tuple[Resource, Outcome] | Refused) -> dict[str, object]:
    if isinstance(said, Refused):
        return {"response": {"status": str(said.status), "outcome": outcome(said.status, str(said))}}
    resource, found = said
    return {"response": {"status": str(kept_status(found)), "location": f"{resource.type}/{resource.id}"}}


def capabilities(now: str) -> Answer:
    """What the endpoint is (R4 CapabilityStatement)."""
    interactions = [{"code": "create"}, {"code": "update"}]
    rest = {
        "mode": "server",
        "resource": [{"type": kind, "interaction": interactions, "updateCreate": True} for kind in TYPES],
        "interaction": [{"code": "transaction"}, {"code": "batch"}],
    }
    statement: dict[str, object] = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now,
        "kind": "instance",
        "implementation": {"description": "Receives laboratory values and reports; gives nothing out"},
        "fhirVersion": "4.0.1",
        "format": [MEDIA_TYPE],
        "rest": [rest],
    }
    return _json(200, statement, ())


def _json(status: int, element: Mapping[str, object], headers: Sequence[tuple[str, str]] = ()) -> Answer:
    body = json.dumps(element, ensure_ascii=False).encode()
    return Answer(status=status, body=body, headers=[("Content-Type", f"{MEDIA_TYPE}; charset=utf-8"), *headers])
