"""The texts that lie among a study's own instances: Structured Reports, encapsulated PDF and CDA.

What our own software wrote is never read back. What cannot be read costs its text, and the reason stands in the
records; nothing here raises for what a file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import pydicom
from pydicom import Dataset

from cds.dicom import text
from cds.dicom.broken import BROKEN_VALUE
from cds.dicom.text_cda import narrative
from cds.dicom.text_pdf import pages
from cds.dicom.text_sr import content
from cds.domain.records import Records, RejectedRecord, TextKind, TextReport
from cds.domain.study import Instance, Study
from cds.errors import EvidenceError

MAX_DOCUMENTS: Final = 20
"""Of one study; a study with more documents is an archive's folder and no examination."""
MAX_CHARACTERS: Final = 200_000
MAX_BYTES: Final = 32 << 20
_MODEL: Final = "ManufacturerModelName"


def _encapsulated(read: Callable[[bytes], str]) -> Callable[[Dataset], str]:
    def of(ds: Dataset) -> str:
        document = bytes(ds.get("EncapsulatedDocument") or b"")
        length = int(ds.get("EncapsulatedDocumentLength") or len(document))
        return read(document[:length])

    return of


READERS: Final[Mapping[str, tuple[str, Callable[[Dataset], str]]]] = MappingProxyType({
    "1.2.840.10008.5.1.4.1.1.88.11": ("Basic Text SR", content),
    "1.2.840.10008.5.1.4.1.1.88.22": ("Enhanced SR", content),
    "1.2.840.10008.5.1.4.1.1.88.33": ("Comprehensive SR", content),
    "1.2.840.10008.5.1.4.1.1.88.34": ("Comprehensive 3D SR", content),
    "1.2.840.10008.5.1.4.1.1.88.35": ("Extensible SR", content),
    "1.2.840.10008.5.1.4.1.1.104.1": ("Encapsulated PDF", _encapsulated(pages)),
    "1.2.840.10008.5.1.4.1.1.104.2": ("Encapsulated CDA", _encapsulated(narrative)),
})  # fmt: skip
"""SOP Class UID (PS3.4 Table B.5-1) to its name and its reader. Dose, CAD and log SRs are no reports of a reader."""


def documents(study: Study, priors: Iterable[Study] = (), *, own_model_name: str) -> Records:
    """The texts of a study (CURRENT) and of earlier ones (PRIOR), in the order of their series.

    Parameters
    ----------
    own_model_name
        Manufacturer's Model Name (0008,1090) of our own results, which are passed over.
    """
    found = _of(study, TextKind.CURRENT, own_model_name)
    for prior in priors:
        found += _of(prior, TextKind.PRIOR, own_model_name)
    return found


def _of(study: Study, kind: TextKind, own_model_name: str) -> Records:
    texts: list[TextReport] = []
    rejected: list[RejectedRecord] = []
    instances = [instance for instance in study.instances if instance.sop_class_uid in READERS]
    for instance in instances[:MAX_DOCUMENTS]:
        source = f"{READERS[instance.sop_class_uid][0]} {instance.sop_instance_uid}"
        try:
            found = _read(instance, kind, source, own_model_name)
        except EvidenceError as error:
            rejected.append(RejectedRecord(source=source, reason=str(error)))
        else:
            texts += [found] if found else []
    if left := len(instances) - MAX_DOCUMENTS:
        reason = f"{left} more documents of the study were not read"
        rejected += [RejectedRecord(source=f"study {study.study_instance_uid}", reason=reason)] if left > 0 else []
    return Records(texts=tuple(texts), rejected=tuple(rejected))


def _read(instance: Instance, kind: TextKind, source: str, own_model_name: str) -> TextReport | None:
    """The document's text; None where it is our own."""
    try:
        if instance.path.stat().st_size > MAX_BYTES:
            raise EvidenceError(f"the document is larger than {MAX_BYTES >> 20} MiB")
        ds = pydicom.dcmread(instance.path)
        if str(ds.get(_MODEL, "")).strip() == own_model_name:
            return None
        words = READERS[instance.sop_class_uid][1](ds)
        written = _written_at(ds)
    except OSError as error:
        raise EvidenceError("the file cannot be read") from error
    except BROKEN_VALUE as error:
        raise EvidenceError("the document is broken") from error
    if not words.strip():
        raise EvidenceError("the document holds no text")
    return TextReport(
        report_id=instance.sop_instance_uid,
        text=words[:MAX_CHARACTERS],
        kind=kind,
        authored_at=written,
        source=source,
    )


def _written_at(ds: Dataset) -> datetime | None:
    """Content Date and Time (0008,0023), (0008,0033); None where the date is absent or wrong."""
    day = text.day(str(ds.get("ContentDate") or "").encode())
    if day is None:
        return None
    zone = text.zone(str(ds.get("TimezoneOffsetFromUTC") or "").encode())
    return datetime.combine(day, text.clock(str(ds.get("ContentTime") or "").encode()), zone)
