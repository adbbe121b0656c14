"""The running node: intake, study assembly, durable workflow, delivery.

How the composition root puts it together (all names importable from `cds.service`)::

    ledger = Ledger(settings.data_dir, settings.database.url)
    node = Node(
        ledger,
        NodePlan(
            data_dir=settings.data_dir,
            address=ListenerAddress(...),          # AE title, host, port, peers, ...
            study_quiet_seconds=30.0,
            retry=RetryPolicy(first_seconds=30.0, give_up_hours=72.0),
        ),
        listener=DicomListener(...),               # door cds.listeners
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
"""

from cds.service.analysis import Analyse, AnalysisResult, Analyst, InlineAnalyst
from cds.service.delivery import RetryPolicy
from cds.service.intake import StudyIntake
from cds.service.node import Node, NodePlan
from cds.service.worker import WorkerProcess

__all__ = [
    "Analyse",
    "AnalysisResult",
    "Analyst",
    "InlineAnalyst",
    "Node",
    "NodePlan",
    "RetryPolicy",
    "StudyIntake",
    "WorkerProcess",
]
