"""What a sentence says of a finding: there, not there, or open; now or then; in whom.

After NegEx (Chapman 2001, doi:10.1006/jbin.2001.1029) and ConText (Harkema 2009,
doi:10.1016/j.jbi.2009.05.002): cue words reach forward or back until something ends their reach. Beyond
these: lists are followed through commas, "or" leaves both sides open, the nearest cue wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cds.domain.evidence import Assertion
from cds.features.text.clauses import Clause, reach
from cds.features.text.frames import Target
from cds.features.text.lexicon import Hit
from cds.features.text.values import Subject

NEAR = {
    **dict.fromkeys(("prior", "previous", "recent", "remote", "past"), 25),
    **dict.fromkeys(("had", "potential", "status post", "s p"), 40),
    "not": 60,
    "hold": 30,
    "never": 40,
    "non": 2,
    "negative": 2,
    "neg": 2,
    "\u2212": 1,
    "不": 1,
    "未": 1,
}
"""Cues that reach no further than so many characters: they are said of many other things too."""
ADJECTIVES = frozenset(("negative", "neg"))
ALTERNATIVE_GAP = 40
FINITE = re.compile(r"(?:is|are|was|were|has|have|had|remains?|remained|seems|seemed|appears|appeared) ")
WITH = re.compile(r" (?:with|without|to|for|as|when|while|once)(?![a-z])")
ADVERBIAL = re.compile(
    r" ?(?:(?:given|because|in|at|on|based|by|since|per|today|now|but|during|under|clinically|currently|despite"
    r"|following|until|overnight|after|before|x ?\d+|this (?:time|morning|visit|admission|study|exam)|via|upon)"
    r"(?![a-z])|\d|(?:[a-z]+ly|throughout|anymore|anywhere|elsewhere|again|altogether)[ .,;)]*$)"
)
"""What follows a cue that looks back here, though its clause goes on: "PE unlikely given a normal D-dimer"."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of one target."""

    assertion: Assertion
    historical: bool = False
    hypothetical: bool = False
    subject: Subject = "patient"
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class _Cue:
    """A forward cue, the clause it stands in, and where its reach ends."""

    start: int
    end: int
    kind: str
    limit: int
    link: bool


class Judge:
    """Judges the targets of one sentence."""

    def __init__(self, text: str, clauses: Sequence[Clause], targets: Sequence[Target]) -> None:
        self._text = text
        self._clauses = clauses
        self._targets = targets
        self._before = [cue for index, clause in enumerate(clauses) for cue in self._forward(index, clause)]
        self._backward = [[cue for cue in clause.cues if self._looks_back(cue, clause)] for clause in clauses]

    def judge(self, target: Target) -> Judgement:
        """What the sentence says of `target`."""
        index = self._clause_of(target)
        governing = [cue for cue in self._before if cue.end <= target.at and target.at < cue.limit]
        kinds = {cue.kind for cue in governing}
        after = self._after(index, target)
        back = {kind for cue in after for kind in cue.kinds}
        historical = "historical" in kinds or "historical.after" in back
        subject: Subject = "patient"
        if "family" in kinds or "family.after" in back:
            subject = "family"
        elif "other" in kinds or "other.after" in back:
            subject = "other"
        assertion, resolved = self._assertion(index, target, governing, after)
        hypothetical = ("hypothetical" in kinds or self._precaution(index, target)) and not historical
        if hypothetical and assertion is Assertion.ABSENT and self._nearest(governing) != "hypothetical":
            hypothetical = False
        if back & {"denied.after", "affirmed.after"}:  # what was asked has been answered
            hypothetical = False
        if hypothetical and not resolved:
            assertion = Assertion.UNCERTAIN
        return Judgement(assertion, historical, hypothetical, subject, resolved)

    def _precaution(self, index: int, target: Target) -> bool:
        """Whether the finding is only guarded against: the next word is "prophylaxis"."""
        return any(
            "hypothetical.after" in cue.kinds and 0 <= cue.start - target.end <= 1 for cue in self._clauses[index].cues
        )

    def _forward(self, index: int, clause: Clause) -> Iterable[_Cue]:
        """The forward cues of a clause, with their reach."""
        for cue in clause.cues:
            if self._turned(cue, clause) or (self._adjective(cue) and not self._leads(cue)):
                continue
            link = "link" in cue.kinds
            for kind in cue.kinds:
                name, _, side = kind.partition(".")
                if name == "exclusion":
                    name = "hypothetical" if self._ordered(cue) else "denied"
                if side == "before" and name in (
                    "denied",
                    "resolved",
                    "uncertain",
                    "historical",
                    "hypothetical",
                    "family",
                    "other",
                ):
                    through = name not in ("uncertain", "hypothetical", "resolved") or "open_list" in cue.kinds
                    limit = reach(self._clauses, index, through_lists=through)
                    near = NEAR.get(self._text[cue.start : cue.end])
                    if name in ("denied", "historical"):
                        limit = min(limit, self._stopped(cue.end, limit))
                    yield _Cue(cue.start, cue.end, name, min(limit, cue.end + near) if near else limit, link)

    def _ordered(self, exclusion: Hit) -> bool:
        """Whether what is to be excluded is asked for: the last order or result before it says so."""
        before = [cue for clause in self._clauses for cue in clause.cues if cue.end <= exclusion.start]
        kinds = [kind for cue in before for kind in cue.kinds if kind in ("order", "result")]
        opens = any(
            clause.start <= exclusion.start and not self._text[clause.start : exclusion.start].strip(" ,")
            for clause in self._clauses
        )
        return kinds[-1] == "order" if kinds else opens

    def _stopped(self, start: int, limit: int) -> int:
        """Where a "due to" ends a denial's reach."""
        stops = (
            cue.start
            for clause in self._clauses
            for cue in clause.cues
            if "stop_denial" in cue.kinds and start <= cue.start < limit
        )
        return min(stops, default=limit)

    def _clause_of(self, target: Target) -> int:
        last = 0
        for index, clause in enumerate(self._clauses):
            if clause.start <= target.at:
                last = index
        return last

    def _assertion(
        self, index: int, target: Target, governing: Sequence[_Cue], after: Sequence[Hit]
    ) -> tuple[Assertion, bool]:
        """The assertion, and whether it is that the finding has gone."""
        if target.normal:
            return Assertion.ABSENT, False
        back = {kind for cue in after for kind in cue.kinds}
        if "uncertain.after" in back:
            return Assertion.UNCERTAIN, False
        if "resolved.after" in back:
            return Assertion.ABSENT, True
        if "denied.after" in back:
            return Assertion.ABSENT, False
        nearest = self._nearest([cue for cue in governing if cue.kind in ("denied", "uncertain", "resolved")])
        if nearest in ("denied", "resolved"):
            return Assertion.ABSENT, nearest == "resolved"
        if self._change_denied(index, target):
            return Assertion.ABSENT, False
        if nearest == "uncertain" or target.doubtful or self._alternative(index, target):
            return Assertion.UNCERTAIN, False
        return Assertion.PRESENT, False

    def _nearest(self, governing: Sequence[_Cue]) -> str:
        """The kind of the cue that decides: the last one, but a denial reaches through what hangs on it."""
        if not governing:
            return ""
        last = governing[-1]
        earlier = governing[-2] if len(governing) > 1 else None
        if last.kind == "uncertain" and earlier and earlier.kind == "denied":
            between = self._targets_between(earlier.end, last.start)
            if last.link or not between:
                return "denied"
        if last.kind == "denied" and earlier and earlier.kind == "uncertain" and last.start - earlier.end <= 1:
            return "uncertain"
        return last.kind

    def _targets_between(self, start: int, end: int) -> bool:
        return any(start <= target.at and target.until <= end for target in self._targets)

    def _after(self, index: int, target: Target) -> list[Hit]:
        """The backward cues that reach the target: in its clause, in a bracket after it, at a list's end."""
        clause = self._clauses[index]
        found = [cue for cue in self._backward[index] if cue.start >= target.end]
        found = [cue for cue in found if not self._new_statement(target, cue, clause)][:2]
        if found:
            return found
        following = self._clauses[index + 1] if index + 1 < len(self._clauses) else None
        if following and following.joiner in ("(", ",", ":") and not self._last_before(target, clause):
            alone = [cue for cue in self._backward[index + 1] if self._alone(cue, following)]
            if alone:
                return alone
        return self._list_end(index, target)

    def _looks_back(self, cue: Hit, clause: Clause) -> bool:
        """Whether a cue looks back here; one that may look both ways does so only where its clause ends."""
        if not any(kind.endswith(".after") for kind in cue.kinds):
            return False
        if not any(kind.endswith(".before") for kind in cue.kinds):
            return True
        if self._adjective(cue):
            return not self._leads(cue)
        rest = self._text[cue.end : clause.end].strip(" .,;:!?。、)]")
        if not rest or self._turned(cue, clause):
            return True
        covered = len(rest) <= 6 and clause.cues[-1].start >= cue.end
        return covered and not self._targets_between(cue.end, clause.end)

    def _turned(self, cue: Hit, clause: Clause) -> bool:
        """Whether a cue that may look both ways speaks of what stands before it, and only then goes on."""
        if len(cue.kinds) < 2:
            return False
        sides = {kind.partition(".")[2] for kind in cue.kinds}
        if not {"before", "after"} <= sides or not self._targets_between(clause.start, cue.start):
            return False
        if ADVERBIAL.match(self._text, cue.end, clause.end):
            return True
        predicate = WITH.match(self._text, cue.end) or FINITE.match(self._text, cue.start)
        return predicate is not None and not self._targets_between(cue.end, clause.end)

    def _adjective(self, cue: Hit) -> bool:
        return self._text[cue.start : cue.end] in ADJECTIVES

    def _leads(self, cue: Hit) -> bool:
        """Whether the next word is a finding and the last one is none: "negative rash", not "HIV negative"."""
        follows = any(target.at == cue.end + 1 for target in self._targets)
        return follows and not any(target.until == cue.start - 1 for target in self._targets)

    def _new_statement(self, target: Target, cue: Hit, clause: Clause) -> bool:
        """Whether another finding's statement lies between the target and the cue."""
        for other in self._targets:
            if other.at >= target.end and other.until <= cue.start:
                spoken = [c for c in clause.cues if target.end <= c.start and c.end <= other.at]
                if any(kind == "verb" or kind.endswith((".before", ".after")) for c in spoken for kind in c.kinds):
                    return True
        return False

    def _last_before(self, target: Target, clause: Clause) -> bool:
        """Whether another target follows in the same clause."""
        return any(
            other.at >= target.until and other.at < clause.end and other.key != target.key for other in self._targets
        )

    def _alone(self, cue: Hit, clause: Clause) -> bool:
        """Whether the clause says nothing beside the cue."""
        rest = self._text[clause.start : cue.start] + self._text[cue.end : clause.end]
        return not any(letter.isalnum() for letter in rest)

    def _list_end(self, index: int, target: Target) -> list[Hit]:
        """The cue at the end of "A, B and C are not seen"."""
        if not self._clauses[index].bare or self._clauses[index].opener or self._clauses[index].chinese:
            return []
        for later in range(index + 1, len(self._clauses)):
            clause = self._clauses[later]
            if clause.joiner != ",":
                return []
            back = self._backward[later]
            if back and clause.listed and not self._opens(back[0], clause):
                first = back[0]
                inner = [c for c in clause.cues if c.start < first.start and "verb" in c.kinds]
                return [] if inner else back[:1]
            if not clause.bare or clause.opener:
                return []
        return []

    def _opens(self, cue: Hit, clause: Clause) -> bool:
        """Whether a cue describes the clause's own finding instead of ending a list: "or suspicious nodule"."""
        return not self._targets_between(clause.start, cue.start) and self._targets_between(cue.end, clause.end)

    def _change_denied(self, index: int, target: Target) -> bool:
        """Whether a frame's own word is what is denied: "心影未见增大"."""
        if (target.at, target.until) == (target.start, target.end):
            return False
        return any(
            "unchanged_not_denied" in cue.kinds and cue.start < target.at and target.until <= cue.end + 1
            for cue in self._clauses[index].cues
        )

    def _unchanged_before(self, cue: Hit, clause: Clause) -> bool:
        """Whether the "or" stands under a denied change: "no change in the effusion or the opacity"."""
        return any("unchanged_not_denied" in other.kinds and other.end <= cue.start for other in clause.cues)

    def _alternative(self, index: int, target: Target) -> bool:
        """Whether the target is one side of an "or" between two different findings."""
        clause = self._clauses[index]
        for cue in clause.cues:
            if "alternative" not in cue.kinds or self._unchanged_before(cue, clause):
                continue
            left = [
                t
                for t in self._targets
                if t.until <= cue.start and cue.start - t.until <= ALTERNATIVE_GAP and t.at >= clause.start
            ]
            right = [
                t
                for t in self._targets
                if t.at >= cue.end and t.at - cue.end <= ALTERNATIVE_GAP and t.until <= clause.end
            ]
            same = left and right and left[-1].key == right[0].key and "uncertain.before" not in cue.kinds
            if left and right and not same and target in (left[-1], right[0]):
                return True
        return False
