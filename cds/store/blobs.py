"""Received data sets on disk: one DICOM file each, under names that the wire has no say in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cds.ports import ReceivedInstance
from cds.store.durable import fsync_folder, make_folder, sweep, write_durably
from cds.store.part10 import FileMeta, encode_file_meta, split_file

_SHARDS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A durable data set: its name in the store, and the sha256 and size of what was received."""

    name: str
    sha256: str
    size: int


class BlobStore:
    """A folder of received instances.

    A name is made of hashes of the SOP Instance UID and of the bytes, so that two different data
    sets under one UID never overwrite each other, and ``../../x`` is a UID like any other.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / "incoming"
        make_folder(self._temporary)
        for shard in range(_SHARDS):
            (root / f"{shard:02x}").mkdir(exist_ok=True)
        fsync_folder(root)

    def put(self, instance: ReceivedInstance) -> Blob:
        """Make the data set durable, as received; doing it again changes nothing.

        Raises
        ------
        OSError
            When the disk does not take it; nothing is left behind then.
        """
        digest = hashlib.sha256(instance.data_set).hexdigest()
        uid = hashlib.sha256(instance.sop_instance_uid.encode()).hexdigest()
        name = f"{uid[:2]}/{uid[:32]}-{digest[:16]}.dcm"
        head = encode_file_meta(
            FileMeta(
                sop_class_uid=instance.sop_class_uid,
                sop_instance_uid=instance.sop_instance_uid,
                transfer_syntax_uid=instance.transfer_syntax_uid,
                source_ae_title=instance.calling_ae_title,
            )
        )
        write_durably(self._root / name, (head, instance.data_set), self._temporary)
        return Blob(name=name, sha256=digest, size=len(instance.data_set))

    def path(self, name: str) -> Path:
        """Where the file of a blob lies."""
        return self._root / name

    def read(self, name: str) -> ReceivedInstance:
        """A blob as it was received; the sender's network address is not kept in the file.

        Raises
        ------
        ValueError
            When the file is not one that this store wrote whole.
        """
        meta, data_set = split_file(self.path(name).read_bytes())
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

    def sweep(self) -> int:
        """Remove what a crash left half written; how many there were."""
        return sweep(self._temporary)
