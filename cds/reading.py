"""Reading a study: from its files to its encoded report, remembering what was read before.

A study is read while it may still be arriving (`cds.service.ahead`), and again when it is complete.
The second time nothing has to be computed that did not change: the same case gives the same report,
and the same images and records the same evidence; an extractor that depends on images alone does not look
again when records come late. What is remembered is compared by value.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from cds import ports
from cds.dicom.read import read_studies
from cds.dicom.text_documents import documents
from cds.domain.evidence import Evidence, Missing
from cds.domain.joining import across
from cds.domain.report import Case, EncodedReport, Report
from cds.errors import EvidenceError
from cds.pipeline import Pipeline, Progress, inputs_hash, looked_at, try_to_extract
from cds.report.changes import changes
from cds.report.content import content_hash
from cds.report.json_form import JsonReport
from cds.service import AnalysisResult
from cds.store import Attempt

_JSON: Final = "application/json"
_REMEMBERED: Final = 32
"""Extractions that are kept of each extractor: of the last studies, and of the earlier ones they were compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Everything between a complete study and its encoded report."""

    pipeline: Pipeline
    records: tuple[ports.RecordsSource, ...]
    writers: Mapping[str, ports.Writer]

    def with_records(self, case: Case) -> Case:
        """The case with the patient's records joined to it: the studies' own documents, then every source's."""
        joined = documents(case.study, case.priors, own_model_name=self.pipeline.software.name)
        for source in self.records:
            joined += source.records_for(case.study)
        return replace(case, records=across(joined))

    def report(self, case: Case, started_at: datetime, progress: Progress = lambda step: None) -> Report:
        """Join the records, run the pipeline."""
        progress("joining records")
        return self.pipeline.run(self.with_records(case), started_at, progress)

    def encode(self, report: Report) -> tuple[EncodedReport, ...]:
        """Every encoding of one report, each with the name of its writer."""
        return tuple(
            replace(encoded, writer=name) for name, writer in self.writers.items() for encoded in writer.write(report)
        )


_Known = tuple[ports.Extractor, Case, Evidence | Missing]


class Memory:
    """What extractors found in the last studies."""

    def __init__(self) -> None:
        self._kept: defaultdict[int, deque[_Known]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def extract(self, extractor: ports.Extractor, case: Case) -> Evidence | Missing:
        """What the extractor finds in that of the case which it depends on."""
        given, kept = looked_at(extractor, case), self._kept[id(extractor)]
        for known, before, found in kept:
            if known is extractor and before == given:
                return found
        found = try_to_extract(extractor, given)
        kept.append((extractor, given, found))
        return found


class Reading:
    """Carries out attempts; called in the worker process."""

    def __init__(self, analysis: Analysis) -> None:
        pipeline = replace(analysis.pipeline, extract=Memory().extract)
        self._analysis = replace(analysis, pipeline=pipeline)
        self._last: tuple[Case, int, str, AnalysisResult] | None = None

    def __call__(self, attempt: Attempt) -> AnalysisResult:
        """Read the study of an attempt.

        Raises
        ------
        EvidenceError
            When its files are not those of one study.
        """
        case = self._analysis.with_records(_case_of(attempt))
        if self._last and self._last[:3] == (case, attempt.revision, attempt.predecessor):
            return self._last[3]
        if attempt.known_inputs and attempt.known_inputs == inputs_hash(case):
            return AnalysisResult(inputs_hash=attempt.known_inputs, nothing_new=True)
        report = self._analysis.pipeline.run(case, datetime.now(UTC))
        report = replace(report, revision=attempt.revision, predecessor=attempt.predecessor)
        report = replace(report, changes=changes(report, attempt.before) if report.predecessor else None)
        result = AnalysisResult(
            inputs_hash=report.inputs_hash,
            encodings=self._kept(report),
            content_hash=content_hash(report, self._analysis.writers),
        )
        self._last = (case, attempt.revision, attempt.predecessor, result)
        return result

    def _kept(self, report: Report) -> tuple[EncodedReport, ...]:
        """Every encoding, as JSON in any case: the next revision says what it changed against that."""
        encodings = self._analysis.encode(report)
        written = any(each.media_type == _JSON for each in encodings)
        return encodings if written else (*encodings, *JsonReport(JsonReport.Settings(indent=0)).write(report))


def _case_of(attempt: Attempt) -> Case:
    studies, unreadable = read_studies([instance.path for instance in attempt.instances])
    if len(studies) != 1:
        reasons = "; ".join(sorted({file.reason for file in unreadable})) or "no instance was found"
        raise EvidenceError(f"study {attempt.job.study_instance_uid} cannot be read: {reasons}")
    return Case(
        study=studies[0],
        priors=attempt.priors,
        not_compared=attempt.not_compared,
        held=attempt.held,
        expected=attempt.expected,
    )
