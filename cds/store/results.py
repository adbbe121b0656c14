"""Our own results as a viewer asks for them: the reports that stand, without those that were superseded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from cds.store.database import Database
from cds.store.tables import REPORT_FILES, REPORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One DICOM object that we made, and where its file lies."""

    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    path: Path


class Results:
    """The door of the ledger for those who read reports."""

    def __init__(self, database: Database, path_of: Callable[[str], Path]) -> None:
        self._database = database
        self._path_of = path_of

    def find(self, study_instance_uid: str = "", *, limit: int = 1000, offset: int = 0) -> tuple[Result, ...]:
        """DICOM objects of the reports that stand, newest report first: of one study, or of all."""
        query = (
            select(REPORTS.c.study_instance_uid, REPORT_FILES)
            .join(REPORT_FILES, REPORT_FILES.c.report_id == REPORTS.c.id)
            .where(REPORTS.c.superseded.is_(False), REPORT_FILES.c.sop_instance_uid != "")
            .order_by(REPORTS.c.id.desc(), REPORT_FILES.c.position)
            .limit(limit)
            .offset(offset)
        )
        if study_instance_uid:
            query = query.where(REPORTS.c.study_instance_uid == study_instance_uid)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Result(
                study_instance_uid=row.study_instance_uid,
                sop_instance_uid=row.sop_instance_uid,
                sop_class_uid=row.sop_class_uid,
                path=self._path_of(row.path),
            )
            for row in rows
        )
