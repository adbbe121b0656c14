"""From the X-ray model's embedding to the fusion's X-ray token: a few whitened directions.

The first direction separates the classes best (Fisher's discriminant with a Ledoit-Wolf covariance,
doi:10.1016/S0047-259X(03)00096-4), the others are those of the largest variance within a class. All
have about unit variance within a class. Projection and distributions come from different persons, so that
the separation that the simulated cohort draws from is not the optimistic one of the fit.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

from cds.errors import ConfigError
from cds.fusion.weights import XrayToken

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


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
    """The token of `size` numbers, fitted on half of the persons, its distributions on the other half.

    Parameters
    ----------
    x, y, group
        Embeddings (n, d), pneumonia (n,), person (n,).
    """
    half = np.array([zlib.crc32(person.encode()) % 2 == 0 for person in group])
    for part in (half, ~half):
        if min(int(y[part].sum()), int((~y[part]).sum())) <= size:
            raise ConfigError(f"too few held-out images to fit an X-ray token of {size}: {len(x)}")
    mean, projection = _project(x[half], y[half], size)
    return _distributed((x[~half] - mean) @ projection.T, y[~half], mean, projection)


def _distributed(tokens: Array, y: Flags, mean: Array, projection: Array) -> XrayToken:
    """The two class means and the covariance they share, as wide as the images of these persons say.

    Real embeddings have heavier tails than a Gaussian, whose log-likelihood ratio would be too sure.
    So the covariance is widened until that ratio has the slope of a logistic regression on it.
    """
    means = np.array([tokens[y == side].mean(axis=0) for side in (False, True)])
    shared = np.cov(tokens - means[y.astype(int)], rowvar=False)
    ratio = (tokens - means.mean(axis=0)) @ np.linalg.solve(shared, means[1] - means[0])
    slope = float(LogisticRegression(C=np.inf).fit(ratio[:, None], y).coef_[0, 0])
    if slope <= 0:
        raise ConfigError("the X-ray embeddings do not separate the classes on held-out persons")
    wide = shared / min(1.0, slope)
    return XrayToken(mean=mean, projection=projection, class_mean=means, class_covariance=np.array([wide, wide]))


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
