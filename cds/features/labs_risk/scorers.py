"""What each kind of classifier says, from arrays: no pickle, no training library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.errors import ConfigError
from cds.features.labs_risk.inputs import Floats

Arrays = Mapping[str, npt.NDArray[np.generic]]
KINDS: Final = ("logistic", "svm", "forest", "boosting")
"""The simplest first."""
_CERTAIN: Final = 1e-3
"""A forest's share of votes is held this far from 0 and 1 before its log odds are taken."""


def scores(kind: str, arrays: Arrays, gapped: Floats, filled: Floats) -> Floats:
    """One score a row, the larger the likelier; log odds, except for the SVM, whose is its margin.

    Parameters
    ----------
    gapped, filled
        Standardised values with NaN for gaps, and without gaps, shape (n, d).

    Returns
    -------
    numpy.ndarray
        Shape (n,).
    """
    if kind == "logistic":
        linear: Floats = filled @ _floats(arrays, "weights") + _floats(arrays, "intercept")[0]
        return linear
    if kind == "svm":
        return _margin(arrays, filled)
    if kind == "forest":
        votes = _leaves(arrays, filled.astype(np.float32)).mean(axis=1)
        held = np.clip(votes, _CERTAIN, 1.0 - _CERTAIN)
        return np.asarray(np.log(held / (1.0 - held)), dtype=np.float64)
    if kind == "boosting":
        return np.asarray(_leaves(arrays, gapped).sum(axis=1) + _floats(arrays, "intercept")[0], dtype=np.float64)
    raise ConfigError(f"no kind of classifier {kind!r}; there are: {', '.join(KINDS)}")


def _margin(arrays: Arrays, filled: Floats) -> Floats:
    """Radial basis functions around the support vectors."""
    vectors, gamma = _floats(arrays, "vectors"), _floats(arrays, "gamma")[0]
    apart = (filled**2).sum(axis=1)[:, None] + (vectors**2).sum(axis=1)[None] - 2.0 * filled @ vectors.T
    near = np.exp(-gamma * np.maximum(apart, 0.0))
    margin: Floats = near @ _floats(arrays, "weights") + _floats(arrays, "intercept")[0]
    return margin


def _leaves(arrays: Arrays, rows: npt.NDArray[np.floating]) -> Floats:
    """The leaf's value for each row and tree, shape (n, trees); a leaf points at itself."""
    feature, threshold = arrays["feature"], arrays["threshold"]
    left, right, missing_left = arrays["left"], arrays["right"], arrays["missing_left"].astype(bool)
    place = np.tile(arrays["roots"].astype(np.int64), (len(rows), 1))
    every = np.arange(len(rows))[:, None]
    for _ in range(int(arrays["depth"][0])):
        value = rows[every, feature[place]]
        goes_left = np.where(np.isnan(value), missing_left[place], value <= threshold[place])
        place = np.where(goes_left, left[place], right[place]).astype(np.int64)
    return _floats(arrays, "value")[place]


def _floats(arrays: Arrays, name: str) -> Floats:
    return np.asarray(arrays[name], dtype=np.float64)
