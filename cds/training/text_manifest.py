"""Annotated texts of one's own: a CSV with a row for each finding that somebody marked."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cds.domain.evidence import Assertion
from cds.domain.vocabulary import FINDINGS
from cds.errors import ConfigError

COLUMNS: Final = ("document", "text", "file", "finding", "assertion", "laterality", "size_mm")
LARGEST_TEXT: Final = 1 << 20
ASSERTIONS: Final[Mapping[str, Assertion]] = {
    **dict.fromkeys(("present", "affirmed", "positive", "p", "1"), Assertion.PRESENT),
    **dict.fromkeys(("absent", "negated", "negative", "a", "n", "0"), Assertion.ABSENT),
    **dict.fromkeys(("uncertain", "possible", "conditional", "hypothetical", "u", "-1"), Assertion.UNCERTAIN),
}
"""Words of the common annotation schemes (NegEx, i2b2 2010, CheXpert) for the three assertions."""
SIDES: Final[Mapping[str, str]] = {
    **{side: side for side in ("left", "right", "bilateral")},
    **{
        "l": "left",
        "r": "right",
        "b": "bilateral",
        "both": "bilateral",
        "左": "left",
        "右": "right",
        "双": "bilateral",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One finding that an annotator marked.

    `key` is a finding's key where the manifest named one by key or code; else `words` are the words as they
    stand in the text. `side` and `size_mm` are None where the annotator did not say.
    """

    key: str = ""
    words: str = ""
    assertion: Assertion
    side: str | None = None
    size_mm: float | None = None

    @property
    def name(self) -> str:
        """What the finding is called in the figures."""
        return self.key or self.words.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text, and all that is marked in it."""

    text: str
    annotations: tuple[Annotation, ...]


def documents(manifest: Path) -> list[Document]:
    """The documents of a manifest, in the order of their first rows.

    Columns: `text`, or `file` (UTF-8, beside the manifest); `finding`: a key (``pneumonia``), a code's value
    (``36118008``), or words of the text, empty for a document without findings; `assertion`; where wanted
    `document` (rows of one text that stands in the first of them only), `laterality`, `size_mm`.

    Raises
    ------
    ConfigError
        When a column or a value is wrong; the message names the row.
    """
    texts: dict[str, str] = {}
    marked: dict[str, list[Annotation]] = {}
    for number, row in _rows(manifest):
        text = row.get("text") or _file(manifest, row.get("file", ""), number)
        name = row.get("document") or text
        if not name or not (text or name in texts):
            raise ConfigError(f"{manifest.name} row {number}: neither text nor file, nor a document named before")
        texts.setdefault(name, text)
        marked.setdefault(name, [])
        if row.get("finding"):
            marked[name].append(_annotation(row, f"{manifest.name} row {number}"))
    return [Document(text=text, annotations=tuple(marked[name])) for name, text in texts.items()]


def _rows(manifest: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            if not {"text", "file"} & {*names} or not {"finding", "assertion"} <= {*names}:
                raise ConfigError(
                    f"{manifest.name} needs text or file, finding, assertion; there are: {', '.join(names)}"
                )
            for number, row in enumerate(reader, start=2):
                yield number, {name: (row.get(name) or "").strip() for name in COLUMNS}
    except OSError as error:
        raise ConfigError(f"{manifest}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{manifest.name} is no CSV in UTF-8") from error


def _file(manifest: Path, name: str, number: int) -> str:
    if not name:
        return ""
    path = manifest.parent / name
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise ConfigError(f"{manifest.name} row {number}: the file is larger than {LARGEST_TEXT} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{manifest.name} row {number}: the file cannot be read as UTF-8") from error


_BY_CODE: Final = {code.value: key for key, code in FINDINGS.items()}


def _annotation(row: Mapping[str, str], where: str) -> Annotation:
    finding, side, size = row["finding"], row["laterality"].lower(), row["size_mm"]
    key = finding if finding in FINDINGS else _BY_CODE.get(finding, "")
    assertion = ASSERTIONS.get(row["assertion"].lower())
    if assertion is None:
        raise ConfigError(f"{where}: assertion is PRESENT, ABSENT or UNCERTAIN, not {row['assertion'][:40]!r}")
    if side and side not in SIDES:
        raise ConfigError(f"{where}: laterality is left, right or bilateral, not {side[:40]!r}")
    try:
        size_mm = float(size) if size else None
    except ValueError:
        raise ConfigError(f"{where}: size_mm is a number, not {size[:40]!r}") from None
    return Annotation(
        key=key,
        words="" if key else finding,
        assertion=assertion,
        side=SIDES[side] if side else None,
        size_mm=size_mm,
    )
