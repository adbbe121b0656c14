"""The sender against receivers that run: both floors, pynetdicom, and one that refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from receiving.measure import objects_per_association, run
from receiving.objects import SMALL, data_set, new_run, sop_instance_uid
from receiving.receivers import HERE, Receiver
from receiving.running import Running
from receiving.sender import Address, echo_milliseconds, send, setup_milliseconds
from receiving.wire import WireError

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
"""From Python 3.12 on, where the test runner has threads; the senders use nothing that these could hold."""

REFUSING = """
import sys
from pynetdicom import AE, evt
entity = AE()
entity.add_supported_context("1.2.840.10008.1.1")
entity.add_supported_context("1.2.840.10008.5.1.4.1.1.1")
entity.add_supported_context("1.2.840.10008.5.1.4.1.1.2")
stored = 0
def store(event):
    global stored
    stored += 1
    return 0x0000 if stored == 1 else 0xA700
entity.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""


@contextmanager
def running(folder: Path, port: int, *command: str) -> Iterator[Running]:
    (folder / "files").mkdir()
    receiver = Receiver(
        key="test",
        title="test",
        command=command,
        address=Address(host="127.0.0.1", port=port, ae_title="TEST"),
        folder=folder,
        payload=folder / "files",
    )
    with Running(receiver) as process:
        process.wait_until_it_answers()
        yield process


def floor(folder: Path, language: str) -> tuple[str, ...]:
    if language == "python":
        return (sys.executable, "-m", "receiving.floor")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (cc)")
    program = folder / "floor-program"
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-o", str(program), str(HERE / "floor.c")], check=True)
    return (str(program),)


@pytest.mark.parametrize("mode", ["write", "fsync"])
@pytest.mark.parametrize("language", ["c", "python"])
def test_a_floor_has_every_object_whole_in_a_file_of_its_name(
    tmp_path: Path, free_port: int, language: str, mode: str
) -> None:
    digits = new_run()
    command = (*floor(tmp_path, language), str(free_port), str(tmp_path / "files"), mode)
    with running(tmp_path, free_port, *command) as process:
        sent = send(process.receiver.address, SMALL, digits, associations=2, count=3)

    expected = {sop_instance_uid(digits, association, number) for association in (1, 2) for number in (1, 2, 3)}
    files = {file.stem: file for file in (tmp_path / "files").iterdir()}
    assert files.keys() == expected
    assert sent.seconds > 0
    for association in (1, 2):
        template = data_set(SMALL, digits, association)
        for number in (1, 2, 3):
            uid = sop_instance_uid(digits, association, number)
            content = template.replace(sop_instance_uid(digits, association, 0).encode(), uid.encode())
            assert files[uid].read_bytes().endswith(content)
            assert dcmread(files[uid]).file_meta.MediaStorageSOPInstanceUID == uid


@pytest.mark.parametrize("language", ["c", "python"])
def test_a_floor_that_discards_writes_nothing(tmp_path: Path, free_port: int, language: str) -> None:
    command = (*floor(tmp_path, language), str(free_port), str(tmp_path / "files"), "discard")
    with running(tmp_path, free_port, *command) as process:
        send(process.receiver.address, SMALL, new_run(), associations=1, count=3)

    assert list((tmp_path / "files").iterdir()) == []


def test_a_run_counts_what_was_sent_and_leaves_the_files_empty(tmp_path: Path, free_port: int) -> None:
    command = (sys.executable, "-m", "receiving.pynetdicom_tuned", str(free_port), str(tmp_path / "files"))
    with running(tmp_path, free_port, *command) as process:
        process.pause()
        measured = run(process, SMALL, 2, 2, round_number=1)
        process.resume()
        setup = setup_milliseconds(process.receiver.address, SMALL.sop_class_uid, 2, seconds=10)
        echo = echo_milliseconds(process.receiver.address, SMALL.sop_class_uid, 2, seconds=10)

    assert (measured.objects, measured.shape, measured.rows_seconds) == (4, "small", None)
    assert [file.stat().st_size for file in (tmp_path / "files").iterdir()] == [0, 0, 0, 0]
    assert setup > 0 and echo > 0


def test_any_answer_but_success_ends_the_run_with_an_error(tmp_path: Path, free_port: int) -> None:
    with (
        running(tmp_path, free_port, sys.executable, "-c", REFUSING, str(free_port)) as process,
        pytest.raises(WireError, match="C-STORE 2 was answered 0xA700"),
    ):
        send(process.receiver.address, SMALL, new_run(), associations=1, count=3)


def test_a_receiver_that_ends_at_once_is_told_with_its_log(tmp_path: Path, free_port: int) -> None:
    with (
        pytest.raises(WireError, match="the reason why"),
        running(tmp_path, free_port, sys.executable, "-c", "raise SystemExit('the reason why')"),
    ):
        pass


def test_a_run_of_a_slow_receiver_is_cut_and_that_of_a_fast_one_is_not() -> None:
    assert objects_per_association(4, most=300, rate=10_000, seconds=1.5) == 75
    assert objects_per_association(8, most=300, rate=10_000, seconds=1.5) == 38
    assert objects_per_association(1, most=300, rate=20, seconds=1.5) == 30
    assert objects_per_association(8, most=300, rate=0.1, seconds=1.5) == 1
