"""Separators, escapes, repetitions, components and character sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_hl7.charsets import CODECS
from cds_hl7.er7 import Unreadable, messages_in, read

from .conftest import message, msh

CHINESE = "白细胞计数"
NAMES = {
    "UNICODE UTF-8": ("utf-8", CHINESE),
    "GB 18030-2000": ("gb18030", CHINESE),
    "BIG-5": ("big5", "白血球計數"),
    "8859/1": ("latin-1", "Müller"),
    "8859/2": ("iso8859_2", "Dvořák"),
    "8859/5": ("iso8859_5", "Лаборатория"),
    "8859/15": ("iso8859_15", "5 €"),
    "ISO IR14": ("shift_jis", "ｹﾝｻ"),
    "ISO IR87": ("iso2022_jp", "検査"),
    "KS X 1001": ("euc_kr", "검사"),
    "ASCII": ("ascii", "plain"),
    "utf-8": ("utf-8", CHINESE),
    "GBK": ("gb18030", CHINESE),
}


def field_of(text: str) -> str:
    return read(message(f"OBX|1|ST|{text}"), "utf-8").segments[1].text(3)


@pytest.mark.parametrize("name", NAMES)
def test_a_message_is_read_in_the_character_set_that_msh_18_names(name: str) -> None:
    codec, text = NAMES[name]
    content = f"{msh(charset=name)}\rOBX|1|ST|{text}\r".encode(codec)
    assert read(content, "ascii").segments[1].text(3) == text


def test_every_character_set_of_the_table_has_a_codec_that_python_knows() -> None:
    assert [name for name, codec in CODECS.items() if not b"MSH|".decode(codec)] == []


def test_gb_18030_may_use_the_bytes_of_separators_within_a_character() -> None:
    text = "褆輡"  # in GB 18030 their second bytes are those of | and ^ or near them
    every = "".join(chr(c) for c in range(0x4E00, 0x9FA6) if chr(c).encode("gb18030")[1:] in (b"|", b"^", b"~", b"\\"))
    assert len(every) > 100
    content = f"{msh(charset='GB 18030-2000')}\rOBX|1|ST|{every + text}|after\r".encode("gb18030")
    obx = read(content, "utf-8").segments[1]
    assert (obx.text(3), obx.text(4)) == (every + text, "after")


def test_the_character_set_is_found_behind_a_sender_named_in_it() -> None:
    sender = next(chr(c) for c in range(0x4E00, 0x9FA6) if chr(c).encode("gb18030").endswith(b"|"))
    content = msh(charset="GB 18030-2000").replace("LIS", sender).encode("gb18030")
    assert read(content, "utf-8").header.text(3) == sender


def test_without_msh_18_the_default_counts() -> None:
    content = f"{msh(charset='')}\rOBX|1|ST|{CHINESE}".encode("gb18030")
    assert read(content, "gb18030").segments[1].text(3) == CHINESE


def test_bytes_of_another_character_set_are_refused_and_never_replaced() -> None:
    with pytest.raises(Unreadable, match="not in its character set") as caught:
        read(f"{msh()}\rOBX|1|ST|{CHINESE}".encode("gb18030"), "utf-8")
    assert caught.value.code == 102


def test_an_unknown_character_set_is_refused() -> None:
    with pytest.raises(Unreadable, match="MSH-18") as caught:
        read(msh(charset="CNS 11643-1992").encode(), "utf-8")
    assert caught.value.code == 103


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two\.sp2\three", "one\ntwo\n\nthree"),
        (r"\H\bold\N\ text", "bold text"),
        (r"a\X0D0A\b", "a\r\nb"),
        (r"a\X2B\b", "a+b"),
        (r"\XE799BD\ ok", "白 ok"),
        (r"\XFF\ ok", r"\XFF\ ok"),
        (r"\Zsite\ ok", r"\Zsite\ ok"),
        ("100\\", "100\\"),
    ],
)
def test_escapes_are_resolved_and_what_is_none_stays(written: str, meant: str) -> None:
    assert field_of(written) == meant


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), max_size=30))
def test_text_that_a_sender_escapes_comes_back_as_it_was(text: str) -> None:
    marks = {"\\": "E", "|": "F", "^": "S", "&": "T", "~": "R"}
    assert field_of("".join(f"\\{marks[c]}\\" if c in marks else c for c in text)) == text


def test_separators_are_those_that_the_message_names() -> None:
    content = b"MSH#*!%$#LIS##CDS##20260131##ORU*R01#7#P#2.5\rPID#1##P-1***HOSP$1.2$ISO!X-9***NID##A%S%B"
    found = read(content, "utf-8")
    pid = found.segments[1]
    assert found.kind == ("ORU", "R01")
    assert [(pid.part(each), pid.part(each, 4)) for each in pid.repetitions(3)] == [("P-1", "HOSP"), ("X-9", "NID")]
    assert pid.text(3, 4, 2) == "1.2"
    assert pid.text(5) == "A*B"


@pytest.mark.parametrize("content", [b"", b"PID|1", b"MSH", b"MSH|", b"MSH|^^^^|x", b"MSHA^~\\&A", b"MSH ^~\\& x"])
def test_what_does_not_begin_with_a_header_of_five_separators_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(content, "utf-8")
    assert caught.value.code == 100


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_segments_may_end_in_whatever_line_end(end: bytes) -> None:
    found = read(message("PID|1", "OBX|1").replace(b"\r", end), "utf-8")
    assert [segment.name for segment in found.segments] == ["MSH", "PID", "OBX"]


def test_a_line_that_is_no_segment_is_refused() -> None:
    with pytest.raises(Unreadable, match="segment 3 has no name"):
        read(message("PID|1", "and so on"), "utf-8")


def test_two_messages_in_one_block_are_two_messages() -> None:
    first, second = message("PID|1", control_id="1"), message("PID|2", control_id="2")
    assert messages_in(first + second) == (first, second)
    assert messages_in(first.replace(b"\r", b"\n") + second.replace(b"\r", b"\n"))[1][:5] == b"MSH|^"
    assert messages_in(b"FHS|^~\\&|\r" + first) == (b"FHS|^~\\&|\r" + first,)


def test_a_line_of_text_that_looks_like_a_header_begins_no_message() -> None:
    content = message("PID|1", "OBX|1|TX|x||they sent:\nMSH|^~\\&|LIS")
    assert messages_in(content) == (content,)
    assert read(content, "utf-8").segments[2].text(5) == "they sent:\nMSH"


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(content: bytes) -> None:
    for each in (content, b"MSH|^~\\&|" + content, message() + content):
        try:
            found = read(each, "utf-8")
        except Unreadable:
            continue
        assert found.segments[0].name == "MSH"
