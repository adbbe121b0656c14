"""What a set of fusion weights reads and says: modalities, analytes, mentions, targets, calibration.

The specification travels as the JSON sidecar of the weights, so that a retrained model carries its
own analytes and thresholds and no number of a model stands in code.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cds.domain.evidence import Modality
from cds.domain.vocabulary import FINDINGS
from cds.errors import FusionError

FORMAT: Final = "cds-fusion-1"
MODALITIES: Final = (Modality.XRAY, Modality.CT, Modality.LABS, Modality.TEXT)
"""The modalities that have tokens; the order is the order of the missing-modality tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """One finding that is concluded.

    Attributes
    ----------
    id
        Finding id and key of `cds.domain.vocabulary.FINDINGS`.
    absent_below, present_from
        Probabilities; between them the finding is UNCERTAIN.
    band_source
        Why these thresholds: the publication and the row.
    temperature, offset
        Calibrated log-odds are ``raw / temperature + offset``.
    interval_scale
        Half-width of the 95 % interval in log-odds per unit of ensemble spread.
    """

    id: str
    absent_below: float
    present_from: float
    band_source: str
    temperature: float = 1.0
    offset: float = 0.0
    interval_scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyteSpec:
    """One laboratory analyte: LOINC code, UCUM unit, and mean and SD of the natural log of the value."""

    loinc: str
    name: str
    unit: str
    log_mean: float
    log_sd: float
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionSpec:
    """Findings in a report that are read as one: ``keys`` are of `cds.domain.vocabulary.FINDINGS`."""

    id: str
    keys: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class XraySpec:
    """The chest X-ray model whose embedding the weights know, and the target that it bears on."""

    algorithm: str
    version: str
    sha256: str
    embedding_size: int
    token_size: int
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleSpec:
    """Mean and SD of the natural log of a nodule's diameter in mm, and the target that it bears on."""

    log_mean: float
    log_sd: float
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Size of one ensemble member."""

    members: int = 5
    layers: int = 2
    width: int = 64
    heads: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionSpec:
    """Everything beside the arrays that a set of fusion weights needs."""

    format: str
    name: str
    version: str
    card: str
    calibrated_on: str
    targets: tuple[TargetSpec, ...]
    analytes: tuple[AnalyteSpec, ...]
    mentions: tuple[MentionSpec, ...]
    xray: XraySpec
    nodule: NoduleSpec
    network: NetworkSpec = NetworkSpec()
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise FusionError(f"fusion weights of format {self.format!r}; this version reads {FORMAT!r}")
        known = {target.id for target in self.targets}
        named = {self.xray.target, self.nodule.target, *(a.target for a in self.analytes)}
        if unknown := (named | {m.target for m in self.mentions}) - known:
            raise FusionError(f"fusion weights name unknown targets {sorted(unknown)}; there are {sorted(known)}")
        keys = known | {key for mention in self.mentions for key in mention.keys}
        if unknown := keys - set(FINDINGS):
            raise FusionError(f"fusion weights name findings that the vocabulary lacks: {sorted(unknown)}")

    def to_json(self) -> str:
        """The sidecar's text."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"


def read_spec(path: Path) -> FusionSpec:
    """The specification in the sidecar `path`.

    Raises
    ------
    FusionError
        When the file is missing, is no JSON, or lacks or has an unknown field.
    """
    try:
        return typing.cast(FusionSpec, _build(FusionSpec, json.loads(path.read_text("utf-8"))))
    except OSError as error:
        raise FusionError(f"fusion weights have no readable sidecar {path.name}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise FusionError(f"the sidecar {path.name} of the fusion weights is not usable: {error}") from error


def _build(kind: type, value: object) -> object:
    """`value` from JSON as the dataclass `kind`: nested dataclasses, lists as tuples."""
    if not isinstance(value, dict):
        raise TypeError(f"{kind.__name__} wants an object")
    hints = typing.get_type_hints(kind)
    if unknown := set(value) - set(hints):
        raise TypeError(f"{kind.__name__} has no field {sorted(unknown)}")
    return kind(**{key: _convert(hints[key], item) for key, item in value.items()})


def _convert(hint: object, item: object) -> object:
    if isinstance(hint, types.GenericAlias) and isinstance(item, list):
        return tuple(_convert(hint.__args__[0], part) for part in item)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _build(hint, item)
    if hint is float and isinstance(item, int) and not isinstance(item, bool):
        return float(item)
    if isinstance(hint, type) and not isinstance(item, hint):
        raise TypeError(f"{item!r} is no {hint.__name__}")
    return item
