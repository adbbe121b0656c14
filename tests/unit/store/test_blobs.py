from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from pydicom import dcmread

from cds.ports import ReceivedInstance
from cds.store.blobs import BlobStore, NewBlob
from cds.store.part10 import split_file
from cds_pacs.testing.instances import received, small_data_set


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files(store: BlobStore, tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


def test_what_is_read_back_is_byte_for_byte_what_was_received(store: BlobStore) -> None:
    sent = received(small_data_set())
    blob = store.put(sent)
    back = store.read(blob.name)
    assert back.data_set == sent.data_set
    assert blob.sha256 == hashlib.sha256(sent.data_set).hexdigest()
    assert (back.transfer_syntax_uid, back.calling_ae_title) == (sent.transfer_syntax_uid, "MODALITY")


def test_the_file_is_one_that_pydicom_reads(store: BlobStore) -> None:
    ds = small_data_set()
    blob = store.put(received(ds))
    content = store.path(blob.name).read_bytes()
    found = dcmread(store.path(blob.name))
    assert content[:128] == bytes(128)
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert found.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert found.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert found.PixelData == ds.PixelData
    assert found.file_meta.FileMetaInformationGroupLength == len(content) - 144 - len(received(ds).data_set)


@pytest.mark.parametrize("uid", ["../../x", "/etc/passwd", "a" * 300, "\x00", "2.25.1/../../.."])
def test_a_uid_that_is_a_path_stays_inside_the_store(store: BlobStore, tmp_path: Path, uid: str) -> None:
    sent = ReceivedInstance(
        data_set=b"x",
        transfer_syntax_uid="1.2",
        sop_class_uid="1.2",
        sop_instance_uid=uid,
        calling_ae_title="A",
        address="",
    )
    name = store.put(sent).name
    assert store.path(name).resolve().is_relative_to((tmp_path / "blobs").resolve())
    assert len(files(store, tmp_path)) == 1


def test_the_same_bytes_make_one_file_and_other_bytes_make_another(store: BlobStore, tmp_path: Path) -> None:
    first = store.put(received(small_data_set()))
    assert store.put(received(small_data_set())) == first
    other = store.put(received(small_data_set(PixelData=bytes(32))))
    assert other.name != first.name
    assert len(files(store, tmp_path)) == 2
    assert set(store.names()) == {first.name, other.name}


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_fails_leaves_nothing_behind(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(f"cds.store.durable.os.{call}", fail)
    with pytest.raises(OSError, match="No space left"):
        store.put(received(small_data_set()))
    assert files(store, tmp_path) == []


def test_every_file_is_synced_and_then_its_folder_once(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync = os.fsync

    def traced_fsync(descriptor: int) -> None:
        calls.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2])
        fsync(descriptor)

    monkeypatch.setattr("cds.store.durable.os.fsync", traced_fsync)
    store.put_all(NewBlob(f"0a/{number}.dcm", b"content") for number in range(5))
    assert sorted(calls[:5]) == [f"{number}.dcm" for number in range(5)]
    assert calls[5:] == ["0a"]


def test_what_a_crash_left_half_written_is_written_again(store: BlobStore) -> None:
    store.put_all([NewBlob("0a/1.dcm", b"the whole content")])
    store.path("0a/1.dcm").write_bytes(b"the whole content and what should not be there")
    store.put_all([NewBlob("0a/1.dcm", b"the whole content")])
    assert store.path("0a/1.dcm").read_bytes() == b"the whole content"


def test_a_file_that_is_there_already_is_linked_and_a_second_time_changes_nothing(
    store: BlobStore, tmp_path: Path
) -> None:
    spooled = tmp_path / "spooled.part"
    spooled.write_bytes(b"large")
    for _ in range(2):
        store.put_all([NewBlob("0b/1.dcm", spooled)])
    spooled.unlink()
    assert store.path("0b/1.dcm").read_bytes() == b"large"


@pytest.mark.parametrize("content", [b"", b"DICM", bytes(1000), bytes(128) + b"DICM" + b"\xff" * 12])
def test_a_file_that_is_not_ours_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a file of this store"):
        split_file(content)
