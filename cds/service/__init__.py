"""The running node: intake, study assembly, durable workflow, delivery.

How the composition root puts it together (all names importable from `cds.service`)::

    ledger = Ledger(settings.data_dir, settings.database.url, check=True)
    node = Node(
        ledger,
        NodePlan(
            intake=IntakePlan(data_dir=settings.data_dir),      # how what is received is kept
            listeners=(ListenerPlan(name="dicom", address=...),),  # door cds.listeners, in processes of their own
            study_quiet_seconds=30.0,
            retry=RetryPolicy(first_seconds=30.0, give_up_hours=72.0),
        ),
        senders={"dicom": DicomSender(...)},       # door cds.senders, by `via` of a peer
        analyst=WorkerProcess(make_analyse),       # or InlineAnalyst(analyse) in this process
    )
    node.run()                                     # blocks until SIGTERM or SIGINT, then drains
    # or: port = node.start(); ...; node.stop()

``make_analyse`` is a picklable callable without arguments (`functools.partial` of a module-level
function) that loads the models and returns ``analyse(attempt: Attempt) -> AnalysisResult``; it is
called once in the worker process. `Attempt` has the instances with their paths, the revision and
the predecessor's SOP Instance UID; `AnalysisResult` the inputs hash and the encodings. `analyse`
raises `UnusableStudy` (SKIPPED) or another `CdsError` (FAILED with its message).

`cds state|retry|discard|resend` need no node: ``Ledger.state(uid)`` and ``Ledger.levers``.

Names are imported when they are asked for: a process that only receives needs neither database nor workflow.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cds.service.analysis import Analyse, AnalysisResult, Analyst, InlineAnalyst
    from cds.service.commitment import CommitmentPolicy
    from cds.service.delivery import RetryPolicy
    from cds.service.late import LatePlan
    from cds.service.node import Node, NodePlan
    from cds.service.priors import PriorsPlan
    from cds.service.reception import IntakePlan, ListenerPlan
    from cds.service.worker import WorkerProcess

_HOMES: Final = MappingProxyType(
    {
        "Analyse": "analysis",
        "AnalysisResult": "analysis",
        "Analyst": "analysis",
        "CommitmentPolicy": "commitment",
        "InlineAnalyst": "analysis",
        "IntakePlan": "reception",
        "LatePlan": "late",
        "ListenerPlan": "reception",
        "Node": "node",
        "NodePlan": "node",
        "PriorsPlan": "priors",
        "RetryPolicy": "delivery",
        "WorkerProcess": "worker",
    }
)

__all__ = [
    "Analyse",
    "AnalysisResult",
    "Analyst",
    "CommitmentPolicy",
    "InlineAnalyst",
    "IntakePlan",
    "LatePlan",
    "ListenerPlan",
    "Node",
    "NodePlan",
    "PriorsPlan",
    "RetryPolicy",
    "WorkerProcess",
]


def __getattr__(name: str) -> object:
    """Import a name of this room on its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"cds.service.{_HOMES[name]}"), name)
