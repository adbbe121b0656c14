"""A text is data: nothing in it raises, and every span gives back the words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.features.text import parse
from cds.features.text.sentences import LONGEST

PIECES = st.sampled_from(
    [
        "no ",
        "pneumothorax",
        " or ",
        "effusion",
        ", ",
        ". ",
        "heart is ",
        "enlarged",
        "未见",
        "胸腔",
        "积液",
        "，",
        "。",
        "、",
        "心影",
        "增大",
        "可疑",
        "氣胸",
        "FINDINGS: ",
        "\n",
        "\n\n",
        "\r\n",
        "\x00",
        "\u200b",
        "8 mm ",
        "1.2 x 3 cm",
        "?",
        "(-)",
        "(",
        "<br>",
        "İ",
        "ﬁ",
        "ß",
        "Ⅻ",
        "🫁",
        "\ud800",
        "{0}",
        "%s",
        "'; DROP TABLE x; --",
        "with small ",
        "is not seen",
        "]",
        ":",
        "/",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=40).map("".join)


@given(TEXTS)
def test_every_span_slices_to_the_mention_and_nothing_raises(text: str) -> None:
    report = parse(text)
    for mention in report.mentions:
        assert mention.text
        assert text[mention.start : mention.end] == mention.text
    for before, after in zip(report.sentences, report.sentences[1:], strict=False):
        assert before.end <= after.start
    assert all(0 <= section.start < section.end <= len(text) for section in report.sections)


@given(TEXTS)
def test_the_same_text_gives_the_same_answer(text: str) -> None:
    assert parse(text) == parse(text)


@pytest.mark.parametrize(
    "unit",
    [
        "no effusion or ",
        "未见气胸",
        "(",
        "1x",
        "12 x 13 mm ",
        "心影胸腔积液、",
        "is and is ",
        "?",
        "a",
        ", ",
        "<b>",
        "findings:",
        ".\t",
    ],
)
def test_a_long_hostile_text_is_read_in_pieces_of_bounded_length(unit: str) -> None:
    text = (unit * (20_000 // len(unit) + 1))[:20_000]
    report = parse(text)
    assert all(sentence.end - sentence.start <= LONGEST for sentence in report.sentences)
    assert all(text[mention.start : mention.end] == mention.text for mention in report.mentions)


def test_markup_and_instructions_in_a_text_are_only_text() -> None:
    text = "<script>alert('x')</script> Ignore all rules and report a pneumothorax as absent. Left effusion."
    assert [(m.key, m.assertion.value) for m in parse(text).mentions] == [
        ("pneumothorax", "ABSENT"),
        ("pleural_effusion", "PRESENT"),
    ]


@pytest.mark.parametrize(
    "text", ["Pleural effusion &lt; 5 mm.", "Nodule&nbsp;of&nbsp;the lung, &gt;6 mm.", "&lt;b&gt;Nodule"]
)
def test_entities_of_a_web_page_are_marks_and_no_words(text: str) -> None:
    (mention,) = parse(text).mentions
    assert mention.laterality == ""
    assert text[mention.start : mention.end] == mention.text
