"""ROC and calibration curves of the cross-validation as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cds.features.labs_risk.inputs import Floats
from cds.training.labs_conditions import CONDITIONS
from cds.training.labs_measure import Unseen

_SIDE: Final = 420
_MARGIN: Final = 60
_INKS: Final = ("#00639c", "#b34700", "#2e7d32", "#7b1fa2")
_SHOWN: Final = ("last: all", "last: three", "admission: all", "admission: three")
_GROUPS: Final = 8
Points = npt.NDArray[np.float64]


def write_curves(out: Path, said: Unseen, died: npt.NDArray[np.int64]) -> tuple[Path, ...]:
    """Write ``roc.png`` and ``calibration.png`` for the conditions with nothing removed."""
    rocs, calibrations = {}, {}
    for place, condition in enumerate(CONDITIONS):
        if str(condition) in _SHOWN:
            there = ~np.isnan(said.scores[place])
            outcome = np.broadcast_to(died, there.shape)[there].astype(np.float64)
            rocs[str(condition)] = _roc(said.scores[place][there], outcome)
            calibrations[str(condition)] = _calibration(said.chances[place][there], outcome)
    paths = (out / "roc.png", out / "calibration.png")
    _plot(rocs, "1 - specificity", "sensitivity").save(paths[0])
    _plot(calibrations, "predicted", "observed").save(paths[1])
    return paths


def _roc(scores: Floats, died: Floats) -> Points:
    order = np.argsort(-scores, kind="stable")
    found, alarms = np.cumsum(died[order]) / died.sum(), np.cumsum(1 - died[order]) / (1 - died).sum()
    return np.stack([np.r_[0.0, alarms], np.r_[0.0, found]], axis=1)


def _calibration(chances: Floats, died: Floats) -> Points:
    """Mean prediction and share of deaths in groups of equal size."""
    groups = np.array_split(np.argsort(chances, kind="stable"), _GROUPS)
    return np.array([[chances[group].mean(), died[group].mean()] for group in groups if len(group)])


def _plot(lines: dict[str, Points], across: str, up: str) -> Image.Image:
    """Lines in the unit square, with a diagonal, axes and a legend."""
    picture = Image.new("RGB", (_SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((_MARGIN, _MARGIN, _MARGIN + _SIDE, _MARGIN + _SIDE), outline="black")
    draw.line((*_place(0.0, 0.0), *_place(1.0, 1.0)), fill="#bbbbbb")
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        draw.text((_place(tick, 0.0)[0] - 10, _MARGIN + _SIDE + 6), f"{tick:g}", fill="black")
        draw.text((_MARGIN - 34, _place(0.0, tick)[1] - 6), f"{tick:g}", fill="black")
    draw.text((_MARGIN + _SIDE // 2 - 30, _MARGIN + _SIDE + 28), across, fill="black")
    draw.text((6, _MARGIN - 24), up, fill="black")
    for number, (name, points) in enumerate(lines.items()):
        ink = _INKS[number % len(_INKS)]
        draw.line([_place(float(x), float(y)) for x, y in points], fill=ink, width=2)
        draw.text((_MARGIN + _SIDE - 170, _MARGIN + _SIDE - 90 + 18 * number), name, fill=ink)
    return picture


def _place(x: float, y: float) -> tuple[float, float]:
    return _MARGIN + x * _SIDE, _MARGIN + (1.0 - y) * _SIDE
