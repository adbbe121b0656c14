"""`cds evaluate text`: how well texts are read, on annotated texts of one's own."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.domain.evidence import Assertion
from cds.errors import ConfigError
from cds.features.text import parse
from cds.training.text_manifest import Annotation, Document, documents

DRAWS: Final = 1000
SEED: Final = 20260101
RULES: Final = "rules"
Count = tuple[int, int, int]
"""True positives, false positives, false negatives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a reader says of one finding, at characters ``start`` to ``end``."""

    key: str
    assertion: Assertion
    start: int
    end: int
    side: str = ""
    size_mm: float | None = None


Reader = Callable[[str], Sequence[Said]]


def evaluate(manifest: Path, *, model: str = "") -> dict[str, object]:
    """Precision, recall and F1 of every finding, of every assertion and of both together.

    A finding that the manifest names by key or code is right where the text's mention has that key and assertion; one
    that it names by words, where the mention that holds these words has the assertion. Of keys, what is said and not
    annotated counts as false, so long as the manifest has that key somewhere. Of laterality and size those count that
    are annotated and whose finding was found. Intervals: 95 % percentile bootstrap over documents, 1,000 draws.

    Parameters
    ----------
    model
        ``""`` or ``"rules"``: those of `cds parse-report`. Else the folder of a text encoder with a token head.

    Raises
    ------
    ConfigError
        When the manifest or the folder is wrong.
    """
    found = documents(manifest)
    if not any(document.annotations for document in found):
        raise ConfigError(f"{manifest.name} has no annotated finding")
    read = rules if model in ("", RULES) else _encoder(model)
    rows = [counted(document, read(document.text), _keys(found)) for document in found]
    return {
        "model": model or RULES,
        "documents": len(found),
        "annotations": sum(len(document.annotations) for document in found),
        **_figures(rows),
    }


def rules(text: str) -> list[Said]:
    """What the rules of `cds.features.text` say."""
    return [
        Said(
            key=mention.key,
            assertion=mention.assertion,
            start=mention.start,
            end=mention.end,
            side=mention.laterality,
            size_mm=mention.size.mm if mention.size else None,
        )
        for mention in parse(text).mentions
    ]


def _encoder(model: str) -> Reader:
    """A text encoder's marked words; its weights are pinned to what they are now, for this is a measurement."""
    from cds.features.text.encoder import WEIGHTS, Encoder
    from cds.features.text.encoder_extractor import labelled
    from cds.features.xray.model import chosen_device

    folder = Path(model)
    try:
        digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    except OSError:
        raise ConfigError(f"--model is {RULES!r} or a folder with {WEIGHTS}, not {model!r}") from None
    encoder = Encoder(folder, digest, chosen_device("auto"), 512)
    if encoder.head != "token":
        raise ConfigError(f"{folder} has no token classification head; only that says where a finding is named")

    def read(text: str) -> list[Said]:
        spans = [(found, labelled(found.label)) for found in encoder(text).spans]
        return [
            Said(key=known[0], assertion=known[1] or Assertion.PRESENT, start=found.start, end=found.end)
            for found, known in spans
            if known
        ]

    return read


def _keys(found: Sequence[Document]) -> frozenset[str]:
    return frozenset(each.key for document in found for each in document.annotations if each.key)


def counted(document: Document, said: Sequence[Said], keys: frozenset[str]) -> dict[tuple[str, str], Count]:
    """The counts of one document, by (``"finding"``, ``"assertion"``, ...) and name."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    free = list(said)
    for annotation, match in _matched(document, free):
        _count(counts, annotation, match)
    for extra in free:
        if extra.key in keys:
            for name in (("found", "all"), ("finding", extra.key), *_said_as(extra.assertion)):
                counts[name][1] += 1
    return {name: (value[0], value[1], value[2]) for name, value in counts.items()}


def _matched(document: Document, free: list[Said]) -> Iterator[tuple[Annotation, Said | None]]:
    """Each annotation with what was said of it, which leaves `free`; of equal ones first that which agrees."""
    occurrences: Counter[str] = Counter()
    for annotation in document.annotations:
        if annotation.key:
            candidates = [each for each in free if each.key == annotation.key]
        else:
            start = _occurrence(document.text, annotation.words, occurrences)
            end = start + len(annotation.words)
            candidates = [each for each in free if start >= 0 and each.start < end and start < each.end]
        best = max(candidates, key=lambda each: each.assertion is annotation.assertion, default=None)
        if best is not None:
            free.remove(best)
        yield annotation, best


def _occurrence(text: str, words: str, seen: Counter[str]) -> int:
    """Where the words stand, alone rather than within others; annotated a second time, their second place."""
    low, wanted = text.lower(), re.escape(words.lower())
    alone = [found.start() for found in re.finditer(rf"(?<![a-z]){wanted}(?![a-z])", low)]
    places = alone or [found.start() for found in re.finditer(wanted, low)]
    at = min(seen[wanted], len(places) - 1)
    seen[wanted] += 1
    return places[at] if places else -1


def _said_as(assertion: Assertion) -> tuple[tuple[str, str], ...]:
    return (("assertion", "all"), ("assertion", assertion.value))


def _count(counts: dict[tuple[str, str], list[int]], annotation: Annotation, match: Said | None) -> None:
    """Count one annotation; a wrong assertion is missed once and made up once."""
    counts["found", "all"][0 if match else 2] += 1
    right = match is not None and match.assertion is annotation.assertion
    for name in (("finding", annotation.name), *_said_as(annotation.assertion)):
        counts[name][0 if right else 2] += 1
    if match is None:
        return
    _count_value(counts["assertion of what was found", "all"], agree=right, said=True)
    if not right:
        for name in (("finding", annotation.name), *_said_as(match.assertion)):
            counts[name][1] += 1
    if annotation.side is not None:
        _count_value(counts["laterality", "all"], agree=annotation.side == match.side, said=bool(match.side))
    if annotation.size_mm is not None:
        agree = annotation.size_mm == match.size_mm
        _count_value(counts["size_mm", "all"], agree=agree, said=match.size_mm is not None)


def _count_value(value: list[int], *, agree: bool, said: bool) -> None:
    value[0] += agree
    value[1] += not agree and said
    value[2] += not agree


def _figures(rows: Sequence[Mapping[tuple[str, str], Count]]) -> dict[str, object]:
    """Every figure with its interval, by kind and name; the kinds in the order in which they are read."""
    names = sorted({name for row in rows for name in row})
    counts = np.array([[row.get(name, (0, 0, 0)) for name in names] for row in rows], dtype=np.float64)
    weights = np.random.default_rng(SEED).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=DRAWS)
    drawn = np.einsum("dr,rnc->dnc", weights, counts)
    whole = counts.sum(0)
    figures: dict[str, dict[str, object]] = {}
    for number, (kind, name) in enumerate(names):
        figures.setdefault(kind, {})[name] = _figure(whole[number], drawn[:, number])
    order = ("assertion", "assertion of what was found", "found", "laterality", "size_mm", "finding")
    flat: dict[str, object] = {}
    for kind in order:
        of_kind = figures.get(kind, {})
        flat[kind] = of_kind["all"] if list(of_kind) == ["all"] else of_kind
    return {kind: figure for kind, figure in flat.items() if figure}


def _figure(whole: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64]) -> dict[str, object]:
    """Precision, recall and F1 of (true positives, false positives, false negatives), and how many there were."""
    made: dict[str, object] = {"annotated": int(whole[0] + whole[2])}
    value, draws = scores(whole), scores(drawn)
    for name in ("precision", "recall", "f1"):
        low, high = np.quantile(draws[name], (0.025, 0.975))
        made[name] = {"value": float(value[name]), "low": float(low), "high": float(high)}
    return made


def scores(counts: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Precision, recall, F1 of counts (..., 3); 1 where there was nothing to find and nothing was found."""
    hit, false, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    return {
        "precision": _share(hit, hit + false),
        "recall": _share(hit, hit + missed),
        "f1": _share(2 * hit, 2 * hit + false + missed),
    }


def _share(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.ones_like(part), where=whole > 0)
