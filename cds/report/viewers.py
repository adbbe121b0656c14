"""What known viewers need of a TID 1500 report, checked before it leaves."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from cds.errors import ReportError

GEOMETRY = frozenset({"SCOORD", "SCOORD3D"})


def ensure_viewable(ds: Dataset) -> None:
    """Refuse an SR that a viewer of wide use (OHIF 3.8, 3.9) shows wrongly or throws on.

    Raises
    ------
    ReportError
        With every rule that is broken.
    """
    broken = list(_broken(ds))
    if broken:
        raise ReportError(f"SR {ds.SOPInstanceUID} breaks a known viewer: " + "; ".join(broken))


def _broken(ds: Dataset) -> Iterator[str]:
    if _name(ds) != "126000":
        yield f"the title is {_name(ds)}, and 126000 is what is shown"
    if not _child(ds, "111028"):
        yield "there is no Image Library (111028)"
    measurements = _child(ds, "126010")
    if measurements is None:
        yield "there is no Imaging Measurements container (126010)"
        return
    seen: set[str] = set()
    for group in measurements.get("ContentSequence", []):
        yield from _broken_group(group, seen)


def _broken_group(group: Dataset, seen: set[str]) -> Iterator[str]:
    items = group.get("ContentSequence", [])
    tracking = _child(group, "112040")
    if tracking is None or not tracking.get("UID"):
        yield "a measurement group has no tracking UID (112040)"
    elif tracking.UID in seen:
        yield f"two measurement groups share the tracking UID {tracking.UID}"
    else:
        seen.add(str(tracking.UID))
    if any("ConceptNameCodeSequence" not in item for item in items):
        yield "a content item of a measurement group has no concept name"
    flat = not any(item.ValueType in GEOMETRY for item in items)
    if flat and any(item.ValueType == "NUM" and not item.get("ContentSequence") for item in items):
        yield "a NUM without children stands in a measurement group without geometry"


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence", [])
    return str(names[0].get("CodeValue", "")) if names else ""


def _child(item: Dataset, code_value: str) -> Dataset | None:
    return next((child for child in item.get("ContentSequence", []) if _name(child) == code_value), None)
