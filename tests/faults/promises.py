"""What the node promises, checked once it is quiet: one check for every fault."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds.store import Ledger
from cds_pacs.testing import MiniPacs
from faults.processes import command_line
from faults.senders import CANARIES, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the check compares: what was sent, what the node keeps, what the PACS has, what was said."""

    data_dir: Path
    database: str
    sent: Sent
    pacs: MiniPacs
    log: str
    pids: Sequence[int]


def check_promises(known: Known) -> None:
    with Ledger(known.data_dir, known.database) as ledger:
        state = ledger.state()
        _nothing_lost(known, ledger, state)
        _one_report_each(known, ledger, state)
        _no_litter(known, ledger)
    _private(known)


def _nothing_lost(known: Known, ledger: Ledger, state: dict[str, Any]) -> None:
    """P1, P3: what was accepted is there once, byte for byte; what is there was sent."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in state["instances"]:
        rows[row["sop_instance_uid"]].append(row)
    kept: dict[str, set[bytes]] = defaultdict(set)
    for name in ledger.blobs.names():
        blob = ledger.blobs.read(name)
        kept[blob.sop_instance_uid].add(bytes(blob.data_set))
    for uid, contents in known.sent.accepted.items():
        assert set(contents) <= kept[uid], f"{uid} was answered with success and is not there as it was sent"
        assert [row["state"] for row in rows[uid]].count("STORED") == 1, rows[uid]
        assert len(rows[uid]) == len(kept[uid]), rows[uid]
        if len(contents) == len(known.sent.offered[uid]):
            (first,) = (row["sha256"] for row in rows[uid] if row["state"] == "STORED")
            assert first == hashlib.sha256(contents[0]).hexdigest(), f"{uid}: not the first one is used"
    for uid, contents in kept.items():
        assert contents <= known.sent.offered[uid], f"{uid} was never sent like this"
    assert rows.keys() == {uid for uid, contents in kept.items() if contents}
    studies = [study["study_instance_uid"] for study in state["studies"]]
    assert len(set(studies)) == len(studies)
    assert known.sent.studies <= set(studies)


def _one_report_each(known: Known, ledger: Ledger, state: dict[str, Any]) -> None:
    """P2, P3, P10: one report that counts, at the PACS once, its UID made of what went in."""
    for study in state["studies"]:
        uid = study["study_instance_uid"]
        there = Counter(one.sop_instance_uid for one in known.pacs.structured_reports(uid))
        there -= Counter(known.sent.accepted.keys())  # what the sender sent to us it may have got back
        reports = study["reports"]
        if study["state"] == "REPORTED" and reports:
            assert [report["superseded"] for report in reports].count(False) == 1, study
            delivered = {report["sop_instance_uid"] for report in reports}
            assert set(there) <= delivered and set(there.values()) <= {1}, (there, study)
            current = next(report["sop_instance_uid"] for report in reports if not report["superseded"])
            assert current in there or current in known.sent.accepted, f"{uid} is REPORTED, and the PACS has no report"
            assert current == f"2.25.{int(study['inputs_hash'][:32], 16)}"
            assert study["inputs_hash"] == _inputs_hash(ledger, uid), f"{uid}: the report is not of what is stored"
        elif study["state"] != "REPORTED":
            assert sum(there.values()) <= len(reports), study


def _inputs_hash(ledger: Ledger, study_instance_uid: str) -> str:
    """As the stand-in makes it: of the study and its instances, each once."""
    with ledger.deliveries._database.reading() as connection:
        query = "SELECT sop_instance_uid FROM instances WHERE state = 'STORED' AND NOT own AND study_instance_uid = "
        rows = connection.exec_driver_sql(query + f"'{study_instance_uid}'").scalars().all()
    return hashlib.sha256(json.dumps([study_instance_uid, sorted(rows)]).encode()).hexdigest()


def _no_litter(known: Known, ledger: Ledger) -> None:
    """P4: no file without a row, no row without a file, nothing half written."""
    assert set(ledger.blobs.names()) == ledger.arrivals.blobs()
    assert [*known.data_dir.rglob("*.part"), *known.data_dir.rglob("*.tmp")] == []
    state = ledger.state()
    paths = [path for row in state["studies"] for _, _, path in ledger.report_paths(row["study_instance_uid"])]
    files = [path for path in (known.data_dir / "reports").rglob("*") if path.is_file()]
    assert sorted(files) == sorted(paths), "files of reports and their rows"


def _private(known: Known) -> None:
    """P7: nothing of a patient in the log, in a process's arguments, in the name of a file."""
    arguments = " ".join(command_line(pid) for pid in known.pids)
    names = " ".join(str(path) for path in known.data_dir.rglob("*"))
    for canary in CANARIES:
        assert canary not in known.log, f"{canary} is in the log"
        assert canary not in arguments, f"{canary} is among the arguments of a process"
        assert canary not in names, f"{canary} is in the name of a file"
