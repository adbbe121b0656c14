"""The DICOM JSON Model (PS3.18 Annex F) of a file, without its bulk data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread

_BULK: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

Attributes = Mapping[str, Mapping[str, Any]]
"""Attributes by tag in eight hexadecimal digits, as PS3.18 Table F.2.2-1 writes them."""


def json_model(file: Path) -> dict[str, Mapping[str, Any]]:
    """Every attribute of the data set whose value is no bulk data.

    Raises
    ------
    OSError
        When the file is not there.
    """
    data_set = dcmread(file)
    return {f"{element.tag:08X}": element.to_json_dict(None, 0) for element in data_set if element.VR not in _BULK}
