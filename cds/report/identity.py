"""UIDs that follow from the inputs: the same report is the same object (PS3.5 B.2, root 2.25)."""

from __future__ import annotations

import hashlib
import uuid

from cds.domain.evidence import Algorithm
from cds.domain.report import Report


def uid_of(*parts: str) -> str:
    """A UID under 2.25 that depends on `parts` and on nothing else.

    The UUID is built from the first 128 bits of a sha256 over the parts, each prefixed with its
    length, so that no two different lists of parts read the same, and marked as name-based (version 5).
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return f"2.25.{uuid.UUID(bytes=digest.digest()[:16], version=5).int}"


def instance_uid(report: Report, encoding: str) -> str:
    """SOP Instance UID of one encoding of `report`.

    It follows from the study, the inputs hash, the revision and every algorithm's version and
    weights: a rerun of the same software on the same inputs is the same object.
    """
    return uid_of(
        "instance",
        encoding,
        report.study.study_instance_uid,
        report.inputs_hash,
        str(report.revision),
        *_identities(report.algorithms),
    )


def series_uid(report: Report, encoding: str) -> str:
    """Series Instance UID of one encoding: one series per study, revisions stand in it side by side."""
    return uid_of("series", encoding, report.study.study_instance_uid)


def tracking_uid(report: Report, finding_id: str) -> str:
    """Tracking Unique Identifier (112040, DCM) of one finding; the same in every encoding."""
    return uid_of("tracking", report.inputs_hash, finding_id)


def device_uid(*algorithms: Algorithm) -> str:
    """Device UID (0018,1002): changes whenever a version or a weights file changes."""
    return uid_of("device", *_identities(algorithms))


def _identities(algorithms: tuple[Algorithm, ...]) -> list[str]:
    return [part for each in algorithms for part in (each.name, each.version, each.sha256)]
