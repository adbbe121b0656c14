"""A nodule as an extractor of CT measured and described it: what the guidelines ask of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence, Modality, Observation
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.fleischner import NoduleType
from knowledge_graph.lung_rads import Cyst, Place

NODULE_ID: Final = "chest_ct/nodule/"
LONG_AXIS: Final = Code("103339001", "SCT", "Long Axis")
SHORT_AXIS: Final = Code("103340004", "SCT", "Short Axis")
IN_MM: Final = {"mm": 1.0, "cm": 10.0}

PART_SOLID: Final = re.compile(r"part[- ]solid|部分实性")
GROUND_GLASS: Final = re.compile(r"ground[- ]glass|non-?solid|磨玻璃")
SOLID: Final = re.compile(r"(?<!sub)\bsolid\b|实性")
AT_PLEURA: Final = re.compile(r"peri-?fissural|juxta-?pleural|attached to the pleura|叶间裂|胸膜旁")
AT_FISSURE: Final = re.compile(r"peri-?fissural|叶间裂")
LIKE_LYMPH_NODE: Final = re.compile(r"\b(?:oval|ovoid|lentiform|triangular)\b|椭圆形|透镜形|三角形")
SMOOTH: Final = re.compile(r"\bsmooth\b|光滑")
SPICULATED: Final = re.compile(r"\bspiculat|毛刺")
BENIGN: Final = re.compile(
    r"\b(?:popcorn|central|concentric(?: ring)?|complete) calcification|\bfat-containing\b"
    r"|爆米花样钙化|中心性钙化|同心圆样钙化|完全钙化|含脂肪"
)
AIRWAY: Final = re.compile(r"\b(?:endobronchial|endotracheal|airway nodule)\b|支气管内|气管内")
SUBSEGMENTAL: Final = re.compile(r"\bsubsegmental\b|亚段")
THICK_WALLED: Final = re.compile(r"\bthick-walled cyst\b|厚壁囊")
MULTILOCULAR: Final = re.compile(r"\bmultilocular\b|多房")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodule:
    """A nodule of one CT.

    Attributes
    ----------
    diameter_mm
        Mean of long and short axis; a single diameter where only that was measured.
    kind
        What it is made of, None where that was not determined.
    solid_mm
        Mean diameter of the solid component of a part-solid nodule, None where it was not measured.
    at_pleura, at_fissure
        Whether it lies at pleura or fissure.
    like_lymph_node
        Whether shape (oval, lentiform, triangular) and a smooth margin are those of an intrapulmonary lymph node.
    spiculated, benign
        A spiculated margin; calcification or fat in one of the benign patterns.
    airway, cyst
        Where in the airways it lies, or what kind of an atypical cyst it is; None for a nodule of the lung itself.
    """

    id: str
    diameter_mm: float
    kind: NoduleType | None
    solid_mm: float | None = None
    at_pleura: bool = False
    at_fissure: bool = False
    like_lymph_node: bool = False
    spiculated: bool = False
    benign: bool = False
    airway: Place | None = None
    cyst: Cyst | None = None


def nodules_seen(evidence: Sequence[Evidence]) -> tuple[Observation, ...]:
    """Every nodule that the CT shows, measured or not."""
    return tuple(
        item
        for part in evidence
        if part.modality is Modality.CT
        for item in part.observations
        if item.id.startswith(NODULE_ID) and item.assertion is Assertion.PRESENT
    )


def measure(item: Observation) -> Nodule | None:
    """The nodule with its mean diameter in mm; None where nothing was measured."""
    lengths = {
        measurement.quantity: measurement.value * IN_MM[measurement.unit]
        for measurement in item.measurements
        if measurement.unit in IN_MM and 0.0 < measurement.value < float("inf")
    }
    named = {quantity.meaning.lower(): value for quantity, value in lengths.items()}
    diameter = _diameter(lengths, named)
    if diameter is None:
        return None
    note = item.note.lower().replace("_", "-")
    return Nodule(
        id=item.id,
        diameter_mm=diameter,
        kind=_kind(item, note),
        solid_mm=next((value for name, value in named.items() if "solid component" in name), None),
        at_pleura=bool(AT_PLEURA.search(note)),
        at_fissure=bool(AT_FISSURE.search(note)),
        like_lymph_node=bool(LIKE_LYMPH_NODE.search(note) and SMOOTH.search(note)),
        spiculated=bool(SPICULATED.search(note)),
        benign=bool(BENIGN.search(note)),
        airway=(Place.SUBSEGMENTAL if SUBSEGMENTAL.search(note) else Place.PROXIMAL) if AIRWAY.search(note) else None,
        cyst=_cyst(note),
    )


def _diameter(lengths: dict[Code, float], named: dict[str, float]) -> float | None:
    if LONG_AXIS in lengths and SHORT_AXIS in lengths:
        return (lengths[LONG_AXIS] + lengths[SHORT_AXIS]) / 2.0
    whole = [value for name, value in named.items() if "diameter" in name and "solid component" not in name]
    return whole[0] if whole else lengths.get(LONG_AXIS)


def _cyst(note: str) -> Cyst | None:
    if MULTILOCULAR.search(note):
        return Cyst.MULTILOCULAR
    return Cyst.THICK_WALLED if THICK_WALLED.search(note) else None


def _kind(item: Observation, note: str) -> NoduleType | None:
    """What the nodule is made of, where the extractor says so in its note or by its concept."""
    if PART_SOLID.search(note):
        return NoduleType.PART_SOLID
    if item.concept == FINDINGS["ground_glass_opacity"] or GROUND_GLASS.search(note):
        return NoduleType.GROUND_GLASS
    return NoduleType.SOLID if SOLID.search(note) else None
