"""A disk that is full, read-only, broken or slow, and a process that has no descriptors left."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from faults.senders import NO_ANSWER, Instance, instance
from faults.stage import Stage
from faults.strace import injected, needs_strace

OUT_OF_RESOURCES = 0xA700
LARGE = 3 << 20
"""Beyond what goes into the journal: a file of its own while it comes."""


@contextmanager
def full(folder: Path, leave_bytes: int = 0) -> Iterator[None]:
    """Fill the disk but for so much, as long as the block runs."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file, suppress(OSError):  # until there is no more, whatever the node takes meanwhile
        while (found := os.statvfs(folder)).f_bavail * found.f_frsize > leave_bytes:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, 65_536)
    try:
        yield
    finally:
        ballast.unlink()


def send_until(stage: Stage, one: Instance, status: int) -> None:
    """As a modality does: again and again until this is the answer; the disk is looked at once a second."""
    stage.wait(lambda: stage.send(one) == [status], f"0x{status:04X}")


@pytest.fixture
def on_small_disk(stage_of: Callable[..., Stage], small_disk: Callable[[Path, str], Path]) -> Callable[..., Stage]:
    def make(options: str, node: str = "") -> Stage:
        stage = stage_of(node=node)
        small_disk(stage.data_dir, options)
        stage.start()
        return stage

    return make


def test_below_the_reserve_it_refuses_for_the_moment_and_says_so(on_small_disk: Callable[..., Stage]) -> None:
    stage = on_small_disk("size=64m", "reserve_mb = 16")
    assert stage.ready()[0] == 200
    with full(stage.data_dir, leave_bytes=8 << 20), stage.pulse():
        send_until(stage, instance(2, 1), OUT_OF_RESOURCES)
        assert stage.send(instance(3, 1, size=LARGE)) == [OUT_OF_RESOURCES]
        status, reasons = stage.ready()
        assert status == 503
        assert "0xA700" in reasons
    send_until(stage, instance(2, 1), 0x0000)
    send_until(stage, instance(3, 1, size=LARGE), 0x0000)
    stage.check()
    assert stage.ready()[0] == 200
    stage.stop()


def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(on_small_disk: Callable[..., Stage]) -> None:
    """No reserve: the journal, which has its place, takes what still comes; nothing can be filed."""
    stage = on_small_disk("size=64m")
    with full(stage.data_dir), stage.pulse():
        assert stage.send(instance(3, 1, size=LARGE)) == [OUT_OF_RESOURCES]
        assert stage.send(*[instance(2, number, size=200_000) for number in range(1, 6)]) == [0x0000] * 5
        stage.wait(lambda: "journals" in stage.ready()[1], "/readyz to say so")
        assert stage.ready()[0] == 503
    send_until(stage, instance(3, 1, size=LARGE), 0x0000)
    stage.check()
    assert stage.ready()[0] == 200
    stage.stop()


@pytest.mark.slow
def test_killed_with_a_full_disk_it_starts_when_there_is_room(on_small_disk: Callable[..., Stage]) -> None:
    stage = on_small_disk("size=64m")
    with full(stage.data_dir):
        assert stage.send(*[instance(2, number, size=200_000) for number in range(1, 6)]) == [0x0000] * 5
        stage.kill()
    stage.start()
    stage.check()
    stage.stop()


def test_a_journal_that_is_full_refuses_for_the_moment(on_small_disk: Callable[..., Stage]) -> None:
    stage = on_small_disk("size=64m")
    with full(stage.data_dir), stage.pulse():
        answers = stage.send(*[instance(2, number, size=900_000) for number in range(1, 20)])
        assert set(answers) == {0x0000, OUT_OF_RESOURCES}
    for number in range(1, 20):
        send_until(stage, instance(2, number, size=900_000), 0x0000)
    stage.check()
    stage.stop()


@pytest.mark.slow
def test_out_of_inodes_it_refuses_what_needs_a_file_and_keeps_the_rest(on_small_disk: Callable[..., Stage]) -> None:
    stage = on_small_disk("size=64m,nr_inodes=600")
    files: list[Path] = []
    with pytest.raises(OSError, match="No space left"):
        while True:
            files.append(stage.data_dir / f"ballast-{len(files)}")
            files[-1].touch()
    with stage.pulse():
        assert stage.send(instance(3, 1, size=LARGE)) == [OUT_OF_RESOURCES]
        assert stage.send(instance(2, 1)) == [0x0000]
        stage.wait(lambda: stage.ready()[0] == 503, "/readyz to say so")
    for file in files[:-1]:
        file.unlink()
    send_until(stage, instance(3, 1, size=LARGE), 0x0000)
    stage.check()
    stage.stop()


def test_a_read_only_folder_is_refused_at_the_start(
    stage_of: Callable[..., Stage], small_disk: Callable[[Path, str], Path]
) -> None:
    stage = stage_of()
    small_disk(stage.data_dir, "size=32m,ro")
    said = stage.refuses_to_start()
    assert "data" in said
    assert "Traceback" not in said


@needs_strace
@pytest.mark.parametrize(("study", "error"), [(1, "EIO"), pytest.param(5, "EROFS", marks=pytest.mark.slow)])
def test_a_journal_that_cannot_be_written_is_given_up_and_a_new_one_goes_on(
    common: Stage, study: int, error: str, tmp_path: Path
) -> None:
    assert common.send(instance(study, 1)) == [0x0000]
    first = common.listener
    with injected(first, "pwritev,pwritev2", f"error={error}", tmp_path / "strace.log"):
        assert common.send(instance(study, 2)) in ([OUT_OF_RESOURCES], [NO_ANSWER])
        common.wait(lambda: not Path(f"/proc/{first}").exists(), "the listener to end")
    assert common.listener != first
    with common.load([instance(study, 2), instance(study + 1, 1)]) as load:
        load.finish()
    common.check()


@needs_strace
def test_an_error_of_fsync_on_a_large_instance_is_no_success(common: Stage, tmp_path: Path) -> None:
    one = instance(10, 1, size=LARGE)
    with injected(common.listener, "fsync", "error=EIO", tmp_path / "strace.log"):
        assert common.send(one) == [OUT_OF_RESOURCES]
    assert common.send(one) == [0x0000]
    common.check()


@needs_strace
def test_an_error_of_fsync_while_filing_is_tried_again(common: Stage, tmp_path: Path) -> None:
    with injected(common.pid, "fsync", "error=EIO", tmp_path / "strace.log"):
        assert common.send(instance(20, 1), instance(20, 2)) == [0x0000] * 2
        common.wait(lambda: common.ready()[0] == 503, "/readyz to say so")
    common.check()


@needs_strace
def test_a_disk_that_takes_two_seconds_to_write_durably_holds_no_echo_up(common: Stage, tmp_path: Path) -> None:
    with (
        injected(common.listener, "fsync,pwritev,pwritev2", "delay_enter=2000000", tmp_path / "listener.log"),
        injected(common.pid, "fsync,fdatasync", "delay_enter=2000000", tmp_path / "node.log"),
        common.pulse(),
    ):
        assert common.send(instance(30, 1), instance(30, 2, size=LARGE)) == [0x0000] * 2
    common.check()


@contextmanager
def no_descriptor_left(pid: int) -> Iterator[None]:
    """As long as the block runs, the process can open nothing."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = next(number for number in range(soft) if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_a_listener_out_of_descriptors_recovers_by_itself(common: Stage) -> None:
    one = instance(40, 1, size=LARGE)
    with common.sender.call() as scu:
        with no_descriptor_left(common.listener):
            assert common.sender.store(scu, instance(40, 2)) == 0x0000
            assert common.sender.store(scu, one) == OUT_OF_RESOURCES
            with socket.create_connection(("127.0.0.1", common.port)):
                common.wait(lambda: "no connection can be taken" in common.node.log(), "the listener to say so")
        assert common.sender.store(scu, one) == 0x0000
        scu.release()
    common.check()


def test_a_node_out_of_descriptors_recovers_by_itself(common: Stage) -> None:
    with no_descriptor_left(common.pid), common.pulse():
        assert common.send(instance(50, 1), instance(50, 2, size=LARGE)) == [0x0000] * 2
        common.wait(lambda: "Too many open files" in common.node.log(), "the filer to say so")
    common.check()


def test_a_log_on_a_full_disk_costs_the_log_and_nothing_else(stage_of: Callable[..., Stage]) -> None:
    stage = stage_of()
    stage.start("sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh")
    stage.script.write("2.25.1", "error")
    with stage.pulse():
        assert stage.send(instance(1, 1), instance(2, 1)) == [0x0000] * 2
        stage.check({1: "FAILED"})
    stage.stop()


def test_it_stops_with_nothing_left_behind(common: Stage) -> None:
    common.stop()
    common.check()
