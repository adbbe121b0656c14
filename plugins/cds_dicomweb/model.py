"""The DICOM JSON Model (PS3.18 Annex F): what we read of it, and the Store Instances Response (Annex I) we write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MEDIA_TYPE: Final = "application/dicom+json"

ISSUER_OF_PATIENT_ID: Final = "00100021"
MODALITIES_IN_STUDY: Final = "00080061"
NUMBER_OF_INSTANCES: Final = "00201208"
PATIENT_BIRTH_DATE: Final = "00100030"
PATIENT_ID: Final = "00100020"
PATIENT_SEX: Final = "00100040"
SOP_INSTANCE_UID: Final = "00080018"
STUDY_DATE: Final = "00080020"
STUDY_DESCRIPTION: Final = "00081030"
STUDY_INSTANCE_UID: Final = "0020000D"

_FAILED_SOP_SEQUENCE: Final = "00081198"
_FAILURE_REASON: Final = "00081197"
_OTHER_FAILURES_SEQUENCE: Final = "0008119A"
_REFERENCED_SOP_CLASS_UID: Final = "00081150"
_REFERENCED_SOP_INSTANCE_UID: Final = "00081155"
_REFERENCED_SOP_SEQUENCE: Final = "00081199"
_RETRIEVE_URL: Final = "00081190"

Item = Mapping[str, object]
"""One data set: tag in eight hex digits -> ``{"vr": ..., "Value": [...]}``."""


class NoDicomJson(ValueError):
    """The text is not in the DICOM JSON Model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one instance; `failure` is its Failure Reason, 0 where it is stored.

    Both UIDs are ``""`` where a part was none of an instance.
    """

    sop_class_uid: str
    sop_instance_uid: str
    failure: int = 0


def parse(text: bytes) -> tuple[Item, ...]:
    """Read the data sets of a body: an array of them, or one alone; ``()`` for an empty body.

    Raises
    ------
    NoDicomJson
        When it is something else.
    """
    if not text.strip():
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise NoDicomJson("the body is no JSON") from None
    items = found if isinstance(found, list) else [found]
    if not all(isinstance(item, dict) for item in items):
        raise NoDicomJson("the body is no DICOM JSON: a data set must be an object")
    return tuple(items)


def values(item: Item, tag: str) -> tuple[object, ...]:
    """All values of an attribute, ``()`` where it is absent or empty."""
    attribute = item.get(tag)
    found = attribute.get("Value") if isinstance(attribute, dict) else None
    return tuple(value for value in found if value is not None) if isinstance(found, list) else ()


def text(item: Item, tag: str) -> str:
    """The first value of an attribute as text, ``""`` where there is none."""
    found = values(item, tag)
    return str(found[0]).strip() if found and isinstance(found[0], str | int | float) else ""


def integer(item: Item, tag: str) -> int | None:
    """The first value of an IS or US attribute, which may be number or text (table F.2.3-1); None for none."""
    found = text(item, tag)
    return int(found) if found.isascii() and found.isdigit() else None


def read_results(items: Iterable[Item]) -> tuple[Result, ...]:
    """Read what a peer says of each instance in its Store Instances Response."""
    results = []
    for item in items:
        for tag, default in ((_REFERENCED_SOP_SEQUENCE, 0), (_FAILED_SOP_SEQUENCE, 0x0110)):
            for one in values(item, tag):
                if isinstance(one, dict):
                    results.append(_result(one, default))
    return tuple(results)


def _result(item: Item, default: int) -> Result:
    """A failed instance without a reason failed all the same."""
    return Result(
        sop_class_uid=text(item, _REFERENCED_SOP_CLASS_UID),
        sop_instance_uid=text(item, _REFERENCED_SOP_INSTANCE_UID),
        failure=(integer(item, _FAILURE_REASON) or default) if default else 0,
    )


def store_response(results: Sequence[Result]) -> bytes:
    """Write the Store Instances Response Module (table I.1-1); Retrieve URL is empty: we serve no retrieval."""
    response: dict[str, object] = {_RETRIEVE_URL: {"vr": "UR"}}
    stored = [_reference(one) | {_RETRIEVE_URL: {"vr": "UR"}} for one in results if not one.failure]
    failed = [_reference(one) | _reason(one) for one in results if one.failure and one.sop_instance_uid]
    other = [_reason(one) for one in results if one.failure and not one.sop_instance_uid]
    for tag, items in (
        (_FAILED_SOP_SEQUENCE, failed),
        (_REFERENCED_SOP_SEQUENCE, stored),
        (_OTHER_FAILURES_SEQUENCE, other),
    ):
        if items:
            response[tag] = {"vr": "SQ", "Value": items}
    return json.dumps(response, separators=(",", ":"), sort_keys=True).encode("ascii")


def _reference(result: Result) -> dict[str, object]:
    return {
        _REFERENCED_SOP_CLASS_UID: {"vr": "UI", "Value": [result.sop_class_uid]},
        _REFERENCED_SOP_INSTANCE_UID: {"vr": "UI", "Value": [result.sop_instance_uid]},
    }


def _reason(result: Result) -> dict[str, object]:
    return {_FAILURE_REASON: {"vr": "US", "Value": [result.failure]}}
