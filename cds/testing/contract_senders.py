"""What every sender plugin must keep: run `check_sender` in your plugin's own tests.

The delivery retries what is `DeliveryPostponed` and gives up on any other `DeliveryError`, so a
sender must tell the two apart, and must never return when something was not delivered.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cds.errors import DeliveryError, DeliveryPostponed
from cds.ports import Peer, Sender


def nobody() -> Peer:
    """A peer at a port where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    return Peer(name="nobody", ae_title="NOBODY", host="127.0.0.1", port=port)


def check_a_peer_that_is_down_is_tried_again(sender: Sender, file: Path) -> None:
    """No connection is `DeliveryPostponed`, and the message names the peer."""
    try:
        sender.send([file], nobody(), calling_ae_title="CDS")
    except DeliveryPostponed as error:
        assert "nobody" in str(error), "the message must name the peer"
        return
    raise AssertionError("send() to a peer that is down must raise DeliveryPostponed")


def check_a_missing_file_is_final(sender: Sender, file: Path) -> None:
    """A file that is not there will not be there next time either."""
    try:
        sender.send([file.with_name("missing.dcm")], nobody(), calling_ae_title="CDS")
    except DeliveryError as error:
        assert not error.retryable, "a missing file must be a DeliveryError that is not retried"
        return
    raise AssertionError("send() of a missing file must raise DeliveryError")


def check_nothing_to_send_is_delivered(sender: Sender, file: Path) -> None:
    """No files: nothing to do, and nobody is called."""
    sender.send([], nobody(), calling_ae_title="CDS")


CHECKS: Final[tuple[Callable[[Sender, Path], None], ...]] = (
    check_a_peer_that_is_down_is_tried_again,
    check_a_missing_file_is_final,
    check_nothing_to_send_is_delivered,
)


def check_sender(sender: Sender, file: Path) -> None:
    """Run every check with a valid DICOM file."""
    for check in CHECKS:
        check(sender, file)
