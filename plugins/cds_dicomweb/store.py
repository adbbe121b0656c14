"""One store request: the parts of its body go to the intake, one instance after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from cds.errors import CdsError, MalformedInstance, MismatchedInstance
from cds.ports import Announced, Intake, ReceivedInstance, Spool
from cds_dicomweb.access import Caller
from cds_dicomweb.model import Result
from cds_dicomweb.multipart import MultipartError, MultipartReader, PartBegins, PartEnds
from cds_dicomweb.part10 import FileMeta, file_meta, study_instance_uid
from cds_dicomweb.status import CANNOT_UNDERSTAND, PROCESSING_FAILURE, reason_of

_LOG: Final = logging.getLogger(__name__)

_PART_TYPES: Final = frozenset({"application/dicom", ""})
"""Content types of a part; where it has none, the type of the whole body counts."""


MAX_PARTS: Final = 100_000
"""Most parts of one body: their results are held in memory until the answer."""


class StoreRequest:
    """Takes the body of one request in, chunk by chunk; `results` says what became of each instance.

    Memory is bounded by the intake's `spool_above_bytes`. Call `abandon` when the body ends,
    however it ends: what was not whole by then is forgotten.

    Parameters
    ----------
    study
        Study Instance UID that every instance must have; ``""`` for any.
    """

    def __init__(self, boundary: str, intake: Intake, caller: Caller, study: str = "") -> None:
        self._parts = MultipartReader(boundary)
        self._intake = intake
        self._caller = caller
        self._study = study
        self._part: _Part | None = None
        self._failure = 0
        self.results: list[Result] = []

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the body.

        Raises
        ------
        MultipartError
            When they cannot be what comes next; what was stored before stays stored.
        """
        for event in self._parts.feed(chunk):
            if isinstance(event, PartBegins):
                if len(self.results) >= MAX_PARTS:
                    raise MultipartError(f"more than {MAX_PARTS} parts in one request")
                self._part = _Part(self._intake, self._caller, self._study)
                self._failure = 0 if event.content_type in _PART_TYPES else CANNOT_UNDERSTAND
            elif self._part is not None and isinstance(event, PartEnds):
                self._end(self._part)
            elif self._part is not None and isinstance(event, bytes):
                self._attempt(self._part, partial(_Part.write, content=event))

    def close(self) -> None:
        """Say that the body is over.

        Raises
        ------
        MultipartError
            When it was cut off.
        """
        self._parts.close()

    def abandon(self) -> None:
        """Forget what was begun and is not whole."""
        part, self._part = self._part, None
        if part is not None:
            part.abandon()

    def _end(self, part: _Part) -> None:
        self._attempt(part, _Part.keep)
        self._part = None
        meta = part.meta
        self.results.append(
            Result(
                sop_class_uid=meta.sop_class_uid if meta else "",
                sop_instance_uid=meta.sop_instance_uid if meta else "",
                failure=self._failure,
            )
        )

    def _attempt(self, part: _Part, step: Callable[[_Part], None]) -> None:
        """Go one step on with an instance; once it failed, the rest of it is only read over."""
        if self._failure:
            return
        try:
            step(part)
        except CdsError as error:
            _LOG.warning("instance from %s not stored: %s", self._caller.address, error)
            self._failure = reason_of(error)
        except Exception as error:  # a defect of ours: the sender must not hear success
            _LOG.error("instance from %s not stored: %s", self._caller.address, type(error).__name__)
            self._failure = PROCESSING_FAILURE
        if self._failure:
            part.abandon()


class _Part:
    """One instance on its way in: in memory while it is small, then into a spool."""

    def __init__(self, intake: Intake, caller: Caller, study: str) -> None:
        self._intake = intake
        self._caller = caller
        self._study = study
        self._head = bytearray()
        self._spool: Spool | None = None
        self.meta: FileMeta | None = None

    def write(self, content: bytes) -> None:
        """Take the next bytes of the file.

        Raises
        ------
        IntakeError
            When it is no DICOM file, not of the study, or there is no room for it.
        """
        if self._spool is not None:
            self._spool.write(content)
            return
        self._head += content
        if len(self._head) > self._intake.spool_above_bytes:
            self.meta = file_meta(self._head, is_whole=False)
            if self.meta is not None:
                self._begin_spool(self.meta)

    def keep(self) -> None:
        """The file is whole: have it kept. Errors as in `write`."""
        if self._spool is not None:
            self._spool.take()
            return
        self.meta = meta = file_meta(self._head, is_whole=True)
        if meta is None:
            raise MalformedInstance("no DICOM file: its file meta is cut")
        announced, data_set = self._checked(meta)
        self._intake.take(
            ReceivedInstance(
                transfer_syntax_uid=announced.transfer_syntax_uid,
                sop_class_uid=announced.sop_class_uid,
                sop_instance_uid=announced.sop_instance_uid,
                calling_ae_title=announced.calling_ae_title,
                address=announced.address,
                data_set=data_set,
            )
        )

    def abandon(self) -> None:
        """Forget it."""
        self._head = bytearray()
        if self._spool is not None:
            self._spool.abandon()

    def _begin_spool(self, meta: FileMeta) -> None:
        announced, data_set = self._checked(meta)
        self._spool = self._intake.spool(announced)
        self._head = bytearray()
        self._spool.write(data_set)

    def _checked(self, meta: FileMeta) -> tuple[Announced, memoryview]:
        data_set = memoryview(self._head)[meta.data_set_at :]
        self._check_study(data_set, meta)
        announced = Announced(
            transfer_syntax_uid=meta.transfer_syntax_uid,
            sop_class_uid=meta.sop_class_uid,
            sop_instance_uid=meta.sop_instance_uid,
            calling_ae_title=self._caller.ae_title,
            address=self._caller.address,
        )
        return announced, data_set

    def _check_study(self, data_set: memoryview, meta: FileMeta) -> None:
        found = study_instance_uid(data_set, meta.transfer_syntax_uid) if self._study else ""
        if found == self._study:
            return
        if not found:
            raise MalformedInstance(f"SOP Instance {meta.sop_instance_uid}: no Study Instance UID is to be found")
        raise MismatchedInstance(
            f"SOP Instance {meta.sop_instance_uid} is of study {found}, the request is for study {self._study}"
        )
