"""What the service asks of the analysis, and who carries it out.

`WorkerProcess` is the way of the house: models run in a process of their own, so that a decoder
that crashes, or memory that runs out, costs an attempt and not the node. `InlineAnalyst` runs in
the caller's thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from traceback import extract_tb
from typing import Final, Protocol

from cds.domain.report import EncodedReport
from cds.errors import CdsError
from cds.store import Attempt

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisResult:
    """Every encoding of one report, the hash over all that went into it, and the one over all that it says.

    Where two analyses of a study have the same `content_hash`, the second makes no new revision; ``""`` is
    the same as nothing. Where the inputs are those of `Attempt.known_inputs`, no report is made (`nothing_new`).
    """

    inputs_hash: str
    encodings: tuple[EncodedReport, ...] = ()
    nothing_new: bool = False
    content_hash: str = ""


Analyse = Callable[[Attempt], AnalysisResult]


class AnalysisInterrupted(Exception):
    """The node is stopping, and the analysis was ended before it had an answer."""


class AnalysisCrashed(Exception):
    """The worker died, or did not answer in time; the attempt stays counted."""


class AnalysisBroken(Exception):
    """The analysis raised something that is not one of our errors: a defect, named by its type."""


class Analyst(Protocol):
    """Runs analyses, one at a time."""

    def start(self) -> None:
        """Get ready, without blocking."""

    def analyse(self, attempt: Attempt) -> AnalysisResult:
        """Run one analysis.

        Raises
        ------
        CdsError
            As the analysis itself raised it.
        AnalysisInterrupted, AnalysisCrashed, AnalysisBroken
            When there was no answer.
        """

    def refusal(self) -> str:
        """Why no analysis can run with this configuration; ``""`` as long as nothing speaks against it."""

    def stop(self, grace_seconds: float) -> None:
        """Let a running analysis finish for `grace_seconds`, then end it."""


class InlineAnalyst:
    """Runs the analysis in the calling thread; it cannot be interrupted."""

    def __init__(self, analyse: Analyse) -> None:
        self._analyse = analyse

    def start(self) -> None:
        """Nothing to get ready."""

    def analyse(self, attempt: Attempt) -> AnalysisResult:
        """Run one analysis here and now.

        Raises
        ------
        CdsError, AnalysisBroken
            As the analysis raised it, or in place of a defect.
        """
        try:
            return self._analyse(attempt)
        except CdsError:
            raise
        except Exception as error:
            raise AnalysisBroken(defect("the analysis", error)) from None

    def refusal(self) -> str:
        """Nothing: the caller built the analysis itself."""
        return ""

    def stop(self, grace_seconds: float) -> None:
        """Nothing to end."""


def defect(what: str, error: Exception) -> str:
    """Name a defect by type and place; its message could carry patient data, and goes nowhere."""
    frames = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in extract_tb(error.__traceback__))
    _LOG.error("%s raised %s in %s", what, type(error).__name__, frames)
    return f"{what} raised {type(error).__name__}"
