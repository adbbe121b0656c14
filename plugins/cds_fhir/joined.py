"""What the resources about one patient say of a study: the values and texts that stand, and why others do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cds.domain.joining import SUPERSEDED, Search, Tally
from cds.domain.labs import latest_final
from cds.domain.records import LabResult, Records, TextKind, TextReport
from cds.domain.same_person import doubt
from cds.domain.site_codes import SiteCode
from cds_fhir import moments
from cds_fhir.elements import children, text
from cds_fhir.reading import Chart, Kept
from cds_fhir.resources import identifiers_of
from cds_fhir.texts import accession_numbers, text_of
from cds_fhir.values import STATUSES, observed_at, parts_of, unusable, value_of

_REPLACED = "replaced by a later version of the same result (its identifier)"


@dataclass(slots=True)
class Join:
    """Reads a chart for one study; what is not used is noted."""

    search: Search
    site: Mapping[str, SiteCode]
    tally: Tally = field(default_factory=Tally)

    def labs(self, chart: Chart) -> Records:
        """The latest final value of each analyte in its window, and earlier ones."""
        if chart.outside:
            self.tally.note(f"fhir: {chart.outside} observations", f"outside the window of {self.search.window}")
        found = [result for kept in self._standing(chart.observations) for result in self._values(kept)]
        used, superseded = latest_final(found)
        for result in superseded:
            self.tally.note(result.source, SUPERSEDED)
        return self.search.window.joined(used, superseded)

    def texts(self, chart: Chart) -> tuple[TextReport, ...]:
        """Every report that stands: the study's own, and priors from before it."""
        found: dict[str, TextReport] = {}
        for kept in self._standing(chart.reports):
            report = self._report(kept)
            if report is not None:
                # Servers number each for itself; observations are named by report id.
                free = report.report_id not in found
                found[report.report_id if free else kept.source] = (
                    report if free else replace(report, report_id=kept.source)
                )
        return tuple(found.values())

    def _standing(self, every: Iterable[Kept]) -> list[Kept]:
        """Those that are about the study's patient; of those that share an identifier, code and time the last."""
        last: dict[tuple[object, ...], Kept] = {}
        for kept in every:
            if reason := self._doubt(kept):
                self.tally.note(kept.source, f"it is not certain that it is the same person: {reason}")
                continue
            key = _same_result(kept)
            if (earlier := last.pop(key, None)) is not None:
                self.tally.note(earlier.source, _REPLACED)
            last[key] = kept
        return list(last.values())

    def _doubt(self, kept: Kept) -> str:
        born, partial = self.search.identity.birth_date, kept.person.partial_birth_date
        if born is not None and partial and not born.isoformat().startswith(partial):
            return "birth date differs"
        return doubt(self.search.identity, kept.person.identity)

    def _values(self, kept: Kept) -> Iterable[LabResult]:
        if reason := unusable(kept.element):
            self.tally.note(kept.source, reason)
            return
        try:
            moment = observed_at(kept.element, self.search.zone)
        except ValueError as error:
            self.tally.note(kept.source, str(error))
            return
        if not self.search.window.may_hold(moment):
            self.tally.note(kept.source, f"outside the window of {self.search.window}")
            return
        status = STATUSES[text(kept.element, "status")]
        for part in parts_of(kept.element, kept.source):
            try:
                value = value_of(part, status, moment, self.site)
            except ValueError as error:
                self.tally.note(part.source, str(error))
                continue
            if not self.search.window.holds(moment, value.result.analyte):
                self.tally.note(part.source, f"outside the window of {self.search.window}")
                continue
            if value.remark:
                self.tally.note(part.source, value.remark)
            yield value.result

    def _report(self, kept: Kept) -> TextReport | None:
        if reason := unusable(kept.element):
            self.tally.note(kept.source, reason)
            return None
        if _is_laboratory(kept) and children(kept.element, "result"):
            self.tally.note(kept.source, "a comment among laboratory values is no report")
            return None
        content, reasons = text_of(kept.element)
        for reason in reasons:
            self.tally.note(kept.source, reason)
        if not content:
            self.tally.note(kept.source, "the report has no text")
            return None
        return self._dated(kept, content)

    def _dated(self, kept: Kept, content: str) -> TextReport | None:
        issued = text(kept.element, "issued")
        try:
            moment = moments.moment(issued, self.search.zone) if issued else observed_at(kept.element, self.search.zone)
        except ValueError as error:
            self.tally.note(kept.source, str(error))
            return None
        accession = self.search.study.accession_number.strip()
        is_current = bool(accession) and accession in accession_numbers(kept.element)
        if not is_current and moment >= self.search.window.study:
            self.tally.note(kept.source, "a prior that is not from before the study")
            return None
        return TextReport(
            report_id=text(kept.element, "id"),
            text=content,
            kind=TextKind.CURRENT if is_current else TextKind.PRIOR,
            authored_at=moment,
            source=kept.source,
        )


def _same_result(kept: Kept) -> tuple[object, ...]:
    """What two resources share that are the same result, sent twice as new: identifier, code and time."""
    identifiers = tuple(sorted(each for each in identifiers_of(kept.element) if each.system))
    if not identifiers:
        return (kept.source,)
    code = repr(kept.element.get("code"))
    moment = repr([kept.element.get(name) for name in ("effectiveDateTime", "effectivePeriod", "effectiveInstant")])
    return (text(kept.element, "resourceType"), identifiers, code, moment)


def _is_laboratory(kept: Kept) -> bool:
    """Whether a report's category is the laboratory (HL7 table 0074: LAB; R4 observation-category: laboratory)."""
    codings = (coding for each in children(kept.element, "category") for coding in children(each, "coding"))
    return any(text(coding, "code") in ("LAB", "laboratory") for coding in codings)
