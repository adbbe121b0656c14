"""Large instances on their way to the disk, in bounded memory."""

from __future__ import annotations

import mmap
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cds.errors import OutOfResources
from cds.ports import Announced, Bytes
from cds.store.durable import begin_writeback, fsync_folder, write_all
from cds.store.part10 import FileMeta, encode_file_meta

_WRITEBACK_BYTES: Final = 1 << 20

Keep = Callable[[Announced, memoryview, int, str], None]
"""Checks a spooled data set and enters it: what was announced, the data set, where it begins in the file, the name."""


class SpooledInstance:
    """Implements `cds.ports.Spool` on a file of its own, which is the blob later.

    Parameters
    ----------
    folder
        In the same file system as the blobs.
    durable
        Whether `take` waits for the disk.

    Raises
    ------
    OutOfResources
        When the disk does not take the file.
    """

    def __init__(self, folder: Path, announced: Announced, keep: Keep, *, durable: bool) -> None:
        self._announced = announced
        self._keep = keep
        self._durable = durable
        self._path = folder / f"{uuid.uuid4().hex}.part"
        meta = encode_file_meta(file_meta(announced))
        self._meta_length = len(meta)
        self._written = self._flushed = 0
        self._descriptor: int | None = None
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o640)
        except OSError as error:
            raise _refused(error) from None
        self.write(meta)

    def write(self, part: Bytes) -> None:
        """Add the next part, in order.

        Raises
        ------
        OutOfResources
            When the disk does not take it.
        """
        descriptor = self._open()
        try:
            write_all(descriptor, part)
            self._written += len(part)
            if self._durable and self._written - self._flushed >= _WRITEBACK_BYTES:
                begin_writeback(descriptor, self._flushed, self._written - self._flushed)
                self._flushed = self._written
        except OSError as error:
            self.abandon()
            raise _refused(error) from None

    def take(self) -> None:
        """All parts are there: check and keep it, durably.

        Raises
        ------
        MalformedInstance, MismatchedInstance, OutOfResources
            When it was not kept; nothing is left of it then.
        """
        descriptor = self._open()
        try:
            with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
                if self._durable:
                    os.fsync(descriptor)
                    fsync_folder(self._path.parent)
                with view[self._meta_length :] as data_set:
                    self._keep(self._announced, data_set, self._meta_length, self._path.name)
        except OSError as error:
            raise _refused(error) from None
        else:
            self._close()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Forget it, unless it was kept."""
        if self._descriptor is not None:
            self._close()
            self._path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._descriptor is None:
            raise OutOfResources("the disk did not take the beginning of this instance")
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def file_meta(announced: Announced) -> FileMeta:
    """What the file says of an instance (PS3.10 7.1)."""
    return FileMeta(
        sop_class_uid=announced.sop_class_uid,
        sop_instance_uid=announced.sop_instance_uid,
        transfer_syntax_uid=announced.transfer_syntax_uid,
        source_ae_title=announced.calling_ae_title,
    )


def _refused(error: OSError) -> OutOfResources:
    return OutOfResources(f"the disk does not take it now: {error.strerror}")
