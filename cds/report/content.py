"""What a report says, as one hash: two runs that say the same are one report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from cds.domain.report import Report
from cds.report.json_form import as_json

_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def content_hash(report: Report, writers: Iterable[str]) -> str:
    """Sha256 over all that the report says, and the names of the `writers` that encode it.

    That is the inputs, every algorithm and knowledge source with its version, and what the configuration
    made of them. When it was made, its revision, its predecessor and what has changed
    since do not count: they say nothing about
    the patient.
    """
    timeless = replace(report, created_at=_ANY_TIME, revision=1, predecessor="", changes=None)
    said = [report.inputs_hash, sorted(writers), as_json(timeless)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
