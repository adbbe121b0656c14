"""Intake: what a listener received becomes durable here, or is refused with the reason."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from cds.dicom.header import Header, parse_header
from cds.errors import MismatchedInstance, OutOfResources
from cds.ports import Announced, Bytes, Notice, ReceivedInstance
from cds.service.facts import arrival_of, encode_facts
from cds.service.spooling import SpooledInstance, file_meta
from cds.store.journal import Journal
from cds.store.journal_format import Kind
from cds.store.notice_json import encode_notice
from cds.store.part10 import encode_file_meta

SPOOL_ABOVE_BYTES: Final = 1 << 20


class JournalIntake:
    """Implements `cds.ports.Intake` on a journal; the node files what is in it (`cds.service.filing`).

    Parameters
    ----------
    spool_dir
        Where large instances go, in the same file system as the blobs.
    reserve_bytes
        Free space below which nothing more is taken.
    clock
        The time now, aware.
    own_model_name
        Manufacturer's Model Name (0008,1090) of our own results.
    durable
        Whether it waits for the disk.
    """

    def __init__(
        self,
        journal: Journal,
        spool_dir: Path,
        *,
        clock: Callable[[], datetime],
        own_model_name: str,
        reserve_bytes: int = 0,
        durable: bool = True,
    ) -> None:
        self._journal = journal
        self._spool_dir = spool_dir
        self._clock = clock
        self._own_model_name = own_model_name
        self._room = _Room(spool_dir, reserve_bytes)
        self._durable = durable

    @property
    def spool_above_bytes(self) -> int:
        """Longer data sets are written to a file of their own while they come."""
        return SPOOL_ABOVE_BYTES

    def take(self, instance: ReceivedInstance) -> None:
        """Check the data set, make it durable, then return.

        Raises
        ------
        MalformedInstance
            When the data set cannot be understood.
        MismatchedInstance
            When it is not the instance that the C-STORE request announced.
        OutOfResources
            When the disk has no room, or the node does not keep up.
        """
        header = _checked(instance, instance.data_set)
        if len(instance.data_set) > SPOOL_ABOVE_BYTES:
            spool = self.spool(instance)
            spool.write(instance.data_set)
            spool.take()
            return
        self._room.check()
        meta = encode_file_meta(file_meta(instance))
        arrival = arrival_of(header, instance, self._own_model_name, len(instance.data_set))
        facts = encode_facts(arrival, self._clock(), len(meta))
        self._journal.append(Kind.INSTANCE, facts, (meta, instance.data_set))

    def spool(self, announced: Announced) -> SpooledInstance:
        """Begin to keep a large instance.

        Raises
        ------
        OutOfResources
            When there is no room for it.
        """
        self._room.check()
        return SpooledInstance(self._spool_dir, announced, self._keep, durable=self._durable)

    def notice(self, notice: Notice) -> None:
        """Make a notice durable, then return.

        Raises
        ------
        OutOfResources
            When it could not be kept.
        """
        kind, content = encode_notice(notice)
        self._journal.append(Kind.NOTICE, f"{kind}\n{self._clock().isoformat()}\n{content}".encode())

    def _keep(self, announced: Announced, data_set: memoryview, meta_length: int, name: str) -> None:
        header = _checked(announced, data_set)
        arrival = arrival_of(header, announced, self._own_model_name, len(data_set))
        self._journal.append(Kind.SPOOLED, encode_facts(arrival, self._clock(), meta_length, name))


class _Room:
    """Whether the disk has room, asked at most once a second."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._next_look = 0.0
        self._free_bytes = 0

    def check(self) -> None:
        if (now := time.monotonic()) >= self._next_look:
            found = os.statvfs(self._folder)
            self._free_bytes = found.f_bavail * found.f_frsize
            self._next_look = now + 1.0
        if self._free_bytes < self._reserve_bytes:
            raise OutOfResources(f"the disk is nearly full: less than {self._reserve_bytes >> 20} MB are free")


def _checked(announced: Announced, data_set: Bytes) -> Header:
    """Parse, and compare with the request (PS3.7 9.1.1.1)."""
    try:
        header = parse_header(data_set, announced.transfer_syntax_uid)
    except OSError as error:
        raise OutOfResources(f"the disk has no room to inflate it: {error.strerror}") from None
    if announced.sop_instance_uid != header.sop_instance_uid:
        raise MismatchedInstance(f"the data set is not the announced SOP Instance but {header.sop_instance_uid}")
    if announced.sop_class_uid != header.sop_class_uid:
        raise MismatchedInstance(
            f"SOP Instance {header.sop_instance_uid} is of SOP Class {header.sop_class_uid}, not of the announced one"
        )
    return header
