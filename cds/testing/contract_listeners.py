"""What every listener plugin must keep: run `check_listener` in your plugin's own tests.

Each check is a function that raises AssertionError with a sentence; `check_listener` runs them all.
What goes over the wire is each protocol's own; here is what the host relies on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from cds.ports import Announced, Intake, Listener, ListenerAddress, Notice, ReceivedInstance, Spool

Make = Callable[[], Listener]


class RefusingIntake:
    """An intake that must not be called: nobody sends anything."""

    spool_above_bytes: int = 1 << 20

    def take(self, instance: ReceivedInstance) -> None:
        """Fail."""
        raise AssertionError("a listener handed in an instance that nobody had sent")

    def spool(self, announced: Announced) -> Spool:
        """Fail."""
        raise AssertionError("a listener began an instance that nobody had sent")

    def notice(self, notice: Notice) -> None:
        """Fail."""
        raise AssertionError("a listener handed in a notice that nobody had sent")


def loopback(port: int = 0) -> ListenerAddress:
    """An address on this machine that everybody may call."""
    return ListenerAddress(
        ae_title="CDS", host="127.0.0.1", port=port, max_associations=2, accept_unknown=True, peers=()
    )


def check_port_zero_is_told(make: Make, intake: Intake) -> None:
    """`start` returns the port that was really bound, and listens when it returns."""
    listener = make()
    port = listener.start(loopback(), intake)
    try:
        assert port > 0, "start() for port 0 must return the port that was bound"
        assert _answers(port), "nothing listens on the port that start() returned"
    finally:
        listener.stop()


def check_stop_lets_go_of_the_port(make: Make, intake: Intake) -> None:
    """After `stop` nobody is answered, and a restart on the same port works at once."""
    first = make()
    port = first.start(loopback(), intake)
    first.stop()
    assert not _answers(port), "something still listens after stop()"
    second = make()
    assert second.start(loopback(port), intake) == port, "the port was not free again"
    second.stop()


def check_stop_may_come_at_any_time(make: Make, intake: Intake) -> None:
    """`stop` before `start`, and a second `stop`, change nothing."""
    listener = make()
    listener.stop()
    listener.start(loopback(), intake)
    listener.stop()
    listener.stop()


def check_a_taken_port_is_an_error(make: Make, intake: Intake) -> None:
    """`start` on a port that is taken raises OSError; it does not wait, and does not pretend."""
    first = make()
    port = first.start(loopback(), intake)
    try:
        make().start(loopback(port), intake)
    except OSError:
        return
    finally:
        first.stop()
    raise AssertionError("start() on a taken port must raise OSError")


def check_processes_share_a_port(make: Make, intake: Intake) -> None:
    """With `shared` a second one may listen on the port of the first (SO_REUSEPORT), and outlives it."""
    first, second = make(), make()
    port = first.start(replace(loopback(), shared=True), intake)
    try:
        assert second.start(replace(loopback(port), shared=True), intake) == port, "the port was not shared"
        first.stop()
        assert _answers(port), "the second listener did not outlive the first"
    finally:
        first.stop()
        second.stop()


CHECKS: Final[tuple[Callable[[Make, Intake], None], ...]] = (
    check_port_zero_is_told,
    check_stop_lets_go_of_the_port,
    check_stop_may_come_at_any_time,
    check_a_taken_port_is_an_error,
    check_processes_share_a_port,
)


def check_listener(make: Make) -> None:
    """Run every check; `make` builds a fresh listener each time."""
    for check in CHECKS:
        check(make, RefusingIntake())


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(5)
        return sock.connect_ex(("127.0.0.1", port)) == 0
