"""Samples of a DICOM waveform in physical units (PS3.3 C.10.9): multiplex groups, sensitivity, baseline, padding."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset

from cds.dicom import text
from cds.dicom.broken import BROKEN_VALUE
from cds.domain.code import Code
from cds.domain.records import Identity
from cds.domain.waveform import Channel
from cds.errors import EvidenceError

Samples = npt.NDArray[np.float64]

MAXIMUM_SAMPLES: Final = 20_000_000
"""Of all channels together, 160 MB as read and some times that as filtered: an hour of 12 leads at 400 Hz."""
_KINDS: Final[Mapping[tuple[int, str], str]] = MappingProxyType(
    {
        (8, "SB"): "i1",
        (8, "UB"): "u1",
        (8, "MB"): "u1",
        (8, "AB"): "u1",
        (16, "SS"): "i2",
        (16, "US"): "u2",
        (32, "SL"): "i4",
        (32, "UL"): "u4",
    }
)
"""Waveform Bits Allocated and Waveform Sample Interpretation (PS3.3 C.10.9.1.5)."""
_TO_MV: Final[Mapping[str, float]] = MappingProxyType({"uV": 1e-3, "mV": 1.0, "V": 1e3, "nV": 1e-6})
_LEADS: Final[Mapping[int, str]] = MappingProxyType(
    {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"} | {2 + n: f"V{n}" for n in range(1, 7)}
)
"""Lead numbers that SCP-ECG (EN 1064, ``5.6.3-9-N``) and MDC (``2:N``, PS3.16 CID 3001) share."""
_LEAD_CODE: Final = re.compile(r"(?:5\.6\.3-9-|2:)(\d+)")
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {name.lower(): name for name in (*_LEADS.values(), "MLII", "MLI", "MLIII", "VX", "VY", "VZ")}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """Channels that were sampled together.

    Attributes
    ----------
    samples
        float64, shape (channels, samples), each channel in its `unit`; NaN where there is no value.
    sampling_hz
        Samples per second and channel.
    label
        What the source calls the group, e.g. ``"RHYTHM"``.
    derived
        Whether it is computed from a recording, such as a median beat.
    identity
        Who the source says it is of; None where it does not say.
    """

    samples: Samples = field(repr=False)
    sampling_hz: float
    channels: tuple[Channel, ...]
    label: str = ""
    derived: bool = False
    identity: Identity | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return int(self.samples.shape[1]) / self.sampling_hz


def lead_named(name: str) -> str:
    """The house's name of an ECG lead, ``""`` where the name is of none: ``"Lead aVR"`` and ``"avr"`` are aVR."""
    words = re.sub(r"\(.*?\)|lead|[^a-z0-9]", " ", name.lower()).split()
    return _NAMES.get("".join(words), "")


def load_waveforms(path: Path) -> tuple[Recording, ...]:
    """Every multiplex group of a DICOM file, in the order of the file.

    Raises
    ------
    EvidenceError
        When the file is gone, cut or no waveform, or its samples are of a kind that PS3.3 does not know.
    """
    with warnings.catch_warnings():  # pydicom's warnings quote values, which may be a patient's
        warnings.simplefilter("ignore")
        return _loaded(path)


def _loaded(path: Path) -> tuple[Recording, ...]:
    try:
        data_set = pydicom.dcmread(path)
        groups = list(data_set.get("WaveformSequence") or [])
    except (OSError, *BROKEN_VALUE) as error:
        raise EvidenceError(f"the waveform cannot be read: {type(error).__name__}") from None
    if not groups:
        raise EvidenceError("the file has no Waveform Sequence")
    order = "<" if data_set.original_encoding[1] is not False else ">"
    try:
        identity = _identity(data_set)
        return tuple(_recording(group, order, identity) for group in groups)
    except (OSError, *BROKEN_VALUE) as error:
        raise EvidenceError(f"the samples of the waveform cannot be decoded: {type(error).__name__}") from None


def _identity(data_set: Dataset) -> Identity | None:
    patient_id = str(data_set.get("PatientID") or "").strip()
    if not patient_id:
        return None
    sex = str(data_set.get("PatientSex") or "").strip().upper()
    return Identity(
        patient_id=patient_id,
        issuer_of_patient_id=str(data_set.get("IssuerOfPatientID") or "").strip(),
        birth_date=text.day(str(data_set.get("PatientBirthDate") or "").encode("ascii", "replace")),
        sex=sex if sex in ("M", "F", "O") else "",
    )


def _recording(group: Dataset, order: str, identity: Identity | None) -> Recording:
    hz = float(group.SamplingFrequency)
    if not np.isfinite(hz) or hz <= 0:
        raise ValueError("no sampling frequency")
    definitions = list(group.ChannelDefinitionSequence)
    raw, missing = _raw(group, order, len(definitions))
    channels, samples = [], raw.astype(np.float64)
    for number, definition in enumerate(definitions):
        channel, scale, baseline = _channel(definition)
        samples[number] = samples[number] * scale + baseline
        channels.append(channel)
    samples[missing] = np.nan
    return Recording(
        samples=samples,
        sampling_hz=hz,
        channels=tuple(channels),
        label=str(group.get("MultiplexGroupLabel") or ""),
        derived=str(group.get("WaveformOriginality") or "") == "DERIVED",
        identity=identity,
    )


def _raw(group: Dataset, order: str, channels: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Encoded samples, shape (channels, samples), expanded where companded, and where they are padding."""
    count, bits = int(group.NumberOfWaveformSamples), int(group.WaveformBitsAllocated)
    meaning = str(group.WaveformSampleInterpretation)
    if int(group.NumberOfWaveformChannels) != channels or count <= 0 or channels <= 0:
        raise ValueError("the channels are not those that are defined")
    if count * channels > MAXIMUM_SAMPLES:
        raise ValueError("too many samples")
    kind = np.dtype(order + _KINDS[bits, meaning])
    data = np.frombuffer(group.WaveformData, dtype=kind, count=count * channels)
    encoded = data.reshape(count, channels).T
    padding = group.get("WaveformPaddingValue")
    missing = np.zeros(encoded.shape, dtype=np.bool_)
    if padding is not None:
        missing = encoded == _padding(padding, kind)
    return _expanded(encoded, meaning), missing


def _padding(value: object, kind: np.dtype[np.signedinteger]) -> int:
    """Waveform Padding Value (5400,100A), whose VR is that of the samples."""
    if isinstance(value, bytes):
        return int(np.frombuffer(value, dtype=kind, count=1)[0])
    return int(str(value))


def _expanded(encoded: npt.NDArray[np.signedinteger], meaning: str) -> npt.NDArray[np.int64]:
    """Linear samples; mu-law (MB) and A-law (AB) are expanded as ITU-T G.711 says."""
    linear = encoded.astype(np.int64)
    if meaning == "MB":
        code = ~linear & 0xFF
        size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
        return np.where(code & 0x80, -size, size)
    if meaning == "AB":
        code = linear ^ 0x55
        segment, size = (code & 0x70) >> 4, (code & 0x0F) << 4
        size = np.where(segment == 0, size + 8, (size + 0x108) << np.maximum(segment - 1, 0))
        return np.where(code & 0x80, size, -size)
    return linear


def _channel(definition: Dataset) -> tuple[Channel, float, float]:
    """The channel, and scale and baseline that make its samples values (PS3.3 C.10.9.1.4)."""
    source = definition.ChannelSourceSequence[0]
    value = str(source.get("CodeValue") or source.get("LongCodeValue") or "")
    scheme, meaning = str(source.get("CodingSchemeDesignator") or ""), str(source.get("CodeMeaning") or "")
    found = _LEAD_CODE.fullmatch(value) if scheme in ("SCPECG", "MDC") else None
    lead = _LEADS.get(int(found[1]), "") if found else ""
    unit, scale, baseline = "1", 1.0, 0.0
    if definition.get("ChannelSensitivity") is not None:
        unit = str(definition.ChannelSensitivityUnitsSequence[0].CodeValue)
        correction = definition.get("ChannelSensitivityCorrectionFactor")
        scale = float(definition.ChannelSensitivity) * (1.0 if correction is None else float(correction))
        baseline = float(definition.get("ChannelBaseline") or 0.0)
    to_mv = _TO_MV.get(unit)
    if to_mv is not None:
        unit, scale, baseline = "mV", scale * to_mv, baseline * to_mv
    channel = Channel(code=Code(value, scheme, meaning), lead=lead or lead_named(meaning), unit=unit)
    return channel, scale, baseline
