"""Our own association as a requestor, against a peer that says byte for byte what it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO

import pytest

from cds_pacs import commands
from cds_pacs.commands import Field
from cds_pacs.contexts import EXPLICIT_VR_LITTLE_ENDIAN, GET, proposed
from cds_pacs.scp.upper_layer import Answer, Answered, accept, read_request
from cds_pacs.scu.association import Association, TooLong
from cds_pacs.scu.upper_layer import AssociationEnded, Called, Timeouts
from cds_pacs.status import NO_SUCH_EVENT, UNRECOGNIZED_OPERATION
from cds_pacs.testing.bare_scu import CT_IMAGE, BareScu, command_set, message, store_command

GET_REQUEST = {commands.AFFECTED_CLASS: GET, commands.FIELD: int(Field.C_GET)}


def response(status: int, message_id: int = 1) -> bytes:
    return message(command_set((0x0100, 0x8010), (0x0120, message_id), (0x0800, 0x0101), (0x0900, status)))


def request(field: int) -> bytes:
    return message(command_set((0x0100, field), (0x0110, 9), (0x0800, 0x0101)))


class Peer:
    """Accepts one association whole, hears one request, then says `lines`; remembers what it is answered."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = lines
        self.answers: list[int] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def called(self) -> Called:
        port = self._listening.getsockname()[1]
        return Called(host="127.0.0.1", port=port, ae_title="PACS", calling_ae_title="CDS")

    def stop(self) -> None:
        self._listening.close()
        self._thread.join(60)

    def _run(self) -> None:
        sock, _ = self._listening.accept()
        with BareScu(0, sock=sock) as said, suppress(OSError, AssertionError):
            asked = read_request(said.hear()[1])
            contexts = [
                Answered(
                    context_id=one.context_id,
                    abstract_syntax=one.abstract_syntax,
                    transfer_syntax=one.transfer_syntaxes[0],
                    answer=Answer.ACCEPTED,
                )
                for one in asked.contexts
            ]
            said.say(accept(asked, contexts, asked.roles, 16384))
            said.hear(), said.hear()
            for line in self.lines:
                said.say(line)
            while True:
                self.answers.append(said.status())


@pytest.fixture
def met() -> Iterator[Callable[..., tuple[Association, Peer]]]:
    peers: list[Peer] = []
    associations: list[Association] = []

    def meet(*lines: bytes, seconds: float = 60) -> tuple[Association, Peer]:
        peers.append(Peer(*lines))
        contexts = [proposed(one, [EXPLICIT_VR_LITTLE_ENDIAN]) for one in (GET, CT_IMAGE)]
        timeouts = Timeouts(message=seconds)
        associations.append(Association.open(peers[-1].called(), contexts, timeouts, scp_of=[CT_IMAGE]))
        return associations[-1], peers[-1]

    yield meet
    for association in associations:
        association.abort()
    for peer in peers:
        peer.stop()


def exchanged(association: Association, seconds: float = 60) -> list[int | None]:
    responses = association.exchange(1, GET_REQUEST, BytesIO(b"keys"), seconds=seconds)
    return [commands.number(one.command, commands.STATUS) for one in responses]


def test_responses_come_until_one_is_not_pending(met) -> None:
    association, _ = met(response(0xFF00), response(0xFF01), response(0xB000), response(0xA700))
    assert exchanged(association) == [0xFF00, 0xFF01, 0xB000]


def test_a_response_to_another_request_is_passed_over(met) -> None:
    association, _ = met(response(0xA700, message_id=7), response(0x0000))
    assert exchanged(association) == [0x0000]


def test_what_the_peer_stores_meanwhile_is_served_and_answered(met) -> None:
    association, peer = met(message(store_command("2.25.8"), b"pixels", context_id=3), response(0x0000))
    came = []

    def store(stored) -> int:
        came.append((association.syntax_of(stored.context_id), stored.command[0x1000], stored.data_set))
        return 0xA900

    association.serves[Field.C_STORE] = store
    assert exchanged(association) == [0x0000]
    association.abort()
    peer.stop()
    assert came == [(EXPLICIT_VR_LITTLE_ENDIAN, "2.25.8", b"pixels")]
    assert peer.answers == [0xA900]


@pytest.mark.parametrize(
    ("field", "status"), [(0x0001, UNRECOGNIZED_OPERATION), (0x0030, UNRECOGNIZED_OPERATION), (0x0100, NO_SUCH_EVENT)]
)
def test_what_nobody_serves_is_refused_not_left_without_an_answer(met, field: int, status: int) -> None:
    association, peer = met(request(field), response(0x0000))
    assert exchanged(association) == [0x0000]
    association.abort()
    peer.stop()
    assert peer.answers == [status]


def test_more_than_may_come_ends_the_association_before_it_is_kept(met) -> None:
    association, _ = met(message(store_command("2.25.8"), bytes(11), context_id=3, payload=4), response(0x0000))
    association.longest_data_set = 10
    association.serves[Field.C_STORE] = lambda stored: pytest.fail("it was kept")
    with pytest.raises(TooLong):
        exchanged(association)


def test_a_peer_that_stops_in_the_middle_is_noticed(met) -> None:
    association, _ = met(response(0xFF00), seconds=0.2)
    with pytest.raises(AssociationEnded, match="no answer in time"):
        exchanged(association)


def test_a_peer_that_is_never_done_has_its_time(met) -> None:
    association, _ = met(*[response(0xFF00)] * 3)
    with pytest.raises(AssociationEnded, match="no answer in time"):
        exchanged(association, seconds=0.2)


def test_a_peer_that_breaks_off_is_no_success(met) -> None:
    association, _ = met(response(0xFF00), b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    with pytest.raises(AssociationEnded, match="aborted"):
        exchanged(association)
