"""What was read of an electrocardiogram as observations: measurement statements, each with its limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from cds.domain.code import Code
from cds.domain.evidence import Measurement, Observation
from cds.domain.study import Patient
from cds.domain.waveform import Trace
from cds.features.waveform.filters import passed
from cds.features.waveform.limits import IRREGULAR, UNIVERSAL, Limits, limits_of, st_beyond
from cds.features.waveform.reading import Ecg, Rhythm, corrected_qt

CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "heart_rate": Code("8867-4", "LN", "Heart rate", "心率"),
        "rr": Code("2:16168", "MDC", "RR interval global", "RR间期"),
        "sdnn": Code("ecg_rr_sd", "99CDS", "Standard deviation of RR intervals", "RR间期标准差"),
        "pr": Code("8625-6", "LN", "P-R interval", "PR间期"),
        "qrs": Code("8633-0", "LN", "QRS duration", "QRS时限"),
        "qt": Code("8634-8", "LN", "Q-T interval", "QT间期"),
        "qtc_bazett": Code("76635-2", "LN", "Q-T interval corrected based on Bazett formula", "QTc（Bazett）"),
        "qtc_fridericia": Code(
            "76634-5", "LN", "Q-T interval corrected based on Fridericia formula", "QTc（Fridericia）"
        ),
        "irregularity": Code("ecg_irregularity", "99CDS", "RMSSD over mean RR interval", "RR间期不规则度"),
        "unlike": Code("ecg_unlike", "99CDS", "Share of beats unlike the typical beat", "与典型心搏不同的心搏比例"),
        "st": Code("2:14336", "MDC", "Amplitude at 60 ms into ST segment, per lead", "ST段J点后60 ms振幅"),
    }
)
"""LOINC where it has one; MDC as PS3.16 CID 3228 and CID 3688 have it; else private."""
RHYTHM_LEADS: Final = ("II", "MLII", "V1", "I", "V5")
TRACE_SECONDS: Final = 10.0
TRACE_HZ: Final = 125.0


def observations_of(ecg: Ecg, patient: Patient, source: str) -> tuple[Observation, ...]:
    """The observations of an electrocardiogram that passed its gates."""
    if ecg.rhythm is None:
        return ()
    limits = limits_of(patient)
    return tuple(
        Observation(
            id=f"waveform/{name}",
            concept=CODES[name.split("/")[0]],
            measurements=(Measurement(quantity=CODES[name.split("/")[0]], value=round(value, digits), unit=unit),),
            source=source,
            note=note or _compared(limits.get(name), value, unit),
        )
        for name, value, digits, unit, note in (
            *_rhythm(ecg.rhythm),
            *_intervals(ecg, ecg.rhythm),
            *_unlike(ecg),
            *_st(ecg, patient),
        )
    )


Row = tuple[str, float, int, str, str]
"""Name, value, decimals, UCUM unit, note."""


def _rhythm(rhythm: Rhythm) -> Iterator[Row]:
    yield "heart_rate", rhythm.rate, 0, "/min", ""
    yield (
        "rr",
        rhythm.mean_ms,
        0,
        "ms",
        f"mean of {rhythm.beats} beats, {rhythm.shortest_ms:.0f} to {rhythm.longest_ms:.0f} ms",
    )
    yield "sdnn", rhythm.sdnn_ms, 1, "ms", "variation of all intervals, ectopic beats included"
    regular = "irregular" if rhythm.rmssd_share >= IRREGULAR else "regular"
    yield (
        "irregularity",
        rhythm.rmssd_share,
        3,
        "1",
        f"the rhythm is {regular} by this number alone (irregular from {IRREGULAR:g}); it names no rhythm",
    )


def _intervals(ecg: Ecg, rhythm: Rhythm) -> Iterator[Row]:
    found = ecg.intervals
    if found is None:
        return
    if found.pr_ms is not None:
        yield "pr", found.pr_ms, 0, "ms", ""
    if found.qrs_ms is not None:
        yield "qrs", found.qrs_ms, 0, "ms", ""
    if found.qt_ms is not None:
        bazett, fridericia = corrected_qt(found.qt_ms, rhythm.mean_ms)
        yield "qt", found.qt_ms, 0, "ms", ""
        yield "qtc_bazett", bazett, 0, "ms", ""
        yield "qtc_fridericia", fridericia, 0, "ms", ""


def _unlike(ecg: Ecg) -> Iterator[Row]:
    if ecg.unlike is not None:
        yield "unlike", ecg.unlike, 3, "1", "by the shape of the QRS complex; noise counts as unlike"


def _st(ecg: Ecg, patient: Patient) -> Iterator[Row]:
    if ecg.intervals is None:
        return
    levels = {lead: level for lead, level in zip(ecg.leads, ecg.intervals.st_mv, strict=True) if math.isfinite(level)}
    beyond = st_beyond(levels, patient)
    for lead, level in levels.items():
        said = f"lead {lead}, against the level before the QRS complex"
        if lead in beyond:
            said += f"; {beyond[lead]} beyond the limit in it and a neighbouring lead (limit: {UNIVERSAL})"
        yield f"st/{lead}", level, 3, "mV", said


def _compared(limits: Limits | None, value: float, unit: str) -> str:
    if limits is None:
        return "not compared with limits"
    return f"{limits.word(value)} the limits: {_span(limits)} {unit} ({limits.source})"


def _span(limits: Limits) -> str:
    if limits.low is None:
        return f"up to {limits.high:g}"
    return f"{limits.low:g} to {limits.high:g}"


def trace_of(ecg: Ecg) -> Trace:
    """Up to ten seconds of the lead that rhythms are read from, with its R peaks."""
    lead = next((name for name in RHYTHM_LEADS if name in ecg.leads), ecg.leads[0])
    smooth = passed(np.nan_to_num(ecg.samples[[ecg.leads.index(lead)]]), ecg.hz, 0.5, 40.0)[0]
    seconds = min(TRACE_SECONDS, len(smooth) / ecg.hz)
    times = np.arange(0.0, seconds, 1.0 / TRACE_HZ)
    values = np.interp(times, np.arange(len(smooth)) / ecg.hz, smooth)
    marks = ecg.peaks[ecg.peaks < seconds * ecg.hz] / ecg.hz
    return Trace(
        lead=lead,
        unit="mV",
        hz=TRACE_HZ,
        values=tuple(round(float(value), 3) for value in values),
        marks=tuple(round(float(mark), 3) for mark in marks),
    )
