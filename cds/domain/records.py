"""Records: what stands about the patient outside the images, in one normal form."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from cds.domain.code import Code
from cds.domain.waveform import Waveform


class LabStatus(StrEnum):
    """Result status (HL7 table 0085, FHIR observation-status)."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a record says it is about; compared with the study's patient, never guessed.

    Identity is (patient ID, issuer); birth date and sex check it.
    """

    patient_id: str = field(repr=False)
    issuer_of_patient_id: str = field(repr=False, default="")
    birth_date: date | None = field(repr=False, default=None)
    sex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabResult:
    """One laboratory value.

    `analyte` is a LOINC code, `value` is in `unit` (UCUM), after conversion to the analyte's
    house unit (`cds.domain.labs`). `comparator` is ``""``, ``"<"``, ``"<="``, ``">"`` or ``">="``.
    `source` names the file and row, or the message, that the value came from. `window_hours` says how long before
    and after the study it counts; None where its source does not say.
    """

    analyte: Code
    value: float
    unit: str
    observed_at: datetime
    comparator: str = ""
    reference_low: float | None = None
    reference_high: float | None = None
    status: LabStatus = LabStatus.FINAL
    source: str = ""
    window_hours: tuple[float, float] | None = None


class TextKind(StrEnum):
    """What a text is in relation to the study that is read."""

    CURRENT = "current"
    PRIOR = "prior"
    ORDER = "order"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReport:
    """A narrative text about the patient: data, never an instruction, never markup."""

    report_id: str
    text: str = field(repr=False)
    kind: TextKind = TextKind.PRIOR
    authored_at: datetime | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRecord:
    """A record that was seen and not used, and why; the reason carries no patient data."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All records joined to one study by identity and time.

    `earlier` are final values of the analytes in `labs` from before those, in the window, oldest first: shown as a
    trend, and concluded from by nobody.
    """

    labs: tuple[LabResult, ...] = ()
    texts: tuple[TextReport, ...] = ()
    rejected: tuple[RejectedRecord, ...] = ()
    waveforms: tuple[Waveform, ...] = ()
    earlier: tuple[LabResult, ...] = ()

    def __add__(self, other: Records) -> Records:
        return Records(
            labs=self.labs + other.labs,
            texts=self.texts + other.texts,
            rejected=self.rejected + other.rejected,
            waveforms=self.waveforms + other.waveforms,
            earlier=self.earlier + other.earlier,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Which patients' records came or changed at a source, up to `position`.

    `position` is the source's own word for how far it looked: text that the host keeps and gives back, and does
    not read. `patients` may name a patient more than once, and one about whom nothing came; it leaves out nobody.
    """

    position: str
    patients: tuple[Identity, ...] = field(repr=False, default=())
