"""Whatever comes, each message has one answer, and what was answered AA never fails to be joined."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hl7.desk import Desk, Rules
from cds_hl7.framing import Block
from cds_hl7.kept import MessageStore, store_path
from cds_hl7.source import Hl7Records

from .conftest import CRP, OBR, PID, STUDY, message, said

WORDS = st.sampled_from(
    [
        *"|^~\\&",
        "Canary",
        '""',
        "1.2.3",
        "<",
        ">",
        "-5",
        "1e999",
        "NaN",
        "²",
        "\\X00\\",
        "20260131",
        "+9999",
        "白",
        "\n",
    ]
)
TEXT = st.lists(WORDS | st.text(max_size=3), max_size=6).map("".join)
VALUE = st.tuples(
    st.sampled_from(["NM", "SN", "ST", "TX", "FT", "CWE"]),
    st.sampled_from(["1988-5^CRP^LN", "6690-2^WBC^LN", "X^y^L"]) | TEXT,
    TEXT,
    st.sampled_from(["mg/L", "10*9/L"]) | TEXT,
    st.sampled_from(["0-5", "<5"]) | TEXT,
    st.sampled_from(["F", "P", "C", "X", "W", "I", ""]) | TEXT,
    st.sampled_from(["20260131090000", ""]) | TEXT,
).map(lambda v: f"OBX|1|{v[0]}|{v[1]}||{v[2]}|{v[3]}|{v[4]}||||{v[5]}|||{v[6]}")
SEGMENT = VALUE | TEXT.map("OBR|1|".__add__) | TEXT.map("ORC|".__add__) | TEXT.map("MRG|".__add__)
KIND = st.sampled_from(["ORU^R01", "ADT^A08", "ADT^A40", "ORM^O01"])


def taken(contents: list[bytes], folder: str) -> list[list[str]]:
    store = MessageStore(store_path(folder))
    try:
        desk = Desk(store, Rules())
        return [said(answer()) for content in contents for answer in desk.take(Block(content))]
    finally:
        store.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KIND, st.lists(SEGMENT, max_size=5)), min_size=1, max_size=3))
def test_whatever_a_message_says_it_is_answered_once_and_joining_never_fails(
    messages: list[tuple[str, list[str]]],
) -> None:
    contents = [
        message(PID, OBR, CRP, *segments, kind=kind, control_id=str(number))
        for number, (kind, segments) in enumerate(messages)
    ]
    with tempfile.TemporaryDirectory() as folder:
        answers = taken(contents, folder)
        found = Hl7Records(Hl7Records.Settings(data_dir=folder)).records_for(STUDY)
    assert [answer[1] for answer in answers] == [str(number) for number in range(len(messages))]
    assert all(answer[0] in ("AA", "AE", "AR") for answer in answers)
    assert not any("Canary" in each.reason + each.source for each in found.rejected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=3)), max_size=4))
def test_a_message_with_bytes_overwritten_is_answered_as_often_as_it_is_kept_or_refused(
    damage: list[tuple[int, bytes]],
) -> None:
    content = bytearray(message(PID, OBR, CRP))
    for place, other in damage:
        content[place : place + len(other)] = other
    with tempfile.TemporaryDirectory() as folder:
        answers = taken([bytes(content)], folder)
        assert len(answers) >= 1
        store = MessageStore(store_path(folder))
        assert store.count() == sum(answer[0] == "AA" for answer in answers)
        store.close()
        Hl7Records(Hl7Records.Settings(data_dir=folder)).records_for(STUDY)
    assert Path(folder).exists() is False
