"""The story of one connection: secured, requested, answered, served, released."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Final

from cds.ports import Intake
from cds_pacs import pdu
from cds_pacs.pdu import Pdu
from cds_pacs.scp.connections import Connections
from cds_pacs.scp.data_sets import Buffers
from cds_pacs.scp.messages import Messages, Released
from cds_pacs.scp.negotiation import LOCAL_LIMIT_EXCEEDED, Caller, GuestList, Rejection, answers, printable
from cds_pacs.scp.services import Client, Services
from cds_pacs.scp.sparing import SparingWarnings
from cds_pacs.scp.upper_layer import Answer, AssociationRequest, accept, read_request
from cds_pacs.scp.wire import Fault, Gone, Leaving, Pace, ProtocolError, TooSlow, Wire
from cds_pacs.tls import ServerTls, certificate_of

_LOG: Final = logging.getLogger(__name__)

_USER, _PROVIDER = 0, 2
"""Source of an A-ABORT (PS3.8 table 9-26)."""

_LINGER_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all associations of a listener share.

    Attributes
    ----------
    association_seconds
        Time from the connection to the whole association request, the TLS handshake included.
    max_request_bytes, max_pdu_bytes
        Longest A-ASSOCIATE-RQ and P-DATA-TF.
    leaving
        Set when the node stops.
    warnings
        For what strangers can cause.
    """

    intake: Intake
    buffers: Buffers
    guests: GuestList
    connections: Connections
    tls: ServerTls | None
    pace: Pace
    association_seconds: float
    max_request_bytes: int
    max_pdu_bytes: int
    leaving: Event
    warnings: SparingWarnings


class _Rejected(Exception):
    def __init__(self, rejection: Rejection, calling_ae_title: str, cause: str) -> None:
        super().__init__(cause)
        self.rejection = rejection
        self.calling_ae_title = calling_ae_title


class Association:
    """One connection and what becomes of it; `run` is its thread."""

    def __init__(self, house: House, sock: socket.socket, address: str) -> None:
        self.address = address
        self._house = house
        self._sock = sock
        self._deadline = time.monotonic() + house.association_seconds
        self._established = False

    def run(self) -> None:
        """Serve the connection until it ends, then close it."""
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            certificate = self._secure()
            self._serve(certificate)
        except OSError as error:
            self._house.warnings.warn("connection from %s broken: %s", self.address, error)
        except Exception as error:  # a defect of ours ends one association, not the node
            _LOG.error("association with %s: %s", self.address, type(error).__name__)
        finally:
            self._sock.close()
            self._house.connections.leave(self)

    def hang_up(self) -> None:
        """Break the connection from another thread."""
        with suppress(OSError):  # not SSLSocket's own, which would take the encryption off first
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _secure(self) -> str:
        """Shake hands where the house wants it; the SHA-256 of the caller's certificate."""
        if self._house.tls is None:
            return ""
        context = self._house.tls.context()
        self._sock.settimeout(max(0.001, self._deadline - time.monotonic()))
        secured = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        self._sock = secured
        secured.do_handshake()
        return certificate_of(secured)

    def _serve(self, certificate: str) -> None:
        house = self._house
        wire = Wire(self._sock, house.pace, house.leaving, self._deadline)
        try:
            request = self._request(wire)
            client = self._accepted(wire, request, Caller(address=self.address, certificate=certificate))
            messages = Messages(wire, longest_received=house.max_pdu_bytes, longest_sent=request.max_pdu_bytes)
            with house.buffers.one() as buffer:
                services = Services(house.intake, messages, wire, client, buffer)
                while True:
                    services.serve_next()
        except Gone:
            return
        except Released:
            last_word = pdu.RELEASE_RESPONSE
        except _Rejected as error:
            house.warnings.warn(
                "association of %r from %s rejected: %s (result, source, reason %s)",
                error.calling_ae_title,
                self.address,
                error,
                error.rejection,
            )
            last_word = pdu.reject(*error.rejection)
        except (ProtocolError, TooSlow, Leaving) as error:
            last_word = self._abort(error)
        self._say_goodbye(wire, last_word)

    def _say_goodbye(self, wire: Wire, last_word: bytes) -> None:
        self._house.connections.end(self)
        with suppress(Gone):
            wire.send(last_word)
            wire.linger(_LINGER_SECONDS)

    def _abort(self, error: ProtocolError | TooSlow | Leaving) -> bytes:
        """Say why as PS3.8 9.2 (AA-1, AA-8) wants it: before there is an association, no reason."""
        self._house.warnings.warn("association with %s aborted: %s", self.address, str(error) or type(error).__name__)
        fault = error.fault if isinstance(error, ProtocolError) else Fault.NOT_SPECIFIED
        if not self._established or isinstance(error, Leaving):
            return pdu.abort(_USER, 0)
        return pdu.abort(_PROVIDER, fault)

    def _request(self, wire: Wire) -> AssociationRequest:
        kind, length = pdu.HEADER.unpack(wire.head(pdu.HEADER.size))
        if kind != Pdu.ASSOCIATE_RQ or length > self._house.max_request_bytes:
            raise ProtocolError(
                Fault.UNEXPECTED_PDU, f"a PDU of type 0x{kind:02X} with {length} bytes at the beginning"
            )
        return read_request(wire.read(length))

    def _accepted(self, wire: Wire, request: AssociationRequest, caller: Caller) -> Client:
        """Accept the association.

        Raises
        ------
        _Rejected
            When it is not.
        """
        house = self._house
        rejection = house.guests.rejection(request, caller)
        if rejection is None and not house.connections.establish(self):
            rejection = LOCAL_LIMIT_EXCEEDED
        if rejection is not None:
            cause = house.guests.cause(rejection, request, caller)
            raise _Rejected(rejection, printable(request.calling_ae_title), cause)
        contexts, roles = answers(request)
        wire.send(accept(request, contexts, roles, house.max_pdu_bytes))
        self._established = True
        accepted = {context.context_id: context for context in contexts if context.answer is Answer.ACCEPTED}
        return Client(calling_ae_title=request.calling_ae_title, address=self.address, contexts=accepted)
