"""A manifest of labelled radiographs: read, checked, loaded, split by person."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from cds.dicom.radiograph import load_image_file
from cds.errors import ConfigError, EvidenceError
from cds.features.xray.prepare import squashed

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""

LABELS: Final = {"0": 0, "1": 1, "NORMAL": 0, "PNEUMONIA": 1}
_COLUMNS: Final = ("path", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the manifest; `person` is the group that is never split."""

    number: int
    path: Path
    label: int
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row whose file could not be read, and why."""

    row: int
    file: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """What was loaded.

    Attributes
    ----------
    pixels
        uint8, shape (n, size, size), squashed, 0..255.
    labels
        int64, shape (n,), 1 = pneumonia.
    persons
        str, shape (n,).
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    persons: npt.NDArray[np.str_]
    skipped: tuple[Skipped, ...] = ()


def read_manifest(manifest: Path) -> tuple[Row, ...]:
    """Read and check a manifest: CSV with ``path,label`` and, if persons have several images, ``person``.

    `path` is relative to the manifest; `label` is 0 or NORMAL, 1 or PNEUMONIA.

    Raises
    ------
    ConfigError
        When there is no such file, a column is missing, a label is another one, or a file is not
        there; the message names the row.
    """
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [column.strip().lower() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the manifest {manifest.name} cannot be read: {type(error).__name__}") from None
    absent = [column for column in _COLUMNS if column not in columns]
    if absent:
        raise ConfigError(f"the manifest has no column {', '.join(absent)}; it has {', '.join(columns) or 'none'}")
    if not lines:
        raise ConfigError("the manifest has a header and no rows")
    return tuple(_row(number, line, manifest.parent) for number, line in enumerate(lines, start=2))


def load_images(rows: Sequence[Row], size: int, progress: Progress) -> Images:
    """Load every file; one that cannot be read is skipped with its reason.

    Raises
    ------
    ConfigError
        When no file at all could be read.
    """
    kept: list[Row] = []
    pixels: list[npt.NDArray[np.uint8]] = []
    skipped: list[Skipped] = []
    for done, row in enumerate(rows):
        if done % 200 == 0:
            progress("loading", done, len(rows))
        try:
            image = squashed(load_image_file(row.path).pixels, size)[0].numpy()
        except EvidenceError as error:
            skipped.append(Skipped(row=row.number, file=row.path.name, reason=str(error)))
            continue
        kept.append(row)
        pixels.append(np.round(image * 255).astype(np.uint8))
    if not kept:
        raise ConfigError(f"none of {len(rows)} files could be read; the first: {skipped[0].reason}")
    labels = np.array([row.label for row in kept], dtype=np.int64)
    return Images(
        pixels=np.stack(pixels),
        labels=labels,
        persons=_merged(np.array([row.person for row in kept]), pixels),
        skipped=tuple(skipped),
    )


def person_folds(images: Images, folds: int, seed: int) -> list[npt.NDArray[np.intp]]:
    """Indices of `folds` parts with like shares of pneumonia; no person is in two.

    Raises
    ------
    ConfigError
        When a class has fewer persons than there are folds.
    """
    for label in (0, 1):
        persons = len(np.unique(images.persons[images.labels == label]))
        if persons < folds:
            raise ConfigError(f"label {label} has {persons} persons; {folds} parts need at least {folds} of each label")
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    parts = splitter.split(images.pixels[:, 0, 0], images.labels, images.persons)
    return [np.asarray(test, dtype=np.intp) for _, test in parts]


def _row(number: int, line: dict[str, str | None], folder: Path) -> Row:
    name, label = (line.get("path") or "").strip(), (line.get("label") or "").strip().upper()
    if not name:
        raise ConfigError(f"row {number} of the manifest has no path")
    if label not in LABELS:
        raise ConfigError(
            f"row {number} of the manifest has the label {label or '(none)'}; there are {', '.join(LABELS)}"
        )
    path = folder / name
    if not path.is_file():
        raise ConfigError(f"row {number} of the manifest names {name}, which is not there")
    return Row(
        number=number, path=path, label=LABELS[label], person=(line.get("person") or "").strip() or f"row {number}"
    )


def _merged(persons: npt.NDArray[np.str_], pixels: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.str_]:
    """Persons who share an identical image are one group, so that no copy crosses a split."""
    owner: dict[bytes, str] = {}
    root = {person: person for person in persons.tolist()}
    for person, image in zip(persons.tolist(), pixels, strict=True):
        other = owner.setdefault(hashlib.sha256(image.tobytes()).digest(), person)
        a, b = _root(root, person), _root(root, other)
        root[a] = b
    return np.array([_root(root, person) for person in persons.tolist()])


def _root(root: dict[str, str], person: str) -> str:
    while root[person] != person:
        person = root[person]
    return person
