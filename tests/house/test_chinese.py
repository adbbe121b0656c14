"""Every reason, gate, limit and note that the code can say has its Chinese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_description, tag_for_keyword

from cds.dicom import voi
from cds.domain.evidence import Assertion
from cds.domain.records import LabStatus
from cds.features.text.values import Change
from cds.report import chinese_texts, validity
from cds.report.chinese import HOLES, chinese
from cds.report.source import PATIENT_AND_STUDY
from support.said import HOLE, ROOT, texts_of

GIVEN_AS = frozenset({"reason", "limits", "note", "notes", "calibrated_on"})
ROOMS: Sequence[tuple[str, frozenset[str], frozenset[str], frozenset[str]]] = (
    ("cds/features", GIVEN_AS, frozenset({"EvidenceError"}), frozenset({"_Compared"})),
    ("cds/fusion", GIVEN_AS, frozenset(), frozenset()),
    ("cds/dicom", GIVEN_AS, frozenset({"EvidenceError"}), frozenset({"Shown"})),
    ("cds/pipeline.py", GIVEN_AS, frozenset(), frozenset()),
    ("cds/compared.py", GIVEN_AS, frozenset(), frozenset()),
    ("cds/service/priors.py", frozenset({"not_compared"}), frozenset(), frozenset({"reasons.append"})),
    ("cds/observed.py", GIVEN_AS, frozenset(), frozenset()),
    ("cds/training/fusion.py", GIVEN_AS, frozenset(), frozenset()),
    ("plugins/cds_fusion_late", GIVEN_AS, frozenset(), frozenset()),
    (
        "plugins/cds_csv",
        GIVEN_AS,
        frozenset({"Mismatch", "TableError", "ValueError"}),
        frozenset({"note", "row", "count"}),
    ),
    ("cds/domain/rows.py", GIVEN_AS, frozenset({"ValueError"}), frozenset({"row", "count"})),
    ("cds/domain/cells.py", GIVEN_AS, frozenset({"ValueError"}), frozenset()),
    ("plugins/cds_wfdb", GIVEN_AS, frozenset({"RecordingError", "ValueError"}), frozenset()),
    ("plugins/cds_hl7", GIVEN_AS, frozenset({"ValueError"}), frozenset({"note", "_only"})),
    ("plugins/cds_fhir", GIVEN_AS, frozenset({"ValueError", "Unanswered"}), frozenset({"note", "_only"})),
    (
        "plugins/cds_sql",
        GIVEN_AS,
        frozenset({"ValueError", "Unanswered"}),
        frozenset({"note", "row", "count"}),
    ),
)
"""Folder or file, keywords, errors whose message becomes a reason, functions whose arguments become one."""
REFUSED_WINDOWS = (voi.NO_NUMBER, voi.MISSING, voi.TOO_SMALL, voi.BROKEN_LUT, voi.HIDES)
FILL = "7"
KEPT = re.compile(r"可用：.*|model-card\S*|report_id|e\.g\.|\.csv|\.xlsx|For Processing|ISO|[A-Z][A-Za-z]*")
"""Words that are names: of files, columns, standards."""


@cache
def said() -> frozenset[str]:
    """Every text of every room, its holes filled with a number."""
    found: set[str] = set()
    for place, keywords, errors, calls in ROOMS:
        path = ROOT / place
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        found |= texts_of(files, keywords, errors, calls)
    return frozenset(text.replace(HOLE, FILL) for text in found if not text.endswith(": "))  # said only with a reason


def gate_names() -> frozenset[str]:
    also = (ROOT / "cds/features/xray/extractor.py", ROOT / "cds/pipeline.py")
    files = [*sorted((ROOT / "cds/features").rglob("gates.py")), *also]
    named = texts_of(files, frozenset({"name"}), frozenset(), frozenset())
    algorithms = {text for text in named if text.lower().startswith("cds")}
    return frozenset(text.replace(HOLE, FILL) for text in named - algorithms)


def untranslated(english: str) -> str:
    """What of the Chinese is still English; the whole text where nothing was translated."""
    told = chinese(english)
    if not re.search(r"[\u4e00-\u9fff]", told):
        return english
    return " ".join(re.findall(r"[a-z]{3,}", KEPT.sub("", told)))


def test_the_texts_are_found_in_the_code() -> None:
    """The reader of syntax trees reaches what is said directly, by a constant, and through a function."""
    found = said()
    assert len(found) > 150
    for expected in (
        "the study has no CT series",
        "no extractor is configured",
        "the view is 7, not frontal",
        "the study has no chest radiograph (CR or DX)",
        "right lung 7 ml, left lung 7 ml: one lung is missing or not aerated",
        "Only the 7 largest nodules are reported; there may be more.",
        "no reference range given",
        "another Patient ID",
    ):
        assert expected in found, expected


def test_every_text_that_the_code_can_say_has_a_chinese_counterpart() -> None:
    lacking = {text: untranslated(text) for text in sorted(said()) if untranslated(text)}
    assert lacking == {}, "add these to cds/report/chinese_texts.py"


def test_every_gate_has_a_chinese_name() -> None:
    assert {"view", "age", "CT slices", "7 readable"} <= gate_names()
    assert {name for name in gate_names() if untranslated(name)} == set()


@pytest.mark.parametrize("keyword", PATIENT_AND_STUDY)
def test_every_copied_attribute_is_named_in_chinese_when_its_value_was_cut(keyword: str) -> None:
    if keyword.endswith("Sequence"):
        pytest.skip("a sequence has no value of its own")
    tag = tag_for_keyword(keyword)
    assert tag is not None
    for sentence in (validity.CUT, validity.FIRST, validity.LEFT_OUT, validity.REWRITTEN, validity.KEPT):
        assert untranslated(sentence.format(dictionary_description(tag))) == ""


@pytest.mark.parametrize(
    "word", [*(each.value.lower() for each in (*Assertion, *Change, *LabStatus)), "family", *REFUSED_WINDOWS]
)
def test_words_that_stand_in_notes_have_their_chinese(word: str) -> None:
    assert untranslated(word) == ""


@pytest.mark.parametrize("english", sorted(chinese_texts.TEXTS))
def test_a_text_and_its_chinese_have_the_same_holes(english: str) -> None:
    told = chinese_texts.TEXTS[english]
    holes = len(re.findall("|".join(map(re.escape, HOLES)), english))
    numbered = re.findall(r"\{(\d)\}", told)
    assert holes == (len(set(numbered)) or told.count("{}"))
    assert "  " not in told


def test_texts_are_put_together_as_the_code_puts_them_together() -> None:
    reason = (
        "chest_xray was used although its gate 'age' was not passed (outside the 1 to 5 years of the children that"
        " the model was trained on); outside the intended use: view, the view is LL, not frontal"
    )
    assert chinese(reason) == (
        "虽未通过检查“年龄”（在模型训练所用儿童的1至5岁范围之外），仍采用了胸部X线；超出适用范围：投照体位，体位为LL，非正位"
    )
    note = "high (reference range: 0 to 5 mg/L, default: Mayo Clinic Laboratories test catalog); preliminary"
    assert chinese(note) == "偏高（参考范围：0至5 mg/L，默认：Mayo Clinic Laboratories test catalog）；初步结果"


def test_names_in_a_list_are_translated_one_by_one() -> None:
    told = chinese(
        "The probability of Pneumonia, Primary malignant neoplasm of lung was calibrated on nothing: it is not"
        " calibrated; its interval covers what the models disagree on, not the uncertainty of what went in."
    )
    assert told == "肺炎、肺癌的概率校准于：无：未经校准；其区间仅反映各模型之间的分歧，不含输入本身的不确定性。"


@pytest.mark.parametrize(
    "foreign",
    ["Refer to the attached letter", "see the doctor today", "a plugin's own reason: nothing to do", "", "1.2.3"],
)
def test_a_text_that_is_not_ours_stays_as_it_is(foreign: str) -> None:
    assert chinese(foreign) == foreign


def test_the_table_stands_where_the_message_says() -> None:
    assert Path(chinese_texts.__file__).relative_to(ROOT).as_posix() == "cds/report/chinese_texts.py"
