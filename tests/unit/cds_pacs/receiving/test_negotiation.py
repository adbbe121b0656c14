"""Associations are negotiated as PS3.8 9.3 and PS3.7 Annex D say; pynetdicom's decoder reads our answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import pack

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

from cds_pacs.contexts import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from cds_pacs.listener import ListenerSettings
from cds_pacs.scp.upper_layer import read_request
from cds_pacs.scp.wire import ProtocolError
from cds_pacs.testing.bare_scu import APPLICATION_CONTEXT, CT_IMAGE, BareScu, association_request, context, item
from cds_pacs.testing.door import Door

EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
COMMITMENT, FIND = "1.2.840.10008.1.20.1", "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture(scope="module")
def hall() -> Iterator[Door]:
    with Door(max_associations=50) as door:
        yield door


def answer(door: Door, *contexts: bytes, user: bytes = b"") -> A_ASSOCIATE:
    """Our answer, as pynetdicom reads it."""
    with door.call() as scu:
        content = scu.associate(association_request(*contexts, user=user))
        scu.release()
    pdu = A_ASSOCIATE_AC()
    pdu.decode(pack(">BxL", 2, len(content)) + content)
    return pdu.to_primitive()


def role(sop_class: str, scu: int, scp: int) -> bytes:
    return item(0x54, pack(">H", len(sop_class)) + sop_class.encode() + bytes((scu, scp)))


def items(primitive: A_ASSOCIATE) -> dict[str, object]:
    return {type(one).__name__: one for one in primitive.user_information}


def test_the_answer_names_every_context_and_the_first_transfer_syntax_that_we_take(hall: Door) -> None:
    primitive = answer(
        hall,
        context(1, CT_IMAGE, [JPEG, EXPLICIT]),
        context(3, CT_IMAGE, ["1.2.3.4", IMPLICIT, EXPLICIT]),
        context(5, FIND, [IMPLICIT]),
        context(7, CT_IMAGE, ["1.2.3.4"]),
        context(9, "1.3.46.670589.5.0.1", [EXPLICIT]),
        context(11, "../../etc/passwd", [EXPLICIT]),
        context(13, CT_IMAGE, []),
    )
    results = [
        (one.context_id, one.result, [str(uid) for uid in one.transfer_syntax] if one.result == 0 else None)
        for one in primitive.presentation_context_definition_results_list
    ]
    assert results == [
        (1, 0, [JPEG]),
        (3, 0, [IMPLICIT]),
        (5, 3, None),
        (7, 4, None),
        (9, 0, [EXPLICIT]),
        (11, 3, None),
        (13, 4, None),
    ]


def test_what_is_announced_is_the_longest_pdu_and_who_we_are(hall: Door) -> None:
    found = items(answer(hall))
    assert found["MaximumLengthNotification"].maximum_length_received == 131_072
    assert found["ImplementationClassUIDNotification"].implementation_class_uid.is_valid
    assert set(found) == {
        "MaximumLengthNotification",
        "ImplementationClassUIDNotification",
        "ImplementationVersionNameNotification",
    }


def test_all_storage_classes_in_all_transfer_syntaxes_are_accepted(hall: Door) -> None:
    pairs = [(sop_class, syntax) for sop_class in STORAGE_SOP_CLASSES for syntax in TRANSFER_SYNTAXES]
    for at in range(0, len(pairs), 128):
        part = pairs[at : at + 128]
        primitive = answer(hall, *(context(2 * n + 1, one, [syntax]) for n, (one, syntax) in enumerate(part)))
        answers = primitive.presentation_context_definition_results_list
        assert [(one.result, str(one.transfer_syntax[0])) for one in answers] == [(0, syntax) for _, syntax in part]


def test_several_operations_at_a_time_are_answered_with_one(hall: Door) -> None:
    found = items(answer(hall, user=item(0x53, pack(">HH", 8, 8))))
    window = found["AsynchronousOperationsWindowNegotiation"]
    assert (window.maximum_number_operations_invoked, window.maximum_number_operations_performed) == (1, 1)


@pytest.mark.parametrize(
    ("sop_class", "proposed", "accepted"),
    [
        (CT_IMAGE, (1, 0), (True, False)),
        (CT_IMAGE, (1, 1), (True, False)),
        (COMMITMENT, (0, 1), (False, True)),
        (COMMITMENT, (1, 1), (True, True)),
    ],
)
def test_roles_are_answered_as_we_play_them(
    hall: Door, sop_class: str, proposed: tuple[int, int], accepted: tuple[bool, bool]
) -> None:
    primitive = answer(hall, context(1, sop_class, [IMPLICIT]), user=role(sop_class, *proposed))
    (selected,) = [
        one for one in primitive.user_information if type(one).__name__ == "SCP_SCU_RoleSelectionNegotiation"
    ]
    assert (selected.scu_role, selected.scp_role) == accepted
    assert primitive.presentation_context_definition_results_list[0].result == 0


def test_a_peer_that_will_only_be_storage_scp_is_refused_that_context(hall: Door) -> None:
    primitive = answer(hall, user=role(CT_IMAGE, 0, 1))
    assert primitive.presentation_context_definition_results_list[0].result == 1


def test_identity_and_extended_negotiation_are_stepped_over_without_an_answer(hall: Door) -> None:
    """An acceptor that does not support them accepts and does not answer (PS3.7 D.3.3.5, D.3.3.7)."""
    uid = CT_IMAGE.encode()
    extended = item(0x56, pack(">H", len(uid)) + uid + bytes(6))
    identity = item(0x58, bytes((2, 1)) + pack(">H", 4) + b"user" + pack(">H", 4) + b"pass")
    assert len(items(answer(hall, user=extended + identity + item(0x5F, b"unknown")))) == 3


@pytest.mark.parametrize(
    ("change", "rejection"),
    [
        (lambda rq: rq[:6] + b"\0\2" + rq[8:], (1, 2, 2)),
        (lambda rq: rq.replace(APPLICATION_CONTEXT.encode(), b"1.2.840.10008.3.1.1.2"), (1, 1, 2)),
    ],
)
def test_another_protocol_or_application_context_is_rejected(
    hall: Door, change: Callable[[bytes], bytes], rejection: tuple[int, int, int]
) -> None:
    with hall.call() as scu:
        scu.say(change(association_request()))
        assert scu.hear() == (3, bytes((0, *rejection)))


def test_another_called_title_is_rejected_where_that_is_checked(open_door: Callable[..., Door]) -> None:
    door = open_door(settings=ListenerSettings(check_called_ae_title=True))
    for called, kind in (("OTHER", 3), ("CDS", 2)):
        with door.call() as scu:
            scu.say(association_request(called=called))
            assert scu.hear()[0] == kind


def test_we_read_a_request_as_pynetdicom_does() -> None:
    identity = item(0x58, bytes((1, 1)) + pack(">H", 4) + b"user" + pack(">H", 0))
    user = item(0x53, pack(">HH", 3, 3)) + role(CT_IMAGE, 1, 1) + identity + item(0x55, b"VERSION")
    content = association_request(
        *(context(2 * n + 1, uid, [JPEG, EXPLICIT]) for n, uid in enumerate(list(STORAGE_SOP_CLASSES)[:128])),
        user=user,
        max_pdu=1 << 18,
    )
    theirs = A_ASSOCIATE_RQ()
    theirs.decode(content)
    primitive, ours = theirs.to_primitive(), read_request(content[6:])
    assert ours.calling_ae_title == primitive.calling_ae_title
    assert ours.max_pdu_bytes == primitive.maximum_length_received == 1 << 18
    assert [(one.context_id, one.abstract_syntax, list(one.transfer_syntaxes)) for one in ours.contexts] == [
        (one.context_id, one.abstract_syntax, one.transfer_syntax)
        for one in primitive.presentation_context_definition_list
    ]
    assert (ours.window, ours.roles[0].scu, ours.roles[0].scp) == (True, True, True)


def test_garbage_at_any_byte_of_a_request_is_understood_or_refused_and_nothing_else() -> None:
    request = association_request(user=role(CT_IMAGE, 1, 1) + item(0x53, bytes(4)))[6:]
    refused = 0
    for at in range(len(request)):
        for byte in (0x00, 0x7F, 0xFF, request[at] ^ 1):
            try:
                read_request(request[:at] + bytes((byte,)) + request[at + 1 :])
            except ProtocolError:
                refused += 1
    assert refused > 100


def test_garbage_at_any_byte_of_a_request_leaves_the_listener_well(hall: Door) -> None:
    request = association_request()
    for at in range(len(request)):
        with BareScu(hall.port) as scu:
            scu.say(request[:at] + bytes((request[at] ^ 0xFF,)) + request[at + 1 :])
            if not 2 <= at < 6:  # a greater length waits for more
                assert scu.hear()[0] in (2, 3, 7)
    assert answer(hall).presentation_context_definition_results_list[0].result == 0


@pytest.mark.parametrize(
    "contexts",
    [
        (context(1, CT_IMAGE, [EXPLICIT]), context(1, CT_IMAGE, [IMPLICIT])),
        (context(2, CT_IMAGE, [EXPLICIT]),),
        (context(0, CT_IMAGE, [EXPLICIT]),),
    ],
)
def test_context_ids_are_odd_and_different(contexts: tuple[bytes, ...]) -> None:
    with pytest.raises(ProtocolError):
        read_request(association_request(*contexts)[6:])
