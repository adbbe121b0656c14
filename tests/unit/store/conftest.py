from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds.domain.records import Identity
from cds.domain.report import EncodedReport
from cds.ports import ReceivedInstance
from cds.store import Arrival, Job, Ledger, StoredReport, StudyState, Taken

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SR = "1.2.840.10008.5.1.4.1.1.88.33"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def instance(data_set: bytes = b"pixels", uid: str = "2.25.1.1") -> ReceivedInstance:
    return ReceivedInstance(
        data_set=data_set,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=uid,
        calling_ae_title="MODALITY",
        address="127.0.0.1",
    )


class Book:
    """A ledger with a clock of its own, and short words for what tests do to it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = NOW

    def arrive(self, number: int = 1, *, study: str = "2.25.1", content: bytes = b"pixels", **changes: Any) -> Taken:
        uid = changes.pop("uid", f"{study}.{number}")
        blob = self.ledger.blobs.put(instance(content, uid))
        arrival = Arrival(
            sop_instance_uid=uid,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            study_instance_uid=study,
            series_instance_uid=f"{study}.0",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            identity=Identity(patient_id="TEST", birth_date=date(1950, 1, 1), sex="F"),
            blob=blob.name,
            sha256=blob.sha256,
            size=blob.size,
            image=True,
            own=False,
            calling_ae_title="MODALITY",
            address="127.0.0.1",
        )
        return self.ledger.arrivals.record(replace(arrival, **changes), self.now)

    def complete(self, study: str = "2.25.1") -> StudyState | None:
        (receiving,) = (one for one in self.ledger.jobs.receiving() if one.study_instance_uid == study)
        return self.ledger.jobs.complete(receiving, "quiet", self.now)

    def job(self) -> Job:
        (job,) = self.ledger.jobs.open_jobs()
        return job

    def report(self, job: Job, uid: str = "2.25.9", revision: int = 1, content_hash: str = "") -> StoredReport:
        encodings = [
            EncodedReport(
                name="r.pdf", media_type="a/b", content=b"pdf", sop_instance_uid=f"{uid}.2", sop_class_uid=PDF
            ),
            EncodedReport(name="r.dcm", media_type="a/b", content=b"sr", sop_instance_uid=uid, sop_class_uid=SR),
            EncodedReport(name="r.json", media_type="application/json", content=b"{}"),
        ]
        return self.ledger.report_files.put(
            job.study_instance_uid, job.id, encodings, revision=revision, inputs_hash="h", content_hash=content_hash
        )

    def reported(self, uid: str = "2.25.9", peers: tuple[str, ...] = ("pacs",)) -> Job:
        """Take a study from RECEIVING to a report that is on its way."""
        self.complete()
        job = self.job()
        attempt = self.ledger.jobs.begin(job, self.now)
        assert attempt is not None
        self.ledger.jobs.report(job, self.report(job, uid, attempt.revision), peers, self.now)
        return job

    def study(self, uid: str = "2.25.1") -> dict[str, Any]:
        (study,) = self.ledger.state(uid)["studies"]
        return dict(study)

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Ledger(tmp_path / "data") as ledger:
        yield Book(ledger)
