"""A study on its way from a peer into a folder: files named by hash, all of them or none."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Final

from cds.errors import MalformedInstance, MismatchedInstance, OutOfResources
from cds_dicomweb.multipart import MultipartError, MultipartReader, PartBegins, PartEnds
from cds_dicomweb.part10 import MAX_META_BYTES, STUDY_WITHIN, file_meta, study_instance_uid

_MAX_INSTANCES: Final = 100_000
_PREAMBLE: Final = bytes(128)


class StudyFolder:
    """Takes the body of a retrieve answer in, chunk by chunk (PS3.18 10.4).

    Parameters
    ----------
    study
        Study Instance UID that every instance must have.
    max_bytes
        Size of the whole answer beyond which it is not taken.
    """

    def __init__(self, folder: Path, study: str, max_bytes: int) -> None:
        self._folder = folder
        self._study = study
        self._left = max_bytes
        self._parts: MultipartReader | None = None
        self._incoming = folder / f"{hashlib.sha256(study.encode('ascii')).hexdigest()}.incoming"
        self._stream: BinaryIO | None = None
        self._files: dict[str, Path] = {}

    def begin(self, boundary: str) -> None:
        """Say how the parts are delimited.

        Raises
        ------
        MultipartError
            When the boundary is none.
        """
        try:
            self._parts = MultipartReader(boundary)
        except ValueError as error:
            raise MultipartError(str(error)) from None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        MultipartError, IntakeError
            When they are not what was asked for, or too many.
        OSError
            When the disk does not take them.
        """
        self._left -= len(chunk)
        if self._left < 0:
            raise OutOfResources("the study is larger than may be fetched")
        for event in self._reader().feed(chunk):
            if isinstance(event, PartBegins):
                self._stream = self._incoming.open("w+b")
            elif self._stream is not None and isinstance(event, PartEnds):
                self._end(self._stream)
            elif self._stream is not None and isinstance(event, bytes):
                self._stream.write(event)

    def close(self) -> None:
        """Say that nothing more comes; raises `MultipartError` when the body was cut off."""
        self._reader().close()

    def keep(self) -> int:
        """The study is whole: how many instances it has."""
        return len(self._files)

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._stream is not None:
            self._stream.close()
        for file in (*self._files.values(), self._incoming):
            file.unlink(missing_ok=True)

    def _reader(self) -> MultipartReader:
        if self._parts is None:
            raise MultipartError("a multipart body without a boundary")
        return self._parts

    def _end(self, stream: BinaryIO) -> None:
        """An instance is whole: look at it, zero its preamble, name it."""
        self._stream = None
        with stream:
            uid = self._check(stream)
            stream.seek(0)
            stream.write(_PREAMBLE)
        path = self._folder / f"{hashlib.sha256(uid.encode('ascii')).hexdigest()}.dcm"
        os.replace(self._incoming, path)
        self._files[uid] = path
        if len(self._files) > _MAX_INSTANCES:
            raise OutOfResources("the study has more instances than may be fetched")

    def _check(self, stream: BinaryIO) -> str:
        stream.seek(0)
        head = stream.read(STUDY_WITHIN + MAX_META_BYTES)
        meta = file_meta(head, is_whole=True)
        if meta is None:
            raise MalformedInstance("no DICOM file: its file meta is cut")
        found = study_instance_uid(head[meta.data_set_at :], meta.transfer_syntax_uid)
        if found != self._study:
            raise MismatchedInstance(f"SOP Instance {meta.sop_instance_uid} is not of study {self._study}")
        return meta.sop_instance_uid
