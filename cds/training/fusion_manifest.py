"""A real cohort for the fusion, read from CSV: one row per case.

===================  ==============================================================================
column               content
===================  ==============================================================================
``case_id``          unique; never a patient's name or number
``group``            the person, so that no person is on both sides of a split
``split``            optional: ``train``, ``val`` or ``test``; drawn by group where the column is absent
``pneumonia`` ...    one column per target of the weights: ``1``, ``0``, or empty for not known
``xray_embedding``   a ``.npy`` beside the CSV, shape (d,), of the X-ray model; empty for no radiograph
``nodules_mm``       diameters separated by ``;``, ``none`` for a CT without nodules, empty for no CT
LOINC code           e.g. ``1988-5``: the value in the unit of the weights, ``<0.05`` for a bound
``mention:ID``       ``present``, ``absent``, ``uncertain``, ``not_mentioned``; all empty for no report
===================  ==============================================================================
"""

from __future__ import annotations

import csv
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.errors import ConfigError
from cds.fusion.spec import MODALITIES, FusionSpec
from cds.fusion.tokens import CLIP_SD, MAX_NODULES, State, Tokens
from cds.fusion.weights import XrayToken

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
States = npt.NDArray[np.int64]
SPLITS: Final = ("train", "val", "test")
HELD_OUT: Final = (15, 30)
"""Per cent of the groups up to which a group is in ``test``, then in ``val``."""


@dataclass(frozen=True, slots=True)
class RealCohort:
    """Cases of a manifest: labels (n, targets) are 0, 1 or NaN; groups and splits are (n,)."""

    tokens: Tokens
    labels: npt.NDArray[np.float32]
    groups: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, split: str) -> RealCohort:
        """The cases of one split."""
        rows = np.flatnonzero(self.splits == split)
        return RealCohort(self.tokens.take(rows), self.labels[rows], self.groups[rows], self.splits[rows])

    def lacks_a_class(self) -> bool:
        """True where some target has no positive or no negative case."""
        return not all((self.labels == side).any(axis=0).all() for side in (0, 1)) if len(self) else True


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the manifest, and how to say where it is wrong."""

    where: str
    cells: Mapping[str, str]
    folder: Path

    def cell(self, column: str) -> str:
        return (self.cells.get(column) or "").strip()

    def wrong(self, column: str, expected: str) -> ConfigError:
        return ConfigError(f"{self.where}, column {column!r}: expected {expected}")


def read_manifest(path: Path, spec: FusionSpec, xray: XrayToken) -> RealCohort:
    """The cases of the manifest at `path`, as tokens for weights of `spec` and `xray`.

    Raises
    ------
    ConfigError
        When the file, a column or a value is not as the module describes; the message names the line.
    """
    rows = _rows(path, spec)
    parts = [_tokens(row, spec, xray) for row in rows]
    width = max(1, *(len(nodules) for _, _, nodules, _, _, _ in parts))
    padded = np.full((len(parts), width), np.nan)
    for line, part in enumerate(parts):
        padded[line, : len(part[2])] = part[2]
    present, embedded, _, labs, below, mentions = (list(column) for column in zip(*parts, strict=True))
    tokens = Tokens(
        np.array(present), _single(np.array(embedded)), _single(padded), _single(np.array(labs)), np.array(below),
        np.array(mentions),
    )  # fmt: skip
    groups = np.array([row.cell("group") for row in rows])
    labels = np.array([[_label(row, target.id) for target in spec.targets] for row in rows], dtype=np.float32)
    return RealCohort(tokens, labels, groups, np.array([_split(row) for row in rows]))


def _single(values: Array) -> npt.NDArray[np.float32]:
    return np.clip(values, -CLIP_SD, CLIP_SD).astype(np.float32)


def _rows(path: Path, spec: FusionSpec) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            rows = [_Row(f"{path.name}, line {line}", cells, path.parent) for line, cells in enumerate(reader, 2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the manifest {path.name} cannot be read as CSV in UTF-8: {error}") from error
    _check_header(path, header, spec)
    if not rows:
        raise ConfigError(f"the manifest {path.name} has no case")
    seen: set[str] = set()
    for row in rows:
        if not row.cell("case_id") or row.cell("case_id") in seen:
            raise row.wrong("case_id", "a value that no other line has")
        if not row.cell("group"):
            raise row.wrong("group", "the person that the case belongs to")
        seen.add(row.cell("case_id"))
    return rows


def _check_header(path: Path, header: Sequence[str], spec: FusionSpec) -> None:
    wanted = ["case_id", "group", *(target.id for target in spec.targets)]
    evidence = ["xray_embedding", "nodules_mm", *(a.loinc for a in spec.analytes)]
    evidence += [f"mention:{mention.id}" for mention in spec.mentions]
    if lacking := [column for column in wanted if column not in header]:
        raise ConfigError(f"the manifest {path.name} lacks the columns {lacking}")
    if unknown := [column for column in header if column not in (*wanted, *evidence, "split")]:
        raise ConfigError(f"the manifest {path.name} has unknown columns {unknown}; evidence columns are {evidence}")
    if not set(evidence) & set(header):
        raise ConfigError(f"the manifest {path.name} has no evidence; columns for it are {evidence}")


def _tokens(row: _Row, spec: FusionSpec, token: XrayToken) -> tuple[Flags, Array, Array, Array, Flags, States]:
    """Present (4,), X-ray (k,), nodules (m,), labs (a,), below (a,), mentions (g,) of one line."""
    xray, nodules = _embedding(row, spec, token), _diameters(row, spec)
    labs, below = _values(row, spec)
    mentions = _states(row, spec)
    present = np.array([xray is not None, nodules is not None, bool(np.isfinite(labs).any()), mentions is not None])
    if not present.any():
        raise ConfigError(f"{row.where}: the case has no evidence of any modality ({', '.join(MODALITIES)})")
    return (
        present,
        np.full(spec.xray.token_size, np.nan) if xray is None else xray,
        np.zeros(0) if nodules is None else nodules,
        labs,
        below,
        np.zeros(len(spec.mentions), dtype=np.int64) if mentions is None else mentions,
    )


def _label(row: _Row, target: str) -> float:
    try:
        return {"": math.nan, "0": 0.0, "1": 1.0}[row.cell(target)]
    except KeyError:
        raise row.wrong(target, "1, 0 or nothing") from None


def _split(row: _Row) -> str:
    if named := row.cell("split"):
        if named not in SPLITS:
            raise row.wrong("split", "train, val or test")
        return named
    share = zlib.crc32(row.cell("group").encode()) % 100
    return "test" if share < HELD_OUT[0] else "val" if share < HELD_OUT[1] else "train"


def _embedding(row: _Row, spec: FusionSpec, token: XrayToken) -> Array | None:
    name = row.cell("xray_embedding")
    if not name:
        return None
    size = spec.xray.embedding_size
    try:
        embedding = np.load(row.folder / name, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise row.wrong("xray_embedding", f"a readable .npy file beside the manifest ({error})") from error
    if embedding.shape != (size,) or not np.isfinite(embedding).all():
        raise row.wrong("xray_embedding", f"{size} finite numbers of {spec.xray.algorithm}")
    return np.asarray(token.projection @ (embedding - token.mean))


def _diameters(row: _Row, spec: FusionSpec) -> Array | None:
    text = row.cell("nodules_mm")
    if not text:
        return None
    sizes = [] if text == "none" else [_number(row, "nodules_mm", part) for part in text.split(";")]
    if any(size <= 0 for size in sizes):
        raise row.wrong("nodules_mm", "positive diameters in mm")
    nodule = spec.nodule
    return (np.log(sorted(sizes, reverse=True)[:MAX_NODULES]) - nodule.log_mean) / nodule.log_sd


def _values(row: _Row, spec: FusionSpec) -> tuple[Array, Flags]:
    analytes = spec.analytes
    values, below = np.full(len(analytes), np.nan), np.zeros(len(analytes), dtype=bool)
    for column, analyte in enumerate(analytes):
        if text := row.cell(analyte.loinc):
            value = _number(row, analyte.loinc, text.lstrip("<>="))
            if value <= 0:
                raise row.wrong(analyte.loinc, f"a positive value of {analyte.name} in {analyte.unit}")
            values[column] = (math.log(value) - analyte.log_mean) / analyte.log_sd
            below[column] = text.startswith("<")
    return values, below


def _states(row: _Row, spec: FusionSpec) -> States | None:
    columns = [f"mention:{mention.id}" for mention in spec.mentions]
    texts = [row.cell(column) for column in columns]
    if not any(texts):
        return None
    for column, text in zip(columns, texts, strict=True):
        if text.upper() not in ("", *State.__members__):
            raise row.wrong(column, ", ".join(State.__members__).lower())
    return np.array([int(State[(text or "not_mentioned").upper()]) for text in texts])


def _number(row: _Row, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise row.wrong(column, "a number") from None
    if not math.isfinite(value):
        raise row.wrong(column, "a finite number")
    return value
