from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cds_dicomweb.multipart import (
    MAX_HEAD_BYTES,
    MultipartError,
    MultipartReader,
    PartBegins,
    PartEnds,
    is_boundary,
    media_type,
)

BOUNDARY = "-=b"
DELIMITER = b"\r\n---=b"


def parts_of(chunks: list[bytes]) -> list[tuple[str, bytes]]:
    """The parts that ended, each with its content type."""
    reader, parts, kind, content = MultipartReader(BOUNDARY), [], "", b""
    try:
        for chunk in chunks:
            for event in reader.feed(chunk):
                if isinstance(event, PartBegins):
                    kind, content = event.content_type, b""
                elif isinstance(event, PartEnds):
                    parts.append((kind, content))
                else:
                    content += event
        reader.close()
    except MultipartError as error:
        raise Broken(parts) from error
    return parts


class Broken(Exception):
    def __init__(self, parts: list[tuple[str, bytes]]) -> None:
        super().__init__("broken")
        self.parts = parts


def cut(content: bytes, sizes: list[int]) -> list[bytes]:
    """`content` in chunks of these sizes, over and over."""
    chunks, at, number = [], 0, 0
    while at < len(content):
        size = sizes[number % len(sizes)]
        chunks.append(content[at : at + size])
        at, number = at + size, number + 1
    return chunks


pieces = st.sampled_from(
    [b"\r", b"\n", b"-", b"--", b"=", b"b", DELIMITER[:-1], b"--" + BOUNDARY.encode(), b"\x00\xff", b"x" * 500]
)
contents = (
    st.lists(pieces | st.binary(max_size=40), max_size=12)
    .map(b"".join)
    .filter(lambda content: DELIMITER not in b"\r\n\r\n" + content + b"\r\n--")
)
heads = st.sampled_from(
    [b"", b"Content-Type: application/dicom\r\n", b"X: y\r\ncontent-type:  Application/DICOM ; a=b\r\n"]
)
sizes = st.lists(st.integers(1, 700), min_size=1, max_size=5)


def written(
    parts: list[tuple[bytes, bytes]], preamble: bytes = b"", padding: bytes = b"", epilogue: bytes = b""
) -> bytes:
    first = b"\r\n" if preamble else b""
    whole = preamble + first + b"--" + BOUNDARY.encode()
    for head, content in parts:
        whole += padding + b"\r\n" + head + b"\r\n" + content + DELIMITER
    return whole + b"--" + epilogue


@given(
    parts=st.lists(st.tuples(heads, contents), max_size=4),
    sizes=sizes,
    preamble=st.sampled_from([b"", b"for old mailers", b"two\r\nlines --b"]),
    padding=st.sampled_from([b"", b" ", b"\t  "]),
    epilogue=st.sampled_from([b"", b"\r\n", b"\r\nmore" + DELIMITER]),
)
@example(parts=[(b"", b"")], sizes=[1], preamble=b"", padding=b"", epilogue=b"")
def test_parts_come_out_as_they_went_in_however_the_body_is_cut(
    parts: list[tuple[bytes, bytes]], sizes: list[int], preamble: bytes, padding: bytes, epilogue: bytes
) -> None:
    body = written(parts, preamble, padding, epilogue)
    expected = [("application/dicom" if head else "", content) for head, content in parts]
    assert parts_of(cut(body, sizes)) == expected


@given(parts=st.lists(st.tuples(heads, contents), min_size=1, max_size=3), sizes=sizes, data=st.data())
def test_a_body_that_is_cut_off_is_an_error_and_every_part_that_ended_is_whole(
    parts: list[tuple[bytes, bytes]], sizes: list[int], data: st.DataObject
) -> None:
    body = written(parts)
    whole = parts_of([body])
    left = body[: data.draw(st.integers(0, len(body) - 1))]
    with pytest.raises(Broken) as caught:
        parts_of(cut(left, sizes))
    assert caught.value.parts == whole[: len(caught.value.parts)]


@given(body=st.lists(pieces | st.binary(max_size=50), max_size=30).map(b"".join), sizes=sizes)
def test_any_bytes_give_the_same_however_they_are_cut(body: bytes, sizes: list[int]) -> None:
    def outcome(chunks: list[bytes]) -> tuple[str, list[tuple[str, bytes]]]:
        try:
            return "whole", parts_of(chunks)
        except Broken as broken:
            return "broken", broken.parts

    assert outcome(cut(body, sizes)) == outcome([body])


def test_an_empty_part_may_end_where_its_head_ends() -> None:
    assert parts_of([b"-----=b\r\nX: y\r\n".removeprefix(b"--") + DELIMITER + b"--"]) == [("", b"")]


def test_the_reader_holds_no_more_than_a_delimiter_of_a_large_part() -> None:
    reader = MultipartReader(BOUNDARY)
    list(reader.feed(b"---=b\r\n\r\n"))
    for _ in range(50):
        (content,) = reader.feed(b"\x00" * 100_000 + DELIMITER[:3])
        assert len(content) >= 100_000
        assert len(reader._buffer) <= len(DELIMITER)


@pytest.mark.parametrize(
    "body",
    [
        b"x" * (MAX_HEAD_BYTES + 10),
        b"---=b\r\nX: " + b"y" * (MAX_HEAD_BYTES + 10),
        b"---=b" + b" " * (MAX_HEAD_BYTES + 10),
        b"---=bmore\r\n\r\n",
        b"---=b-\r\n",
    ],
    ids=["endless preamble", "endless head", "endless padding", "longer boundary", "half an end"],
)
def test_what_is_no_multipart_body_is_an_error_at_once(body: bytes) -> None:
    with pytest.raises(MultipartError):
        list(MultipartReader(BOUNDARY).feed(body))


def test_a_boundary_as_long_as_orthanc_s_is_taken() -> None:
    assert is_boundary("38315090-958b-4337-8f1e-2319fd3eba9c-38315090-958b-4337-8f1e-2319fd3eba9c")


@pytest.mark.parametrize("boundary", ["", "b ", "b" * 201, "b\r\n", "bä", "b;c"])
def test_a_boundary_that_rfc_2046_does_not_allow_is_refused(boundary: str) -> None:
    assert not is_boundary(boundary)
    with pytest.raises(ValueError, match="boundary"):
        MultipartReader(boundary)


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        (
            'multipart/related; type="application/dicom"; boundary="a b"',
            "multipart/related",
            {"type": "application/dicom", "boundary": "a b"},
        ),
        (
            "Multipart/Related;TYPE=application/dicom;Boundary=x",
            "multipart/related",
            {"type": "application/dicom", "boundary": "x"},
        ),
        ("*/*;q=0.1", "*/*", {"q": "0.1"}),
        ("nonsense", "", {}),
        ("", "", {}),
    ],
)
def test_a_media_type_is_read_with_its_parameters(text: str, name: str, parameters: dict[str, str]) -> None:
    read = media_type(text)
    assert (read.name, dict(read.parameters)) == (name, parameters)
