"""Evidence -> the numbers that become tokens, with the observations that each came from.

A case has one token per image embedding, per CT nodule, per laboratory analyte and per group of
report mentions, and one panel token per modality that says "read" or, learned, "missing".
No token has a position: a set goes in. Observations are ordered by id and doubles are dropped
before anything is summed, so that the order of the evidence cannot even change a rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence, Measurement, Modality, Observation
from cds.domain.vocabulary import FINDINGS
from cds.errors import FusionError
from cds.fusion.spec import MODALITIES, AnalyteSpec, FusionSpec

Floats = npt.NDArray[np.float32]

CLIP_SD: Final = 5.0
"""Standardised inputs are held within this many SD: beyond, the network would extrapolate."""
MAX_NODULES: Final = 16
"""The largest nodules that are read; lung screening reports rarely describe more."""
MIN_POSITIVE: Final = 1e-6
"""A laboratory value of 0 is read as this, and then held at -`CLIP_SD`."""
BOUNDS: Final = frozenset({"<", "<="})
DIAMETER: Final = Code("81827009", "SCT", "Diameter")
NOT_OF_NOW: Final = frozenset({"prior report", "order", "asked for, not found"})
"""Parts of a text observation's note: what an earlier report said, or what was asked, is not what is there now."""


class State(IntEnum):
    """What a report says about a group of findings; the more telling statement wins."""

    NOT_MENTIONED = 0
    ABSENT = 1
    UNCERTAIN = 2
    PRESENT = 3


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token values of n cases; NaN where a case has no such token.

    Attributes
    ----------
    present
        (n, 4) bool, in the order of `MODALITIES`.
    xray
        (n, token_size), the projected embedding, unit within-class variance.
    nodules
        (n, m) standardised log diameters, m <= `MAX_NODULES`.
    labs
        (n, analytes) standardised log values.
    below
        (n, analytes) bool, the value is an upper bound ("< 0.06").
    mentions
        (n, groups) int, `State`.
    """

    present: npt.NDArray[np.bool_]
    xray: Floats
    nodules: Floats
    labs: Floats
    below: npt.NDArray[np.bool_]
    mentions: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.present)

    def take(self, rows: npt.NDArray[np.intp] | slice) -> Tokens:
        """The cases `rows`."""
        return Tokens(
            self.present[rows],
            self.xray[rows],
            self.nodules[rows],
            self.labs[rows],
            self.below[rows],
            self.mentions[rows],
        )

    def keep(self, present: npt.NDArray[np.bool_]) -> Tokens:
        """The same cases with only the modalities `present` (n, 4); one case may stand for many rows."""
        rows = np.zeros(len(present), dtype=np.intp) if len(self) == 1 else np.arange(len(self))
        part = self.take(rows)
        return Tokens(
            part.present & present,
            np.where(present[:, :1], part.xray, np.nan),
            np.where(present[:, 1:2], part.nodules, np.nan),
            np.where(present[:, 2:3], part.labs, np.nan),
            part.below & present[:, 2:3],
            np.where(present[:, 3:4], part.mentions, int(State.NOT_MENTIONED)),
        )


@dataclass(frozen=True, slots=True)
class CaseTokens:
    """The tokens of one case, and which observation ids bear on which target.

    `looked` says for each target which modalities bear on it that look: images and report texts, not values.
    """

    tokens: Tokens
    because: dict[str, tuple[str, ...]]
    looked: dict[str, frozenset[Modality]]
    notes: tuple[str, ...]


def tokens_of(
    evidence: Sequence[Evidence], spec: FusionSpec, mean: npt.NDArray[np.float64], projection: npt.NDArray[np.float64]
) -> CaseTokens:
    """The tokens of one case.

    Parameters
    ----------
    mean, projection
        (embedding_size,) and (token_size, embedding_size) of the X-ray token.

    Raises
    ------
    FusionError
        When a number is NaN or infinite, a unit is not the one trained on, or an embedding is of
        another model or size.
    """
    parts = {modality: [part for part in evidence if part.modality is modality] for modality in MODALITIES}
    because: dict[str, list[str]] = {target.id: [] for target in spec.targets}
    notes: list[str] = []
    xray = _xray(parts[Modality.XRAY], spec, mean, projection, because, notes)
    nodules = _nodules(parts[Modality.CT], spec, because)
    labs, below = _labs(parts[Modality.LABS], spec, because)
    said = [item for item in distinct(parts[Modality.TEXT]) if _is_said_now(item)]
    mentions = _mentions(said, spec, because)
    present = np.array([[xray is not None, bool(parts[Modality.CT]), bool(np.isfinite(labs).any()),
                         bool(said)]])  # fmt: skip
    row = xray if xray is not None else np.full(spec.xray.token_size, np.nan)
    tokens = Tokens(present, _row(row), _row(nodules), _row(labs), below[None], mentions[None])
    of = {item.id: modality for modality in MODALITIES for item in distinct(parts[modality])}
    looked = {key: frozenset(of[each] for each in ids) - {Modality.LABS} for key, ids in because.items()}
    return CaseTokens(tokens, {key: tuple(ids) for key, ids in because.items()}, looked, tuple(notes))


def _row(values: npt.NDArray[np.float64]) -> Floats:
    return np.clip(values, -CLIP_SD, CLIP_SD).astype(np.float32)[None]


def distinct(parts: Iterable[Evidence]) -> list[Observation]:
    """The observations of `parts` in the order of their ids, each id once.

    Of observations that share an id the first in the order of (source, note) stands: a re-sent
    document must not count twice.
    """
    found: dict[str, Observation] = {}
    everything = (observation for part in parts for observation in part.observations)
    for observation in sorted(everything, key=lambda item: (item.id, item.source, item.note)):
        found.setdefault(observation.id, observation)
    return list(found.values())


def _xray(
    parts: Sequence[Evidence],
    spec: FusionSpec,
    mean: npt.NDArray[np.float64],
    projection: npt.NDArray[np.float64],
    because: dict[str, list[str]],
    notes: list[str],
) -> npt.NDArray[np.float64] | None:
    """The mean of the projected embeddings (token_size,), or None where there is none."""
    rows = []
    for part in sorted(parts, key=lambda item: (item.key_image, item.embedding)):
        if not part.embedding:
            notes.append(f"{part.algorithm.name} gave no embedding, so the image was not used")
            continue
        _check_model(part, spec)
        rows.append(projection @ (np.array(part.embedding) - mean))
        because[spec.xray.target] += [observation.id for observation in distinct([part])]
    return np.mean(rows, axis=0) if rows else None


def _check_model(part: Evidence, spec: FusionSpec) -> None:
    wanted = spec.xray
    if len(part.embedding) != wanted.embedding_size:
        raise FusionError(
            f"the embedding of {part.algorithm.name} {part.algorithm.version} has {len(part.embedding)} numbers, "
            f"the fusion weights want {wanted.embedding_size} of {wanted.algorithm} {wanted.version}: "
            "train the fusion for this model (cds train fusion)"
        )
    if part.algorithm.sha256 and wanted.sha256 and part.algorithm.sha256 != wanted.sha256:
        raise FusionError(
            f"the embedding is of {part.algorithm.name} weights {part.algorithm.sha256[:12]}, the fusion was trained "
            f"on {wanted.sha256[:12]}: train the fusion for this model (cds train fusion)"
        )
    if not all(map(math.isfinite, part.embedding)):
        raise FusionError(f"the embedding of {part.algorithm.name} contains NaN or infinity")


def _nodules(parts: Sequence[Evidence], spec: FusionSpec, because: dict[str, list[str]]) -> npt.NDArray[np.float64]:
    """Standardised log diameters (m,) of the largest nodules, largest first."""
    found: list[tuple[float, str]] = []
    for observation in distinct(parts):
        if observation.assertion is Assertion.ABSENT:
            because[spec.nodule.target].append(observation.id)
            continue
        if (diameter := _diameter_mm(observation)) is not None:
            found.append((-diameter, observation.id))
    found = sorted(found)[:MAX_NODULES]
    because[spec.nodule.target] += [identifier for _, identifier in found]
    return np.array([(math.log(-size) - spec.nodule.log_mean) / spec.nodule.log_sd for size, _ in found])


def _diameter_mm(observation: Observation) -> float | None:
    """The mean diameter, as the table that was trained on has it; else the largest length in mm."""
    measured = [m for m in observation.measurements if m.unit == "mm"]
    mean = [m for m in measured if m.quantity == DIAMETER]
    lengths = [_finite(observation, m) for m in (mean or measured)]
    if not lengths:
        return None
    if max(lengths) <= 0:
        raise FusionError(f"observation {observation.id} measures {max(lengths)} mm; a nodule has a positive size")
    return max(lengths)


def _labs(
    parts: Sequence[Evidence], spec: FusionSpec, because: dict[str, list[str]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Standardised log values and "is an upper bound" flags, both (analytes,).

    The labs extractor sends one observation per analyte, the latest; where there are several
    (two extractors), the last in the order of ids stands.
    """
    values = np.full(len(spec.analytes), np.nan)
    below = np.zeros(len(spec.analytes), dtype=bool)
    columns = {analyte.loinc: (column, analyte) for column, analyte in enumerate(spec.analytes)}
    used: dict[int, str] = {}
    for observation in distinct(parts):
        if observation.concept.scheme != "LN" or observation.concept.value not in columns:
            continue
        if not observation.measurements:
            continue
        column, analyte = columns[observation.concept.value]
        values[column], below[column] = _lab(observation, analyte)
        used[column] = observation.id
    for column, identifier in sorted(used.items()):
        because[spec.analytes[column].target].append(identifier)
    return values, below


def _lab(observation: Observation, analyte: AnalyteSpec) -> tuple[float, bool]:
    measurement = observation.measurements[0]
    value = _finite(observation, measurement)
    if measurement.unit != analyte.unit:
        raise FusionError(
            f"{observation.id} ({analyte.name}) is in {measurement.unit!r}, the fusion weights want {analyte.unit!r}"
        )
    if value < 0:
        raise FusionError(f"{observation.id} ({analyte.name}) is negative")
    log = math.log(max(value, MIN_POSITIVE))
    return (log - analyte.log_mean) / analyte.log_sd, comparator_of(observation) in BOUNDS


def comparator_of(observation: Observation) -> str:
    """``"<"``, ``"<="``, ``">"``, ``">="`` where the observation's note starts with one, else ``""``."""
    text = observation.note.lstrip()
    return next((sign for sign in ("<=", ">=", "<", ">") if text.startswith(sign)), "")


def _finite(observation: Observation, measurement: Measurement) -> float:
    if not math.isfinite(measurement.value):
        raise FusionError(f"observation {observation.id} carries NaN or infinity; a measured value is a number")
    return measurement.value


def _is_said_now(observation: Observation) -> bool:
    """Whether a report of this study states the finding, one way or the other."""
    said = (Assertion.PRESENT, Assertion.ABSENT, Assertion.UNCERTAIN)
    return observation.assertion in said and not NOT_OF_NOW & set(observation.note.split("; "))


def _mentions(said: Sequence[Observation], spec: FusionSpec, because: dict[str, list[str]]) -> npt.NDArray[np.int64]:
    """`State` of each group (groups,)."""
    states = np.zeros(len(spec.mentions), dtype=np.int64)
    for column, group in enumerate(spec.mentions):
        codes = {FINDINGS[key] for key in group.keys}
        found = [item for item in said if item.concept in codes]
        states[column] = max((State[item.assertion.name] for item in found), default=State.NOT_MENTIONED)
        because[group.target] += [item.id for item in found if item.id not in because[group.target]]
    return states
