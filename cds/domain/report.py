"""Case and Report: what goes into the pipeline, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from cds.domain.comparison import Comparison
from cds.domain.evidence import Algorithm, Evidence, Gate, Missing
from cds.domain.finding import Finding, Knowledge, Recommendation, Statement
from cds.domain.records import Records
from cds.domain.revision import Difference
from cds.domain.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A study and the patient's records: all that the pipeline may look at.

    Attributes
    ----------
    priors
        Earlier studies of the same patient, newest first, for a comparison.
    not_compared
        Why there is no comparison, or none with some earlier study; no patient data.
    comparisons
        What has changed since the priors, by what was measured in both; the pipeline fills it before it asks knowledge.
    held, expected
        How many instances were here when the study was complete, of how many; 0 where nobody said.
    """

    study: Study
    records: Records = field(default_factory=Records)
    priors: tuple[Study, ...] = ()
    not_compared: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    held: int = 0
    expected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One unverified report: the value that every writer encodes.

    A report is decision support. The type has no way to say VERIFIED; only a signature makes a
    new, verified instance. `created_at` is when the analysis started. `inputs_hash` is the sha256
    over everything that went in; the SR's UID is derived from it, so that a rerun is the same object.
    `changes` is what it says otherwise than its `predecessor`, None where that is not known.
    """

    case: Case
    created_at: datetime
    software: Algorithm
    evidence: tuple[Evidence, ...]
    missing: tuple[Missing, ...]
    findings: tuple[Finding, ...]
    knowledge: tuple[Knowledge, ...]
    impression: tuple[str, str]
    limits: tuple[str, ...]
    inputs_hash: str
    comparisons: tuple[Comparison, ...] = ()
    revision: int = 1
    predecessor: str = ""
    changes: tuple[Difference, ...] | None = None

    @property
    def verification(self) -> Literal["UNVERIFIED"]:
        """Always UNVERIFIED (PS3.3 C.17.2, Verification Flag)."""
        return "UNVERIFIED"

    @property
    def study(self) -> Study:
        """The study that was read."""
        return self.case.study

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Every gate of every modality, those that took part and those that are missing."""
        taken = tuple(gate for part in self.evidence for gate in part.gates)
        return taken + tuple(gate for part in self.missing for gate in part.gates)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Every statement of every knowledge source."""
        return tuple(statement for source in self.knowledge for statement in source.statements)

    @property
    def recommendations(self) -> tuple[Recommendation, ...]:
        """Every guideline recommendation of every knowledge source."""
        return tuple(item for source in self.knowledge for item in source.recommendations)

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """Every algorithm that took part, the software itself first, without repeats."""
        found = [self.software, *(part.algorithm for part in self.evidence)]
        found += [finding.algorithm for finding in self.findings]
        found += [source.algorithm for source in self.knowledge]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedReport:
    """One encoding of a report, ready to lie in a folder or to be sent.

    `sop_instance_uid` and `sop_class_uid` are ``""`` where the encoding is not DICOM. `writer` is the
    name of the writer that made it, filled by the host.
    """

    name: str
    media_type: str
    content: bytes
    sop_instance_uid: str = ""
    sop_class_uid: str = ""
    writer: str = ""
