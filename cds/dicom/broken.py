"""What pydicom and its decoders raise on what is broken: on values, and on pixels."""

from __future__ import annotations

import struct
from typing import Final

from pydicom.errors import BytesLengthException, InvalidDicomError

BROKEN_VALUE: Final = (
    ArithmeticError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError,
    NotImplementedError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""On a value that is not what its VR promises, and on a file that was cut or is no DICOM."""

UNDECODABLE: Final = (*BROKEN_VALUE, AssertionError, ImportError, MemoryError, OSError, RuntimeError)
"""On pixels that are broken or of a kind that no decoder knows."""
