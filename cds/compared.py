"""What has changed since an earlier study, by what the same algorithms observed in both.

Nothing is concluded from it: numbers stand beside each other, and lesions are held for the same
only where their place in the lungs leaves no choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Final

from cds.domain.comparison import VARIABILITY, Change, Comparison, Trend
from cds.domain.evidence import Evidence, Missing, Observation
from cds.domain.study import Study

SAME_PLACE: Final = 0.06
"""How far apart, as a share of the lungs' extent along each axis, one lesion may lie in two examinations.

About 15 mm of lungs of 25 cm; our own choice, as a breath deeper or shallower moves the base by more than the apex.
"""


def compared(study: Study, prior: Study, now: Evidence, then: Evidence | Missing) -> Comparison:
    """One modality of the present study beside the same of an earlier one.

    Parameters
    ----------
    now, then
        What one extractor, the same version of it, made of both.
    """
    days = _days(prior, study)
    reason = f"the earlier study could not be read: {then.reason}" if isinstance(then, Missing) else ""
    return Comparison(
        study_instance_uid=prior.study_instance_uid,
        performed_on=prior.started_at.date() if prior.started_at else None,
        days=days,
        modality=now.modality,
        changes=() if isinstance(then, Missing) else _changes(now, then, days),
        reason=reason,
    )


def doubling_days(then_mm3: float, now_mm3: float, days: int) -> float:
    """Volume doubling time of exponential growth: ``ln 2 * days / ln(now / then)``, in days.

    The formula is Schwartz's; how uncertain its results are with the thickness of the slices is
    measured in doi:10.1378/chest.08-2040.
    """
    return log(2) * days / log(now_mm3 / then_mm3)


def _days(prior: Study, study: Study) -> int | None:
    if prior.started_at is None or study.started_at is None:
        return None
    return (study.started_at.date() - prior.started_at.date()).days


def _changes(now: Evidence, then: Evidence, days: int | None) -> tuple[Change, ...]:
    """What both assess as a whole goes by its name, lesions by their place."""
    lesions_now, lesions_then = _lesions(now), _lesions(then)
    wholes_then = {each.id: each for each in then.observations if each not in lesions_then}
    wholes = [
        Change(then=wholes_then[each.id], now=each)
        for each in now.observations
        if each not in lesions_now and each.id in wholes_then
    ]
    pairs = _same_places(lesions_now, lesions_then)
    paired_then = {id(earlier) for _, earlier in pairs}
    paired_now = {id(here) for here, _ in pairs}
    return (
        *wholes,
        *(_measured(here, earlier, days) for here, earlier in pairs),
        *(Change(then=None, now=each) for each in lesions_now if id(each) not in paired_now),
        *(Change(then=each, now=None) for each in lesions_then if id(each) not in paired_then),
    )


def _lesions(part: Evidence) -> list[Observation]:
    """What is numbered in its id, because there may be several: ``chest_ct/nodule/1``."""
    return [each for each in part.observations if each.id.rpartition("/")[2].isdecimal()]


def _same_places(now: Sequence[Observation], then: Sequence[Observation]) -> list[tuple[Observation, Observation]]:
    """Pairs at one place that have no other choice on either side."""
    near = [(here, earlier) for here in now for earlier in then if _at_one_place(here, earlier)]
    return [
        (here, earlier)
        for here, earlier in near
        if sum(each is here for each, _ in near) == 1 and sum(each is earlier for _, each in near) == 1
    ]


def _at_one_place(one: Observation, other: Observation) -> bool:
    if not one.position or len(one.position) != len(other.position):
        return False
    sides = [each.site.laterality if each.site else None for each in (one, other)]
    apart = max(abs(a - b) for a, b in zip(one.position, other.position, strict=True))
    return sides[0] == sides[1] and apart <= SAME_PLACE


def _measured(now: Observation, then: Observation, days: int | None) -> Change:
    volumes = _volume(then), _volume(now)
    if volumes[0] is None or volumes[1] is None:
        return Change(then=then, now=now)
    change = (volumes[1] - volumes[0]) / volumes[0]
    if abs(change) < VARIABILITY:
        return Change(then=then, now=now, trend=Trend.WITHIN_VARIABILITY, volume_change=change)
    if change < 0:
        return Change(then=then, now=now, trend=Trend.SMALLER, volume_change=change)
    doubling = doubling_days(volumes[0], volumes[1], days) if days is not None and days > 0 else None
    return Change(then=then, now=now, trend=Trend.GROWN, volume_change=change, doubling_days=doubling)


def _volume(observation: Observation) -> float | None:
    """The volume in mm3; None where it was not measured."""
    found = [each.value for each in observation.measurements if each.unit == "mm3" and each.value > 0]
    return found[0] if found else None
