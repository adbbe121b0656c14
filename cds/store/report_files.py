"""Reports on disk: every encoding of every revision, durable before a row speaks of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from cds.domain.report import EncodedReport
from cds.errors import ReportError
from cds.store.durable import make_folder, sweep, write_durably

STRUCTURED_REPORTS: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.11",
        "1.2.840.10008.5.1.4.1.1.88.22",
        "1.2.840.10008.5.1.4.1.1.88.33",
        "1.2.840.10008.5.1.4.1.1.88.34",
    }
)
"""Basic Text, Enhanced, Comprehensive and Comprehensive 3D SR (PS3.4 B.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One encoding on disk; `path` is relative to the reports' folder; `writer` made it."""

    name: str
    media_type: str
    sop_instance_uid: str
    sop_class_uid: str
    path: str
    sha256: str
    size: int
    writer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """One revision on disk, the structured report first.

    `content_hash` is the same for two revisions that say the same; ``""`` where nobody said.
    """

    revision: int
    sop_instance_uid: str
    inputs_hash: str
    files: tuple[StoredFile, ...]
    content_hash: str = ""


class ReportFiles:
    """A folder of our own results, one subfolder per study under a hashed name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / "incoming"
        make_folder(self._temporary)

    def put(
        self,
        study_instance_uid: str,
        job: str,
        encodings: Sequence[EncodedReport],
        *,
        revision: int,
        inputs_hash: str,
        content_hash: str = "",
    ) -> StoredReport:
        """Make every encoding of one revision durable.

        `job` keeps the files of two runs apart, so that no run overwrites what another one has entered.

        Raises
        ------
        ReportError
            When there is no structured report among them, or a name is no plain file name.
        OSError
            When the disk does not take it.
        """
        ordered = sorted(encodings, key=lambda encoding: encoding.sop_class_uid not in STRUCTURED_REPORTS)
        if not ordered or ordered[0].sop_class_uid not in STRUCTURED_REPORTS:
            raise ReportError("the writers made no structured report: add the writer 'sr' to the configuration")
        folder = f"{_hashed(study_instance_uid)}/{_hashed(job)}"
        make_folder(self._root / folder)
        return StoredReport(
            revision=revision,
            sop_instance_uid=ordered[0].sop_instance_uid,
            inputs_hash=inputs_hash,
            content_hash=content_hash,
            files=tuple(self._put(folder, encoding) for encoding in ordered),
        )

    def path(self, relative: str) -> Path:
        """Where a file of a stored report lies."""
        return self._root / relative

    def sweep(self, known: frozenset[str]) -> int:
        """Remove what a crash left: half-written files, and files that no row speaks of; how many."""
        removed = sweep(self._temporary)
        for file in list(self._root.glob("*/*/*")):
            if file.relative_to(self._root).as_posix() not in known:
                file.unlink()
                removed += 1
        for folder in sorted(self._root.glob("**/"), reverse=True):
            if folder not in (self._root, self._temporary) and not any(folder.iterdir()):
                folder.rmdir()
        return removed

    def tidy(self, study_instance_uid: str, known: frozenset[str]) -> None:
        """Remove what runs of a study left that no row speaks of; no run of it may be under way."""
        for file in list(self._root.glob(f"{_hashed(study_instance_uid)}/*/*")):
            if file.relative_to(self._root).as_posix() not in known:
                file.unlink()
                if not any(file.parent.iterdir()):
                    file.parent.rmdir()

    def _put(self, folder: str, encoding: EncodedReport) -> StoredFile:
        if PurePath(encoding.name).name != encoding.name or encoding.name in ("", ".", ".."):
            raise ReportError(f"a writer named its file {encoding.name!r}: a plain file name is needed")
        relative = f"{folder}/{encoding.name}"
        write_durably(self._root / relative, (encoding.content,), self._temporary)
        return StoredFile(
            name=encoding.name,
            media_type=encoding.media_type,
            sop_instance_uid=encoding.sop_instance_uid,
            sop_class_uid=encoding.sop_class_uid,
            path=relative,
            sha256=hashlib.sha256(encoding.content).hexdigest(),
            size=len(encoding.content),
            writer=encoding.writer,
        )


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
