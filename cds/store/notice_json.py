"""A notice as JSON, in the journal and in the ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

from cds.ports import CommitmentReported, CommitmentRequested, Notice, Reference, StudyAnnounced

_KINDS: Final = MappingProxyType(
    {kind.__name__: kind for kind in (CommitmentRequested, CommitmentReported, StudyAnnounced)}
)


def encode_notice(notice: Notice) -> tuple[str, str]:
    """The kind of a notice, and its content as JSON."""
    return type(notice).__name__, json.dumps(asdict(notice))


def decode_notice(kind: str, content: str) -> Notice:
    """What `encode_notice` encoded."""
    values: dict[str, Any] = json.loads(content)
    references = tuple(Reference(**reference) for reference in values.pop("references"))
    return _KINDS[kind](references=references, **values)
