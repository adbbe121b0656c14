"""Whether Lung-RADS v2022 holds for a case, with category, row and management, or why it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cds.domain.comparison import Change, Comparison
from cds.domain.evidence import Evidence, Modality, Observation
from cds.domain.finding import Recommendation
from cds.domain.report import Case
from cds.domain.vocabulary import FINDINGS
from knowledge_graph.fleischner import NoduleType
from knowledge_graph.guidelines_nodule import NODULE_ID, Nodule, measure, nodules_seen
from knowledge_graph.guidelines_text import Bilingual, is_lung_screening, present, sentence, sentence_zh
from knowledge_graph.lung_rads import (
    CITATION,
    GUIDELINE,
    INCOMPLETE,
    MANAGEMENT,
    STABLE_AFTER_3,
    TABLE,
    THREE_MONTHS_DAYS,
    Category,
    Course,
    Cyst,
    Incomplete,
    Lesion,
    Rating,
    course,
    possible,
    rate,
    rate_airway,
    rate_cyst,
    with_features,
)

INFECTIOUS: Final = tuple(FINDINGS[key] for key in ("pneumonia", "consolidation"))
"""Consolidation is note 10's own example of what may be an infectious or inflammatory process."""
MANY_NEW: Final = 6
"""More new nodules than these may be an infectious or inflammatory process (note 10)."""
SUSPICIOUS: Final = tuple(FINDINGS[key] for key in ("lymphadenopathy", "lung_metastasis"))
"""Enlarged nodes and metastases are note 14's own examples of what makes a lesion category 4X; so is spiculation."""
OTHER: Final = tuple(
    FINDINGS[key]
    for key in (
        *("pneumothorax", "pleural_effusion", "pulmonary_embolism", "pulmonary_edema", "pericardial_effusion"),
        *("heart_failure", "fibrosis", "mediastinal_widening", "tuberculosis"),
    )
)
"""Findings that may call for modifier S (note 15, significant and not lung cancer); which ones is our choice."""
NEAR: Final = 0.12
"""As shares of the lungs' extent: twice as far as what the comparison takes for one place (`cds.compared`)."""
MADE_OF: Final = {NoduleType.SOLID: "实性", NoduleType.GROUND_GLASS: "磨玻璃", NoduleType.PART_SOLID: "部分实性"}
COURSES: Final = {
    Course.BASELINE: "基线",
    Course.NEW: "新发（既往CT未检出）",
    Course.STABLE: "稳定或缩小",
    Course.GROWING: "增大",
    Course.SLOWLY_GROWING: "缓慢增大",
}
LOOKED_FOR: Final = (
    "the category is that of the nodules that were measured here; airway lesions, cysts and pure ground glass are the"
    " reader's to add",
    "该分类仅依据此处测得的结节；气道病变、囊腔及纯磨玻璃病变需阅片者补充",
)


@dataclass(frozen=True, slots=True)
class _Rated:
    """A nodule with the ratings that are possible for it, the least suspicious first."""

    nodule: Nodule
    lesion: Lesion
    ratings: tuple[Rating, ...]


def recommend(case: Case, evidence: Sequence[Evidence], own: Sequence[str] = ()) -> tuple[Recommendation, ...]:
    """Category and management of a lung cancer screening CT; ``()`` where there is nothing that a CT saw or ruled out.

    Parameters
    ----------
    own
        A site's own study descriptions for lung cancer screening.
    """
    looked = tuple(item for part in evidence if part.modality is Modality.CT for item in part.observations)
    about = tuple(item.id for item in looked if item.id.startswith(NODULE_ID.rstrip("/")))
    if not about:
        return ()
    if not is_lung_screening(case.study, own):
        why = ("not a screening examination", "非筛查检查")
        shown = nodules_seen(evidence)
        return (_recommendation("preconditions: lung cancer screening", why, about, applies=False),) if shown else ()
    return tuple(_screening(case, evidence, about))


def _screening(case: Case, evidence: Sequence[Evidence], about: tuple[str, ...]) -> Iterable[Recommendation]:
    """Category 0 where the examination is incomplete, then the category by nodules, then modifier S."""
    seen = nodules_seen(evidence)
    nodules = [nodule for nodule in map(measure, seen) if nodule]
    rated = [each for nodule in nodules for each in _rate(nodule, case.comparisons)]
    yield from (_incomplete(reason, about) for reason in _reasons(case, evidence, rated))
    if len(nodules) < len(seen):
        text = (
            "a nodule has no measured diameter in mm, so the category is not settled",
            "有结节未测得直径（毫米），分类未定",
        )
        yield _recommendation("preconditions: measurement", text, about, applies=False)
    elif any(not each.ratings for each in rated):
        text = (
            "a subsegmental airway nodule that grows has no row in the table, so the category is not settled",
            "亚段气道结节增大在表中无对应条目，分类未定",
        )
        yield _recommendation("airway nodule", text, about, applies=False)
    else:
        yield _by_nodules(rated, about, suspicious=any(present(evidence, SUSPICIOUS, now=True)))
    others = list(dict.fromkeys(present(evidence, OTHER, now=True)))
    if others:
        text = (
            f"consider modifier S, because of what is no lung cancer: {', '.join(code.meaning for code in others)}",
            f"因与肺癌无关的发现，考虑加用修饰符S：{'、'.join(code.text('zh') for code in others)}",
        )
        yield _recommendation("modifier S", text, about)


def _reasons(case: Case, evidence: Sequence[Evidence], rated: Sequence[_Rated]) -> Iterable[Incomplete]:
    read = [each for each in case.comparisons if each.modality is Modality.CT and not each.reason]
    unread = [each for each in case.comparisons if each.modality is Modality.CT and each.reason]
    if unread and not read:
        yield Incomplete.PRIOR
    if case.held < case.expected:
        yield Incomplete.NOT_EVALUABLE
    new = {each.nodule.id for each in rated if each.lesion.course is Course.NEW}
    if len(new) > MANY_NEW or any(present(evidence, INFECTIOUS, now=True)):
        yield Incomplete.INFECTIOUS


def _rate(nodule: Nodule, comparisons: Sequence[Comparison]) -> Iterable[_Rated]:
    """The nodule rated for what it is made of; as each of the three where that was not determined."""
    if nodule.airway or nodule.cyst:
        lesion = _lesion(nodule, nodule.kind or NoduleType.SOLID, comparisons)
        yield _Rated(nodule, lesion, _apart(nodule, lesion, comparisons))
        return
    for kind in (nodule.kind,) if nodule.kind else tuple(NoduleType):
        lesion = _lesion(nodule, kind, comparisons)
        yield _Rated(nodule, lesion, rate(lesion))
        if lesion.course is Course.NEW and not _surely_new(nodule, comparisons):
            there = replace(lesion, course=Course.BASELINE)
            yield _Rated(nodule, there, rate(there))


def _surely_new(nodule: Nodule, comparisons: Sequence[Comparison]) -> bool:
    """Whether no nodule of an earlier CT that was matched to nothing may be this one."""
    for comparison in comparisons:
        changes = comparison.changes if comparison.modality is Modality.CT else ()
        here = [each.now for each in changes if each.now and each.now.id == nodule.id]
        lost = [each.then for each in changes if each.then and not each.now and each.then.id.startswith(NODULE_ID)]
        if any(_may_be_one(now, then) for now in here for then in lost):
            return False
    return True


def _may_be_one(now: Observation, then: Observation) -> bool:
    sides = [item.site.laterality if item.site else None for item in (now, then)]
    if None not in sides and sides[0] != sides[1]:
        return False
    if not now.position or len(now.position) != len(then.position):
        return True
    return max(abs(a - b) for a, b in zip(now.position, then.position, strict=True)) <= NEAR


def _apart(nodule: Nodule, lesion: Lesion, comparisons: Sequence[Comparison]) -> tuple[Rating, ...]:
    """The rating of an airway nodule or an atypical cyst; ``()`` where the table has no row for it."""
    if nodule.airway:
        rating = rate_airway(nodule.airway, lesion.course)
        return (rating,) if rating else ()
    then = [found for each in comparisons for change in each.changes if (found := _then(change, nodule.id))]
    if nodule.cyst is Cyst.MULTILOCULAR and then and all(each.cyst is not Cyst.MULTILOCULAR for each in then):
        return (rate_cyst(Cyst.BECAME_MULTILOCULAR),)
    if lesion.course in (Course.GROWING, Course.SLOWLY_GROWING):
        grown = Cyst.MULTILOCULAR_GROWING if nodule.cyst is Cyst.MULTILOCULAR else Cyst.LARGER_CAVITY
        return (rate_cyst(grown),)
    if lesion.course is Course.STABLE and (lesion.days or 0) >= THREE_MONTHS_DAYS:
        return (Rating(Category.PROBABLY_BENIGN, f"category 4A lesion, {STABLE_AFTER_3}"),)
    return (rate_cyst(nodule.cyst or Cyst.THICK_WALLED),)


def _lesion(nodule: Nodule, kind: NoduleType, comparisons: Sequence[Comparison]) -> Lesion:
    """The nodule as Lung-RADS sees it, with its course since the earlier CTs that could be read."""
    read = [each for each in comparisons if each.modality is Modality.CT and not each.reason]
    pairs = [
        (then, comparison.days)
        for comparison in sorted(read, key=lambda each: each.days if each.days is not None else 0)
        for change in comparison.changes
        if (then := _then(change, nodule.id))
    ]
    made = Lesion(
        kind=kind,
        diameter_mm=nodule.diameter_mm,
        course=Course.NEW if read else Course.BASELINE,
        solid_mm=nodule.solid_mm,
        juxtapleural=nodule.at_pleura and nodule.like_lymph_node and not nodule.spiculated,
        benign=nodule.benign,
    )
    return _followed(made, nodule, pairs) if pairs else made


def _then(change: Change, now: str) -> Nodule | None:
    """The nodule of the earlier CT that is held for the same as the one of this id now."""
    return measure(change.then) if change.then and change.now and change.now.id == now else None


def _followed(made: Lesion, nodule: Nodule, pairs: Sequence[tuple[Nodule, int | None]]) -> Lesion:
    """The lesion with its course: any growth since any of the earlier CTs counts, else the last of them."""
    whole = {course(nodule.diameter_mm, then.diameter_mm, days) for then, days in pairs}
    last, days = pairs[0]
    before = rate(Lesion(kind=last.kind or made.kind, diameter_mm=last.diameter_mm, solid_mm=last.solid_mm))
    return replace(
        made,
        course=_strongest(whole),
        solid_course=_solid_course(nodule, pairs),
        before=before[0].category if len(before) == 1 else None,
        days=days,
    )


def _solid_course(nodule: Nodule, pairs: Sequence[tuple[Nodule, int | None]]) -> Course | None:
    """How the solid component has changed; None where it was not measured in both."""
    if any(then.kind is NoduleType.GROUND_GLASS for then, _ in pairs):
        return Course.NEW
    if nodule.solid_mm is None:
        return None
    found = {course(nodule.solid_mm, then.solid_mm, days) for then, days in pairs if then.solid_mm is not None}
    return _strongest(found) if found else None


def _strongest(courses: Iterable[Course]) -> Course:
    found = set(courses)
    return next((each for each in (Course.GROWING, Course.SLOWLY_GROWING) if each in found), Course.STABLE)


def _incomplete(reason: Incomplete, about: tuple[str, ...]) -> Recommendation:
    why = {
        Incomplete.PRIOR: ("an earlier chest CT could not be compared", "既往胸部CT未能对比"),
        Incomplete.NOT_EVALUABLE: (
            "part of the lungs may not have been here to be read",
            "部分图像缺失，肺部可能未完整评估",
        ),
        Incomplete.INFECTIOUS: (
            "findings may be of an infectious or inflammatory process; if so",
            "所见可能为感染或炎症；如是",
        ),
    }[reason]
    text = (f"{why[0]}: {INCOMPLETE[reason][0]}", f"{why[1]}：{INCOMPLETE[reason][1]}")
    return _recommendation(f"category 0: {reason}", text, about)


def _by_nodules(rated: Sequence[_Rated], about: tuple[str, ...], *, suspicious: bool) -> Recommendation:
    """One category where it is settled, else those that are possible, each with its management; see note 14 for 4X."""
    by_nodule: dict[str, list[Rating]] = {}
    for each in rated:
        raised = suspicious or each.nodule.spiculated
        by_nodule.setdefault(each.nodule.id, []).extend(map(with_features, each.ratings) if raised else each.ratings)
    order = list(Category)
    lists = [sorted(each, key=lambda rating: order.index(rating.category)) for each in by_nodule.values()]
    ratings = possible(lists)
    told = _told(rated)
    if len(ratings) == 1:
        done = MANAGEMENT[ratings[0].category]
        text = (f"{done[0]} ({told[0]}); {LOOKED_FOR[0]}", f"{done[1]}（{told[1]}）；{LOOKED_FOR[1]}")
        return _recommendation(f"category {ratings[0].category}: {ratings[0].row}", text, about)
    each_en = "; ".join(f"category {rating.category}: {MANAGEMENT[rating.category][0]}" for rating in ratings)
    each_zh = "；".join(f"{rating.category}类：{MANAGEMENT[rating.category][1]}" for rating in ratings)
    text = (
        f"not settled, because type, solid component or course was not determined. {each_en} ({told[0]});"
        f" {LOOKED_FOR[0]}",
        f"类型、实性成分或变化未能确定，分类未定。{each_zh}（{told[1]}）；{LOOKED_FOR[1]}",
    )
    row = " or ".join(f"category {rating.category}" for rating in ratings)
    return _recommendation(row, text, about)


def _told(rated: Sequence[_Rated]) -> Bilingual:
    """Number, largest diameter and course of the nodules."""
    if not rated:
        return ("no nodule was found", "未检出结节")
    largest = max(rated, key=lambda each: (each.nodule.diameter_mm, each.nodule.id))
    number = len({each.nodule.id for each in rated})
    made_of = largest.nodule.kind
    size, when = f"{largest.nodule.diameter_mm:.1f}", largest.lesion.course
    unseen = " (not found on the earlier CT)" if when is Course.NEW else ""
    nodules = f"{number} nodule{'' if number == 1 else 's'}"
    return (
        f"{nodules}, the largest {size} mm, {made_of or 'type not determined'}, {when}{unseen}",
        f"结节{number}个，最大{size}毫米，{MADE_OF[made_of] if made_of else '类型未定'}，{COURSES[when]}",
    )


def _recommendation(row: str, text: Bilingual, because: tuple[str, ...], *, applies: bool = True) -> Recommendation:
    return Recommendation(
        guideline=GUIDELINE,
        table=TABLE,
        row=row,
        text=(sentence(text[0]), sentence_zh(text[1])),
        citation=CITATION,
        because=because,
        applies=applies,
    )
