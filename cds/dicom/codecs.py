"""Which decoders of compressed pixels are installed, by family (PS3.5 Annex A.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

_FAMILIES: Final = {
    "JPEG": "1.2.840.10008.1.2.4.50",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "RLE": "1.2.840.10008.1.2.5",
}


def decoders() -> Mapping[str, tuple[str, ...]]:
    """Names of the decoders that are there for each family of transfer syntaxes."""
    return {name: tuple(get_decoder(UID(uid)).available_plugins) for name, uid in _FAMILIES.items()}
