"""The ledger: what is true of every instance, study and report, and since when.

Four doors on one database: `arrivals` (intake), `jobs` (assembly and workflow), `deliveries`
(delivery) and `levers` (the operator); `state` is what everyone may look at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Connection, delete, insert, select

from cds.store.arrivals import Arrivals
from cds.store.blobs import BlobStore
from cds.store.commitments import Commitments
from cds.store.completeness import Completeness
from cds.store.database import Database, sqlite_url
from cds.store.deliveries import Deliveries
from cds.store.jobs import Jobs
from cds.store.late import LateRecords
from cds.store.levers import Levers
from cds.store.lock import NodeLock
from cds.store.notices import Notices
from cds.store.overview import Overview
from cds.store.report_files import ReportFiles
from cds.store.results import Results
from cds.store.state import State, read_state
from cds.store.tables import EVENTS, META, REPORT_FILES, REPORTS

_NODE_KEY: Final = "node"


class Ledger:
    """The memory of one data folder.

    Parameters
    ----------
    data_dir
        The node's folder; its `blobs` and `reports` lie in it, and the SQLite file by default.
    url
        SQLAlchemy URL of another database; ``""`` is SQLite in `data_dir`.
    check
        Whether every page of an SQLite file is looked at first, which takes as long as it is large.

    Raises
    ------
    ConfigError
        When the database is damaged, or was written by a newer version of this software.
    OSError
        When the folder cannot be made.
    """

    def __init__(self, data_dir: Path, url: str = "", *, check: bool = False) -> None:
        self.data_dir = data_dir
        self.blobs = BlobStore(data_dir / "blobs")
        self.report_files = ReportFiles(data_dir / "reports")
        self._lock = NodeLock(data_dir)
        self._database = Database(url or sqlite_url(data_dir / "ledger.sqlite"), check=check)
        self.arrivals = Arrivals(self._database)
        self.notices = Notices(self._database)
        self.jobs = Jobs(self._database, self.blobs.path, self.report_files.path)
        self.late = LateRecords(self._database)
        self.deliveries = Deliveries(self._database, self.report_files.path)
        self.commitments = Commitments(self._database)
        self.levers = Levers(self._database)
        self.completeness = Completeness(self._database)
        self.overview = Overview(self._database)
        self.results = Results(self._database, self.report_files.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def lock(self) -> NodeLock:
        """The lock that a node holds on the folder."""
        return self._lock

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def set_node(self, node: Mapping[str, object] | None) -> None:
        """Say where the running node listens; None when it stops."""
        with self._database.writing() as connection:
            connection.execute(delete(META).where(META.c.key == _NODE_KEY))
            if node is not None:
                connection.execute(insert(META).values(key=_NODE_KEY, value=json.dumps(dict(node))))

    def state(self, study_instance_uid: str | None = None) -> State:
        """Everything, or one study, as JSON.

        ``node`` holds AE title, port and process id of the node that works in the folder, or None.
        """
        with self._database.reading() as connection:
            return {"node": self._node(connection), **read_state(connection, study_instance_uid)}

    def history(self, study_instance_uid: str) -> tuple[tuple[datetime, str, str], ...]:
        """Every dated change of a study and its instances: when, what, and more about it."""
        query = (
            select(EVENTS.c.at, EVENTS.c.kind, EVENTS.c.detail)
            .where(EVENTS.c.study_instance_uid == study_instance_uid)
            .order_by(EVENTS.c.id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple((datetime.fromisoformat(at), kind, detail) for at, kind, detail in rows)

    def report_paths(self, study_instance_uid: str) -> tuple[tuple[int, str, Path], ...]:
        """Every encoding of every report of a study: revision, name, and where it lies."""
        query = (
            select(REPORTS.c.revision, REPORT_FILES.c.name, REPORT_FILES.c.path)
            .join(REPORT_FILES, REPORT_FILES.c.report_id == REPORTS.c.id)
            .where(REPORTS.c.study_instance_uid == study_instance_uid)
            .order_by(REPORTS.c.revision, REPORT_FILES.c.position)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple((revision, name, self.report_files.path(path)) for revision, name, path in rows)

    def sweep(self) -> int:
        """Remove what a crash left half made (P4); how many files. Blobs without a row are not touched."""
        with self._database.reading() as connection:
            known = frozenset(connection.execute(select(REPORT_FILES.c.path)).scalars())
        return self.report_files.sweep(known)

    def tidy(self, study_instance_uid: str) -> None:
        """Remove the files of an analysis that was overtaken: by a discard, or by an image that came late.

        Raises
        ------
        OutOfResources
            When the database cannot be read now.
        """
        of_study = REPORTS.c.study_instance_uid == study_instance_uid
        query = select(REPORT_FILES.c.path).join(REPORTS, REPORTS.c.id == REPORT_FILES.c.report_id).where(of_study)
        with self._database.reading() as connection:
            known = frozenset(connection.execute(query).scalars())
        self.report_files.tidy(study_instance_uid, known)

    def _node(self, connection: Connection) -> State | None:
        value = connection.execute(select(META.c.value).where(META.c.key == _NODE_KEY)).scalar_one_or_none()
        if value is None or not self._lock.held_by_anyone():
            return None
        node: State = json.loads(value)
        return node
