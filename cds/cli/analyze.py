"""`cds analyze`: the pipeline without a PACS, on files and folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from cds import ports
from cds.cli.settings import ConfigOption, JsonOption, load
from cds.discovery import build
from cds.domain.report import Case, EncodedReport
from cds.errors import CdsError, ConfigError, ReportError, UnusableStudy

if TYPE_CHECKING:
    from cds.domain.study import Study
    from cds.reading import Analysis

SOURCE: Final = "csv"
"""The records source that reads the files named on the command line."""
WAVEFORMS: Final = "wfdb"
"""The one that reads recordings."""

Files = Annotated[list[Path] | None, typer.Option(exists=True, help="May be given more than once.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(analyze)


def analyze(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files and folders.")],
    out: Annotated[Path, typer.Option(help="Where the encodings go, a folder per study.")],
    labs: Files = None,
    report: Files = None,
    waveform: Files = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse studies from files and folders; no PACS needed.

    Labs (CSV or Excel) are joined by identity and time. A report is a CSV of reports, or a .txt file
    that then belongs to the one study given. So does a waveform: a WFDB header (.hea) or a DICOM file.
    """
    from cds.app import analysis
    from cds.dicom.read import read_studies
    from cds.report.wording import one_line

    screen = Console(stderr=True)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; name a folder")
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ConfigError(f"no such file or folder: {missing[0]}")
    settings = load(config)
    records = _records(labs or [], report or [], waveform or [], settings.records.tables)
    work = analysis(settings, records=records)
    with screen.status("reading files"):
        studies, unreadable = read_studies(paths)
    for file in unreadable:
        screen.print(Text.assemble(("not read:", "yellow"), f" {one_line(str(file.path))}: {file.reason}"))
    if not studies:
        why = "; the reason for each file stands above" if unreadable else ": there is no file in it"
        raise CdsError(f"no DICOM study in what was given{why}")
    if len(studies) > 1 and any(file.suffix == ".txt" for file in report or []):
        raise ConfigError("a .txt report belongs to one study, and several were given; use a CSV of reports")
    if len(studies) > 1 and waveform:
        raise ConfigError("a waveform belongs to one study, and several were given; use an index ([records.wfdb])")
    failed = sum([not _one(work, study, out, as_json, screen) for study in studies])
    if failed:
        raise typer.Exit(1)


def _records(
    labs: Sequence[Path],
    reports: Sequence[Path],
    waveforms: Sequence[Path],
    configured: Mapping[str, Mapping[str, object]],
) -> list[ports.RecordsSource]:
    """Build a source for each file that was named; what else is configured (time window, zone) holds for it.

    Raises
    ------
    ConfigError
        When a file's columns are wrong.
    """
    common = {key: value for key, value in configured.get(SOURCE, {}).items() if key not in ("labs", "reports")}
    named = [("labs", file) for file in labs] + [("reports", file) for file in reports]
    door: type[ports.RecordsSource] = ports.RecordsSource  # type: ignore[type-abstract]
    sources = [build(ports.RECORDS, SOURCE, door, {**common, kind: str(file.resolve())}) for kind, file in named]
    sources += [build(ports.RECORDS, WAVEFORMS, door, {"file": str(file.resolve())}) for file in waveforms]
    for source in sources:
        if isinstance(source, ports.Checkable):
            source.check()
    return sources


def _one(work: Analysis, study: Study, out: Path, as_json: bool, screen: Console) -> bool:
    """Analyse one study, write and print it; False when there is no report."""
    from cds.report.json_form import as_json as json_form
    from cds.report.terminal import show

    uid = study.study_instance_uid
    try:
        with screen.status("") as status:
            report = work.report(Case(study=study), datetime.now(UTC), lambda step: status.update(f"{uid}: {step}"))
            status.update(f"{uid}: writing")
            files = write(work.encode(report), out / uid)
    except CdsError as error:
        state = "SKIPPED" if isinstance(error, UnusableStudy) else "FAILED"
        screen.print(f"{state} {uid}: {error}", markup=False, highlight=False)
        if as_json:
            typer.echo(json.dumps({"study_instance_uid": uid, "state": state, "reason": str(error)}))
        return False
    form = json_form(report)
    if as_json:
        typer.echo(
            json.dumps({**form, "state": "REPORTED", "files": [str(file) for file in files]}, ensure_ascii=False)
        )
    else:
        console = Console()
        show(form, console)
        console.print("Files:", *(f"  {file}" for file in files), sep="\n", markup=False, highlight=False)
    return True


def write(encodings: Sequence[EncodedReport], folder: Path) -> list[Path]:
    """Write each encoding under its own name into `folder`."""
    files = [folder / encoding.name for encoding in encodings]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, encoding in zip(files, encodings, strict=True):
            file.write_bytes(encoding.content)
    except OSError as error:
        raise ReportError(f"{folder} cannot be written: {error.strerror}") from None
    return files
