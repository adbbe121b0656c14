"""The VOI LUT module: which stored values are worth looking at (PS3.3 C.11.2)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_voi

Values = npt.NDArray[np.float64]

_LEAST_SPREAD: Final = 0.5
"""A window that leaves fewer than half of the image's own deciles apart hides the image: not used."""


def apply(values: Values, dataset: Dataset) -> Values:
    """Apply the VOI LUT Sequence, else the first window; without a usable one the values stay.

    Parameters
    ----------
    values
        After the Modality LUT, shape (rows, columns).

    Returns
    -------
    numpy.ndarray
        Monotone in `values` where a window was used; the range is arbitrary.
    """
    shown = _shown(values, dataset)
    return shown if _shows(shown, values) else values


def _shown(values: Values, dataset: Dataset) -> Values:
    if dataset.get("VOILUTSequence"):
        looked_up: Values = apply_voi(values.astype(np.int64), dataset).astype(np.float64)
        return looked_up
    centre, width = _first(dataset, "WindowCenter"), _first(dataset, "WindowWidth")
    if centre is None or width is None:
        return values
    return window(values, centre, width, str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper())


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
    if shown is values:
        return True
    deciles = np.percentile(values, np.arange(5, 100, 10))
    steps = np.diff(deciles) > 0
    if not steps.any():
        return True
    order = np.percentile(shown, np.arange(5, 100, 10))
    return bool((np.abs(np.diff(order)) > 1e-9)[steps].mean() >= _LEAST_SPREAD)


def _first(dataset: Dataset, keyword: str) -> float | None:
    value = dataset.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)
