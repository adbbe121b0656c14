"""WFDB records: header, signals of the common formats, and beat annotations.

The formats are described in the WFDB Applications Guide (header(5), signal(5), annot(5), physionet.org).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from cds.dicom.waveform import MAXIMUM_SAMPLES, Recording, lead_named
from cds.domain.code import Code
from cds.domain.waveform import Channel
from cds.errors import EvidenceError

Encoded = npt.NDArray[np.int64]

DEFAULT_GAIN: Final = 200.0
"""Units per millivolt where the header names none (header(5))."""
_BYTES: Final[Mapping[int, float]] = MappingProxyType({8: 1, 16: 2, 24: 3, 32: 4, 61: 2, 80: 1, 160: 2, 212: 1.5})
"""Bytes per sample of the formats that are read."""
_NONE: Final[Mapping[int, int]] = MappingProxyType(
    {16: -(1 << 15), 61: -(1 << 15), 80: -(1 << 7), 160: -(1 << 15), 212: -(1 << 11), 24: -(1 << 23), 32: -(1 << 31)}
)
"""The encoded sample that stands for no value (WFDB_INVALID_SAMPLE of each format)."""
_GAIN: Final = re.compile(r"(?P<gain>[-+.\deE]+)?(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S+))?")
_FORMAT: Final = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_TO_MV: Final[Mapping[str, float]] = MappingProxyType({"mV": 1.0, "uV": 1e-3, "V": 1e3})
_LONGEST_BYTES: Final = 4 * MAXIMUM_SAMPLES + (1 << 20)
BEATS: Final = "NLRBAaJSVrFejnE/fQ?"
"""Annotation mnemonics that mark a beat (annotation codes 1 to 13, 25, 30, 34, 35, 38 and 41)."""
_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {1: "N", 2: "L", 3: "R", 4: "a", 5: "V", 6: "F", 7: "J", 8: "A", 9: "S", 10: "E", 11: "j", 12: "/", 13: "Q",
     25: "B", 30: "?", 34: "e", 35: "n", 38: "f", 41: "r", 28: "+", 14: "~", 16: "|"}
)  # fmt: skip
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63


@dataclass(frozen=True, slots=True)
class _Signal:
    file: str
    format: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """Labels at samples: shape (n,), in time order."""

    samples: npt.NDArray[np.int64]
    symbols: tuple[str, ...]

    def beats(self) -> Annotations:
        """Only those that mark a beat."""
        kept = [number for number, symbol in enumerate(self.symbols) if symbol in BEATS]
        return Annotations(samples=self.samples[kept], symbols=tuple(self.symbols[number] for number in kept))


def load_wfdb(header: Path) -> Recording:
    """The signals of a single-segment record.

    Parameters
    ----------
    header
        The ``.hea`` file; signal files are looked for beside it and nowhere else.

    Raises
    ------
    EvidenceError
        When a file is gone or cut, or the record is of a kind that is not read (several segments,
        differential or compressed formats).
    """
    try:
        lines = header.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise EvidenceError(f"the WFDB header cannot be read: {error.strerror}") from None
    try:
        signals, hz, count = _header([line for line in lines if line.strip() and not line.startswith("#")])
        samples = _samples(header.parent, signals, count)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise EvidenceError(f"the WFDB record cannot be read: {type(error).__name__}") from None
    except OSError as error:
        raise EvidenceError(f"a signal file of the WFDB record cannot be read: {error.strerror}") from None
    channels = tuple(
        Channel(
            code=Code(one.name or str(number), "99WFDB", one.name or f"signal {number}"),
            lead=lead_named(one.name),
            unit="mV" if one.unit in _TO_MV else one.unit,
        )
        for number, one in enumerate(signals)
    )
    return Recording(samples=samples, sampling_hz=hz, channels=channels, label=header.stem)


def _header(lines: list[str]) -> tuple[list[_Signal], float, int]:
    """Signals, samples per second, samples per signal (0: as many as the file has)."""
    first = lines[0].split()
    if "/" in first[0]:
        raise ValueError("several segments")
    hz = float(first[2].split("/")[0].split("(")[0]) if len(first) > 2 else 250.0
    count = int(first[3]) if len(first) > 3 else 0
    if hz <= 0 or not np.isfinite(hz) or count < 0:
        raise ValueError("no sampling frequency")
    signals = [_signal(line) for line in lines[1 : 1 + int(first[1])]]
    if not signals or len(signals) != int(first[1]):
        raise ValueError("signals are missing")
    return signals, hz, count


def _signal(line: str) -> _Signal:
    fields = line.split(maxsplit=8)
    found = _FORMAT.fullmatch(fields[1])
    if found is None or int(found[1]) not in _BYTES or int(found[2] or 1) != 1:
        raise ValueError("the format is not read")
    if Path(fields[0]).name != fields[0]:
        raise ValueError("a signal file in another folder")
    said = _GAIN.fullmatch(fields[2]) if len(fields) > 2 else None
    gain = float(said["gain"]) if said and said["gain"] else 0.0
    zero = int(fields[4]) if len(fields) > 4 else 0
    baseline = int(said["baseline"]) if said and said["baseline"] else zero
    unit = (said["unit"] if said else None) or "mV"
    name = fields[8].strip() if len(fields) > 8 else ""
    return _Signal(
        fields[0], int(found[1]), int(found[3] or 0), int(found[4] or 0), gain or DEFAULT_GAIN, baseline, unit, name
    )


def _samples(folder: Path, signals: list[_Signal], count: int) -> npt.NDArray[np.float64]:
    """Physical values, shape (signals, samples); NaN where a sample is marked as none."""
    if count * len(signals) > MAXIMUM_SAMPLES:
        raise ValueError("too many samples")
    rows: list[npt.NDArray[np.float64]] = []
    for name in dict.fromkeys(one.file for one in signals):
        group = [one for one in signals if one.file == name]
        if len({(one.format, one.offset) for one in group}) != 1:
            raise ValueError("two formats in one signal file")
        if (folder / name).stat().st_size > _LONGEST_BYTES:
            raise ValueError("too many samples")
        encoded = _decoded((folder / name).read_bytes()[group[0].offset :], group[0].format, len(group), count)
        rows += [_physical(encoded[:, number], one) for number, one in enumerate(group)]
    length = min(map(len, rows))
    return np.stack([row[:length] for row in rows])


def _physical(encoded: Encoded, signal: _Signal) -> npt.NDArray[np.float64]:
    values = (encoded - signal.baseline) / signal.gain * _TO_MV.get(signal.unit, 1.0)
    if signal.format in _NONE:
        values[encoded == _NONE[signal.format]] = np.nan
    if signal.skew:
        values = np.concatenate([values[signal.skew :], np.full(min(signal.skew, len(values)), np.nan)])
    return values


def _decoded(data: bytes, kind: int, signals: int, count: int) -> Encoded:
    """Encoded samples of one signal file, shape (samples, signals).

    Raises
    ------
    ValueError
        When the file is shorter than the header says.
    """
    have = int(len(data) // _BYTES[kind]) // signals
    count = count or have
    if have < count:
        raise ValueError("the signal file is cut")
    wanted = count * signals
    if kind == 212:
        flat = _of_212(data, wanted)
    elif kind == 24:
        three = np.frombuffer(data, dtype=np.uint8, count=3 * wanted).reshape(-1, 3).astype(np.int64)
        flat = three @ np.array([1, 1 << 8, 1 << 16])
        flat = np.where(flat >= 1 << 23, flat - (1 << 24), flat)
    else:
        types = {8: "i1", 16: "<i2", 32: "<i4", 61: ">i2", 80: "u1", 160: "<u2"}
        flat = np.frombuffer(data, dtype=types[kind], count=wanted).astype(np.int64)
        flat = flat - {80: 128, 160: 32768}.get(kind, 0)
    samples = flat.reshape(count, signals)
    return samples.cumsum(axis=0) if kind == 8 else samples


def _of_212(data: bytes, wanted: int) -> Encoded:
    """Two 12-bit samples in three bytes; the middle byte has the high nibbles, the first sample's below."""
    whole = np.frombuffer(data + b"\0\0", dtype=np.uint8)[: 3 * ((wanted + 1) // 2)].reshape(-1, 3).astype(np.int64)
    first = whole[:, 0] | (whole[:, 1] & 0x0F) << 8
    second = whole[:, 2] | (whole[:, 1] & 0xF0) << 4
    pairs = np.stack([first, second], axis=1).reshape(-1)[:wanted]
    return np.where(pairs >= 1 << 11, pairs - (1 << 12), pairs)


def load_annotations(path: Path) -> Annotations:
    """Annotations in MIT format, such as the reference beats of a ``.atr`` file.

    Raises
    ------
    EvidenceError
        When the file is gone or cut.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"the WFDB annotations cannot be read: {error.strerror}") from None
    words = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2").astype(np.int64)
    times: list[int] = []
    symbols: list[str] = []
    at, now = 0, 0
    while at < len(words) and words[at]:
        code, value = int(words[at] >> 10), int(words[at] & 0x3FF)
        at += 1
        if code == _SKIP:
            if at + 1 >= len(words):
                raise EvidenceError("the WFDB annotations are cut")
            far = int(words[at]) << 16 | int(words[at + 1])
            now += far - (1 << 32) if far >= 1 << 31 else far
            at += 2
        elif code == _AUX:
            at += (value + 1) // 2
        elif code not in (_NUM, _SUB, _CHN):
            now += value
            times.append(now)
            symbols.append(_CODES.get(code, "."))
    return Annotations(samples=np.array(times, dtype=np.int64), symbols=tuple(symbols))
