"""What has changed since the revision before, in words: one place, so that every encoding says the same."""

from __future__ import annotations

from typing import Final

from cds.domain.report import Report
from cds.domain.revision import Difference
from cds.report.labels import Bilingual

NONE: Final[Bilingual] = (
    "Nothing that is told of inputs, findings or recommendations is another.",
    "所用信息、所见及建议均无变化。",
)
NOT_KNOWN: Final[Bilingual] = (
    "What has changed is not known: the content of the revision before was not kept.",
    "变化不详：未保存上一版的内容。",
)


def heading(report: Report) -> Bilingual:
    """``"Changes since revision 1"``."""
    return f"Changes since revision {report.revision - 1}", f"与第{report.revision - 1}版相比的变化"


def sentences(report: Report) -> tuple[Bilingual, ...]:
    """One sentence for each change; nothing for a first revision."""
    if not report.predecessor:
        return ()
    if report.changes is None:
        return (NOT_KNOWN,)
    return tuple(sentence(each) for each in report.changes) or (NONE,)


def sentence(difference: Difference) -> Bilingual:
    """``"Pneumonia: present, 61 % → present, 83 %."``."""
    (name, name_zh), then, now = difference.name, difference.then, difference.now
    if then is None and now is not None:
        return f"{name}: new, {now[0]}.", f"{name_zh}：新增，{now[1]}。"
    if now is None and then is not None:
        return f"{name}: no longer there (was: {then[0]}).", f"{name_zh}：已无（原为：{then[1]}）。"
    (old, old_zh), (new, new_zh) = then or ("", ""), now or ("", "")
    return f"{name}: {old} → {new}.", f"{name_zh}：{old_zh} → {new_zh}。"
