"""The concepts of the SR that are not findings, and how our codes become DICOM's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from highdicom.sr import CodeContentItem, CodedConcept, ContentSequence, TextContentItem
from highdicom.sr.enum import RelationshipTypeValues

from cds.domain.code import Code
from cds.domain.evidence import Modality
from cds.report.envelope import LONG_STRING, PRIVATE_SCHEME
from cds.report.labels import Bilingual
from cds.report.wording import clean, one_line


def _private(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


# PS3.16 Annex D and the context groups named
PRESENCE: Final = Code("121052", "DCM", "Presence of property")
ASSERTION_VALUES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "PRESENT": Code("52101004", "SCT", "Present"),  # CID 240
        "ABSENT": Code("272519000", "SCT", "Absent"),  # CID 240
        "UNCERTAIN": Code("121059", "DCM", "Presence Undetermined"),
        "NOT_ASSESSED": Code("373121007", "SCT", "Not Evaluated"),  # CID 3703
    }
)
PROBABILITY: Final = Code("122157", "DCM", "Probability")
COMMENT: Final = Code("121106", "DCM", "Comment")
IMPRESSION: Final = Code("121073", "DCM", "Impression")
DIFFERENTIAL: Final = Code("111023", "DCM", "Differential Diagnosis/Impression")
FOLLOW_UP: Final = Code("111053", "DCM", "Recommended Follow-up")
PREVIOUS_FINDING: Final = Code("121069", "DCM", "Previous Finding")
RECOMMENDATION: Final = Code("121075", "DCM", "Recommendation")
CHEST_IMAGING: Final = Code("413815006", "SCT", "Chest imaging")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")  # TID 1500 row 10
LANGUAGE: Final = Code("121049", "DCM", "Language of Content Item and Descendants")  # TID 1204
CHINESE: Final = Code("zh-CN", "RFC5646", "Chinese (China)")  # CID 5000

# what no public scheme has
INTERVAL_LOW: Final = _private("probability_low", "Lower bound of the interval of the probability")
INTERVAL_HIGH: Final = _private("probability_high", "Upper bound of the interval of the probability")
BASE: Final = _private("probability_base", "Base value that the contributions start from")
SAID_EARLIER: Final = _private("said_earlier", "Size in an earlier report")
CHANGE: Final = _private("change", "Change since the previous revision")
NOTICE: Final = _private("notice", "Decision support notice")
CALIBRATED_ON: Final = _private("calibrated_on", "Data that the probability was calibrated on")
REASON: Final = _private("reason", "Reason for abstaining or for no probability")
BECAUSE: Final = _private("because", "Evidence that the finding rests on")
EVIDENCE: Final = _private("evidence", "Observation")
LABORATORY: Final = _private("laboratory", "Laboratory value used")
TEXT_PASSAGE: Final = _private("text_passage", "Text passage used")
MISSING: Final = _private("missing", "Modality that was missing, and why")
REJECTED: Final = _private("rejected", "Record seen and not used, and why")
GATE: Final = _private("gate", "Check of intended use or quality")
CONTRADICTION: Final = _private("contradiction", "Contradiction between findings")
LIMIT: Final = _private("limit", "Limit of this report")

CONTRIBUTIONS: Final[Mapping[Modality, Code]] = MappingProxyType(
    {
        Modality.XRAY: _private("share_chest_xray", "Contribution of chest X-ray to probability"),
        Modality.CT: _private("share_chest_ct", "Contribution of chest CT to probability"),
        Modality.LABS: _private("share_labs", "Contribution of laboratory values to probability"),
        Modality.TEXT: _private("share_text", "Contribution of report text to probability"),
        Modality.WAVEFORM: _private("share_waveform", "Contribution of waveform to probability"),
    }
)
STATEMENTS: Final[Mapping[str, Code]] = MappingProxyType(
    {"DIFFERENTIAL": DIFFERENTIAL, "FOLLOW_UP": FOLLOW_UP, "CONTRADICTION": CONTRADICTION}
)

ENGLISH_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "1": "no units",
        "mm": "millimeter",
        "mm3": "cubic millimeter",
        "%": "Percent",
        "[hnsf'U]": "Hounsfield unit",
        "/min": "per minute",
        "ms": "millisecond",
        "mV": "millivolt",
    }
)


def concept(code: Code) -> CodedConcept:
    """Our code as DICOM's; a value of more than 16 characters becomes a Long Code Value (PS3.3 8.1)."""
    return CodedConcept(code.value, code.scheme, one_line(code.meaning, LONG_STRING) or code.value)


def unit(ucum: str) -> CodedConcept:
    """A UCUM unit as a code (CID 82)."""
    value = ucum or "1"
    return CodedConcept(value, "UCUM", one_line(ENGLISH_UNITS.get(value, value), LONG_STRING))


def text(name: Code, value: str, *, chinese: bool = False) -> TextContentItem:
    """A TEXT content item under a container; lines are separated by CR LF (PS3.5 6.2, UT)."""
    item = TextContentItem(
        name=concept(name),
        value=clean(value).strip().replace("\n", "\r\n") or "-",
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    if chinese:
        language = CodeContentItem(
            name=concept(LANGUAGE), value=concept(CHINESE), relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD
        )
        item.ContentSequence = ContentSequence([language])
    return item


def both(name: Code, said: Bilingual) -> list[TextContentItem]:
    """A text in English, and in Chinese where there is one that differs."""
    english = text(name, said[0])
    return [english] if said[1] in ("", said[0]) else [english, text(name, said[1], chinese=True)]
