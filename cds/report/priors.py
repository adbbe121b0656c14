"""Earlier studies in words: what the same algorithms saw then and see now, with the dates, in both languages."""

from __future__ import annotations

from typing import Final

from cds.domain.comparison import VARIABILITY, Change, Comparison, Trend
from cds.domain.evidence import Measurement, Observation
from cds.report.chinese import chinese
from cds.report.labels import ASSERTIONS, MODALITIES, Bilingual
from cds.report.wording import measure, number, one_line, percent, place

SOURCE: Final = "BTS 2015, doi:10.1136/thoraxjnl-2015-207168"
_LESS: Final = f"{VARIABILITY:.0%}".replace("%", " %")
_DAYS_A_YEAR: Final = 365.25
_FROM_YEARS: Final = 2


def heading(comparison: Comparison) -> Bilingual:
    """``"chest CT of 2025-06-01, 182 days earlier"``."""
    english, chinese_name = MODALITIES[comparison.modality]
    if comparison.performed_on is None or comparison.days is None:
        return f"earlier {english}, date not known", f"既往{chinese_name}（日期不详）"
    day = comparison.performed_on.isoformat()
    ago, ago_zh = _span(comparison.days)
    return f"{english} of {day}, {ago} earlier", f"{day}的{chinese_name}（{ago_zh}前）"


def sentences(comparison: Comparison) -> tuple[Bilingual, ...]:
    """One sentence for each thing that is compared, or why there is none."""
    if comparison.reason:
        reason = one_line(comparison.reason).rstrip(".")
        return ((f"Not compared: {reason}.", f"未比较：{chinese(reason).rstrip('。')}。"),)
    if not comparison.changes:
        nothing = ("Nothing that the algorithms look for was seen in both.", "两次检查均无算法所观察的内容可比较。")
        return (nothing,)
    return tuple(sentence(change) for change in comparison.changes)


def sentence(change: Change) -> Bilingual:
    """One thing then and now."""
    where = place((change.now or change.then or _nothing()).site)
    name = change.concept.text("en") + (f" ({where[0]})" if where[0] else "")
    name_zh = change.concept.text("zh") + (f"（{where[1]}）" if where[1] else "")
    if change.then is None or change.now is None:
        english, told = _alone(change)
    elif change.now.probability is not None or change.then.probability is not None:
        english, told = _probabilities(change.then, change.now)
    elif change.now.measurements and change.then.measurements:
        english, told = _sizes(change, change.then, change.now)
    else:
        english, told = _assertions(change.then, change.now)
    return f"{name}: {english}.", f"{name_zh}：{told}。"


def _nothing() -> Observation:
    raise ValueError("a change is of something")


def _alone(change: Change) -> Bilingual:
    seen = change.now or change.then or _nothing()
    size = _longest(seen)
    english, told = (f"{measure(size)}, ", f"{measure(size)}，") if size else ("", "")
    if change.now is not None:
        return f"{english}seen now, not matched to one of then", f"{told}本次可见，未能与既往者匹配"
    return f"{english}seen then, not matched to one of now", f"{told}既往可见，未能与本次者匹配"


def _probabilities(then: Observation, now: Observation) -> Bilingual:
    old, new = (percent(each.probability) if each.probability is not None else "–" for each in (then, now))
    return (
        f"probability by the image alone {old} then, {new} now",
        f"仅依据图像的概率，既往{old}，本次{new}",
    )


def _assertions(then: Observation, now: Observation) -> Bilingual:
    old, new = ASSERTIONS[then.assertion], ASSERTIONS[now.assertion]
    return f"{old[0]} then, {new[0]} now", f"既往{old[1]}，本次{new[1]}"


def _sizes(change: Change, then: Observation, now: Observation) -> Bilingual:
    english, told = ["at the same place in both"], ["两次位置相同"]
    for kind, kind_zh, old, new in (
        ("largest diameter", "最大径", _longest(then), _longest(now)),
        ("volume", "体积", _volume(then), _volume(now)),
    ):
        if old and new:
            english.append(f"{kind} {measure(old)} then, {measure(new)} now")
            told.append(f"{kind_zh}既往{measure(old)}，本次{measure(new)}")
    if change.volume_change is not None:
        trend, trend_zh = _trend(change, change.volume_change)
        english.append(trend)
        told.append(trend_zh)
    return "; ".join(english), "；".join(told)


def _trend(change: Change, volume_change: float) -> Bilingual:
    by = f"{100 * volume_change:+.0f} %"
    if change.trend is Trend.WITHIN_VARIABILITY:
        return (
            f"volume changed by {by}, within the variability of measurement (less than {_LESS}; {SOURCE})",
            f"体积变化{by}，在测量变异范围内（小于{_LESS}；{SOURCE}）",
        )
    english, told = f"volume changed by {by}", f"体积变化{by}"
    if change.doubling_days is not None:
        days = number(round(change.doubling_days), 6)
        english += f", volume doubling time {days} days"
        told += f"，体积倍增时间{days}天"
    return english, told


def _longest(observation: Observation) -> Measurement | None:
    lengths = [each for each in observation.measurements if each.unit == "mm"]
    return max(lengths, key=lambda each: each.value, default=None)


def _volume(observation: Observation) -> Measurement | None:
    return next((each for each in observation.measurements if each.unit == "mm3"), None)


def _span(days: int) -> Bilingual:
    years = days / _DAYS_A_YEAR
    if years >= _FROM_YEARS:
        return f"{years:.1f} years", f"{years:.1f}年"
    return f"{days} day{'' if days == 1 else 's'}", f"{days}天"
