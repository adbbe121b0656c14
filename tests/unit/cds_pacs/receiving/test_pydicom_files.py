"""Every file that pydicom ships, sent as it lies: what the strict parser says of it decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.filereader import _read_file_meta_info, read_preamble

from cds.dicom.header import parse_header
from cds.errors import CdsError, MismatchedInstance
from cds.ports import ReceivedInstance
from cds_pacs.contexts import IMPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES, is_storage
from cds_pacs.status import status_of
from cds_pacs.testing.bare_scu import CT_IMAGE, association_request, context, message, store_command
from cds_pacs.testing.door import Door
from cds_pacs.testing.tray import Tray

ROOT: Final = Path(pydicom.data.__file__).parent
FILES: Final = sorted(
    path for path in ROOT.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".txt", ".json", ".md")
)


@dataclass(frozen=True)
class Sent:
    """What a sender that believes the file would say."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: bytes


def sent(path: Path) -> Sent:
    """The file's meta information, and the bytes behind it; without meta, what a guess would be."""
    content = path.read_bytes()
    stream = BytesIO(content)
    try:
        read_preamble(stream, force=False)
        meta = _read_file_meta_info(stream)
        syntax = str(meta.get("TransferSyntaxUID", IMPLICIT_VR_LITTLE_ENDIAN))
        start = stream.tell()
    except pydicom.errors.InvalidDicomError:
        meta, syntax, start = pydicom.Dataset(), IMPLICIT_VR_LITTLE_ENDIAN, 0
    return Sent(
        sop_class_uid=str(meta.get("MediaStorageSOPClassUID") or "") or CT_IMAGE,
        sop_instance_uid=str(meta.get("MediaStorageSOPInstanceUID") or "") or "2.25.1",
        transfer_syntax_uid=syntax,
        data_set=content[start:],
    )


def check(instance: ReceivedInstance) -> None:
    """As the node does: understood, and what was announced."""
    header = parse_header(bytes(instance.data_set), instance.transfer_syntax_uid)
    if (header.sop_class_uid, header.sop_instance_uid) != (instance.sop_class_uid, instance.sop_instance_uid):
        raise MismatchedInstance("another instance")


def expected(file: Sent) -> int | None:
    """The status by rule; None where the context is refused."""
    if not is_storage(file.sop_class_uid) or file.transfer_syntax_uid not in TRANSFER_SYNTAXES:
        return None
    try:
        check(
            ReceivedInstance(
                transfer_syntax_uid=file.transfer_syntax_uid,
                sop_class_uid=file.sop_class_uid,
                sop_instance_uid=file.sop_instance_uid,
                calling_ae_title="",
                address="",
                data_set=file.data_set,
            )
        )
    except CdsError as error:
        return status_of(error)
    return 0x0000


@pytest.fixture(scope="module")
def hall() -> Iterator[Door]:
    with Door(max_associations=50, tray=Tray(check=check, spool_above_bytes=64 << 20)) as door:
        yield door


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_taken_byte_for_byte_or_refused_with_its_status(hall: Door, path: Path) -> None:
    hall.tray.taken.clear()
    file = sent(path)
    with hall.call() as scu:
        answer = scu.associate(association_request(context(1, file.sop_class_uid, [file.transfer_syntax_uid])))
        accepted = b"\x21\0" in answer and answer[answer.index(b"\x21\0") + 6] == 0
        assert accepted is (expected(file) is not None)
        if accepted:
            scu.say(message(store_command(file.sop_instance_uid, file.sop_class_uid), file.data_set, payload=16_378))
            assert scu.status() == expected(file)
        scu.release()
    assert [bytes(one.data_set) for one in hall.tray.taken] == ([file.data_set] if expected(file) == 0x0000 else [])


@pytest.mark.filterwarnings("ignore")
def test_most_of_the_files_are_instances_and_some_are_not() -> None:
    statuses = [expected(sent(path)) for path in FILES]
    assert statuses.count(0x0000) > 50
    assert 0xC000 in statuses and None in statuses


@pytest.mark.filterwarnings("ignore")
def test_what_is_taken_is_what_pydicom_reads_from_the_file() -> None:
    """The parser that decides, held to an independent one."""
    for path in FILES:
        if expected(sent(path)) == 0x0000:
            assert dcmread(path).SOPInstanceUID == sent(path).sop_instance_uid
