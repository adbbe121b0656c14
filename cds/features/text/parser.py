"""The way from a text to its mentions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cds.domain.evidence import Assertion
from cds.features.text import attributes, general
from cds.features.text.assertion import Judge, Judgement
from cds.features.text.clauses import clauses
from cds.features.text.folding import Folded, language_of
from cds.features.text.frames import Target, targets
from cds.features.text.lexicon import ASIDE, Group, Hit, Lexicon, lexicon
from cds.features.text.sentences import Part, parts, sentences
from cds.features.text.values import Change, Language, Laterality, Mention, ParsedReport, Section, Sentence, Size

MIXED_SHARE = 0.15
"""The smaller language's share of letters from which a report is called mixed; "CT" and "mm" stay below."""
MIDLINE = frozenset({"heart", "mediastinum", "pericardium", "spine", "esophageal_hiatus"})
UNEXPLAINED = ("待查", "原因待查", "原因不明", "查因", "原因待明")
"""After a symptom: it is there, and its cause is looked for."""
ELSEWHERE = frozenset({"trachea", "axilla", "chest_wall"})
"""Regions that do not keep a finding in the lung when the clause also names another organ."""


def parse(text: str, *, report_id: str = "report") -> ParsedReport:
    """The findings that a report mentions, with what it says of them.

    Parameters
    ----------
    text
        English, Chinese (simplified or traditional) or both; data, whatever it holds. No text raises.
    report_id
        Names the text in what is made of it.

    Examples
    --------
    >>> [(m.key, m.assertion.value) for m in parse("Cardiomegaly. No pleural effusion.").mentions]
    [('cardiomegaly', 'PRESENT'), ('pleural_effusion', 'ABSENT')]
    """
    words = lexicon()
    folded = words.fold(text)
    hits = words.hits(folded)
    found_parts = parts(folded, hits[Group.HEADING], words.asking)
    spans = [(part, *span) for part in found_parts for span in sentences(folded, part)]
    shared = [_shared_out(group, spans) for group in hits[: Group.HEADING]]
    found_sentences: list[Sentence] = []
    mentions: list[Mention] = []
    for number, (part, start, end) in enumerate(spans):
        first, last = folded.span(start, end)
        sentence = Sentence(start=first, end=last, section=part.kind)
        found_sentences.append(sentence)
        own = [group[number] for group in shared]
        if own[Group.TERM] or (own[Group.STRUCTURE] and own[Group.DESCRIPTOR]):
            mentions += _Reader(words, text, folded, part, sentence, start, end, own).mentions()
    return ParsedReport(
        report_id=report_id,
        language=_language(text),
        sections=tuple(_section(folded, part) for part in found_parts),
        sentences=tuple(found_sentences),
        mentions=tuple(sorted(mentions, key=lambda mention: (mention.start, mention.end))),
    )


def _shared_out(hits: Sequence[Hit], spans: Sequence[tuple[Part, int, int]]) -> list[list[Hit]]:
    """The hits of each sentence; both come in order of the text, a hit over a sentence's end belongs to none."""
    shared: list[list[Hit]] = []
    at = 0
    for _, start, end in spans:
        own: list[Hit] = []
        while at < len(hits) and hits[at].start < end:
            if hits[at].start >= start and hits[at].end <= end:
                own.append(hits[at])
            at += 1
        shared.append(own)
    return shared


def _section(folded: Folded, part: Part) -> Section:
    start, end = folded.span(part.start, part.end)
    return Section(kind=part.kind, start=start, end=end, asserts=part.asserts)


def _language(text: str) -> Language:
    latin, chinese = language_of(text)
    if not chinese:
        return "en"
    # A Chinese character says about as much as three letters.
    share = 3 * chinese / (3 * chinese + latin)
    if share > 1 - MIXED_SHARE:
        return "zh"
    return "en" if share < MIXED_SHARE else "mixed"


class _Reader:
    """Reads one sentence."""

    def __init__(
        self,
        words: Lexicon,
        text: str,
        folded: Folded,
        part: Part,
        sentence: Sentence,
        start: int,
        end: int,
        own: Sequence[list[Hit]],
    ) -> None:
        self._words, self._text, self._folded, self._part, self._sentence = words, text, folded, part, sentence
        self._own = own
        terms = own[Group.TERM]
        cues = _visible(own[Group.CUE], terms)
        self._clauses = clauses(folded.text, start, end, cues)
        found = targets(folded.text, terms, own[Group.STRUCTURE], own[Group.DESCRIPTOR], words.frames)
        self._targets = [self._in_its_organ(target) for target in found] if own[Group.ORGAN] else found
        self._sizes = attributes.size_owners(
            folded.text, attributes.sizes(folded.text, start, end), self._targets, self._clauses, dict(words.concepts)
        )

    def mentions(self) -> list[Mention]:
        """The sentence's mentions."""
        judge = Judge(self._folded.text, self._clauses, self._targets)
        return [self._mention(number, target, judge.judge(target)) for number, target in enumerate(self._targets)]

    def _mention(self, number: int, target: Target, judgement: Judgement) -> Mention:
        start, end = self._folded.span(target.start, target.end)
        index = self._clause_of(target)
        told_of = self._words.concepts[target.key].symptom
        asked = judgement.hypothetical or (self._asks and not told_of and not judgement.historical)
        told = judgement.historical or (self._part.kind in ("history", "comparison") and not judgement.hypothetical)
        assertion = judgement.assertion
        if told_of and assertion is Assertion.UNCERTAIN and self._folded.text.startswith(UNEXPLAINED, target.end):
            assertion = Assertion.PRESENT
        if asked and not told and assertion is Assertion.PRESENT:
            assertion = Assertion.UNCERTAIN
        return Mention(
            key=target.key,
            text=self._text[start:end],
            start=start,
            end=end,
            assertion=assertion,
            sentence=self._sentence,
            historical=told,
            hypothetical=asked and not told,
            subject=judgement.subject,
            laterality=self._side(target, index),
            region=self._region(target, index),
            size=self._size(number) if assertion is not Assertion.ABSENT or judgement.resolved else None,
            change=self._change(target, judgement, index),
        )

    def _size(self, number: int) -> Size | None:
        """The target's size, its characters those of the text."""
        size = self._sizes.get(number)
        if not size:
            return None
        start, end = self._folded.span(size.start, size.end)
        return replace(size, start=start, end=end)

    def _in_its_organ(self, target: Target) -> Target:
        """The target; where it is another organ's, as what it is there."""
        if not self._of_other_organ(target):
            return target
        return replace(target, key=general.ELSEWHERE.get(target.key, general.LESION))

    def _of_other_organ(self, target: Target) -> bool:
        """Whether the clause speaks of another organ and not of the lung ("nodule in the liver")."""
        if not self._words.concepts[target.key].lung_only:
            return False
        clause = self._clauses[self._clause_of(target)]
        inside = [
            [hit for hit in self._own[group] if clause.start <= hit.start and hit.end <= clause.end]
            for group in (Group.ORGAN, Group.REGION)
        ]
        return bool(inside[0]) and not any(set(hit.kinds) - ELSEWHERE for hit in inside[1])

    def _clause_of(self, target: Target) -> int:
        return max(i for i, clause in enumerate(self._clauses) if i == 0 or clause.start <= target.start)

    @property
    def _asks(self) -> bool:
        """Whether the section asks ("INDICATION: ...") instead of stating."""
        return not self._part.asserts

    def _place(self, target: Target, group: int, index: int) -> str:
        return attributes.place(self._folded.text, target, self._own[group], self._targets, self._clauses, index)

    def _side(self, target: Target, index: int) -> Laterality:
        """The side; none for what lies in the midline."""
        if self._words.concepts[target.key].site in MIDLINE:
            return ""
        return attributes.as_laterality(self._place(target, Group.SIDE, index))

    def _region(self, target: Target, index: int) -> str:
        usual = self._words.concepts[target.key].site
        return (self._place(target, Group.REGION, index) or usual) if usual in ("lung", "lymph_node") else usual

    def _change(self, target: Target, judgement: Judgement, index: int) -> Change | None:
        if judgement.resolved:
            return Change.RESOLVED
        if judgement.assertion is Assertion.ABSENT:
            gone = attributes.seen_before(self._folded.text, target, self._clauses[index])
            return Change.RESOLVED if gone and not target.normal else None
        return attributes.change(
            self._folded.text,
            target,
            [hit for hit in self._own[Group.CHANGE] if ASIDE not in hit.kinds],
            self._targets,
            self._clauses,
            index,
        )


def _visible(cues: Sequence[Hit], terms: Sequence[Hit]) -> list[Hit]:
    """The cues without those inside a finding's name (the "不" of "肺不张"), cut where they run into one."""
    visible: list[Hit] = []
    for cue in cues:
        start, end = cue.start, cue.end
        for term in terms:
            if term.start < end and start < term.end:
                start, end = (start, term.start) if start < term.start else (term.end, end)
        if start < end:
            visible.append(cue if (start, end) == (cue.start, cue.end) else Hit(start, end, cue.kinds))
    return visible
