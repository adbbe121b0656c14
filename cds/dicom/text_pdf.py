"""The text of a PDF, read by pypdf in a process of its own with little time and memory.

A PDF is a program of a kind: one that loops, unfolds to gigabytes or crashes its reader ends that process, not ours.
`python -m cds.dicom.text_pdf` is that process: the PDF on standard input, its text on standard output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from typing import Final

from cds.errors import EvidenceError

MAX_PAGES: Final = 50
MAX_CHARACTERS: Final = 200_000
MAX_SECONDS: Final = 30
"""Of processor time; a report of three pages takes a tenth of a second."""
MAX_MEMORY_BYTES: Final = 1 << 30
PATIENCE_SECONDS: Final = 120.0
_REFUSED: Final = 3
"""Exit status: pypdf does not take it for a PDF whose text may be read."""


def pages(document: bytes) -> str:
    """The text of a PDF's first pages, a page per paragraph; ``""`` of a scan, which is only an image.

    Raises
    ------
    EvidenceError
        When it is no PDF, is encrypted, or costs more time or memory than a report may.
    """
    if b"%PDF-" not in document[:1024]:
        raise EvidenceError("the document is no PDF")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", __name__],
            input=document,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each of its threads would claim memory beforehand
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EvidenceError("the PDF takes too long to read") from error
    if done.returncode == _REFUSED:
        raise EvidenceError("the PDF is broken or encrypted")
    if done.returncode:
        raise EvidenceError("the PDF takes too much time or memory to read")
    return done.stdout.decode("utf-8", "replace")[:MAX_CHARACTERS]


def extracted(document: bytes) -> str:
    """The text, in this process; what is more than the limits allow is left out.

    Raises
    ------
    ValueError
        When the PDF is broken or encrypted.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    found: list[str] = []
    try:
        for page in PdfReader(BytesIO(document)).pages[:MAX_PAGES]:
            found.append(page.extract_text())
            if sum(map(len, found)) > MAX_CHARACTERS:
                break
    except (PyPdfError, LookupError, TypeError, AttributeError, ArithmeticError, OSError) as error:
        raise ValueError("pypdf cannot read it") from error
    return "\n\n".join(found)[:MAX_CHARACTERS]


def _limit() -> None:
    """Little time and memory; what goes beyond them dies."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


if __name__ == "__main__":
    import logging

    logging.disable()
    if sys.platform != "win32":
        _limit()
    try:
        words = extracted(sys.stdin.buffer.read())
    except ValueError:
        sys.exit(_REFUSED)
    sys.stdout.buffer.write(words.encode("utf-8", "replace"))
