"""The VOI LUT module: which stored values are worth looking at (PS3.3 C.11.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_voi

from cds.dicom.broken import BROKEN_VALUE

Values = npt.NDArray[np.float64]

_LEAST_SPREAD: Final = 0.5
"""A window that leaves fewer than half of the image's own deciles apart hides the image: not used."""

NO_NUMBER: Final = "Window Center or Width is no number"
MISSING: Final = "Window Center or Width is missing"
TOO_SMALL: Final = "Window Width is too small"
BROKEN_LUT: Final = "the VOI LUT is broken"
HIDES: Final = "it hides most of the image"


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Values for looking at, monotone in what came in; `told` is ``""``, or says which windows could not be used."""

    values: Values
    told: str


@dataclass(frozen=True, slots=True)
class _Window:
    centre: float
    width: float


def apply(values: Values, dataset: Dataset) -> Shown:
    """Apply the VOI LUT Sequence, else the first window that can be used; without one the values stay.

    Parameters
    ----------
    values
        After the Modality LUT, shape (rows, columns).
    """
    why: dict[str, None] = {}
    unusable = 0
    for shown in _candidates(values, dataset):
        if not isinstance(shown, str) and _shows(shown, values):
            told = f"{unusable} of the windows of the image cannot be used; the first one that can is"
            return Shown(shown, told if unusable else "")
        unusable += 1
        why[shown if isinstance(shown, str) else HIDES] = None
    if not unusable:
        return Shown(values, "")
    return Shown(values, f"no window of the image can be used ({'; '.join(why)}); its whole range is used")


def _candidates(values: Values, dataset: Dataset) -> Iterator[Values | str]:
    """The values through each table and window that is stated, or why it is none."""
    if dataset.get_item("VOILUTSequence") is not None:
        try:
            if dataset.get("VOILUTSequence"):
                yield apply_voi(values.astype(np.int64), dataset).astype(np.float64)
        except BROKEN_VALUE:
            yield BROKEN_LUT
    function = (_texts(dataset, "VOILUTFunction") or ["LINEAR"])[0].upper() or "LINEAR"
    for stated in _windows(dataset):
        if isinstance(stated, str):
            yield stated
        elif stated.width <= 0.0 or (function == "LINEAR" and stated.width < 1.0):
            yield TOO_SMALL
        else:
            yield window(values, stated.centre, stated.width, function)


def window(values: Values, centre: float, width: float, function: str = "LINEAR") -> Values:
    """Window values to 0..1 (PS3.3 C.11.2.1.2.1 and C.11.2.1.3).

    An invalid width (below 1 for LINEAR, not above 0 for the others) leaves the values as they are.
    """
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1.0
        if width < 0:
            return values
        if width == 0:
            return (values > centre).astype(np.float64)
    elif width <= 0:
        return values
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -60.0, 60.0))))
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0)


def _shows(shown: Values, values: Values) -> bool:
    """Whether most of the image's deciles are still distinct after the window."""
    deciles = np.percentile(values, np.arange(5, 100, 10))
    steps = np.diff(deciles) > 0
    if not steps.any():
        return True
    order = np.percentile(shown, np.arange(5, 100, 10))
    return bool((np.abs(np.diff(order)) > 1e-9)[steps].mean() >= _LEAST_SPREAD)


def _windows(dataset: Dataset) -> Iterator[_Window | str]:
    """The pairs of centre and width in their order, each a window or the reason why it is none."""
    for centre, width in zip_longest(_texts(dataset, "WindowCenter"), _texts(dataset, "WindowWidth"), fillvalue=""):
        if not centre and not width:
            continue
        numbers = [_number(text) for text in (centre, width)]
        if numbers[0] is None or numbers[1] is None:
            yield NO_NUMBER if centre and width else MISSING
        else:
            yield _Window(numbers[0], numbers[1])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _texts(dataset: Dataset, keyword: str) -> list[str]:
    """The values of an attribute as they were written: nothing is converted that may not be a number."""
    element: DataElement | RawDataElement | None = dataset.get_item(keyword)
    value = None if element is None else element.value
    if value is None:
        return []
    if isinstance(value, bytes):
        return [part.strip(" \0") for part in value.decode("ascii", "replace").split("\\")]
    return [str(part).strip() for part in (value if isinstance(value, MultiValue | list) else [value])]
