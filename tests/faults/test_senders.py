"""Senders that break off, repeat themselves, contradict themselves, or come late."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from struct import pack

import pytest
from pydicom import dcmread

from cds_pacs.testing.bare_scu import CT_IMAGE, message, p_data, store_command, value
from cds_pacs.testing.instances import COMPREHENSIVE_SR, KEY_OBJECT
from faults.senders import Instance, instance, of
from faults.stage import Stage

PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
ABORT = pack(">BxLL", 7, 4, 0)


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A node that gives a sender whom the machine holds up more time before it takes a study for complete."""
    stage = Stage(tmp_path_factory.mktemp("stage"), quiet_seconds=3.0)
    stage.start()
    yield stage
    stage.close()


@pytest.mark.parametrize("end", ["abort", "reset", "close"])
def test_a_sender_that_breaks_off_mid_transfer_a_hundred_times_leaves_nothing(common: Stage, end: str) -> None:
    before = common.usage()["listener"]
    one = instance({"abort": 1, "reset": 2, "close": 3}[end], 1, size=2 << 20)
    common.sent.offer(one)
    part = p_data(value(one.content[:100_000], 0))
    with common.pulse():
        for _ in range(100):
            with common.sender.call() as scu:
                scu.say(message(store_command(one.uid)), *[part] * 12)
                if end == "abort":
                    scu.say(ABORT)
                if end == "reset":
                    scu.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
    common.wait(lambda: common.usage()["listener"] <= before, f"threads and descriptors {before} again")
    assert common.send(one) == [0x0000]
    common.check()


def test_an_identical_resend_changes_nothing(common: Stage) -> None:
    one = instance(10, 1)
    assert common.send(one, one, one) == [0x0000] * 3
    common.check()
    assert common.study(10)["instances"] == 1
    assert common.script.runs("2.25.10") == 1


def test_a_resend_after_the_report_makes_no_second_one(common: Stage) -> None:
    one = instance(11, 1)
    common.send(one)
    common.wait_for(11, "REPORTED")
    assert common.send(one, one) == [0x0000] * 2
    common.check()
    assert len(common.study(11)["reports"]) == 1
    assert common.script.runs("2.25.11") == 1


def test_the_same_uid_with_other_pixels_is_a_conflict_and_the_first_is_used(common: Stage) -> None:
    assert common.send(instance(12, 1), instance(12, 1, PixelData=bytes(32))) == [0x0000] * 2
    common.check()
    states = [row["state"] for row in common.state()["instances"] if row["sop_instance_uid"] == "2.25.12.1"]
    assert states == ["STORED", "CONFLICT"]


def test_one_study_over_four_associations_is_one_study(common: Stage) -> None:
    with common.load([instance(13, number) for number in range(1, 21)], at_a_time=4) as load:
        load.finish()
    common.check()
    assert common.study(13)["instances"] == 20
    assert len(common.study(13)["reports"]) == 1


def test_two_studies_in_one_association_are_two(common: Stage) -> None:
    mixed = [instance(study, number) for number in (1, 2, 3) for study in (14, 15)]
    assert common.send(*mixed) == [0x0000] * 6
    common.check()
    assert [common.study(study)["instances"] for study in (14, 15)] == [3, 3]


def test_a_late_instance_makes_a_second_revision_and_the_first_is_superseded(common: Stage) -> None:
    common.send(instance(16, 1))
    common.wait_for(16, "REPORTED")
    common.send(instance(16, 2))
    common.wait(lambda: len(common.study(16)["reports"]) == 2, "a second revision")
    common.check()
    first, second = common.study(16)["reports"]
    assert (first["superseded"], second["superseded"], second["revision"]) == (True, False, 2)


def test_what_is_no_image_may_come_first(common: Stage) -> None:
    others = [
        instance(17, 90 + number, sop_class_uid=sop_class)
        for number, sop_class in enumerate((COMPREHENSIVE_SR, KEY_OBJECT, PRESENTATION_STATE, DOSE_REPORT))
    ]
    assert common.send(*others, instance(17, 1)) == [0x0000] * 5
    common.check()
    assert len(common.study(17)["reports"]) == 1


def test_our_own_report_coming_back_makes_no_job(common: Stage) -> None:
    common.send(instance(18, 1))
    common.wait_for(18, "REPORTED")
    (report,) = common.pacs.structured_reports("2.25.18")
    assert common.send(of(dcmread(report.path))) == [0x0000]
    common.check()
    assert common.script.runs("2.25.18") == 1
    assert len(common.study(18)["reports"]) == 1


def test_two_patients_in_one_study_are_never_fused(common: Stage) -> None:
    assert common.send(instance(19, 1), instance(19, 2, PatientID="CNRY7731-B")) == [0x0000] * 2
    common.check({19: "IDENTITY_CONFLICT"})
    assert common.pacs.structured_reports("2.25.19") == ()


def named(one: Instance, uid: str) -> Instance:
    """The same with a UID that pydicom would not write."""
    content = one.content.replace(one.uid.encode(), uid.encode()) if uid else one.content
    return replace(one, uid=uid, content=content)


@pytest.mark.parametrize("uid", ["../../x", "/etc/passwd", "2.25.1/../../y", ""])
def test_a_uid_that_is_a_path_is_refused_and_names_no_file(common: Stage, uid: str) -> None:
    before = sorted(common.folder.rglob("*"))
    one = named(instance(20, 1, SOPInstanceUID="2" * len(uid)), uid)
    with common.sender.call(CT_IMAGE) as scu:
        assert common.sender.store(scu, one) in (0xC000, 0xA900)
        scu.release()
    assert [path for path in common.folder.rglob("*") if path not in before and "ledger" not in path.name] == []
    common.check()


def test_it_stops_with_nothing_left_behind(common: Stage) -> None:
    common.stop()
    common.check()
