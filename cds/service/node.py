"""The node: one data folder, its listeners, one workflow, from start to drain."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cds.errors import ConfigError
from cds.ports import Archive, ListenerAddress, Peer, Sender, Watched
from cds.service.ahead import Ahead
from cds.service.analysis import Analyst, defect
from cds.service.assembly import Assembly
from cds.service.commitment import CommitmentPolicy, Notary
from cds.service.counts import Counts
from cds.service.delivery import Courier, RetryPolicy
from cds.service.filing import Filer
from cds.service.late import LatePlan, LateRecords
from cds.service.outbox import Outbox
from cds.service.prior_cache import PriorCache
from cds.service.priors import Priors, PriorsPlan
from cds.service.rebuild import adopt_orphans
from cds.service.reception import IntakePlan, ListenerPlan, Reception
from cds.service.workflow import Workflow, Workshop
from cds.store import Ledger

_LOG: Final = logging.getLogger(__name__)

_HEARTBEAT_SECONDS: Final = 0.25
_LOOK_SECONDS: Final = 0.5
"""How often the main thread looks whether it is to stop."""
_TRANSFER_GRACE_SECONDS: Final = 12.0
_ANALYSIS_GRACE_SECONDS: Final = 12.0
_FILING_GRACE_SECONDS: Final = 5.0
"""What running transfers, a running analysis and filing may still take when the node stops; together less than 30 s."""
_DELIVERY_GRACE_SECONDS: Final = 3.0
"""What a running delivery may still take."""


def utc_now() -> datetime:
    """The time now, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What a node is to be; the first listener's address tells who it is, `ahead` whether pausing studies are read."""

    intake: IntakePlan
    listeners: tuple[ListenerPlan, ...]
    study_quiet_seconds: float = 30.0
    study_longest_seconds: float = 3600.0
    priors: PriorsPlan = field(default_factory=PriorsPlan)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    commitment: CommitmentPolicy = field(default_factory=CommitmentPolicy)
    late: LatePlan = field(default_factory=LatePlan)
    ahead: bool = False

    @property
    def peers(self) -> Mapping[str, Peer]:
        """Whom the node knows, by name."""
        return {peer.name: peer for peer in self.address.peers}

    @property
    def data_dir(self) -> Path:
        """The node's folder."""
        return self.intake.data_dir

    @property
    def address(self) -> ListenerAddress:
        """Who the node is on the network."""
        return self.listeners[0].address


class Node:
    """A running service.

    Parameters
    ----------
    ledger
        Of `plan.data_dir`; the caller closes it.
    senders, archives, watched
        By name: of a peer's `via`, and of the records sources that say whose records came.
    clock, monotonic
        The time now, aware; and seconds that never go back.
    """

    def __init__(
        self,
        ledger: Ledger,
        plan: NodePlan,
        *,
        senders: Mapping[str, Sender],
        analyst: Analyst,
        archives: Mapping[str, Archive] = MappingProxyType({}),
        watched: Mapping[str, Watched] = MappingProxyType({}),
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._plan = plan
        self._analyst = analyst
        self._clock = clock
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._reception = Reception(plan.listeners, plan.intake)
        self._filer = Filer(ledger, plan.intake.spool_dir, durable=plan.intake.durable, monotonic=monotonic)
        self._priors = self._made_priors(archives)
        self._assembly = self._made_assembly(archives)
        self._ahead = Ahead(ledger, analyst, self._assembly, self._priors) if plan.ahead else None
        courier = self._made_courier(senders)
        self._outbox = Outbox(courier=courier, notary=Notary(courier=courier, policy=plan.commitment))
        self._workflow = self._made_workflow(courier)
        self._late = LateRecords(ledger, watched, plan.late, clock)
        self._asked_to_stop = False
        self._refusal = ""
        self._heart = threading.Thread(target=self._beat, name="cds-heartbeat", daemon=True)

    def _made_priors(self, archives: Mapping[str, Archive]) -> Priors:
        return Priors(
            ledger=self._ledger,
            cache=PriorCache(self._plan.data_dir / "priors"),
            archives=archives,
            peers=self._plan.peers,
            ae_title=self._plan.address.ae_title,
            plan=self._plan.priors,
            monotonic=self._monotonic,
            pause=self._stopping.wait,
        )

    def _made_assembly(self, archives: Mapping[str, Archive]) -> Assembly:
        plan = self._plan
        return Assembly(
            self._ledger,
            plan.study_quiet_seconds,
            self._clock,
            self._filer.filed_through,
            longest_seconds=plan.study_longest_seconds,
            counts=Counts(
                archives=archives, peers=plan.peers, ae_title=plan.address.ae_title, monotonic=self._monotonic
            ),
            prior=self._priors.set_aside,
        )

    def _made_courier(self, senders: Mapping[str, Sender]) -> Courier:
        return Courier(
            ledger=self._ledger,
            senders=senders,
            peers=self._plan.peers,
            ae_title=self._plan.address.ae_title,
            policy=self._plan.retry,
            clock=self._clock,
        )

    def _made_workflow(self, courier: Courier) -> Workflow:
        workshop = Workshop(
            ledger=self._ledger,
            analyst=self._analyst,
            courier=courier,
            clock=self._clock,
            report_made=self._outbox.look,
            priors=self._priors,
        )
        return Workflow(self._plan.data_dir / "workflow.sqlite", workshop)

    def start(self) -> int:
        """Clear up after a crash, then work; the port that the first listener is bound to.

        Raises
        ------
        ConfigError
            When another node works in the folder, or a listener cannot be built.
        OSError
            When the port is taken.
        """
        self._ledger.lock.acquire()
        try:
            self._clear_up()
            self._analyst.start()
            self._late.start()
            self._workflow.start()
            self._outbox.start()
            port = self._reception.start(self._filer.follow)
        except BaseException:
            self._late.stop(0.0)
            self._workflow.stop(0.0)
            self._ledger.lock.release()
            raise
        self._filer.start()
        self._heart.start()
        self._ledger.set_node({"ae_title": self._plan.address.ae_title, "port": port, "pid": os.getpid()})
        _LOG.info("listening as %s on port %d", self._plan.address.ae_title, port)
        return port

    def stop(self) -> None:
        """Finish what is arriving, let a running analysis finish if it is quick, and let go."""
        self._stopping.set()
        self._heart.join()
        self._late.stop(0.0)
        drain = threading.Thread(target=self._reception.stop, args=(_TRANSFER_GRACE_SECONDS,), name="cds-drain")
        drain.start()
        self._workflow.stop(_ANALYSIS_GRACE_SECONDS)
        drain.join()
        self._filer.stop(_FILING_GRACE_SECONDS)
        self._outbox.stop(_DELIVERY_GRACE_SECONDS)
        self._late.stop(_DELIVERY_GRACE_SECONDS)
        self._ledger.set_node(None)
        self._ledger.lock.release()
        _LOG.info("stopped")

    @property
    def ledger(self) -> Ledger:
        """The node's ledger."""
        return self._ledger

    def complaints(self) -> tuple[str, ...]:
        """What keeps the node from taking studies now, one sentence each."""
        silent = [f"no process of the listener {name!r} is alive" for name in self._reception.silent()]
        waiting = [f"what arrives waits in the journals: {self._filer.trouble}"] if self._filer.trouble else []
        return (*silent, *waiting)

    def record_troubles(self) -> Mapping[str, str]:
        """By records source that is watched: why it cannot be asked now; ``""`` where it can."""
        return self._late.troubles()

    def filed_through(self) -> float:
        """The moment up to which everything that had come stands in the ledger, on the monotonic clock."""
        return self._filer.filed_through()

    def run(self, started: Callable[[int], None] = lambda port: None) -> None:
        """Work until SIGTERM or SIGINT, then stop. Only for the main thread.

        Parameters
        ----------
        started
            Told the port once the node listens.

        Raises
        ------
        ConfigError
            When the models that the configuration names cannot be loaded; nothing that came is lost.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        port = self.start()
        try:
            started(port)
            while not self._asked_to_stop:
                time.sleep(_LOOK_SECONDS)
        finally:
            self.stop()
        if self._refusal:
            raise ConfigError(self._refusal)
        _leave_if_a_peer_hangs()

    def _clear_up(self) -> None:
        """Mend what a crash left, and file what had come by then."""
        swept = self._ledger.sweep() + self._priors.clear_up()
        filed = self._filer.recover(self._plan.intake.journal_dir)
        adopted = adopt_orphans(self._ledger, self._clock, self._plan.intake.own_model_name)
        if swept or filed or adopted:
            _LOG.warning(
                "after a crash: %d unfinished files removed, %d records filed, %d instances entered",
                swept,
                filed,
                adopted,
            )

    def _ask_to_stop(self, *_: object) -> None:
        """Handle a signal. A plain flag: an Event set here could deadlock with the wait that it interrupts."""
        self._asked_to_stop = True

    def _beat(self) -> None:
        while not self._stopping.wait(_HEARTBEAT_SECONDS):
            try:
                if refusal := self._analyst.refusal():
                    self._refusal = refusal
                    self._asked_to_stop = True
                self._assembly.close_quiet_studies()
                self._workflow.submit()
                self._outbox.look()
                if self._ahead:
                    self._ahead.look()
            except Exception as error:  # the heart goes on: a database that is busy now is not busy for ever
                defect("the heartbeat", error)


def _leave_if_a_peer_hangs() -> None:
    """End the process where the interpreter would wait for a delivery to a peer that does not answer.

    Everything is in the ledger by now; the delivery is made again at the next start.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    deadline = time.monotonic() + _LOOK_SECONDS
    for thread in others:
        if not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() and not thread.daemon for thread in others):
        _LOG.warning("left while a delivery was still waiting for its peer")
        logging.shutdown()
        os._exit(0)
