"""From the X-ray model's embedding to the fusion's X-ray token: a few whitened directions.

The first direction separates the classes best (Fisher's discriminant with a Ledoit-Wolf covariance,
doi:10.1016/S0047-259X(03)00096-4), the others are those of the largest variance within a class. All have
about unit variance within a class.
"""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

from cds.errors import ConfigError
from cds.fusion.weights import XRAY_ARRAYS, XrayToken

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FOLDS: Final = 5


def read_embeddings(path: Path) -> tuple[Array, Flags, npt.NDArray[np.str_]]:
    """Embeddings (n, d), pneumonia (n,) and persons (n,) of held-out images, from an ``.npz`` with X, y, group.

    Raises
    ------
    ConfigError
        When the file or an array is missing, or a number is NaN.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            x, y, group = stored["X"].astype(float), stored["y"].astype(bool), stored["group"].astype(str)
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{path.name} must be an .npz with X (n, d), y (n,) and group (n,): {error}") from error
    if x.ndim != 2 or len(x) != len(y) or len(x) != len(group) or not np.isfinite(x).all():
        raise ConfigError(f"{path.name}: X must be (n, d) and finite, y and group as long; X is {x.shape}")
    return x, y, group


def fit_xray_token(x: Array, y: Flags, group: npt.NDArray[np.str_], size: int = 8) -> XrayToken:
    """The token of `size` numbers, and how it is distributed without and with pneumonia.

    Real embeddings have heavier tails than a Gaussian, and a fit flatters itself, so the Gaussian's
    log-likelihood ratio would be too sure. Its slope is therefore measured on persons that the fit
    has not seen, and the covariance is widened until the ratio has that slope.

    Parameters
    ----------
    x, y, group
        Embeddings (n, d), pneumonia (n,), person (n,).

    Raises
    ------
    ConfigError
        When there are too few persons, or the embeddings do not separate the classes.
    """
    ratio = np.empty(len(x))
    folds = np.array([zlib.crc32(person.encode()) % FOLDS for person in group])
    for fold in range(FOLDS):
        out = folds == fold
        if min(int(y[~out].sum()), int((~y[~out]).sum())) <= 2 * size or not out.any():
            raise ConfigError(f"too few held-out images to fit an X-ray token of {size}: {len(x)}")
        ratio[out] = _log_ratio(x[out], _gaussian(x[~out], y[~out], size))
    slope = float(LogisticRegression(C=np.inf).fit(ratio[:, None], y).coef_[0, 0])
    if slope <= 0:
        raise ConfigError("the X-ray embeddings do not separate the classes on persons that were not fitted")
    fitted = _gaussian(x, y, size)
    return _as_stored(dataclasses.replace(fitted, class_covariance=fitted.class_covariance / min(1.0, slope)))


def _as_stored(token: XrayToken) -> XrayToken:
    """The token as the weights' file gives it back, so that a rebuild from there draws the same cohort."""
    arrays = {name: getattr(token, name).astype(np.float32).astype(np.float64) for name in XRAY_ARRAYS}
    return XrayToken(**arrays)


def _gaussian(x: Array, y: Flags, size: int) -> XrayToken:
    """Projection, class means and the covariance that the classes share."""
    mean, projection = _project(x, y, size)
    tokens = (x - mean) @ projection.T
    means = np.array([tokens[y == side].mean(axis=0) for side in (False, True)])
    shared = np.cov(tokens - means[y.astype(int)], rowvar=False)
    return XrayToken(mean=mean, projection=projection, class_mean=means, class_covariance=np.array([shared, shared]))


def _log_ratio(x: Array, token: XrayToken) -> Array:
    """Log-likelihood ratio (n,) of two Gaussians with one covariance."""
    apart = np.linalg.solve(token.class_covariance[0], token.class_mean[1] - token.class_mean[0])
    return np.asarray(((x - token.mean) @ token.projection.T - token.class_mean.mean(axis=0)) @ apart)


def _project(x: Array, y: Flags, size: int) -> tuple[Array, Array]:
    centres = np.array([x[~y].mean(axis=0), x[y].mean(axis=0)])
    within = x - centres[y.astype(int)]
    covariance = LedoitWolf(assume_centered=True).fit(within).covariance_
    best = np.linalg.solve(covariance, centres[1] - centres[0])
    values, vectors = np.linalg.eigh(covariance)
    rows = [best / np.sqrt(best @ covariance @ best)]
    for column in np.argsort(values)[::-1]:
        if len(rows) == size:
            break
        row = vectors[:, column] / np.sqrt(values[column])
        row = row - sum((row @ covariance @ kept) * kept for kept in rows)
        norm = row @ covariance @ row
        if norm > 1e-6:
            rows.append(row / np.sqrt(norm))
    return centres.mean(axis=0), np.array(rows)
