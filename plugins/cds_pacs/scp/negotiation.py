"""What is answered to an association request: who is let in, and what may be sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cds.ports import Peer
from cds_pacs.contexts import ANSWERED_BY_US, EITHER_ROLE, TRANSFER_SYNTAXES, UNCOMPRESSED, VERIFICATION, is_storage
from cds_pacs.pdu import APPLICATION_CONTEXT
from cds_pacs.scp.upper_layer import Answer, Answered, AssociationRequest, Proposed, Role

Rejection = tuple[int, int, int]
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

APPLICATION_CONTEXT_NOT_SUPPORTED: Final[Rejection] = (1, 1, 2)
CALLING_AE_TITLE_UNKNOWN: Final[Rejection] = (1, 1, 3)
CALLED_AE_TITLE_UNKNOWN: Final[Rejection] = (1, 1, 7)
PROTOCOL_VERSION_NOT_SUPPORTED: Final[Rejection] = (1, 2, 2)
LOCAL_LIMIT_EXCEEDED: Final[Rejection] = (2, 3, 2)

_CAUSES: Final = {
    APPLICATION_CONTEXT_NOT_SUPPORTED: "its application context is not DICOM's",
    PROTOCOL_VERSION_NOT_SUPPORTED: "its protocol version is not ours",
    LOCAL_LIMIT_EXCEEDED: "there are as many associations as there may be",
}
_NAMED: Final = 8
"""So many peers are named to whoever looks for a typo."""

_UID: Final = re.compile(r"[0-9.]{1,64}")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as far as the connection tells.

    `certificate` is the SHA-256 of its certificate (DER) in hex, ``""`` without TLS.
    """

    address: str
    certificate: str = ""


class GuestList:
    """Who may call: peers by AE title, address and certificate.

    With `accept_unknown` any other caller may too; but the title of a peer that has TLS or a
    certificate is its own.
    """

    def __init__(self, peers: Iterable[Peer], *, ae_title: str, check_called: bool, accept_unknown: bool) -> None:
        self._peers = [(peer, tuple(ipaddress.ip_network(network) for network in peer.addresses)) for peer in peers]
        self._called = ae_title if check_called else None
        self._accept_unknown = accept_unknown

    def rejection(self, request: AssociationRequest, caller: Caller) -> Rejection | None:
        """Why the association is rejected; None when it is not."""
        if not request.protocol_version & 1:
            return PROTOCOL_VERSION_NOT_SUPPORTED
        if request.application_context != APPLICATION_CONTEXT:
            return APPLICATION_CONTEXT_NOT_SUPPORTED
        if self._called is not None and request.called_ae_title != self._called:
            return CALLED_AE_TITLE_UNKNOWN
        return None if self._knows(request.calling_ae_title, caller) else CALLING_AE_TITLE_UNKNOWN

    def cause(self, rejection: Rejection, request: AssociationRequest, caller: Caller) -> str:
        """Why it is rejected, in words for the log; holds nothing from the network but sanitised AE titles."""
        if rejection == CALLED_AE_TITLE_UNKNOWN:
            return f"it calls {printable(request.called_ae_title)!r}, and we are {self._called!r}"
        if rejection == CALLING_AE_TITLE_UNKNOWN:
            return self._why_unknown(request.calling_ae_title, caller)
        return _CAUSES[rejection]

    def _why_unknown(self, calling_ae_title: str, caller: Caller) -> str:
        namesakes = [peer for peer, _ in self._peers if peer.ae_title.strip() == calling_ae_title]
        if not namesakes:
            return f"{printable(calling_ae_title)!r} is no peer; there are: {self._named()}"
        names = " or ".join(repr(peer.name) for peer in namesakes)
        if any(_proves_to_be(peer, caller) for peer in namesakes):
            return f"its address is not in 'addresses' of peer {names}"
        if not caller.certificate:
            return f"it showed no certificate, which peer {names} must"
        return f"its certificate is not that of peer {names}"

    def _named(self) -> str:
        titles = sorted({peer.ae_title.strip() for peer, _ in self._peers})
        more = f" and {len(titles) - _NAMED} more" if len(titles) > _NAMED else ""
        return (", ".join(map(repr, titles[:_NAMED])) or "none") + more

    def _knows(self, calling_ae_title: str, caller: Caller) -> bool:
        namesakes = [(peer, networks) for peer, networks in self._peers if peer.ae_title.strip() == calling_ae_title]
        proven = [networks for peer, networks in namesakes if _proves_to_be(peer, caller)]
        if self._accept_unknown:
            return bool(proven) or not namesakes
        return any(_is_within(caller.address, networks) for networks in proven)


def printable(ae_title: str) -> str:
    """What a caller names itself, safe for a log: printable ASCII, at most 16 characters (PS3.5 table 6.2-1, AE)."""
    return "".join(character if " " <= character <= "~" else "?" for character in ae_title[:16])


def _proves_to_be(peer: Peer, caller: Caller) -> bool:
    if peer.certificate:
        return caller.certificate == peer.certificate.lower()
    return bool(caller.certificate) or not peer.tls


def _is_within(address: str, networks: Iterable[_Network]) -> bool:
    caller = ipaddress.ip_address(address)
    return any(caller in network for network in networks)


def answers(request: AssociationRequest) -> tuple[tuple[Answered, ...], tuple[Role, ...]]:
    """What becomes of each proposed context, and of the roles that were proposed with them."""
    roles = {role.sop_class_uid: _role(role) for role in request.roles}
    contexts = tuple(_answer(context, roles.get(context.abstract_syntax)) for context in request.contexts)
    accepted = {context.abstract_syntax for context in contexts if context.answer is Answer.ACCEPTED}
    return contexts, tuple(role for role in roles.values() if role.sop_class_uid in accepted)


def _role(proposed: Role) -> Role:
    """We are SCP; SCU only where a peer reports to us (PS3.4 J.3.3)."""
    either = proposed.sop_class_uid in EITHER_ROLE
    return Role(sop_class_uid=proposed.sop_class_uid, scu=proposed.scu, scp=proposed.scp and either)


def _answer(context: Proposed, role: Role | None) -> Answered:
    """Accept the first transfer syntax that we take: a peer names first what it has."""
    syntaxes = _transfer_syntaxes(context.abstract_syntax)
    chosen = next((syntax for syntax in context.transfer_syntaxes if syntax in syntaxes), None)
    if not syntaxes:
        answer = Answer.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif chosen is None:
        answer = Answer.TRANSFER_SYNTAXES_NOT_SUPPORTED
    elif role is not None and not (role.scu or role.scp):
        answer = Answer.REFUSED
    else:
        answer = Answer.ACCEPTED
    return Answered(
        context_id=context.context_id,
        abstract_syntax=context.abstract_syntax,
        transfer_syntax=chosen or next(iter(context.transfer_syntaxes), ""),
        answer=answer,
    )


def _transfer_syntaxes(abstract_syntax: str) -> Iterable[str]:
    if abstract_syntax == VERIFICATION or abstract_syntax in ANSWERED_BY_US:
        return UNCOMPRESSED
    if _UID.fullmatch(abstract_syntax) and is_storage(abstract_syntax):
        return TRANSFER_SYNTAXES
    return ()
