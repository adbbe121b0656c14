"""Multimodal clinical decision support beside the PACS.

A **Study** comes in by a listener; with the patient's records it is a **Case**; extractors turn
the case into **Evidence**; a fusion model turns evidence into **Findings**; knowledge adds
**Statements**; together they are a **Report**, which writers encode and senders deliver.
"""

from cds.domain.code import Code
from cds.domain.evidence import Assertion, Evidence, Missing, Modality, Observation
from cds.domain.finding import Finding, Knowledge, Recommendation, Statement
from cds.domain.records import Records
from cds.domain.report import Case, EncodedReport, Report
from cds.domain.study import Study
from cds.errors import CdsError

__version__ = "0.1.0"

__all__ = [
    "Assertion",
    "Case",
    "CdsError",
    "Code",
    "EncodedReport",
    "Evidence",
    "Finding",
    "Knowledge",
    "Missing",
    "Modality",
    "Observation",
    "Recommendation",
    "Records",
    "Report",
    "Statement",
    "Study",
]
