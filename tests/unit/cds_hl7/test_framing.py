"""MLLP blocks, however the stream is cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cds_hl7.framing import HEAD_BYTES, Block, Blocks, Fault, framed

CONTENT = st.binary(max_size=40).map(lambda b: b.replace(b"\x0b", b"").replace(b"\x1c", b""))
STREAM = st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"MSH|", b"a" * 9, b"\n"]), max_size=30)


def blocks_of(*parts: bytes, limit: int = 1000) -> list[Block]:
    blocks = Blocks(limit)
    found = [block for part in parts for block in blocks.feed(part)]
    rest = blocks.rest()
    return found + ([rest] if rest else [])


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    at = sorted({min(place, len(stream)) for place in places} | {0, len(stream)})
    return [stream[a:b] for a, b in pairwise(at)]


@given(st.lists(CONTENT, max_size=5), st.lists(st.integers(0, 300), max_size=20))
def test_any_split_of_the_stream_gives_the_messages_that_were_sent(contents: list[bytes], places: list[int]) -> None:
    stream = b"".join(framed(content) for content in contents)
    assert blocks_of(*cut(stream, places)) == [Block(content) for content in contents]


@given(STREAM.map(b"".join), st.lists(st.integers(0, 300), max_size=20))
def test_a_broken_stream_too_is_read_alike_however_it_is_split(stream: bytes, places: list[int]) -> None:
    assert blocks_of(*cut(stream, places), limit=12) == blocks_of(stream, limit=12)


def test_a_start_within_a_block_says_that_the_end_of_the_one_before_was_lost() -> None:
    assert blocks_of(b"\x0bone\r\x0btwo\x1c\r") == [Block(b"one\r", Fault.NO_END), Block(b"two")]


def test_an_end_byte_without_its_carriage_return_ends_the_block() -> None:
    assert blocks_of(b"\x0bone\x1c\x0btwo\x1c") == [Block(b"one"), Block(b"two")]


def test_what_stands_between_blocks_is_passed_over() -> None:
    assert blocks_of(b"\r\nnoise\x0bone\x1c\r\r\n more \x0btwo\x1c\r") == [Block(b"one"), Block(b"two")]


def test_a_block_of_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert blocks_of(framed(b"a" * 1000)) == [Block(b"a" * 1000)]
    assert [block.fault for block in blocks_of(framed(b"a" * 1001))] == [Fault.TOO_LONG]


def test_of_a_block_that_is_too_long_only_the_head_is_held_and_the_next_one_is_read() -> None:
    blocks = Blocks(10_000)
    assert blocks.feed(b"\x0b") == []
    for _ in range(100):
        assert blocks.feed(b"a" * 5_000) == []
        assert len(blocks._content) <= 10_000
    assert blocks.feed(b"\x1c\r\x0bnext\x1c\r") == [Block(b"a" * HEAD_BYTES, Fault.TOO_LONG), Block(b"next")]
