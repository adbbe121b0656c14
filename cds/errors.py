"""One tree of errors.

    CdsError
    |- ConfigError      the configuration is wrong; the message names the key and what would be right
    |- PluginError      a plugin is unknown, broken, or does not keep the door's contract
    |- IntakeError      what arrived cannot be taken
    |  |- MalformedInstance    cannot be understood: garbage, truncated, invalid UIDs (0xC000)
    |  |- MismatchedInstance   does not match what was announced (0xA900)
    |  |- OutOfResources       try again later: disk full, database busy (0xA700), retryable
    |- EvidenceError    an extractor failed on a case
    |- UnusableStudy    nothing in the study can be read by any model: SKIPPED with this reason
    |- FusionError
    |- KnowledgeError
    |- ReportError
    |- DeliveryError    a peer did not take a result; `retryable` says whether to try again
    |- ArchiveError     a peer could not be asked for what it keeps

A message says what was wrong, with which UID, what would be right and what there is. It never
carries a patient's name, ID or birth date.
"""

from __future__ import annotations

from typing import ClassVar


class CdsError(Exception):
    """Everything that this software raises on purpose."""

    retryable: ClassVar[bool] = False


class ConfigError(CdsError):
    """The configuration is wrong."""


class PluginError(CdsError):
    """A plugin is unknown, broken, or breaks the contract of its door."""


class IntakeError(CdsError):
    """What arrived cannot be taken."""


class MalformedInstance(IntakeError):
    """The data set cannot be understood."""


class MismatchedInstance(IntakeError):
    """The data set is not what the command announced."""


class OutOfResources(IntakeError):
    """There is no room or no database right now; a retry may help."""

    retryable: ClassVar[bool] = True


class EvidenceError(CdsError):
    """An extractor failed on a case."""


class UnusableStudy(CdsError):
    """Nothing in the study can be read by any model."""


class FusionError(CdsError):
    """The fusion model failed."""


class KnowledgeError(CdsError):
    """A knowledge source failed."""


class ReportError(CdsError):
    """A report could not be written."""


class DeliveryError(CdsError):
    """A peer refused a result for good."""


class DeliveryPostponed(DeliveryError):
    """A peer could not take a result now; try again."""

    retryable: ClassVar[bool] = True


class ArchiveError(CdsError):
    """A peer could not be asked for what it keeps; the work goes on without."""
