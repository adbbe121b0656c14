"""The trained risk model: weights and their sidecar, read once, asked for any number of rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from cds.errors import ConfigError
from cds.features.labs_risk.inputs import VARIABLES, Floats, Preparation
from cds.features.labs_risk.scorers import KINDS, scores

FORMAT: Final = "cds-labs-risk-1"
SHIPPED: Final = Path(__file__).parents[1] / "weights" / "labs_risk.safetensors"
_PREPARING: Final = ("mean", "sd", "centre", "covariance", "direction")
_Z95: Final = 1.959964
_HELD: Final = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From score to probability.

    ``"platt"`` is ``sigmoid(scale * score + offset)``, ``"temperature"`` the same without offset, ``"isotonic"``
    a line through `knots` of (score, probability). It holds where the share `prior` dies; `basis` says on what it
    was fitted.
    """

    kind: str = "platt"
    scale: float = 1.0
    offset: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    prior: float = 0.5
    basis: str = ""

    def log_odds(self, score: Floats, prevalence: float | None = None) -> Floats:
        """Log odds of death where the share `prevalence` dies (None: `prior`), shape kept."""
        if self.kind == "isotonic":
            where, chance = np.array(self.knots).T
            held = np.clip(np.interp(score, where, chance), _HELD, 1.0 - _HELD)
            known: Floats = np.log(held / (1.0 - held))
        else:
            known = self.scale * score + self.offset
        return known if prevalence is None else known + log_odds(prevalence) - log_odds(self.prior)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """The JSON file beside the weights.

    Attributes
    ----------
    kind
        One of `cds.features.labs_risk.scorers.KINDS`.
    threshold
        The score from which a person is called at high risk.
    prevalence
        The share of deaths for which probabilities are given, unless another is asked for.
    least_known
        The least share of the score's variance that the values at hand must settle; below, the model abstains.
    """

    version: str
    sha256: str
    kind: str
    calibration: Calibration
    threshold: float
    prevalence: float
    least_known: float
    variables: tuple[str, ...] = VARIABLES
    training: Mapping[str, object] = field(default_factory=dict)
    measured: Mapping[str, object] = field(default_factory=dict)
    format: str = FORMAT

    def as_json(self) -> str:
        """Readable, with sorted keys."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a sidecar.

        Raises
        ------
        ConfigError
            When it is not there or not of this format.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            if table.get("format") != FORMAT:
                raise ConfigError(f"{path.name} is not of the format {FORMAT}")
            curve = table.pop("calibration")
            curve["knots"] = tuple((float(x), float(y)) for x, y in curve["knots"])
            table["variables"] = tuple(table["variables"])
            read = cls(calibration=Calibration(**curve), **table)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"the model file {path.name} cannot be read: {type(error).__name__}") from None
        if read.variables != VARIABLES or read.kind not in KINDS:
            raise ConfigError(f"{path.name} was made for other variables or another kind of classifier")
        return read


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the model says of n rows; each array has the shape (n,).

    `known` is the share of the score's variance that the values at hand settle, 0..1; `low` and `high` hold the
    probability with 95 % for what the missing values may be.
    """

    score: Floats
    probability: Floats
    low: Floats
    high: Floats
    high_risk: npt.NDArray[np.bool_]
    known: Floats


class RiskModel:
    """Preparation, classifier and calibration."""

    def __init__(self, sidecar: Sidecar, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self.sidecar = sidecar
        parts = {name: np.asarray(tensors[f"prepare.{name}"], dtype=np.float64) for name in _PREPARING}
        self.direction: Floats = parts.pop("direction")
        self.preparation = Preparation(**parts)
        self._arrays = {
            name.removeprefix("score."): part for name, part in tensors.items() if name.startswith("score.")
        }

    @classmethod
    def load(cls, weights: Path) -> Self:
        """Read weights and the sidecar beside them.

        Raises
        ------
        ConfigError
            When one of them is not there, damaged, or they do not belong together.
        """
        sidecar = Sidecar.read(weights.with_suffix(".json"))
        try:
            content = weights.read_bytes()
            if hashlib.sha256(content).hexdigest() != sidecar.sha256:
                raise ConfigError(f"{weights.name} is not the file that {weights.stem}.json describes (sha256)")
            return cls(sidecar, load_tensors(content))
        except (OSError, SafetensorError, KeyError) as error:
            raise ConfigError(f"the weights {weights.name} cannot be read: {type(error).__name__}") from None

    def scores(self, values: Floats) -> Floats:
        """One score a row; `values` in house units, shape (n, d), NaN where missing."""
        gapped = self.preparation.standardised(values)
        return scores(self.sidecar.kind, self._arrays, gapped, self.preparation.filled(gapped))

    def read(self, values: Floats, prevalence: float | None = None) -> Reading:
        """Read n rows of values in house units, shape (n, d), NaN where missing; `prevalence` in 0..1."""
        share = self.sidecar.prevalence if prevalence is None else prevalence
        curve, score = self.sidecar.calibration, self.scores(values)
        gapped = self.preparation.standardised(values)
        left_open = self.preparation.open_variance(gapped, self.direction)
        spread = _Z95 * np.sqrt(left_open)
        low, middle, high = (sigmoid(curve.log_odds(at, share)) for at in (score - spread, score, score + spread))
        whole = float(self.direction @ self.preparation.covariance @ self.direction)
        risky = score >= self.sidecar.threshold
        return Reading(score, middle, low, high, risky, np.clip(1.0 - left_open / whole, 0.0, 1.0))

    def contributions(self, values: Floats) -> Floats:
        """What each variable adds to the log odds of one row against the training mean, shape (d,).

        Of the linear direction; what is missing adds nothing of its own, and its expected part is left out.
        """
        gapped = self.preparation.standardised(values[None])[0]
        return np.asarray(np.nan_to_num(self.direction * (gapped - self.preparation.centre)), dtype=np.float64)


def log_odds(share: float) -> float:
    """Of a share between 0 and 1."""
    return float(np.log(share / (1.0 - share)))


def sigmoid(logit: Floats) -> Floats:
    """Probability, shape kept."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -40.0, 40.0))), dtype=np.float64)
