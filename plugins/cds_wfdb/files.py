"""What a recording consists of, and its sha256."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from cds.domain.waveform import WaveformFormat

SUFFIXES: Final = {".hea": WaveformFormat.WFDB, ".dcm": WaveformFormat.DICOM, ".dicom": WaveformFormat.DICOM}
_AT_ONCE: Final = 1 << 20


class RecordingError(Exception):
    """A recording or an index that cannot be used; the message carries no patient data."""


def format_of(path: Path) -> WaveformFormat:
    """By the file's ending.

    Raises
    ------
    RecordingError
        When it is neither a WFDB header nor a DICOM file.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise RecordingError("the file is neither a WFDB header nor DICOM, by its ending (HEA, DCM)")
    return kind


def sha256_of(path: Path) -> str:
    """Over the file and, of a WFDB record, over the signal files that its header names.

    Raises
    ------
    RecordingError
        When a file cannot be read.
    """
    digest = hashlib.sha256()
    files = [path]
    try:
        if path.suffix.lower() == ".hea":
            files += _signals(path)
    except OSError:
        raise RecordingError("the file cannot be read") from None
    for file in files:
        try:
            with file.open("rb") as opened:
                while part := opened.read(_AT_ONCE):
                    digest.update(part)
        except OSError:
            what = "the file" if file == path else "a signal file of the record"
            raise RecordingError(f"{what} cannot be read") from None
    return digest.hexdigest()


def _signals(header: Path) -> list[Path]:
    """The signal files beside a header; a name that leads elsewhere is not followed."""
    lines = header.read_text(encoding="utf-8", errors="replace").splitlines()
    records = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    names = dict.fromkeys(fields[0] for fields in records[1:])
    return [header.parent / Path(name).name for name in names]
