"""From a study's completeness to its report at the PACS, by stage: `./run python benchmarks/latency.py`.

`cds serve` with the shipped models, the small PACS as its peer; a radiograph study of two images and a
chest CT of about 300 slices (phantoms) are stored, and the ledger's own dated history is read. Each
is measured twice: complete when quiet, so that there was time to read it ahead, and complete at once
by the number of instances that the PACS counts, so that there was none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import UID

from cds.ports import Peer
from cds.store import Ledger
from cds.testing.phantoms.ct import ct_thorax_phantom
from cds.testing.phantoms.nodules import place
from cds.testing.phantoms.patient import ADULT, CHILD, PhantomStudy
from cds.testing.phantoms.thorax import Thorax
from cds.testing.phantoms.xray import PNEUMONIA, chest_xray_phantom
from cds_pacs.sender import DicomSender, SenderSettings
from cds_pacs.testing.mini_pacs import MiniPacs

CONFIGURATION = """
data_dir = "data"
[node]
port = 0
study_quiet_seconds = {quiet}
[web]
port = 0
[[peers]]
name = "pacs"
ae_title = "PACS"
port = {port}
send_results = true
counts = {counts}
"""
QUIET_SECONDS = 40.0
PATIENCE_SECONDS = 300.0
STEPS = ("READY", "RUNNING", "report made", "delivery SENT", "REPORTED")


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="cds-latency-") as scratch:
        folder = Path(scratch)
        studies = {"X-ray, 2 images": _xrays(folder / "xray"), "CT": _ct(folder / "ct")}
        print(
            f"{'study':<18} {'complete':<12} " + " ".join(f"{step:>14}" for step in STEPS[1:]) + "   (ms after READY)"
        )
        for counts in (False, True):
            for title, files in studies.items():
                _measure(folder / f"{title[:2]}{counts}", title, files, counts=counts)
    return 0


def _measure(folder: Path, title: str, files: Sequence[Path], *, counts: bool) -> None:
    folder.mkdir()
    study = str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    with MiniPacs(folder / "pacs") as pacs, _serving(folder, pacs.port, counts=counts) as port:
        if counts:
            for file in files:
                pacs.archive.add(file)
        sender = DicomSender(SenderSettings())
        cds = Peer(name="cds", ae_title="CDS", host="127.0.0.1", port=port)
        started = time.monotonic()
        sender.send(files, cds, calling_ae_title="PACS")
        sent = time.monotonic() - started
        history = _await(folder, study)
        sender.close()
    at = {kind: moment for moment, kind, _ in reversed(history)}
    ready = at["READY"]
    cells = " ".join(f"{(at[step] - ready).total_seconds() * 1e3:>14,.0f}" for step in STEPS[1:] if step in at)
    print(
        f"{title + f' ({len(files)})':<18} {'by count' if counts else 'when quiet':<12} {cells}   sent in {sent:.2f} s",
        flush=True,
    )


def _await(folder: Path, study: str) -> tuple[tuple[datetime, str, str], ...]:
    pause, until = threading.Event(), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with Ledger(folder / "data") as ledger:
            state = ledger.state(study)["studies"]
            if state and state[0]["state"] in ("REPORTED", "FAILED", "SKIPPED", "QUARANTINED"):
                if state[0]["state"] != "REPORTED":
                    raise SystemExit(f"{state[0]['state']}: {state[0]['reason']}")
                return ledger.history(study)
        pause.wait(0.5)
    raise SystemExit("no report in time")


@contextmanager
def _serving(folder: Path, pacs_port: int, *, counts: bool) -> Iterator[int]:
    configuration = folder / "cds.toml"
    text = CONFIGURATION.format(quiet=QUIET_SECONDS, port=pacs_port, counts=str(counts).lower())
    configuration.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "cds.cli", "serve", "--config", str(configuration)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        _let_the_models_load()
        yield int(line.split(" as ")[0].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(30)


def _let_the_models_load() -> None:
    """A node that has just started is not what is measured."""
    threading.Event().wait(20)


def _xrays(folder: Path) -> tuple[Path, ...]:
    study = PhantomStudy(seed=1, patient=CHILD, accession_number="L-1", description="Chest PA", reason_for_exam="")
    first = chest_xray_phantom(folder, study=study, seed=1, opacities=PNEUMONIA).file
    ds = dcmread(first)
    ds.SOPInstanceUID = UID(f"{ds.SOPInstanceUID[:60]}.2")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    second = folder / "second.dcm"
    ds.save_as(second)
    return (first, second)


def _ct(folder: Path) -> tuple[Path, ...]:
    study = PhantomStudy(seed=2, patient=ADULT, accession_number="L-2", description="CT chest", reason_for_exam="")
    thorax = Thorax(scale=study.scale, seed=2)
    nodules = [place(thorax, 12.0, "solitary", np.random.default_rng(2))]
    return ct_thorax_phantom(folder, study=study, seed=2, nodules=nodules, matrix=512, slice_mm=0.86).files


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
