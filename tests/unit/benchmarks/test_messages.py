"""What the benchmark puts on the wire, read by pynetdicom's and pydicom's decoders."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from pydicom import dcmread
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import A_ASSOCIATE
from receiving import wire
from receiving.objects import CT, SHAPES, SMALL, data_set, new_run, part10, sop_instance_uid, study_uid
from receiving.reports import structured_report
from receiving.sender import Objects


def fragments(message: bytes) -> list[tuple[int, bytes]]:
    """Control header and payload of every PDV, one a PDU, as pynetdicom reads them."""
    found, at = [], 0
    while at < len(message):
        length = struct.unpack_from(">I", message, at + 2)[0]
        pdu = P_DATA_TF()
        pdu.decode(message[at : at + 6 + length])
        (item,) = pdu.presentation_data_value_items
        value = item.presentation_data_value
        found.append((value[0], value[1:]))
        at += 6 + length
    return found


def test_the_association_request_is_what_pynetdicom_reads() -> None:
    request = A_ASSOCIATE_RQ()
    request.decode(
        wire.associate_request("CALLED", "CALLING", [(1, wire.VERIFICATION), (3, CT.sop_class_uid)], 131_072)
    )
    primitive: A_ASSOCIATE = request.to_primitive()

    contexts = primitive.presentation_context_definition_list
    assert (primitive.called_ae_title, primitive.calling_ae_title) == ("CALLED", "CALLING")
    assert primitive.maximum_length_received == 131_072
    assert [(c.context_id, c.abstract_syntax) for c in contexts] == [(1, wire.VERIFICATION), (3, CT.sop_class_uid)]
    assert all(c.transfer_syntax == [wire.EXPLICIT_LITTLE] for c in contexts)


def test_the_command_sets_are_those_of_c_store_and_c_echo() -> None:
    store = decode(BytesIO(wire.store_request(CT.sop_class_uid, "2.25.7", 9)), True, True)
    echo = decode(BytesIO(wire.echo_request(3)), True, True)

    assert (store.CommandField, store.MessageID, store.AffectedSOPInstanceUID) == (0x0001, 9, "2.25.7")
    assert store.AffectedSOPClassUID == CT.sop_class_uid
    assert store.CommandDataSetType != wire.NO_DATA_SET
    assert (echo.CommandField, echo.MessageID, echo.CommandDataSetType) == (0x0030, 3, wire.NO_DATA_SET)


@pytest.mark.parametrize(("request_set", "kind"), [("store", C_STORE), ("echo", C_ECHO)])
def test_the_answer_of_the_floor_names_the_request_it_answers(request_set: str, kind: type[C_STORE | C_ECHO]) -> None:
    asked = wire.store_request(CT.sop_class_uid, "2.25.7", 9) if request_set == "store" else wire.echo_request(9)
    answer = decode(BytesIO(wire.answer(wire.read_command(asked), 0xA700)), True, True)

    assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0xA700, 9)
    assert answer.CommandField == (0x8001 if kind is C_STORE else 0x8030)
    assert answer.CommandGroupLength == len(wire.answer(wire.read_command(asked), 0xA700)) - 12


def test_each_object_has_its_own_uid_in_the_command_and_in_the_data_set() -> None:
    run = new_run()
    objects = Objects(SMALL, run, 2, max_pdu_bytes=4096)
    seen = []
    for number in (1, 2, 10):
        command, *rest = fragments(bytes(objects.numbered(number)))
        request = decode(BytesIO(command[1]), True, True)
        dataset = dcmread(BytesIO(b"".join(part for _, part in rest)), force=True)
        assert request.AffectedSOPInstanceUID == dataset.SOPInstanceUID == sop_instance_uid(run, 2, number)
        assert dataset.StudyInstanceUID == study_uid(run)
        seen.append(dataset.SOPInstanceUID)
    assert len(set(seen)) == 3


def test_a_message_keeps_to_the_receiver_s_longest_pdu_and_loses_no_byte() -> None:
    content = bytes(range(256)) * 100
    message = bytes(wire.message(5, b"", content, 1000))
    command, *rest = fragments(message)

    assert command[0] == 0x03
    assert b"".join(part for _, part in rest) == content
    assert [flags for flags, _ in rest] == [0x00] * (len(rest) - 1) + [0x02]
    assert max(len(part) for _, part in rest) == 1000 - 6


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_data_sets_are_images_of_the_stated_size(shape) -> None:  # type: ignore[no-untyped-def]
    run = new_run()
    file = dcmread(BytesIO(part10(shape, run, 7)))

    assert file.file_meta.MediaStorageSOPInstanceUID == file.SOPInstanceUID == sop_instance_uid(run, 1, 7)
    assert len(file.PixelData) == file.Rows * file.Columns * 2 == shape.pixel_bytes
    assert len(data_set(shape, run, 1)) < 1.1 * shape.pixel_bytes
    assert file.SOPInstanceUID.is_valid and file.StudyInstanceUID.is_valid and file.SeriesInstanceUID.is_valid


def test_a_report_to_send_is_a_comprehensive_sr_with_uids_of_its_own() -> None:
    one, other = dcmread(BytesIO(structured_report())), dcmread(BytesIO(structured_report()))

    assert one.SOPClassUID.name == "Comprehensive SR Storage"
    assert one.SOPInstanceUID != other.SOPInstanceUID
