"""The retrieve SCU: C-GET over one association, each instance checked before it lies in a file (PS3.4 C.4.3)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.presentation import PresentationContext

from cds.errors import ArchiveError, MalformedInstance, MismatchedInstance
from cds.ports import Peer
from cds_pacs import commands
from cds_pacs.commands import Field
from cds_pacs.contexts import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    FIND,
    GET,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MOVE,
    TRANSFER_SYNTAXES,
    UNCOMPRESSED,
    is_storage,
    proposed,
)
from cds_pacs.pdu import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from cds_pacs.scu.association import Association, Message, TooLong
from cds_pacs.scu.query import ArchiveSettings, ask, associated, find, keys_of, plain
from cds_pacs.scu.upper_layer import AssociationEnded
from cds_pacs.status import PENDING, STATUS_OF, SUCCESS, TRANSFERRED

_MOST_CONTEXTS: Final = 128
"""A presentation context ID is an odd number from 1 to 255 (PS3.8 9.3.2.2)."""
_RETIRED_OR_VIDEO: Final = frozenset(
    uid for uid, name in TRANSFER_SYNTAXES.items() if "Retired" in name or "MPEG" in name or "HEVC" in name
)
_CHECKED: Final = ("SOPInstanceUID", "StudyInstanceUID")


@dataclass(slots=True)
class _Desk:
    """Takes the instances of one study, and no others."""

    study_instance_uid: str
    folder: Path
    peer: Peer
    association: Association
    taken: dict[str, Path] = field(default_factory=dict)

    def store(self, message: Message) -> int:
        """Check an instance and write it; the status of our answer.

        Raises
        ------
        ArchiveError
            When the disk does not take it.
        """
        self.association.longest_data_set -= len(message.data_set)
        announced = str(message.command.get(commands.AFFECTED_INSTANCE, ""))
        try:
            content = _file(message, announced, self.association.syntax_of(message.context_id))
            header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=list(_CHECKED))
            sent = [plain(header, keyword) for keyword in _CHECKED]
        except Exception:  # a stranger's bytes make pydicom raise nearly anything
            return STATUS_OF[MalformedInstance]
        if sent != [announced, self.study_instance_uid]:
            return STATUS_OF[MismatchedInstance]
        path = self.folder / f"{len(self.taken):05d}.dcm"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise ArchiveError(f"peer {self.peer.name!r} sends what the disk does not take: {error.strerror}") from None
        self.taken.setdefault(announced, path)
        return SUCCESS


def get(
    study_instance_uid: str, folder: Path, peer: Peer, settings: ArchiveSettings, calling_ae_title: str
) -> tuple[Path, ...]:
    """Fetch every instance of a study; their files.

    Raises
    ------
    ArchiveError
        When the peer has no C-GET, or did not send every instance that it lists.
    """
    listed = instances_of(study_instance_uid, peer, settings, calling_ae_title)
    classes = sorted({sop_class for sop_class in listed.values() if sop_class})
    if not classes:
        raise ArchiveError(f"peer {peer.name!r} does not tell the SOP Classes of study {study_instance_uid}")
    with associated(peer, [GET], settings, calling_ae_title, storage=_storage(classes)) as association:
        desk = _Desk(study_instance_uid, folder, peer, association)
        association.serves[Field.C_STORE] = desk.store
        association.longest_data_set = settings.most_megabytes << 20
        try:
            last = _last_response(association, GET, Field.C_GET, study_instance_uid, peer, settings)
        except TooLong:
            raise ArchiveError(f"peer {peer.name!r} sends more than {settings.most_megabytes} MB") from None
        code = commands.number(last, commands.STATUS)
        absent = len(set(listed) - set(desk.taken))
        if code not in TRANSFERRED or absent:
            raise ArchiveError(f"peer {peer.name!r} {_told(code, absent, len(listed))}")
    return tuple(desk.taken.values())


def move(study_instance_uid: str, peer: Peer, settings: ArchiveSettings, calling_ae_title: str) -> int:
    """Have the peer send a study to the listener of our AE title by C-MOVE; how many instances it sent.

    Raises
    ------
    ArchiveError
        When the peer does not know our AE title, or could not send every instance.
    """
    with associated(peer, [MOVE], settings, calling_ae_title) as association:
        last = _last_response(association, MOVE, Field.C_MOVE, study_instance_uid, peer, settings, calling_ae_title)
        code, failed = commands.number(last, commands.STATUS), commands.number(last, commands.FAILED) or 0
        if code != SUCCESS or failed:
            raise ArchiveError(f"peer {peer.name!r} {_told(code, failed, None)}")
        sent = (commands.number(last, commands.COMPLETED), commands.number(last, commands.WITH_WARNING))
        return sum(number or 0 for number in sent)


def instances_of(
    study_instance_uid: str, peer: Peer, settings: ArchiveSettings, calling_ae_title: str
) -> dict[str, str]:
    """Every SOP Instance UID of a study that the peer lists, with its SOP Class UID, ``""`` where it does not tell.

    Raises
    ------
    ArchiveError
        When the peer cannot be asked, or lists nothing.
    """
    listed: dict[str, str] = {}
    with associated(peer, [FIND], settings, calling_ae_title) as association:
        series = find(
            association,
            keys_of("SERIES", "SeriesInstanceUID", StudyInstanceUID=study_instance_uid),
            peer,
            settings.most_answers,
        )
        for uid in dict.fromkeys(plain(answer, "SeriesInstanceUID") for answer in series):
            keys = keys_of(
                "IMAGE", "SOPInstanceUID", "SOPClassUID", StudyInstanceUID=study_instance_uid, SeriesInstanceUID=uid
            )
            for answer in find(association, keys, peer, settings.most_answers - len(listed)):
                sop_class = plain(answer, "SOPClassUID")
                listed[plain(answer, "SOPInstanceUID")] = sop_class if is_storage(sop_class) else ""
    if not listed:
        raise ArchiveError(f"peer {peer.name!r} lists no instance of study {study_instance_uid}")
    return listed


def _storage(classes: Iterable[str]) -> list[PresentationContext]:
    """Contexts of every class: uncompressed first, then one for each compressed syntax as far as there is room.

    One syntax a context lets the peer send an instance as it has it.
    """
    plain_ones = [proposed(each, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]) for each in classes]
    packed = (
        proposed(each, [syntax])
        for syntax in TRANSFER_SYNTAXES
        if syntax not in UNCOMPRESSED and syntax not in _RETIRED_OR_VIDEO
        for each in classes
    )
    room = _MOST_CONTEXTS - 1 - len(plain_ones)
    return [*plain_ones, *islice(packed, max(room, 0))][: _MOST_CONTEXTS - 1]


def _last_response(
    association: Association,
    model: str,
    field: Field,
    study_instance_uid: str,
    peer: Peer,
    settings: ArchiveSettings,
    destination: str = "",
) -> commands.Command:
    """The last response of an operation; empty where the peer broke off.

    Raises
    ------
    ArchiveError
        When the time for a study is over.
    TooLong
        When an instance is longer than what may still come.
    """
    end = time.monotonic() + settings.fetch_seconds
    keys = keys_of("STUDY", StudyInstanceUID=study_instance_uid)
    last: commands.Command = {}
    try:
        responses = ask(association, model, field, keys, peer, seconds=settings.fetch_seconds, destination=destination)
        for message in responses:
            last = message.command
    except TooLong:
        raise
    except AssociationEnded:
        if time.monotonic() >= end:
            raise ArchiveError(
                f"peer {peer.name!r} did not send the study within {settings.fetch_seconds:g} s"
            ) from None
    return {} if commands.number(last, commands.STATUS) in PENDING else last


def _file(message: Message, sop_instance_uid: str, syntax: str) -> bytes:
    """A DICOM file of what came (PS3.10 7.1)."""
    meta = create_file_meta(
        sop_class_uid=UID(str(message.command.get(commands.AFFECTED_CLASS, ""))),
        sop_instance_uid=UID(sop_instance_uid),
        transfer_syntax=UID(syntax),
        implementation_uid=UID(IMPLEMENTATION_CLASS_UID),
        implementation_version=IMPLEMENTATION_VERSION_NAME,
    )
    return bytes(128) + b"DICM" + encode_file_meta(meta) + message.data_set


def _told(code: int | None, failed: int, listed: int | None) -> str:
    of = f" of {listed}" if listed is not None else ""
    missing = f"; {failed}{of} instances did not come" if failed else ""
    return f"broke the transfer off{missing}" if code is None else f"ended the transfer with 0x{code:04X}{missing}"
