"""An analysis that stands in for the models: quick, and as unruly as a test wants it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.filewriter import dcmwrite
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian

from cds.domain.report import EncodedReport
from cds.errors import EvidenceError, UnusableStudy
from cds.service import Analyse, AnalysisResult
from cds.store import Attempt

_LOOK_SECONDS = 0.02
_SLOW_SECONDS = 0.5


class Script:
    """What the stand-in does, run by run, and what it did; kept in a folder, so that it outlives crashes.

    Words: ``ok``, ``slow`` (half a second), ``crash`` (the process exits), ``hang`` (until
    `release`), ``unusable``, ``error``, ``defect``. After the last word everything is ``ok``. A study
    that is read ahead (`cds.service.ahead`) is no attempt: that uses no word, and counts as no run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, study_instance_uid: str, *words: str) -> None:
        """Say what is to happen in the first runs of a study."""
        (self._folder / f"{study_instance_uid}.json").write_text(json.dumps(words))

    def release(self) -> None:
        """Let every run that hangs go on."""
        (self._folder / "released").touch()

    def runs(self, study_instance_uid: str) -> int:
        """How many runs of a study were begun."""
        return len(list(self._folder.glob(f"{study_instance_uid}.run-*")))

    def next_word(self, study_instance_uid: str) -> str:
        """Count a run, and say what it is to do."""
        number = self.runs(study_instance_uid)
        (self._folder / f"{study_instance_uid}.run-{number}").touch()
        script = self._folder / f"{study_instance_uid}.json"
        words = json.loads(script.read_text()) if script.exists() else []
        return str(words[number]) if number < len(words) else "ok"

    def wait_for_release(self) -> None:
        """Hang."""
        pause = threading.Event()
        while not (self._folder / "released").exists():
            pause.wait(_LOOK_SECONDS)


def make_stand_in(folder: Path) -> Callable[[], Analyse]:
    """Make what `WorkerProcess` wants: a picklable callable that gives an analysis."""
    return functools.partial(_load, folder)


def _load(folder: Path) -> Analyse:
    return functools.partial(_analyse, Script(folder))


def _analyse(script: Script, attempt: Attempt) -> AnalysisResult:
    uid = attempt.job.study_instance_uid
    word = script.next_word(uid) if attempt.number else "ok"
    if word == "crash":
        os._exit(1)
    if word == "slow":
        threading.Event().wait(_SLOW_SECONDS)
    if word == "hang":
        script.wait_for_release()
    if word == "unusable":
        raise UnusableStudy("nothing here can be read")
    if word == "error":
        raise EvidenceError("the slices do not lie on a grid")
    if word == "defect":
        raise ValueError("Canary^Yellow")
    images = sorted(instance.sop_instance_uid for instance in attempt.instances)
    inputs_hash = hashlib.sha256(json.dumps([uid, images]).encode()).hexdigest()
    encodings = (_report(attempt, inputs_hash),)
    return AnalysisResult(inputs_hash=inputs_hash, encodings=encodings, content_hash=inputs_hash)


def _report(attempt: Attempt, inputs_hash: str) -> EncodedReport:
    """A structured report of the least that a PACS takes; its UID follows from the inputs."""
    source = dcmread(attempt.instances[0].path, stop_before_pixels=True)
    ds = Dataset()
    ds.SOPClassUID = ComprehensiveSRStorage
    ds.SOPInstanceUID = f"2.25.{int(inputs_hash[:32], 16)}"
    ds.StudyInstanceUID = source.StudyInstanceUID
    ds.SeriesInstanceUID = f"2.25.{int(inputs_hash[32:], 16)}"
    ds.Modality = "SR"
    ds.PatientID, ds.PatientName = source.PatientID, source.PatientName
    ds.InstanceNumber = attempt.revision
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return EncodedReport(
        name="report.dcm",
        media_type="application/dicom",
        content=buffer.getvalue(),
        sop_instance_uid=str(ds.SOPInstanceUID),
        sop_class_uid=str(ds.SOPClassUID),
    )
