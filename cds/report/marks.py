"""What was marked on an image, in the pixels of the picture that shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cds.domain.finding import Finding
from cds.domain.report import Report
from cds.domain.study import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A region on a picture, in the picture's own pixels, with the number it is told by."""

    shape: str
    points: tuple[tuple[float, float], ...]
    label: str = ""


def marks(report: Report, instance: Instance, scale: float) -> tuple[Mark, ...]:
    """The findings' regions that lie on this image; one pixel of the picture is `scale` image pixels."""
    return tuple(
        mark(finding, scale, (0.0, 0.0))
        for finding in report.findings
        if finding.region is not None and finding.region.sop_instance_uid == instance.sop_instance_uid
    )


def mark(finding: Finding, scale: float, corner: tuple[float, float]) -> Mark:
    """The region of a finding that has one, on a picture whose upper left (column, row) is `corner`."""
    region = finding.region
    assert region is not None
    points = tuple((x / scale - corner[0], y / scale - corner[1]) for x, y in region.points)
    return Mark(shape=region.shape, points=points, label=finding.id.rpartition("/")[2])


def ellipse(ends: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The outline through the ends of the major axis, then of the minor axis (PS3.3 C.18.6.1.2)."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ends
    middle = (ax + bx) / 2, (ay + by) / 2
    major, minor = ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2)
    turns = [2 * math.pi * step / 48 for step in range(49)]
    return [
        (
            middle[0] + major[0] * math.cos(t) + minor[0] * math.sin(t),
            middle[1] + major[1] * math.cos(t) + minor[1] * math.sin(t),
        )
        for t in turns
    ]
