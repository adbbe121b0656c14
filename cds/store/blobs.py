"""Received data sets on disk: one DICOM file each, under names that the wire has no say in."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cds.ports import Bytes, ReceivedInstance
from cds.store.durable import begin_writeback, fsync_folder, make_folder, write_all
from cds.store.part10 import FileMeta, encode_file_meta, split_file

_SHARDS: Final = 256
_AT_ONCE: Final = 4
"""How many files are made durable at once; a disk takes several for little more than the time of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A durable data set: its name in the store, and the sha256 and size of what was received."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class NewBlob:
    """A file that is to be kept under `name`: its bytes, or where it lies in the same file system."""

    name: str
    content: Bytes | Path


class BlobStore:
    """A folder of received instances.

    A name is made of hashes of the SOP Instance UID and of the bytes, so that two different data
    sets under one UID never overwrite each other, and ``../../x`` is a UID like any other.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        if not (root / f"{_SHARDS - 1:02x}").is_dir():
            make_folder(root)
            for shard in range(_SHARDS):
                (root / f"{shard:02x}").mkdir(exist_ok=True)
            fsync_folder(root)

    @staticmethod
    def name(sop_instance_uid: str, sha256: str) -> str:
        """What the file of an instance is called."""
        uid = hashlib.sha256(sop_instance_uid.encode()).hexdigest()
        return f"{uid[:2]}/{uid[:32]}-{sha256[:16]}.dcm"

    def put_all(self, blobs: Iterable[NewBlob]) -> None:
        """Make files durable, all together; doing it again changes nothing.

        Each is written at its final name: what a crash left half written there has no row, and the
        journal from which it is written again. One that lies in a file already is linked.

        Raises
        ------
        OSError
            When the disk does not take them; what was written before has no row, and is harmless.
        """
        distinct = {blob.name: blob for blob in blobs}
        with ExitStack() as opened, ThreadPoolExecutor(min(_AT_ONCE, max(1, len(distinct)))) as pool:
            written = [self._write(blob, opened) for blob in distinct.values()]
            list(pool.map(os.fsync, [descriptor for descriptor in written if descriptor is not None]))
            list(pool.map(fsync_folder, {self.path(name).parent for name in distinct}))

    def put(self, instance: ReceivedInstance) -> Blob:
        """Make one data set durable, as received; doing it again changes nothing.

        Raises
        ------
        OSError
            When the disk does not take it; nothing is left behind then.
        """
        digest = hashlib.sha256(instance.data_set).hexdigest()
        name = self.name(instance.sop_instance_uid, digest)
        meta = encode_file_meta(
            FileMeta(
                sop_class_uid=instance.sop_class_uid,
                sop_instance_uid=instance.sop_instance_uid,
                transfer_syntax_uid=instance.transfer_syntax_uid,
                source_ae_title=instance.calling_ae_title,
            )
        )
        try:
            self.put_all([NewBlob(name, meta + instance.data_set)])
        except OSError:
            self.remove(name)
            raise
        return Blob(name=name, sha256=digest, size=len(instance.data_set))

    def path(self, name: str) -> Path:
        """Where the file of a blob lies."""
        return self._root / name

    def read(self, name: str) -> ReceivedInstance:
        """A blob as it was received; the sender's network address is not kept in the file.

        The data set is a view of the file, so that its size does not matter.

        Raises
        ------
        ValueError
            When the file is not one that this store wrote whole.
        """
        with self.path(name).open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        meta, data_set = split_file(content)
        return ReceivedInstance(
            data_set=data_set,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            sop_class_uid=meta.sop_class_uid,
            sop_instance_uid=meta.sop_instance_uid,
            calling_ae_title=meta.source_ae_title,
            address="",
        )

    def remove(self, name: str) -> None:
        """Forget a blob that no row speaks of."""
        self.path(name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Every blob there is."""
        for shard in range(_SHARDS):
            for file in (self._root / f"{shard:02x}").iterdir():
                yield f"{shard:02x}/{file.name}"

    def any(self) -> bool:
        """Whether there is a blob."""
        return next(self.names(), None) is not None

    def _write(self, blob: NewBlob, opened: ExitStack) -> int | None:
        """Write a file and set its way to the disk going; its descriptor, None where it is durable already."""
        if isinstance(blob.content, Path):
            with suppress(FileExistsError):
                os.link(blob.content, self.path(blob.name))
            return None
        descriptor = os.open(self.path(blob.name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        opened.callback(os.close, descriptor)
        write_all(descriptor, blob.content)
        begin_writeback(descriptor)
        return descriptor
