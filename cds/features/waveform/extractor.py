"""The `ecg` extractor: an electrocardiogram of the study, or one joined to it -> rate, intervals, ST levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from cds.dicom.waveform import Recording, load_waveforms
from cds.domain.evidence import Algorithm, Evidence, Gate, Missing, Modality
from cds.domain.records import Identity
from cds.domain.report import Case
from cds.domain.same_person import contradiction
from cds.domain.study import Patient
from cds.domain.waveform import STORAGE_CLASSES, Waveform, WaveformFormat
from cds.errors import EvidenceError
from cds.features.waveform.observed import observations_of, trace_of
from cds.features.waveform.reading import Ecg, read_ecg
from cds.features.waveform.wfdb import load_wfdb

ALGORITHM: Final = Algorithm(name="CDS electrocardiogram", version="1.0.0", card="model-card-waveform.md")
ECG_CLASSES: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.9.1.{number}" for number in range(1, 5))
"""12-lead, general, ambulatory and general 32-bit ECG: every channel in millivolts is a lead."""
_LIMITS: Final = (
    "The electrocardiogram was measured by signal processing: numbers, no rhythm and no diagnosis; a physician must"
    " read the tracing.",
    "The electrocardiogram is not used by the fusion model: it moves no probability.",
    "ST levels and intervals are of the median beat; bundle branch block, hypertrophy, pacing and atrial flutter or"
    " fibrillation make them mean something else.",
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A recording, and where it is from."""

    recording: Recording
    source: str
    is_ecg: bool


class EcgReader:
    """Reads the first electrocardiogram of a case that passes its gates (`cds.extractors`)."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`longest_hours`: a longer recording is not read; it would hold the node up."""

        longest_hours: float = 24.0

    modality: ClassVar[Modality] = Modality.WAVEFORM

    def __init__(self, settings: EcgReader.Settings) -> None:
        self._settings = settings

    def extract(self, case: Case) -> Evidence | Missing:
        """Measure the electrocardiogram; Missing with the reason where there is none that may be read.

        Those of the study go first, in its order, then those that were joined to it, the nearest in time first.

        Raises
        ------
        EvidenceError
            When there are waveforms, and none can be decoded.
        """
        refused: list[Gate] = []
        broken: list[str] = []
        seen = False
        for item in _candidates(case):
            if isinstance(item, str):
                broken.append(item)
                continue
            leads = _leads(item)
            if item.recording.derived or not leads:
                continue
            seen = True
            who = _identity(case.study.patient, item.recording.identity)
            if not who.passed:
                refused.append(who)
                continue
            ecg = self._read(item.recording, leads)
            if ecg.rhythm is not None:
                return _evidence(ecg, (who, *ecg.gates), case.study.patient, item.source)
            refused += [gate for gate in ecg.gates if not gate.passed]
        if refused:
            why = "; ".join(dict.fromkeys(f"{gate.name}: {gate.reason}" for gate in refused))
            reason = f"no electrocardiogram may be read ({why})"
            return Missing(modality=self.modality, reason=reason, gates=tuple(refused))
        if broken and not seen:
            raise EvidenceError(f"no waveform of the case can be read: {'; '.join(dict.fromkeys(broken))}")
        return Missing(modality=self.modality, reason="the case has no electrocardiogram")

    def _read(self, recording: Recording, leads: tuple[int, ...]) -> Ecg:
        if recording.seconds > 3600.0 * self._settings.longest_hours:
            reason = (
                f"{recording.seconds / 3600:.1f} h were recorded; at most {self._settings.longest_hours:g} h are read"
            )
            none = recording.samples[:0, 0]
            gate = Gate(name="ECG length", passed=False, reason=reason)
            return Ecg(
                samples=recording.samples, hz=recording.sampling_hz, leads=(), peaks=none.astype("intp"), gates=(gate,)
            )
        names = tuple(recording.channels[n].lead or recording.channels[n].code.meaning for n in leads)
        return read_ecg(recording.samples[list(leads)], recording.sampling_hz, names)


def _candidates(case: Case) -> Iterator[_Named | str]:
    """Every recording there is, or why one cannot be read."""
    for instance in case.study.instances:
        if instance.sop_class_uid in STORAGE_CLASSES:
            try:
                for recording in load_waveforms(instance.path):
                    yield _Named(recording, instance.sop_instance_uid, instance.sop_class_uid in ECG_CLASSES)
            except EvidenceError as error:
                yield str(error)
    for waveform in sorted(case.records.waveforms, key=lambda each: _distance(case, each)):
        try:
            for recording in _joined(waveform):
                yield _Named(recording, waveform.source or waveform.waveform_id, is_ecg=True)
        except EvidenceError as error:
            yield str(error)


def _distance(case: Case, waveform: Waveform) -> tuple[float, str]:
    """Seconds between study and recording; one without a time comes last."""
    begun, taken = case.study.started_at, waveform.acquired_at
    seconds = abs((taken - begun).total_seconds()) if begun is not None and taken is not None else float("inf")
    return seconds, waveform.waveform_id


def _joined(waveform: Waveform) -> tuple[Recording, ...]:
    if waveform.format is WaveformFormat.WFDB:
        return (load_wfdb(waveform.path),)
    return load_waveforms(waveform.path)


def _leads(item: _Named) -> tuple[int, ...]:
    """The channels that are ECG leads: those of a known name, else of an ECG object all in millivolts."""
    channels = item.recording.channels
    known = tuple(number for number, channel in enumerate(channels) if channel.lead and channel.unit == "mV")
    if known or not item.is_ecg:
        return known
    return tuple(number for number, channel in enumerate(channels) if channel.unit == "mV")


def _identity(patient: Patient, said: Identity | None) -> Gate:
    """What the file itself says must not contradict the study; a file that says nothing rests on its index."""
    if said is None:
        return Gate(
            name="ECG identity", passed=True, reason="the file names no patient; who it is of was said beside it"
        )
    ours = Identity(
        patient_id=patient.patient_id,
        issuer_of_patient_id=patient.issuer_of_patient_id,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )
    differing = contradiction(ours, said)
    reason = (
        f"{differing.replace(' and ', ', ')} of the file and of the study differ"
        if differing
        else "the file names the study's patient"
    )
    return Gate(name="ECG identity", passed=not differing, reason=reason)


def _evidence(ecg: Ecg, checked: tuple[Gate, ...], patient: Patient, source: str) -> Evidence:
    return Evidence(
        modality=Modality.WAVEFORM,
        algorithm=ALGORITHM,
        observations=observations_of(ecg, patient, source),
        gates=checked,
        limits=_LIMITS,
        trace=trace_of(ecg),
    )
