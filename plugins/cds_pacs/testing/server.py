"""The small PACS's server: pynetdicom's, with limits on what a stranger may cost.

What is mended here was measured on pynetdicom 3.0.4, whose private parts are used (the version is
pinned for it): a PDU of any declared size was buffered before anybody was known, a byte now and
then kept a thread for ever, idle connections filled the association limit, a sender with Nagle's
algorithm waited 40 ms per message for our acknowledgement, and each association copied every context.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Any

from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from cds_pacs.contexts import TRANSFER_SYNTAXES, VERIFICATION, is_storage
from cds_pacs.testing.entity import CappedSocket, Limits

_config.LOG_HANDLER_LEVEL = "none"  # pynetdicom would write every query and answer, patients and all, to its log
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False


def supported_of(
    requested: Iterable[PresentationContext], also: Container[str] = frozenset()
) -> list[PresentationContext]:
    """Out of what a peer requests, what is accepted: verification, storage and SOP classes in `also`.

    The transfer syntaxes stay in the order of the request, so that a peer sends an instance as it
    has it. Building the answer from the request spares each association a copy of the whole table.
    """
    wanted: dict[str, list[str]] = {}
    for context in requested:
        sop_class = str(context.abstract_syntax)
        if sop_class == VERIFICATION or sop_class in also or is_storage(sop_class):
            wanted.setdefault(sop_class, []).extend(
                str(syntax) for syntax in context.transfer_syntax if str(syntax) in TRANSFER_SYNTAXES
            )
    return [
        build_context(sop_class, list(dict.fromkeys(syntaxes))) for sop_class, syntaxes in wanted.items() if syntaxes
    ]


class StoringAssociation(Association):
    """Serves every C-STORE as storage, also of SOP classes that pynetdicom does not know."""

    def _serve_request(self, msg: Any, context_id: int) -> None:
        context = self._accepted_cx.get(context_id)
        if not isinstance(msg, C_STORE) or context is None or not msg.is_valid_request:
            super()._serve_request(msg, context_id)
            return
        self._is_paused = True
        try:
            StorageServiceClass(self).SCP(msg, context)
        except Exception:  # whatever it was, the sender must not wait for an answer
            self.abort()
        self._is_paused = False


class CappedHandler(RequestHandler):
    """Makes one association of one connection."""

    server: CappedServer

    def _create_association(self) -> Association:
        association = StoringAssociation(self.ae, "acceptor")
        association._server = self.server
        association.name = f"AcceptorThread@{self.client_address[0]}"  # pynetdicom finds its threads by this name
        sock = CappedSocket(association, client_socket=self.request)
        sock.limits = self.server.limits
        association.set_socket(sock)
        acceptor = association.acceptor
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.ae_title = self.server.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = self.ae.implementation_class_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name
        acceptor.supported_contexts = list[PresentationContext]()  # set when the request is known
        association.requestor.address_info = self.remote
        self._bind(association)
        return association

    def _bind(self, association: Association) -> None:
        bound: dict[Any, Any] = self.server._handlers
        for event, handlers in bound.items():
            for handler, arguments in [handlers] if event.is_intervention else handlers:
                association.bind(event, handler, arguments)


class CappedServer(ThreadedAssociationServer):
    """Accepts connections within the limits."""

    request_queue_size = 128
    limits: Limits = Limits()

    def __init__(self, entity: AE, address: tuple[str, int], handlers: Sequence[Any], limits: Limits) -> None:
        self.limits = limits
        super().__init__(
            entity,
            address,
            entity.ae_title,
            entity.supported_contexts,
            evt_handlers=list(handlers),
            request_handler=CappedHandler,
        )
        entity._servers.append(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether one more connection from this address is taken."""
        open_now = Counter(
            thread.name
            for thread in threading.enumerate()
            if isinstance(thread, StoringAssociation) and thread._server is self
        )
        here = open_now[f"AcceptorThread@{client_address[0]}"]
        return open_now.total() < self.limits.connections and here < self.limits.connections_per_address

    def established(self) -> int:
        """How many associations are established."""
        return sum(association.is_established for association in self.active_associations)
