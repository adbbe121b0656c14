"""The listener as the node runs it, in a process of its own, and the source as the worker builds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cds.discovery import build
from cds.ports import RECORDS, RecordsSource
from cds.service.reception import IntakePlan, ListenerPlan, Reception
from cds.testing.contract_listeners import loopback

from .conftest import STUDY, Caller, oru


def test_what_a_listener_process_answered_aa_is_found_by_the_source_of_the_same_node(
    tmp_path: Path, call: Callable[[int], Caller]
) -> None:
    plan = ListenerPlan(name="hl7", address=loopback(), table={"addresses": ["127.0.0.1/32"]})
    reception = Reception([plan], IntakePlan(data_dir=tmp_path, journal_bytes=1 << 20))
    port = reception.start(lambda reader: None)
    try:
        assert call(port).ask(oru()) == ["AA", "M-1"]
        source = build(RECORDS, "hl7", RecordsSource, {}, {"data_dir": str(tmp_path)})  # type: ignore[type-abstract]
        assert [lab.source for lab in source.records_for(STUDY).labs] == ["hl7:M-1:OBX 1"]
    finally:
        reception.stop(10.0)
    assert [lab.source for lab in source.records_for(STUDY).labs] == ["hl7:M-1:OBX 1"]
