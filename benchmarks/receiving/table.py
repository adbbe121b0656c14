"""From runs to the table: medians, spread, ratios within a round, and how the targets stand."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from receiving import receivers as names
from receiving.measure import Run, Small
from receiving.objects import SHAPES

REFERENCES: Final = (
    (names.FLOOR, "/floor"),
    (names.FLOOR_FSYNC, "/floor fsync"),
    (names.ORTHANC_DURABLE, "/Orthanc durable"),
    (names.DCMTK, "/DCMTK tuned"),
)
IN_LEDGER: Final = "-ledger"
"""Ending of the row of a node of ours until everything is in its ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One receiver in one block; ratios are medians of the ratios within each round."""

    key: str
    shape: str
    associations: int
    rate: float
    lowest: float
    highest: float
    megabytes_per_second: float
    ratios: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is wanted, and what was measured."""

    text: str
    wanted: float
    measured: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the measured figure is as wanted."""
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted


def rows(runs: Iterable[Run]) -> list[Row]:
    """A row for every receiver, shape and number of associations, in the order they were run first."""
    rates: dict[tuple[str, int], dict[str, dict[int, float]]] = {}
    sizes = {}
    for run in runs:
        block = rates.setdefault((run.shape, run.associations), {})
        block.setdefault(run.key, {})[run.round] = run.rate
        sizes[run.shape] = run.object_bytes
        if run.rows_rate is not None:
            block.setdefault(run.key + IN_LEDGER, {})[run.round] = run.rows_rate
    return [
        _row(key, shape, associations, by_round, block, sizes[shape])
        for (shape, associations), block in rates.items()
        for key, by_round in block.items()
    ]


def _row(
    key: str,
    shape: str,
    associations: int,
    by_round: Mapping[int, float],
    block: Mapping[str, Mapping[int, float]],
    size: int,
) -> Row:
    ratios = {}
    for reference, _ in REFERENCES:
        shared = by_round.keys() & block.get(reference, {}).keys()
        if shared:
            ratios[reference] = statistics.median(by_round[number] / block[reference][number] for number in shared)
    rate = statistics.median(by_round.values())
    return Row(
        key=key,
        shape=shape,
        associations=associations,
        rate=rate,
        lowest=min(by_round.values()),
        highest=max(by_round.values()),
        megabytes_per_second=rate * size / 1e6,
        ratios=ratios,
    )


def print_overview(found: Sequence[Row], titles: Mapping[str, str], write: Callable[[str], None]) -> None:
    """Objects a second of every receiver in every block, as one Markdown table."""
    blocks = list(dict.fromkeys((row.shape, row.associations) for row in found))
    rates = {(row.key, row.shape, row.associations): row.rate for row in found}
    write("\n### Objects a second; by kind of object, and associations at once\n")
    write("| receiver | " + " | ".join(f"{shape} {associations}" for shape, associations in blocks) + " |")
    write("|---|" + "---:|" * len(blocks))
    for key in dict.fromkeys(row.key for row in found):
        write(f"| {_title(key, titles)} | " + " | ".join(f"{rates[key, *block]:.0f}" for block in blocks) + " |")


def print_rows(found: Sequence[Row], titles: Mapping[str, str], write: Callable[[str], None]) -> None:
    """The blocks as Markdown tables."""
    shapes = {shape.name: shape.title for shape in SHAPES}
    for shape, associations in dict.fromkeys((row.shape, row.associations) for row in found):
        plural = "s" if associations > 1 else ""
        write(f"\n### {shapes[shape]}, {associations} association{plural}\n")
        write("| receiver | objects/s | lowest to highest | MB/s | " + " | ".join(t for _, t in REFERENCES) + " |")
        write("|---|" + "---:|" * (3 + len(REFERENCES)))
        for row in found:
            if (row.shape, row.associations) == (shape, associations):
                ratios = (_number(row.ratios.get(key)) for key, _ in REFERENCES)
                spread = f"{row.lowest:.0f} to {row.highest:.0f}"
                title = _title(row.key, titles)
                write(
                    f"| {title} | {row.rate:.0f} | {spread} | {row.megabytes_per_second:.0f} | {' | '.join(ratios)} |"
                )


def print_small(found: Iterable[Small], titles: Mapping[str, str], write: Callable[[str], None]) -> None:
    """What storescu as packaged gets, association set-up and C-ECHO, as a Markdown table of medians."""
    write("\n### A sender that nobody tuned, association set-up, C-ECHO\n")
    write("| receiver | storescu as packaged, CT/s | set-up and release, ms | C-ECHO, ms |")
    write("|---|---:|---:|---:|")
    for key, several in by_key(found).items():
        rates = [one.storescu_rate for one in several if one.storescu_rate is not None]
        storescu = f"{statistics.median(rates):.0f}" if rates else ""
        setup = statistics.median(one.setup_ms for one in several)
        echo = statistics.median(one.echo_ms for one in several)
        write(f"| {titles[key]} | {storescu} | {setup:.2f} | {echo:.3f} |")


def by_key(found: Iterable[Small]) -> dict[str, list[Small]]:
    """By receiver."""
    grouped: dict[str, list[Small]] = {}
    for one in found:
        grouped.setdefault(one.key, []).append(one)
    return grouped


def targets(found: Sequence[Row], small: Iterable[Small]) -> Iterator[Target]:
    """What the listener is to reach, as far as it was measured here."""
    for row in found:
        where = f"{row.shape}, {row.associations} association{'s' if row.associations > 1 else ''}"
        key, processes = _ours(row.key)
        if processes > 1:
            where += f", {processes} processes"
        if key == names.OURS_DURABLE:
            yield from _ratio(row, names.FLOOR_FSYNC, 0.85, f"{where}: durable to the floor with fsync")
            yield from _ratio(row, names.ORTHANC_DURABLE, 5.0, f"{where}: durable to Orthanc, tuned, durable")
        if key == names.OURS:
            wanted = 1.2 if row.shape == "ct" else 1.0
            yield from _ratio(row, names.DCMTK, wanted, f"{where}: not durable to DCMTK, tuned")
            yield from _against(row, found, names.ORTHANC_TUNED, 8.0, f"{where}: not durable to Orthanc, tuned")
            yield from _against(row, found, names.PYNETDICOM_TUNED, 8.0, f"{where}: not durable to pynetdicom, tuned")
    yield from _small_targets(by_key(small))


def _ours(key: str) -> tuple[str, int]:
    """A receiver's key without its number of processes, and that number."""
    stem, _, number = key.rpartition("-")
    return (stem, int(number)) if number.isdecimal() else (key, 1)


def _ratio(row: Row, reference: str, wanted: float, text: str) -> Iterator[Target]:
    if reference in row.ratios:
        yield Target(text=text, wanted=wanted, measured=row.ratios[reference])


def _against(row: Row, found: Sequence[Row], key: str, wanted: float, text: str) -> Iterator[Target]:
    for other in found:
        if (other.key, other.shape, other.associations) == (key, row.shape, row.associations):
            yield Target(text=text, wanted=wanted, measured=row.rate / other.rate)


def _small_targets(small: Mapping[str, Sequence[Small]]) -> Iterator[Target]:
    ours = small.get(names.OURS_DURABLE, ())
    if ours:
        setup = statistics.median(one.setup_ms for one in ours)
        yield Target(text="association set-up and release, ms", wanted=5.0, measured=setup, at_most=True)
    rates = {
        key: [one.storescu_rate for one in several if one.storescu_rate is not None] for key, several in small.items()
    }
    if rates.get(names.OURS_DURABLE) and rates.get(names.DCMTK_SHIPPED):
        ratio = statistics.median(rates[names.OURS_DURABLE]) / statistics.median(rates[names.DCMTK_SHIPPED])
        yield Target(text="storescu as packaged: durable to DCMTK as shipped", wanted=20.0, measured=ratio)


def print_targets(found: Iterable[Target], write: Callable[[str], None]) -> None:
    """The targets as a Markdown table."""
    write("\n### Targets\n")
    write("| what | wanted | measured | |")
    write("|---|---:|---:|---|")
    for target in found:
        wanted = f"{'<=' if target.at_most else '>='} {target.wanted:g}"
        write(f"| {target.text} | {wanted} | {target.measured:.2f} | {'met' if target.met else 'MISSED'} |")


def _title(key: str, titles: Mapping[str, str]) -> str:
    base = key.removesuffix(IN_LEDGER)
    return titles[base] + (", until in the ledger" if key != base else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
