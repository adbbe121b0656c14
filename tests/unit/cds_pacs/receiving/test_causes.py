"""Whoever is turned away can be found in the log, with the cause; nobody can write anything else there."""

from __future__ import annotations

import pytest

from cds.ports import Peer
from cds_pacs.scp.negotiation import Caller, GuestList, printable
from cds_pacs.scp.upper_layer import read_request
from cds_pacs.testing.bare_scu import CT_IMAGE, association_request, context
from cds_pacs.testing.door import Door

PACS = Peer(name="pacs", ae_title="ORTHANC", host="127.0.0.1", port=104)
ELSEWHERE = Peer(name="pacs", ae_title="ORTHANC", host="127.0.0.1", port=104, addresses=("10.0.0.0/8",))
PINNED = Peer(name="pacs", ae_title="ORTHANC", host="127.0.0.1", port=104, certificate="ab" * 32)
UNNAMED = "'ORTHANC' is no peer; there are: none"


def cause(
    *peers: Peer, calling: str = "ORTHANC", called: str = "CDS", certificate: str = "", check: bool = False
) -> str | None:
    guests = GuestList(peers, ae_title="CDS", check_called=check, accept_unknown=False)
    caller = Caller(address="127.0.0.1", certificate=certificate)
    pdu = association_request(context(1, CT_IMAGE, ["1.2.840.10008.1.2"]), calling=calling, called=called)
    request = read_request(pdu[6:])
    rejection = guests.rejection(request, caller)
    return None if rejection is None else guests.cause(rejection, request, caller)


@pytest.mark.parametrize(
    ("peers", "why", "said"),
    [
        ([PACS], {"calling": "ORTANC"}, "'ORTANC' is no peer; there are: 'ORTHANC'"),
        ([], {}, UNNAMED),
        ([ELSEWHERE], {}, "its address is not in 'addresses' of peer 'pacs'"),
        ([PINNED], {}, "it showed no certificate, which peer 'pacs' must"),
        ([PINNED], {"certificate": "cd" * 32}, "its certificate is not that of peer 'pacs'"),
        ([PACS], {"called": "CSD", "check": True}, "it calls 'CSD', and we are 'CDS'"),
        ([PACS], {}, None),
    ],
)
def test_the_cause_of_a_rejection_is_told_in_words(peers: list[Peer], why: dict[str, object], said: str | None) -> None:
    assert cause(*peers, **why) == said


def test_of_many_peers_only_some_are_named() -> None:
    peers = [Peer(name=f"p{n}", ae_title=f"AE{n:02}", host="127.0.0.1", port=104) for n in range(11)]
    said = cause(*peers)
    assert said is not None
    assert said.endswith("'AE07' and 3 more")


def test_a_title_brings_nothing_into_the_log_but_sixteen_printable_characters() -> None:
    assert printable("A\n\x1b[2J\u202eB") == "A??[2J?B"
    assert printable("X" * 99) == "X" * 16


def test_the_log_names_who_was_turned_away_and_why(caplog: pytest.LogCaptureFixture, until) -> None:
    with Door(accept_unknown=False, peers=(PACS,)) as door, door.call() as scu:
        scu.say(association_request(context(1, CT_IMAGE, ["1.2.840.10008.1.2"]), calling="ORTANC"))
        until(lambda: caplog.messages)
    assert "'ORTANC' from 127.0.0.1 rejected: 'ORTANC' is no peer; there are: 'ORTHANC'" in caplog.text
