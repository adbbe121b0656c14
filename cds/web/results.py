"""Our results for viewers: QIDO-RS and WADO-RS (PS3.18 10.6, 10.4) over the reports that stand.

Nothing else is served: the images are the PACS's. A patient's ID is no query here, since a URL ends
up in logs: studies are found by their UID or by paging.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from cds.dicom.model import json_model
from cds.store import Ledger
from cds.store.results import Result

JSON: Final = "application/dicom+json"
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_KEYS: Final = {
    "StudyInstanceUID": _STUDY, _STUDY: _STUDY,
    "SeriesInstanceUID": _SERIES, _SERIES: _SERIES,
    "SOPInstanceUID": _INSTANCE, _INSTANCE: _INSTANCE,
    "Modality": "00080060", "00080060": "00080060",
    "SOPClassUID": "00080016", "00080016": "00080016",
}  # fmt: skip
_PLAIN: Final = frozenset({"limit", "offset", "includefield", "fuzzymatching"})
_LEVELS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "studies": (_STUDY, frozenset({
        "00080005", "00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "00100020", "00100030",
        "00100040", _STUDY, "00200010", "00201206", "00201208",
    })),
    "series": (_SERIES, frozenset({"00080005", "00080060", "0008103E", _STUDY, _SERIES, "00200011", "00201209"})),
    "instances": (_INSTANCE, frozenset({
        "00080005", "00080016", _INSTANCE, "00080060", _STUDY, _SERIES, "00200013", "0040A491", "0040A493",
    })),
}  # fmt: skip
"""What each level is told apart by, and the attributes that it returns (PS3.18 Tables 10.6.3-3 to 10.6.3-5)."""
_MOST: Final = 1000

Attributes = dict[str, Mapping[str, Any]]


class BadQueryError(ValueError):
    """The query asks for something that is not served; the message says what is."""


def routes(ledger: Ledger) -> list[Route]:
    """Make the resources below `/dicom-web`."""
    study, series, instance = "/studies/{study}", "/series/{series}", "/instances/{instance}"

    def search(level: str) -> Callable[[Request], Response]:
        return lambda request: _search(ledger, request, level)

    def retrieve(request: Request) -> Response:
        return _retrieve(ledger, request)

    def metadata(request: Request) -> Response:
        found = [attributes for _, attributes in _found(ledger, request.path_params)]
        return JSONResponse(found, media_type=JSON) if found else _nothing()

    made = [
        Route("/studies", search("studies")),
        Route("/series", search("series")),
        Route("/instances", search("instances")),
        Route(study + "/series", search("series")),
        Route(study + "/instances", search("instances")),
        Route(study + series + "/instances", search("instances")),
    ]
    for path in (study, study + series, study + series + instance):
        made += [Route(path, retrieve), Route(path + "/metadata", metadata)]
    return made


def _search(ledger: Ledger, request: Request, level: str) -> Response:
    try:
        wanted, limit, offset = _query(request)
    except BadQueryError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    key, attributes = _LEVELS[level]
    rows: dict[str, Attributes] = {}
    counts: dict[str, list[Attributes]] = {}
    for _, whole in _found(
        ledger, {**request.path_params, "study": request.path_params.get("study", "") or wanted.get(_STUDY, "")}
    ):
        if all(_value(whole, tag) == value for tag, value in wanted.items()):
            counts.setdefault(_value(whole, key), []).append(whole)
            rows.setdefault(_value(whole, key), {tag: whole[tag] for tag in sorted(attributes & whole.keys())})
    for uid, row in rows.items():
        row.update(_counted(level, counts[uid]))
    page = list(rows.values())[offset : offset + limit]
    return JSONResponse(page, media_type=JSON) if page else Response(status_code=204)


def _query(request: Request) -> tuple[dict[str, str], int, int]:
    wanted: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in _KEYS:
            wanted[_KEYS[name]] = value
        elif name not in _PLAIN:
            known = ", ".join(name for name in _KEYS if not name[:1].isdigit())
            raise BadQueryError(f"results are not found by {name!r}; by what there is: {known}")
    try:
        limit = int(request.query_params.get("limit", _MOST))
        offset = int(request.query_params.get("offset", 0))
    except ValueError:
        raise BadQueryError("limit and offset are whole numbers") from None
    if limit < 0 or offset < 0:
        raise BadQueryError("limit and offset are not negative")
    return wanted, min(limit, _MOST), offset


def _counted(level: str, members: Sequence[Attributes]) -> Attributes:
    """Modalities and counts of a study or series (PS3.18 Tables 10.6.3-3 and 10.6.3-4)."""
    if level == "instances":
        return {}
    if level == "series":
        return {"00201209": {"vr": "IS", "Value": [len(members)]}}
    return {
        "00080061": {"vr": "CS", "Value": sorted({_value(member, "00080060") for member in members})},
        "00201206": {"vr": "IS", "Value": [len({_value(member, _SERIES) for member in members})]},
        "00201208": {"vr": "IS", "Value": [len(members)]},
    }


def _found(ledger: Ledger, path: Mapping[str, str]) -> Iterator[tuple[Result, Attributes]]:
    """Every result below a path, with its attributes."""
    for result in ledger.results.find(path.get("study", "")):
        if path.get("instance", "") in ("", result.sop_instance_uid):
            attributes = json_model(result.path)
            if path.get("series", "") in ("", _value(attributes, _SERIES)):
                yield result, attributes


def _retrieve(ledger: Ledger, request: Request) -> Response:
    accepted = request.headers.get("accept", "*/*").replace('"', "")
    if not any(kind in accepted for kind in ("*/*", "multipart/*", "type=application/dicom", "multipart/related")):
        return JSONResponse({"error": "results are given as multipart/related; type=application/dicom"}, 406)
    results = [result for result, _ in _found(ledger, request.path_params)]
    if not results:
        return _nothing()
    boundary = uuid.uuid4().hex
    media_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return StreamingResponse(_parts(results, boundary), media_type=media_type)


def _parts(results: Sequence[Result], boundary: str) -> Iterator[bytes]:
    for result in results:
        yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield result.path.read_bytes()
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _nothing() -> Response:
    return JSONResponse({"error": "no result of ours has this UID"}, status_code=404)


def _value(attributes: Mapping[str, Mapping[str, Any]], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0])
