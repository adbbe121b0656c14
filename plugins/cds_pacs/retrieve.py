"""The retrieve SCU: C-GET over one association, each instance checked before it lies in a file (PS3.4 C.4.3)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from cds.errors import ArchiveError
from cds.ports import Peer
from cds_pacs.contexts import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    UNCOMPRESSED,
    is_storage,
)
from cds_pacs.query import FIND, GET, MOVE, ArchiveSettings, associated, context, find, keys_of, plain, status_of

_MOST_CONTEXTS: Final = 128
"""A presentation context ID is an odd number from 1 to 255 (PS3.8 9.3.2.2)."""
_RETIRED_OR_VIDEO: Final = frozenset(
    uid for uid, name in TRANSFER_SYNTAXES.items() if "Retired" in name or "MPEG" in name or "HEVC" in name
)
_PENDING: Final = 0xFF00
_COMPLETE: Final = 0x0000
_WARNING: Final = 0xB000
"""Sub-operations complete, one or more failures (PS3.4 table C.4-3)."""
_MISMATCH: Final = 0xA900
_NOT_UNDERSTOOD: Final = 0xC000
_OUT_OF_RESOURCES: Final = 0xA700
_CHECKED: Final = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]


@dataclass(slots=True)
class _Desk:
    """Takes the instances of one study, and no others, within its limits."""

    study_instance_uid: str
    folder: Path
    settings: ArchiveSettings
    taken: dict[str, Path] = field(default_factory=dict)
    trouble: str = ""
    bytes_left: int = 0
    deadline: float = 0.0

    def store(self, event: Any) -> int:
        """Check an instance and write it; the status of our answer. After the first trouble all is refused."""
        if not self.trouble and time.monotonic() > self.deadline:
            self.trouble = f"did not send the study within {self.settings.fetch_seconds:g} s"
        if self.trouble:
            event.assoc.abort()
            return _OUT_OF_RESOURCES
        request = event.request
        content = request.DataSet.getvalue() if request.DataSet is not None else b""
        self.bytes_left -= len(content)
        if self.bytes_left < 0:
            self.trouble = f"sends more than {self.settings.most_megabytes} MB"
            return _OUT_OF_RESOURCES
        return self._write(str(request.AffectedSOPInstanceUID), event.encoded_dataset())

    def _write(self, announced: str, content: bytes) -> int:
        try:
            header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=list(_CHECKED))
            sent = [plain(header, keyword) for keyword in ("SOPInstanceUID", "StudyInstanceUID")]
        except Exception:  # a stranger's bytes make pydicom raise nearly anything
            return _NOT_UNDERSTOOD
        if sent != [announced, self.study_instance_uid]:
            return _MISMATCH
        path = self.folder / f"{len(self.taken):05d}.dcm"
        try:
            path.write_bytes(content)
        except OSError as error:
            self.trouble = f"sends what the disk does not take: {error.strerror}"
            return _OUT_OF_RESOURCES
        self.taken.setdefault(announced, path)
        return _COMPLETE


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
    desk = _Desk(
        study_instance_uid,
        folder,
        settings,
        bytes_left=settings.most_megabytes << 20,
        deadline=time.monotonic() + settings.fetch_seconds,
    )
    classes = sorted({sop_class for sop_class in listed.values() if sop_class})
    if not classes:
        raise ArchiveError(f"peer {peer.name!r} does not tell the SOP Classes of study {study_instance_uid}")
    with associated(
        peer,
        [context(GET), *_storage(classes)],
        settings,
        calling_ae_title,
        roles=[build_role(UID(sop_class), scp_role=True) for sop_class in classes],
        handlers=[(evt.EVT_C_STORE, desk.store)],
    ) as association:
        code = _final(_got(association, study_instance_uid, peer))
        absent = len(set(listed) - set(desk.taken))
        if desk.trouble or code not in (_COMPLETE, _WARNING) or absent:
            raise ArchiveError(f"peer {peer.name!r} {desk.trouble or _told(code, absent, len(listed))}")
    return tuple(desk.taken.values())


def move(study_instance_uid: str, peer: Peer, settings: ArchiveSettings, calling_ae_title: str) -> int:
    """Have the peer send a study to the listener of our AE title by C-MOVE; how many instances it sent.

    Raises
    ------
    ArchiveError
        When the peer does not know our AE title, or could not send every instance.
    """
    deadline = time.monotonic() + settings.fetch_seconds
    keys = keys_of("STUDY", StudyInstanceUID=study_instance_uid)
    with associated(peer, [context(MOVE)], settings, calling_ae_title) as association:
        last = Dataset()
        try:
            for status, _ in association.send_c_move(keys, calling_ae_title, MOVE):
                last = status
                if time.monotonic() > deadline:
                    raise ArchiveError(f"peer {peer.name!r} did not send within {settings.fetch_seconds:g} s")
        except (RuntimeError, ValueError):
            raise ArchiveError(f"peer {peer.name!r} does not offer C-MOVE (Study Root)") from None
        code, failed = status_of(last), int(last.get("NumberOfFailedSuboperations") or 0)
        if code != _COMPLETE or failed:
            raise ArchiveError(f"peer {peer.name!r} {_told(code, failed, None)}")
        return int(last.get("NumberOfCompletedSuboperations") or 0) + int(last.get("NumberOfWarningSuboperations") or 0)


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
    with associated(peer, [context(FIND)], settings, calling_ae_title) as association:
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
    plain_ones = [build_context(each, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]) for each in classes]
    packed = (
        build_context(each, syntax)
        for syntax in TRANSFER_SYNTAXES
        if syntax not in UNCOMPRESSED and syntax not in _RETIRED_OR_VIDEO
        for each in classes
    )
    room = _MOST_CONTEXTS - 1 - len(plain_ones)
    return [*plain_ones, *islice(packed, max(room, 0))][: _MOST_CONTEXTS - 1]


def _got(association: Association, study_instance_uid: str, peer: Peer) -> Iterator[tuple[Dataset, Dataset | None]]:
    try:
        yield from association.send_c_get(keys_of("STUDY", StudyInstanceUID=study_instance_uid), GET)
    except (RuntimeError, ValueError):
        raise ArchiveError(f"peer {peer.name!r} does not offer C-GET (Study Root)") from None


def _final(responses: Iterable[tuple[Dataset, Dataset | None]]) -> int | None:
    """The last status of an operation; None where the peer broke off."""
    code: int | None = None
    for status, _ in responses:
        code = status_of(status)
    return code if code != _PENDING else None


def _told(code: int | None, failed: int, listed: int | None) -> str:
    of = f" of {listed}" if listed is not None else ""
    missing = f"; {failed}{of} instances did not come" if failed else ""
    return f"broke the transfer off{missing}" if code is None else f"ended the transfer with 0x{code:04X}{missing}"
