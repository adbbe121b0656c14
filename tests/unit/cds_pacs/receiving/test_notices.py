"""Storage commitment both ways and availability (PS3.4 J and R), with pynetdicom as the other side."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_context, build_role

from cds.errors import OutOfResources
from cds.ports import CommitmentReported, CommitmentRequested, Reference, StudyAnnounced
from cds_pacs.testing.bare_scu import CT_IMAGE, association_request, command_set, context, message
from cds_pacs.testing.door import Door
from cds_pacs.testing.tray import Tray

COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
AVAILABILITY = "1.2.840.10008.5.1.4.33"
IMPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"


def reference(number: int, **changes: object) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT_IMAGE, f"2.25.1.{number}"
    for keyword, value in changes.items():
        setattr(item, keyword, value)
    return item


def information(*kept: Dataset, failed: tuple[Dataset, ...] = ()) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = "2.25.77"
    ds.ReferencedSOPSequence = list(kept)
    if failed:
        ds.FailedSOPSequence = list(failed)
    return ds


def associate(door: Door, sop_class: str, syntax: str = IMPLICIT, **more: object):
    entity = AE(ae_title="PACS")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    association = entity.associate(
        "127.0.0.1", door.port, contexts=[build_context(sop_class, syntax)], ae_title="CDS", **more
    )
    assert association.is_established
    return association


@pytest.mark.parametrize("syntax", [IMPLICIT, "1.2.840.10008.1.2.1", BIG])
def test_a_request_for_commitment_is_noted(door: Door, syntax: str) -> None:
    association = associate(door, COMMITMENT, syntax)
    status, _ = association.send_n_action(information(reference(1), reference(2)), 1, COMMITMENT, INSTANCE)
    association.release()
    assert status.Status == 0x0000
    assert door.tray.notices == [
        CommitmentRequested(
            transaction_uid="2.25.77",
            references=(_kept(1), _kept(2)),
            calling_ae_title="PACS",
            address="127.0.0.1",
        )
    ]


def test_the_report_of_a_peer_on_an_association_of_its_own_is_noted(door: Door) -> None:
    """The SCP of the commitment is the requestor, by role selection (PS3.4 J.3.3, PS3.7 D.3.3.4)."""
    association = associate(door, COMMITMENT, ext_neg=[build_role(COMMITMENT, scp_role=True)])
    failed = (reference(2, FailureReason=0x0112), reference(3))
    status, _ = association.send_n_event_report(information(reference(1), failed=failed), 2, COMMITMENT, INSTANCE)
    association.release()
    assert status.Status == 0x0000
    (notice,) = door.tray.notices
    assert isinstance(notice, CommitmentReported)
    assert [(one.sop_instance_uid, one.failure) for one in notice.references] == [
        ("2.25.1.1", 0),
        ("2.25.1.2", 0x0112),
        ("2.25.1.3", 0x0110),
    ]


def test_an_announced_study_is_noted_without_what_is_unavailable(door: Door) -> None:
    ds, series = Dataset(), Dataset()
    ds.StudyInstanceUID, series.SeriesInstanceUID = "2.25.1", "2.25.1.0"
    series.ReferencedSOPSequence = [
        reference(1, InstanceAvailability="ONLINE"),
        reference(2, InstanceAvailability="UNAVAILABLE"),
        reference(3, InstanceAvailability="NEARLINE"),
    ]
    ds.ReferencedSeriesSequence = [series]
    association = associate(door, AVAILABILITY)
    status, _ = association.send_n_create(ds, AVAILABILITY, "2.25.9")
    association.release()
    assert status.Status == 0x0000
    (notice,) = door.tray.notices
    assert notice == StudyAnnounced(
        study_instance_uid="2.25.1", references=(_kept(1), _kept(3)), calling_ae_title="PACS", address="127.0.0.1"
    )


def test_an_announcement_without_a_uid_of_its_own_is_given_one(door: Door) -> None:
    command = command_set((0x0002, AVAILABILITY), (0x0100, 0x0140), (0x0110, 1), (0x0800, 1))
    with door.call() as scu:
        scu.associate(association_request(context(1, AVAILABILITY, [IMPLICIT])))
        scu.say(message(command, _implicit(0x0020, 0x000D, b"2.25.1")))
        answer = scu.response()
    assert answer[0x0900] == b"\0\0"
    assert answer[0x1000].startswith(b"2.25.")


ACTION = {0x0003: COMMITMENT, 0x0100: 0x0130, 0x0110: 1, 0x0800: 1, 0x1001: INSTANCE, 0x1008: 1}
EVENT = {0x0002: COMMITMENT, 0x0100: 0x0100, 0x0110: 1, 0x0800: 1, 0x1000: INSTANCE, 0x1002: 1}
CREATE = {0x0002: AVAILABILITY, 0x0100: 0x0140, 0x0110: 1, 0x0800: 1, 0x1000: "2.25.9"}


def _implicit(group: int, element: int, content: bytes) -> bytes:
    content += b"\0" * (len(content) % 2)
    return pack("<HHL", group, element, len(content)) + content


TRANSACTION = _implicit(0x0008, 0x1195, b"2.25.77")


@pytest.mark.parametrize(
    ("command", "data_set", "status"),
    [
        (ACTION, TRANSACTION, 0x0000),
        (ACTION | {0x1008: 2}, TRANSACTION, 0x0123),
        (ACTION | {0x1001: "2.25.5"}, TRANSACTION, 0x0112),
        (ACTION, b"", 0x0115),
        (ACTION, b"\x08\0\x95\x11\xff\xff\0\0ab", 0x0115),
        (ACTION, _implicit(0x0008, 0x1195, b"../x"), 0x0115),
        (ACTION, TRANSACTION + _implicit(0x0008, 0x1199, b"garbage"), 0x0115),
        (ACTION, bytes(5 << 20), 0x0213),
        (ACTION | {0x0800: 0x0101}, None, 0x0115),
        (EVENT, TRANSACTION, 0x0000),
        (EVENT | {0x1002: 3}, TRANSACTION, 0x0113),
        (EVENT, b"garbage!", 0x0115),
        (CREATE, b"", 0x0106),
        (CREATE | {0x0100: 0x0150}, b"", 0x0211),
    ],
)
def test_what_cannot_be_noted_is_told_with_its_status(
    door: Door, command: dict[int, object], data_set: bytes | None, status: int
) -> None:
    contexts = context(1, COMMITMENT, [IMPLICIT]), context(3, AVAILABILITY, [IMPLICIT])
    context_id = 3 if command.get(0x0002) == AVAILABILITY else 1
    with door.call() as scu:
        scu.associate(association_request(*contexts))
        scu.say(message(command_set(*command.items()), data_set, context_id=context_id))
        assert scu.status() == status
        scu.release()
    assert len(door.tray.notices) == (status == 0x0000)


def test_a_notice_that_could_not_be_kept_may_be_sent_again(open_door: Callable[..., Door]) -> None:
    door = open_door(tray=Tray(error=OutOfResources("the disk is full")))
    association = associate(door, COMMITMENT)
    status, _ = association.send_n_action(information(reference(1)), 1, COMMITMENT, INSTANCE)
    association.release()
    assert status.Status == 0x0213


def _kept(number: int) -> Reference:
    return Reference(sop_class_uid=CT_IMAGE, sop_instance_uid=f"2.25.1.{number}")
