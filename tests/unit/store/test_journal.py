from __future__ import annotations

import errno
import fcntl
import mmap
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds.errors import ConfigError, OutOfResources
from cds.store.journal import Journal
from cds.store.journal_format import PAGE, Kind, live_path, make_ring
from cds.store.journal_reader import JournalReader, Record

SIZE = 1 << 20


class Ring:
    """One ring, its writer, and what to look at it with."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self.path = folder / "dicom-0.ring"
        make_ring(self.path, size)
        self.reader = JournalReader(self.path, follow=True)
        self.writer = Journal(self.path, wait_seconds=0.02)

    def append(self, content: bytes, facts: bytes = b"{}") -> None:
        self.writer.append(Kind.INSTANCE, facts, (content[:7], memoryview(content)[7:]))

    def read(self) -> list[bytes]:
        return contents(self.reader.read(10_000, 1 << 30))

    def left_by_a_power_cut(self) -> list[bytes]:
        """What a start finds that knows nothing but the file."""
        copy = self.path.with_name("copy.ring")
        shutil.copy(self.path, copy)
        reader = JournalReader(copy, follow=False)
        found = contents(reader.read(10_000, 1 << 30))
        reader.remove()
        return found

    def close(self) -> None:
        self.writer.close()
        self.reader.close()


def contents(records: tuple[Record, ...]) -> list[bytes]:
    return [bytes(record.content) for record in records]


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    ring = Ring(tmp_path)
    yield ring
    ring.close()


def numbered(number: int, length: int = 5000) -> bytes:
    return number.to_bytes(8, "little") * (length // 8 + 1)


def test_what_was_appended_is_read_in_order_and_by_a_start_after_a_power_cut(ring: Ring) -> None:
    for number in range(20):
        ring.append(numbered(number))
    expected = [numbered(number) for number in range(20)]
    assert ring.left_by_a_power_cut() == expected
    assert ring.read() == expected
    assert ring.read() == []


def test_a_batch_ends_where_it_is_told_to(ring: Ring) -> None:
    for number in range(5):
        ring.append(numbered(number))
    assert [len(ring.reader.read(2, SIZE)) for _ in range(4)] == [2, 2, 1, 0]
    for number in range(5):
        ring.append(numbered(number, 50_000))
    assert len(ring.reader.read(100, 60_000)) == 2


def test_the_ring_is_used_again_and_again_and_keeps_what_is_not_filed(ring: Ring) -> None:
    for lap in range(200):
        ring.append(numbered(lap, 30_000))
        assert ring.left_by_a_power_cut() == [numbered(lap, 30_000)]
        assert ring.read() == [numbered(lap, 30_000)]
        ring.reader.release()
    assert ring.reader.position > 5 * SIZE
    assert ring.left_by_a_power_cut() == []


def test_a_full_ring_refuses_and_takes_again_once_something_is_filed(ring: Ring) -> None:
    taken = 0
    with pytest.raises(OutOfResources, match="full"):
        for number in range(1000):
            ring.append(numbered(number, 100_000))
            taken += 1
    assert taken == 9
    assert ring.reader.fill > 0.9
    assert ring.read() == [numbered(number, 100_000) for number in range(taken)]
    ring.reader.release()
    ring.append(b"there is room again")
    assert ring.read() == [b"there is room again"]


def test_a_record_that_can_never_fit_is_refused_at_once(ring: Ring) -> None:
    with pytest.raises(OutOfResources, match="journal_mb"):
        ring.append(bytes(SIZE))


def test_what_was_appended_by_many_threads_is_all_there(ring: Ring) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 25):
            ring.append(numbered(number, 2000 + number))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sorted(
        numbered(number, 2000 + number) for first in (0, 100, 200, 300) for number in range(first, first + 25)
    )
    assert sorted(ring.left_by_a_power_cut()) == expected
    assert sorted(ring.read()) == expected


def test_a_write_waits_for_no_other_write(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    pwritev = os.pwritev

    def slow_first(descriptor: int, parts: list[bytes], at: int) -> int:
        if not begun.is_set():
            begun.set()
            go_on.wait(60)
        return pwritev(descriptor, parts, at)

    monkeypatch.setattr("cds.store.journal.os.pwritev", slow_first)
    first = threading.Thread(target=ring.append, args=(b"first",))
    first.start()
    begun.wait(60)
    ring.append(b"second")
    assert ring.read() == []  # it lies behind one that is not whole yet
    go_on.set()
    first.join()
    assert ring.read() == [b"first", b"second"]


def test_nothing_is_read_before_it_is_durable(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[bytes]] = []
    pwritev = os.pwritev

    def looked_at(descriptor: int, parts: list[bytes], at: int) -> int:
        written = pwritev(descriptor, parts, at)
        seen.append(ring.read())
        return written

    monkeypatch.setattr("cds.store.journal.os.pwritev", looked_at)
    ring.append(b"not yet on the disk")
    assert seen == [[]]
    assert ring.read() == [b"not yet on the disk"]


def test_only_a_durable_journal_waits_for_the_disk(ring: Ring, tmp_path: Path) -> None:
    make_ring(tmp_path / "other.ring", SIZE)
    hasty = Journal(tmp_path / "other.ring", durable=False)
    waits = [fcntl.fcntl(one._descriptor, fcntl.F_GETFL) & os.O_DSYNC for one in (ring.writer, hasty)]
    hasty.close()
    assert waits == [os.O_DSYNC, 0]


@pytest.mark.parametrize("first", [0, 1, 512, PAGE - 1])
@pytest.mark.parametrize("length", [0, 1, PAGE - 1, PAGE, 3 * PAGE + 17])
def test_content_is_taken_from_wherever_it_lies(ring: Ring, first: int, length: int) -> None:
    memory = memoryview(mmap.mmap(-1, 8 * PAGE))
    content = numbered(7, 4 * PAGE)[:length]
    memory[first : first + length] = content
    ring.writer.append(Kind.INSTANCE, b"{}", (b"meta", memory[first : first + length]))
    ring.writer.append(Kind.NOTICE, b"a fact" * PAGE)
    assert ring.left_by_a_power_cut() == [b"meta" + content, b""]
    instance, notice = ring.reader.read(10, SIZE)
    assert (instance.facts, bytes(instance.content)) == (b"{}", b"meta" + content)
    assert notice.facts == b"a fact" * PAGE


def test_after_an_error_of_the_disk_nothing_is_taken_any_more(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    ring.append(b"before")
    with monkeypatch.context() as patch:
        patch.setattr("cds.store.journal.os.pwritev", fail)
        with pytest.raises(OutOfResources, match="Input/output error"):
            ring.append(b"failed")
    with pytest.raises(OutOfResources, match="Input/output error"):
        ring.append(b"a write that succeeds now would prove nothing")
    assert ring.writer.broken
    assert ring.read() == [b"before"]


def test_a_write_that_is_cut_short_is_continued(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    pwritev = os.pwritev
    monkeypatch.setattr("cds.store.journal.os.pwritev", lambda fd, parts, at: pwritev(fd, parts[:1], at))
    ring.append(numbered(1, 20_000))
    assert ring.left_by_a_power_cut() == [numbered(1, 20_000)]


def test_a_new_writer_goes_on_behind_what_a_dead_one_left(ring: Ring) -> None:
    ring.append(b"first")
    ring.writer._reserve(10 * PAGE)  # dies in the middle of this one
    ring.writer.close()
    assert not ring.reader.writer_lives()
    ring.reader.writer_died()
    ring.writer = Journal(ring.path)
    assert ring.reader.writer_lives()
    ring.append(b"second")
    assert ring.left_by_a_power_cut() == [b"first", b"second"]
    assert ring.read() == [b"first", b"second"]


def test_a_ring_has_one_writer(ring: Ring) -> None:
    with pytest.raises(ConfigError, match="another process"):
        Journal(ring.path)


def test_a_ring_made_anew_holds_nothing_of_the_old_one_and_has_the_size_that_is_asked_for(ring: Ring) -> None:
    ring.append(b"old")
    ring.close()
    for size in (SIZE, 2 * SIZE, SIZE):
        make_ring(ring.path, size)
        assert ring.path.stat().st_size == PAGE + size
        assert ring.left_by_a_power_cut() == []
    ring.reader, ring.writer = JournalReader(ring.path, follow=True), Journal(ring.path)


def test_a_payload_that_looks_like_a_record_is_none(ring: Ring) -> None:
    ring.append(b"genuine")
    block = ring.path.read_bytes()
    ring.append((block[PAGE : 4 * PAGE] * 20)[: 50 * PAGE])  # every page of it begins as a record of this ring does
    with ring.path.open("r+b") as file:
        file.seek(PAGE + 2 * PAGE)
        file.write(bytes(64))  # and the header around it is lost
    assert ring.left_by_a_power_cut() == [b"genuine"]


def test_a_damaged_control_block_is_told(ring: Ring) -> None:
    with ring.path.open("r+b") as file:
        file.seek(10)
        file.write(b"\xff\xff")
    with pytest.raises(ConfigError, match="damaged"):
        JournalReader(ring.path, follow=False)


def test_a_ring_whose_making_was_broken_off_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "dicom-0.ring"
    for content in (b"", bytes(100), bytes(3 * PAGE)):
        path.write_bytes(content)
        assert JournalReader(path, follow=False).read(10, 1 << 20) == ()
    make_ring(path, SIZE)
    Journal(path).close()


def test_what_is_known_to_be_filed_is_left_out(ring: Ring) -> None:
    for number in range(3):
        ring.append(numbered(number))
    reader = JournalReader(ring.path, follow=False)
    reader.skip_to(ring.reader.read(2, SIZE)[-1].end)
    assert contents(reader.read(10, SIZE)) == [numbered(2)]
    reader.close()


def test_a_journal_that_is_removed_leaves_nothing(ring: Ring) -> None:
    reader = JournalReader(ring.path, follow=False)
    reader.remove()
    assert not ring.path.exists() and not live_path(ring.path).exists()


Step = tuple[str, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 90_000)),
        st.tuples(st.just("torn"), st.integers(1, 90_000)),
        st.tuples(st.just("file"), st.integers(1, 4)),
        st.tuples(st.just("killed"), st.just(0)),
        st.tuples(st.just("power cut"), st.just(0)),
    ),
    max_size=40,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS, cut=st.integers(0, 3))
def test_whatever_happens_each_append_that_returned_is_read_once_and_nothing_else_is(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], cut: int
) -> None:
    ring = Ring(tmp_path_factory.mktemp("ring"), 256 << 10)
    expected: list[bytes] = []
    filed: list[bytes] = []
    for number, (what, argument) in enumerate(steps):
        match what:
            case "append":
                content = numbered(number, argument)
                try:
                    ring.append(content)
                except OutOfResources:
                    continue
                expected.append(content)
            case "torn":
                _tear(ring, bytes([number + 1]) * argument, cut)
            case "file":
                filed += contents(ring.reader.read(argument, 1 << 20))
                ring.reader.release()
            case "killed":
                ring.writer.close()
                ring.reader.writer_died()
                ring.writer = Journal(ring.path, wait_seconds=0.02)
            case _:
                assert filed + ring.left_by_a_power_cut() == expected
    assert filed + ring.left_by_a_power_cut() == expected
    ring.writer.close()
    ring.reader.writer_died()
    assert filed + ring.read() == expected
    ring.reader.close()


def _tear(ring: Ring, content: bytes, cut: int) -> None:
    """Die while a record is written: of its pages only some came to the disk."""
    write: Callable[..., int] = os.pwritev

    def torn(descriptor: int, parts: list[bytes], offset: int) -> int:
        whole = b"".join(parts)
        pages = [whole[at : at + PAGE] for at in range(0, len(whole), PAGE)]
        last = len(pages) - 1
        lost = (last, 0, last // 2, last // 2)[cut]
        for index, page in enumerate(pages):
            if index != lost and not (cut == 3 and index > lost):
                write(descriptor, [page], offset + index * PAGE)
        raise OSError(errno.EIO, "died here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cds.store.journal.os.pwritev", torn)
        with pytest.raises(OutOfResources):
            ring.append(content)
    ring.writer.close()
    ring.reader.writer_died()
    ring.writer = Journal(ring.path, wait_seconds=0.02)
