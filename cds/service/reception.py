"""Reception: the listeners, in processes of their own, watched, and replaced when they die.

What a process receives is durable in its journal when it answers; the node files it
(`cds.service.filing`). Several processes of one listener share its port.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

from cds import logs
from cds.discovery import build
from cds.errors import CdsError, PluginError
from cds.ports import LISTENERS, Listener, ListenerAddress
from cds.service.analysis import defect
from cds.service.intake import JournalIntake
from cds.service.worker import die_with_the_node
from cds.store.durable import make_folder
from cds.store.journal import Journal
from cds.store.journal_format import make_ring
from cds.store.journal_reader import JournalReader

_LOG: Final = logging.getLogger(__name__)
_SPAWN: Final = multiprocessing.get_context("spawn")

_LOOK_SECONDS: Final = 0.25
_START_SECONDS: Final = 60.0
_LONGEST_PAUSE_SECONDS: Final = 10.0
_STEADY_SECONDS: Final = 10.0
"""A process that lived for so long is replaced at once; one that dies sooner after ever longer pauses."""

Message = int | CdsError | OSError
"""The port that was bound, or why none was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerPlan:
    """One listener plugin: its name, its table of the configuration, where it listens and in how many processes."""

    name: str
    address: ListenerAddress
    table: Mapping[str, object] = field(default_factory=dict)
    processes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakePlan:
    """How what is received is kept.

    Attributes
    ----------
    durable
        Whether success is answered only once it is on the disk.
    journal_bytes
        Size of each process's journal: what may wait to be filed.
    reserve_bytes
        Free space on the disk below which nothing more is taken.
    own_model_name
        Manufacturer's Model Name of our own results.
    """

    data_dir: Path
    durable: bool = True
    journal_bytes: int = 256 << 20
    reserve_bytes: int = 0
    own_model_name: str = "cds-pacs"

    @property
    def journal_dir(self) -> Path:
        """Where the journals lie."""
        return self.data_dir / "journal"

    @property
    def spool_dir(self) -> Path:
        """Where large instances lie while they come."""
        return self.data_dir / "spool"


class Reception:
    """The listener processes of a node."""

    def __init__(self, listeners: Sequence[ListenerPlan], plan: IntakePlan) -> None:
        self._listeners = listeners
        self._plan = plan
        self._desks: list[_Desk] = []
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_over, name="cds-reception", daemon=True)

    def start(self, follow: Callable[[JournalReader], None]) -> int:
        """Start every process; the port of the first listener.

        Parameters
        ----------
        follow
            Told of every journal before anything is written into it.

        Raises
        ------
        CdsError, OSError
            When a listener cannot be built, its port is taken, or the disk has no room for a journal.
        """
        make_folder(self._plan.spool_dir)
        try:
            ports = [self._start_listener(listener, follow) for listener in self._listeners]
        except BaseException:
            self.stop(0.0)
            raise
        self._watch.start()
        return ports[0]

    def silent(self) -> tuple[str, ...]:
        """Names of the listeners of which no process is alive."""
        alive = {desk.name for desk in self._desks if desk.alive}
        return tuple(listener.name for listener in self._listeners if listener.name not in alive)

    def stop(self, grace_seconds: float) -> None:
        """Let running transfers end for `grace_seconds`, then end every process."""
        self._stopping.set()
        if self._watch.ident is not None:
            self._watch.join()
        deadline = time.monotonic() + grace_seconds
        for desk in self._desks:
            desk.ask_to_stop()
        for desk in self._desks:
            desk.end(max(0.0, deadline - time.monotonic()))

    def _start_listener(self, listener: ListenerPlan, follow: Callable[[JournalReader], None]) -> int:
        port, desks = listener.address.port, []
        for number in range(listener.processes):
            desk = _Desk(listener, number, self._plan)
            self._desks.append(desk)
            follow(desk.reader)
            desk.start(port)
            if number == 0:
                port = desk.port()
            else:
                desks.append(desk)
        for desk in desks:
            desk.port()
        return port

    def _watch_over(self) -> None:
        while not self._stopping.is_set():
            wait([desk.sentinel for desk in self._desks if desk.sentinel is not None], _LOOK_SECONDS)
            for desk in self._desks:
                try:
                    desk.replace_if_dead()
                except Exception as error:  # the others are to be watched all the same
                    defect("the watch over the listeners", error)
                    self._stopping.wait(_LOOK_SECONDS)


class _Desk:
    """One process and its journal."""

    def __init__(self, listener: ListenerPlan, number: int, plan: IntakePlan) -> None:
        self._listener = listener
        self._plan = plan
        self._ring = plan.journal_dir / f"{listener.name}-{number}.ring"
        make_ring(self._ring, plan.journal_bytes)
        self.reader = JournalReader(self._ring, follow=True)
        self._port = listener.address.port
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._started_at = self._due_at = 0.0
        self._pause_seconds = 0.0

    @property
    def name(self) -> str:
        """The listener's name."""
        return self._listener.name

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        child = self._child
        return child is not None and child.exitcode is None

    @property
    def sentinel(self) -> int | None:
        """Ready when the process has ended."""
        return self._child.sentinel if self._child else None

    def start(self, port: int) -> None:
        """Start the process; `port` says what the first time."""
        self._port = port
        ours, theirs = _SPAWN.Pipe()
        shared = self._listener.processes > 1
        listener = replace(self._listener, address=replace(self._listener.address, port=port, shared=shared))
        self._child = _SPAWN.Process(target=_receive, args=(theirs, listener, self._plan, self._ring), daemon=True)
        self._child.start()
        theirs.close()
        self._pipe = ours
        self._started_at = time.monotonic()

    def port(self) -> int:
        """The port that was bound, once it is."""
        message, name = self._message(_START_SECONDS), self._listener.name
        if isinstance(message, OSError):
            raise OSError(message.errno, message.strerror or str(message), f"the address of listener {name!r}")
        if not isinstance(message, int):
            raise message or PluginError(f"listener {name!r} ended before it listened")
        self._port = message
        return message

    def replace_if_dead(self) -> None:
        """Start a new process where the old one died, sooner or later."""
        now = time.monotonic()
        if self._child is not None and not self._child.is_alive():
            self._bury()
            steady = now - self._started_at >= _STEADY_SECONDS
            self._pause_seconds = 0.0 if steady else min(2 * self._pause_seconds + 0.5, _LONGEST_PAUSE_SECONDS)
            self._due_at = now + self._pause_seconds
        if self._child is None and now >= self._due_at:
            self.start(self._port)

    def ask_to_stop(self) -> None:
        """Let it take no more, and finish what is arriving."""
        try:
            if self._pipe is not None:
                self._pipe.send("stop")
        except OSError:
            return  # it has died meanwhile

    def end(self, grace_seconds: float) -> None:
        """Wait for the process to end, then end it."""
        if self._child is not None:
            self._child.join(grace_seconds)
            self._child.kill()
            self._bury()

    def _bury(self) -> None:
        child, self._child = self._child, None
        pipe, self._pipe = self._pipe, None
        if child is None or pipe is None:
            return
        child.join()
        if child.exitcode:
            _LOG.error("listener %r died (%s)", self._listener.name, child.exitcode)
        child.close()
        pipe.close()
        self.reader.writer_died()

    def _message(self, seconds: float) -> Message | None:
        try:
            if self._pipe is not None and self._pipe.poll(seconds):
                message: Message = self._pipe.recv()
                return message
        except (EOFError, OSError):
            return None
        return None


def _receive(pipe: Connection, listener: ListenerPlan, plan: IntakePlan, ring: Path) -> None:
    """Listen until told to stop. Runs in the child."""
    stopping = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node decides when to stop, not the terminal
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=die_with_the_node, daemon=True).start()
    logs.configure()
    door: type[Listener] = Listener  # type: ignore[type-abstract]
    try:
        plugin = build(LISTENERS, listener.name, door, listener.table, {"data_dir": str(plan.data_dir)})
        journal = Journal(ring, durable=plan.durable)
        port = plugin.start(listener.address, _intake(journal, plan))
    except (CdsError, OSError) as error:
        _LOG.error("listener %r cannot listen: %s", listener.name, error)
        pipe.send(error)
        return
    except Exception as error:
        pipe.send(PluginError(defect(f"the start of listener {listener.name!r}", error)))
        return
    pipe.send(port)
    while not stopping.is_set() and not journal.broken and not pipe.poll(_LOOK_SECONDS):
        pass
    plugin.stop()
    journal.close()


def _intake(journal: Journal, plan: IntakePlan) -> JournalIntake:
    return JournalIntake(
        journal,
        plan.spool_dir,
        clock=lambda: datetime.now(UTC),
        own_model_name=plan.own_model_name,
        reserve_bytes=plan.reserve_bytes,
        durable=plan.durable,
    )
