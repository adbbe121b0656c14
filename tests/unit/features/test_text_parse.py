"""Place, size, change, sections and spans of a mention."""

from __future__ import annotations

import pytest

from cds.domain.evidence import Assertion
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.features.text import Change, Mention, parse
from cds.features.text.lexicon import lexicon


def only(text: str) -> Mention:
    (mention,) = parse(text).mentions
    return mention


@pytest.mark.parametrize(
    ("text", "laterality", "region"),
    [
        ("Nodule in the right upper lobe.", "right", "upper_lobe"),
        ("A left lower lobe nodule.", "left", "lower_lobe"),
        ("RML nodule.", "right", "middle_lobe"),
        ("Bibasilar atelectasis.", "bilateral", "lower_zone"),
        ("Small right pleural effusion.", "right", "pleura"),
        ("Lingular nodule.", "left", "upper_lobe"),
        ("Cardiomegaly.", "", "heart"),
        ("右肺上叶结节。", "right", "upper_lobe"),
        ("左下肺斑片影。", "left", "lower_zone"),
        ("双侧胸腔积液。", "bilateral", "pleura"),
        ("左肺上叶见肺大疱。", "left", "upper_lobe"),
        ("右肺下叶可见片状影。", "right", "lower_lobe"),
    ],
)
def test_side_and_region_are_those_named_nearest(text: str, laterality: str, region: str) -> None:
    mention = only(text)
    assert (mention.laterality, mention.region) == (laterality, region)


@pytest.mark.parametrize(
    ("text", "laterality"),
    [
        ("Nodule, right apex, 8 mm.", "right"),
        ("Right lower lobe: nodule.", "right"),
        ("Pleural effusion, left greater than right.", "bilateral"),
        ("Opacities in the right upper and left lower lobes.", "bilateral"),
        ("Small L. effusion.", "left"),
        ("Effusion, right jugular line in place.", ""),
        ("右肺上叶及左肺下叶见结节。", "bilateral"),
    ],
)
def test_a_side_may_stand_in_a_list_or_an_aside(text: str, laterality: str) -> None:
    assert only(text).laterality == laterality


@pytest.mark.parametrize(
    "text", ["Left effusion without pneumothorax.", "左侧胸腔积液，未见气胸。", "Left effusion and no pneumothorax."]
)
def test_what_is_denied_beside_a_finding_does_not_take_its_side(text: str) -> None:
    effusion, collapse = parse(text).mentions
    assert (effusion.laterality, collapse.laterality) == ("left", "")
    assert collapse.assertion is Assertion.ABSENT


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Small L. effusion. No PTX.", 2),
        ("Seen on the R. No effusion.", 2),
        ("Max. diameter 3.5 cm. No effusion.", 2),
        ("Approx. 1.2 cm nodule vs. scar, i.e. stable.", 1),
    ],
)
def test_an_abbreviation_or_a_decimal_ends_no_sentence(text: str, number: int) -> None:
    assert len(parse(text).sentences) == number


def test_two_findings_keep_their_own_sides() -> None:
    effusion, collapse = parse("Right pleural effusion and left pneumothorax.").mentions
    assert (effusion.laterality, collapse.laterality) == ("right", "left")


@pytest.mark.parametrize(
    ("text", "value", "unit", "mm"),
    [
        ("An 8 mm nodule.", 8.0, "mm", 8.0),
        ("Nodule measuring 1.2 x 0.9 cm.", 1.2, "cm", 12.0),
        ("A 2-3 mm nodule.", 3.0, "mm", 3.0),
        ("The mass measures 4.2 by 3.1 cm.", 4.2, "cm", 42.0),
        ("右肺上叶结节，大小约8mm×6mm。", 8.0, "mm", 8.0),
        ("左肺结节，直径约1.2厘米。", 1.2, "cm", 12.0),
        ("左肺结节，約５毫米。", 5.0, "mm", 5.0),
    ],
)
def test_size_is_the_largest_length_in_millimetres(text: str, value: float, unit: str, mm: float) -> None:
    size = only(text).size
    assert size is not None
    assert (size.value, size.unit, size.mm) == (value, unit, mm)


@pytest.mark.parametrize(
    ("text", "axes", "written"),
    [
        ("A mass of 6.0 x 5.5 x 4 cm.", (60.0, 55.0, 40.0), "6.0 x 5.5 x 4 cm"),
        ("Mass, 1.2 cm x 9 mm.", (12.0, 9.0), "1.2 cm x 9 mm"),
        ("Nodule that grew from 8 mm to 11 mm.", (11.0,), "8 mm to 11 mm"),
        ("Nodule decreased from 11 to 8 mm.", (8.0,), "11 to 8 mm"),
        ("右肺肿块，大小约４.５cm×３.８cm。", (45.0, 38.0), "４.５cm×３.８cm"),
    ],
)
def test_every_axis_of_a_size_is_kept_with_its_characters(text: str, axes: tuple[float, ...], written: str) -> None:
    size = only(text).size
    assert size is not None
    assert size.axes_mm == axes
    assert text[size.start : size.end] == written


@pytest.mark.parametrize(
    "text",
    [
        "Nodule of 1,5 cm.",
        "Nodule, 80 mm².",
        "Nodule, 80 mm3.",
        "Nodule seen on 5 mm slices.",
        "Nodule 3 cm above the diaphragm.",
        "Nodule, previously 4 mm.",
    ],
)
def test_a_length_that_is_not_the_size_is_left_alone(text: str) -> None:
    assert only(text).size is None


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("New left effusion.", Change.NEW),
        ("The effusion has increased.", Change.INCREASED),
        ("Worsening consolidation.", Change.INCREASED),
        ("The nodule is unchanged.", Change.STABLE),
        ("No significant change in the consolidation.", Change.STABLE),
        ("Improving pulmonary edema.", Change.DECREASED),
        ("Near complete resolution of the pneumothorax.", Change.DECREASED),
        ("The pneumothorax has resolved.", Change.RESOLVED),
        ("右侧胸腔积液较前增多。", Change.INCREASED),
        ("左侧气胸，较前减少。", Change.DECREASED),
        ("右肺结节，较前相仿。", Change.STABLE),
        ("气胸已吸收。", Change.RESOLVED),
        ("新发片状影。", Change.NEW),
        ("Small effusion.", None),
    ],
)
def test_change_is_what_the_words_beside_the_finding_say(text: str, change: Change | None) -> None:
    assert only(text).change == change


def test_sections_decide_what_is_asked_for_and_what_is_told() -> None:
    text = "INDICATION: Pneumonia?\nHISTORY: Tuberculosis.\nFINDINGS: Left effusion.\nIMPRESSION: 1. Effusion."
    mentions = parse(text).mentions
    assert [(m.section, m.historical, m.hypothetical) for m in mentions] == [
        ("indication", False, True),
        ("history", True, False),
        ("findings", False, False),
        ("impression", False, False),
    ]
    assert mentions[0].assertion is Assertion.UNCERTAIN


def test_chinese_headings_open_sections() -> None:
    report = parse("临床诊断：肺炎\n【影像所见】左侧胸腔积液。\n诊断意见：胸腔积液。")
    assert [m.section for m in report.mentions] == ["indication", "findings", "impression"]
    assert report.mentions[0].hypothetical


def test_a_heading_word_inside_a_sentence_opens_nothing() -> None:
    assert {section.kind for section in parse("The findings are those of pneumonia in this patient.").sections} == {
        "body"
    }


def test_sections_and_sentences_cover_every_mention() -> None:
    text = "FINDINGS:\n\n  Small effusion.\n- nodule, 4 mm\nIMPRESSION: Effusion."
    report = parse(text)
    for mention in report.mentions:
        assert mention.sentence in report.sentences
        assert mention.sentence.start <= mention.start < mention.end <= mention.sentence.end
        assert any(s.start <= mention.start < s.end and s.kind == mention.section for s in report.sections)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Small effusion.", "en"),
        ("左侧胸腔积液。", "zh"),
        ("胸部CT平扫：右肺上叶结节，直径约8mm，边界清。", "zh"),
        ("CXR：双肺clear，no pneumothorax，心影normal size。", "mixed"),
        ("", "en"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert parse(text).language == language


@pytest.mark.parametrize(
    "text",
    [
        "pleural   effusion",
        "pleural\neffusion",
        "Pleural-effusion",
        "PLEURAL EFFUSION",
        "ｐｌｅｕｒａｌ ｅｆｆｕｓｉｏｎ",
        "pleural\u00a0effusion",
        "pleural eff\u200busion",
        "<b>pleural effusion</b>",
        "plueral effusion",
        "胸腔积液",
        "胸腔積液",
        "胸腔 积液",
        "胸　腔积液",
    ],
)
def test_every_way_to_write_a_finding_is_the_finding_and_spans_give_the_original(text: str) -> None:
    mention = only(text)
    assert mention.key == "pleural_effusion"
    assert text[mention.start : mention.end] == mention.text
    assert mention.text in text


@pytest.mark.parametrize(
    "text", ["Left hemithorax.", "Contrast injection.", "A lobulated contour.", "pe", "The pest.", "hf"]
)
def test_a_right_word_is_not_taken_for_a_misspelled_finding(text: str) -> None:
    assert parse(text).mentions == ()


def test_a_finding_of_another_organ_is_not_one_of_the_lung() -> None:
    elsewhere = parse("Nodule in the right lobe of the thyroid. 肝右叶钙化灶。").mentions
    assert [(m.key, m.general) for m in elsewhere] == [("nodule_elsewhere", True), ("lesion", True)]
    assert [m.key for m in parse("Nodule in the right lower lobe above the liver.").mentions] == ["lung_nodule"]


def test_as_json_has_the_documented_keys() -> None:
    code = FINDINGS["lung_nodule"]
    text = "FINDINGS: New 8 mm nodule in the right upper lobe."
    lobe = ANATOMY["upper_lobe"]
    answer = parse(text).as_json()
    assert answer == {
        "language": "en",
        "sections": [{"kind": "findings", "start": 0, "end": len(text)}],
        "mentions": [
            {
                "finding": "lung_nodule",
                "general": False,
                "code": {"value": code.value, "scheme": code.scheme, "meaning": code.meaning},
                "text": "nodule",
                "start": 19,
                "end": 25,
                "assertion": "PRESENT",
                "historical": False,
                "hypothetical": False,
                "subject": "patient",
                "laterality": "right",
                "site": "upper_lobe",
                "site_code": {"value": lobe.value, "scheme": lobe.scheme, "meaning": lobe.meaning},
                "size_mm": 8.0,
                "size": {"value": 8.0, "unit": "mm", "axes_mm": [8.0], "start": 14, "end": 18},
                "change": "new",
                "section": "findings",
            }
        ],
    }


def test_every_region_of_the_lexicon_has_a_code() -> None:
    assert {concept.site for key, concept in lexicon().concepts.items() if key in FINDINGS} <= ANATOMY.keys()
