"""Commands that look and change nothing: `state`, `show`, `plugins`, `parse-report`, `doctor`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cds.cli.settings import ConfigOption, JsonOption, load
from cds.cli.studies import study_lines
from cds.errors import CdsError, ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(state)
    app.command()(show)
    app.command()(plugins)
    app.command("parse-report")(parse_report)
    app.command()(doctor)


def state(
    study: Annotated[str, typer.Option(help="Only this Study Instance UID.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every study: its state, its reports, and how far their delivery is."""
    from cds.store import Ledger

    settings = load(config)
    if not settings.data_dir.is_dir():
        raise ConfigError(f"no node has run here yet: there is no folder {settings.data_dir}")
    with closing(Ledger(settings.data_dir, settings.database.url)) as ledger:
        found = ledger.state(study or None)
    if study and not found["studies"]:
        raise CdsError(f"no study {study} has come here; `cds state` lists those that have")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for line in study_lines(found["studies"], get_terminal_size().columns):
        typer.echo(line)


def show(
    file: Annotated[Path, typer.Argument(help="A report as JSON, as `cds analyze` and `cds serve` write it.")],
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
) -> None:
    """Show a report readably in the terminal."""
    from cds.report.terminal import show as render

    if language not in ("en", "zh"):
        raise ConfigError(f"--language is en or zh, not {language!r}")
    try:
        form = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{file}: not a report as JSON; `cds analyze --json` writes one") from None
    render(form, Console(), language=language)


def plugins(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every door: what is installed there, and what the configuration chose."""
    from cds.app import plugins as doors

    found = doors(load(config))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("Door", "Plugin", "Chosen", "Object", "Package")
    for door, names in found.items():
        for name, about in names.items():
            package = f"{about['package']} {about['version']}"
            table.add_row(door, name, "yes" if about["chosen"] else "", str(about["object"]), package)
    Console().print(table)


def parse_report(
    file: Annotated[str, typer.Argument(help="A text file (UTF-8), or - for standard input.")] = "-",
    lines: Annotated[bool, typer.Option("--lines", help="Each line is a report of its own.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read a report's text, English or Chinese, into mentions of findings."""
    from cds.features.text import parse

    for text in _texts(file, lines):
        parsed = parse(text).as_json()
        if as_json or lines:
            typer.echo(json.dumps(parsed, ensure_ascii=False))
        else:
            _show_mentions(parsed)


def _texts(file: str, lines: bool) -> Iterator[str]:
    if file == "-":
        raw = sys.stdin.buffer.read()
    else:
        try:
            raw = Path(file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}; convert it first (iconv -t UTF-8)") from None
    if not lines:
        yield text
        return
    yield from text.removesuffix("\n").split("\n")


def _show_mentions(parsed: dict[str, object]) -> None:
    mentions = parsed["mentions"]
    table = Table("Finding", "Assertion", "Side", "Size (mm)", "Words", title=f"Language: {parsed['language']}")
    for row in mentions if isinstance(mentions, list) else []:
        size = row.get("size_mm")
        table.add_row(
            row["code"]["meaning"],
            _asserted(row),
            str(row.get("laterality") or ""),
            "" if size is None else str(size),
            row["text"],
        )
    Console().print(table)


def _asserted(row: dict[str, object]) -> str:
    """The assertion, and whose and when where that is not the patient's now."""
    aside = [word for word in ("historical", "hypothetical") if row[word]]
    if row["subject"] != "patient":
        aside.insert(0, str(row["subject"]))
    return f"{row['assertion']} ({', '.join(aside)})" if aside else str(row["assertion"])


_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    models: Annotated[bool, typer.Option(help="Load the models too, which takes some seconds.")] = True,
) -> None:
    """Check everything an administrator may get wrong; each line says ok, warn or fail, and the mend.

    Exit 1 if a line says fail.
    """
    from cds.doctor import examine

    failed = False
    for line in examine(load(config), with_models=models):
        failed = failed or line.verdict == "fail"
        if as_json:
            typer.echo(json.dumps(asdict(line), ensure_ascii=False))
            continue
        typer.secho(f"{line.verdict:<5}", fg=_COLOURS[line.verdict], bold=True, nl=False)
        typer.echo(f" {line.subject}: {line.found}")
        if line.mend:
            typer.echo(f"      -> {line.mend}")
    if failed:
        raise typer.Exit(1)
