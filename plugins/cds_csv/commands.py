"""``cds labs``: what a laboratory's names may mean. It proposes, and a person decides."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from cds.domain.proposals import Named, Proposal, propose
from cds.errors import ConfigError
from cds_csv.named import names_of

app = typer.Typer(help="Laboratory values: propose what a laboratory's names mean.", no_args_is_help=True)

COLUMNS: Final = ("code", "name", "specimen", "loinc", "unit", "confidence", "proposed", "proposed_name", "reason")


@app.callback()
def _root() -> None:
    """Laboratory values: propose what a laboratory's names mean."""


@app.command("map")
def map_(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, CSV.GZ or XLSX: rows of tests, results, or column headers.")
    ],
    out: Annotated[Path | None, typer.Option(help="Write the table of codes here; it is not put to use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Propose a LOINC code and a unit for each name; nothing is put to use until the configuration names the table.

    What is sure (LOINC given, exact, alias) stands in the columns loinc and unit. What is only similar, or
    whose unit disagrees, stands in the column proposed: copy it into loinc, or leave the row as it is.
    """
    proposals = tuple(propose(named) for named in names_of(files))
    if out is not None:
        _write(proposals, out)
    if as_json:
        for proposal in proposals:
            typer.echo(json.dumps(_row(proposal), ensure_ascii=False))
    elif out is None:
        _show(proposals)
    _sum_up(proposals, out)


def _row(proposal: Proposal) -> dict[str, str]:
    """One row of the table of codes; a code that nobody is sure of is not in the column that is read."""
    named, analyte = proposal.named, proposal.analyte
    loinc = analyte.code.value if analyte is not None else ""
    return {
        "code": named.code,
        "name": named.name,
        "specimen": named.specimen,
        "loinc": loinc if proposal.is_sure else "",
        "unit": _unit(named, proposal) if proposal.is_sure else "",
        "confidence": proposal.confidence.value,
        "proposed": loinc,
        "proposed_name": analyte.code.meaning if analyte is not None else "",
        "reason": proposal.reason,
    }


def _unit(named: Named, proposal: Proposal) -> str:
    """The unit that the source has; none is made up for a value without one."""
    return named.unit if proposal.analyte is not None else ""


def _write(proposals: Sequence[Proposal], out: Path) -> None:
    try:
        with out.open("x", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(_row(proposal) for proposal in proposals)
    except FileExistsError:
        raise ConfigError(f"{out}: there is such a file, perhaps with your decisions; name another") from None
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error


def _show(proposals: Sequence[Proposal]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Name", "Unit", "LOINC", "Means", "Confidence", "Reason")
    for proposal in proposals:
        row = _row(proposal)
        cells = (row["name"] or row["code"], proposal.named.unit, row["proposed"], row["proposed_name"])
        table.add_row(*(_plain(cell) for cell in (*cells, row["confidence"], row["reason"])))
    Console().print(table)


def _plain(text: str) -> str:
    """Without what a terminal or rich would take for a command."""
    return "".join(letter if letter.isprintable() else " " for letter in text).replace("[", "\\[")


def _sum_up(proposals: Sequence[Proposal], out: Path | None) -> None:
    counts = Counter(proposal.confidence.value for proposal in proposals)
    typer.echo("; ".join(f"{name}: {number}" for name, number in counts.most_common()), err=True)
    if out is not None:
        typer.echo(f"Look through {out}, then name it: [records.csv] codes or [records.hl7] codes", err=True)
