"""The small PACS on the network: Storage, Query/Retrieve and Verification SCP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pydicom import Dataset, dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from cds.ports import Peer
from cds_pacs.contexts import VERIFICATION, is_storage, requested_for
from cds_pacs.sender import DicomSender, SenderSettings
from cds_pacs.testing.archive import Archive, StoredObject
from cds_pacs.testing.entity import Limits
from cds_pacs.testing.server import CappedServer, supported_of

_QUERY_RETRIEVE: Final = frozenset(
    str(sop_class)
    for sop_class in (
        PatientRootQueryRetrieveInformationModelFind,
        PatientRootQueryRetrieveInformationModelGet,
        PatientRootQueryRetrieveInformationModelMove,
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    )
)
_STRUCTURED_REPORT: Final = "1.2.840.10008.5.1.4.1.1.88."
_LOCAL_LIMIT_EXCEEDED: Final = (0x02, 0x03, 0x02)
_PENDING: Final = 0xFF00


@dataclass(slots=True)
class Faults:
    """What the PACS does wrong; may be changed while it runs.

    Attributes
    ----------
    refuse
        Reject every association.
    abort
        Abort the association at every C-STORE, before anything is stored.
    abort_after_storing
        Store, then abort instead of answering.
    statuses
        Answered to the next C-STOREs, one each, without storing; then things are normal again.
    """

    refuse: bool = False
    abort: bool = False
    abort_after_storing: bool = False
    statuses: list[int] = field(default_factory=list)


class MiniPacs:
    """A PACS in a folder and a few threads.

    Parameters
    ----------
    folder
        Where the files lie; what is there already is served.
    port
        0 takes a free one; `port` tells which.
    destinations
        Where C-MOVE may send to.

    Examples
    --------
    ::

        with MiniPacs(folder) as pacs:
            pacs.archive.add(path)
            pacs.forward(study_instance_uid, node)
            pacs.wait_until(lambda: pacs.structured_reports(study_instance_uid), seconds=30)
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "PACS",
        host: str = "127.0.0.1",
        port: int = 0,
        destinations: Sequence[Peer] = (),
    ) -> None:
        self.archive = Archive(folder)
        self.faults = Faults()
        self.ae_title = ae_title
        self.host = host
        self.port = port
        self.destinations = list(destinations)
        self.received = 0
        self._changed = threading.Condition()
        self._server: CappedServer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> int:
        """Serve, without blocking; the port."""
        entity = AE(ae_title=self.ae_title)
        entity.maximum_associations = 1_000
        entity.maximum_pdu_size = 131_072
        entity.add_supported_context(VERIFICATION)
        handlers: list[tuple[Any, Callable[[Any], Any]]] = [
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_MOVE, self._move),
        ]
        server = CappedServer(entity, (self.host, self.port), handlers, Limits())
        threading.Thread(target=server.serve_forever, name="mini-pacs", daemon=True).start()
        self._server = server
        self.port = int(server.server_address[1])
        return self.port

    def stop(self) -> None:
        """Stop serving; the files stay."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            for association in server.active_associations:
                association.abort()

    def peer(self, name: str = "pacs", *, send_results: bool = True) -> Peer:
        """How a node knows this PACS."""
        return Peer(name=name, ae_title=self.ae_title, host=self.host, port=self.port, send_results=send_results)

    def forward(self, study_instance_uid: str, peer: Peer) -> int:
        """Send every instance of a study to `peer`, as received; how many.

        Raises
        ------
        DeliveryError, DeliveryPostponed
            When the peer did not take one.
        """
        files = [one.path for one in self.archive.objects(study_instance_uid)]
        DicomSender(SenderSettings(idle_seconds=0.0)).send(files, peer, calling_ae_title=self.ae_title)
        return len(files)

    def structured_reports(self, study_instance_uid: str) -> tuple[StoredObject, ...]:
        """The SRs of a study."""
        return tuple(
            one for one in self.archive.objects(study_instance_uid) if one.sop_class_uid.startswith(_STRUCTURED_REPORT)
        )

    def wait_until(self, condition: Callable[[], object], *, seconds: float) -> bool:
        """Wait until something is true of what has arrived; whether it became so in time."""
        with self._changed:
            return bool(self._changed.wait_for(condition, timeout=seconds))

    def _admit(self, event: Any) -> None:
        association = event.assoc
        if self.faults.refuse:
            association.acse.send_reject(*_LOCAL_LIMIT_EXCEEDED)
            association.kill()
            return
        requested = association.requestor.primitive.presentation_context_definition_list
        contexts = supported_of(requested, _QUERY_RETRIEVE)
        for context in contexts:
            if is_storage(str(context.abstract_syntax)):
                context.scu_role, context.scp_role = True, True  # the requestor of a C-GET stores
        association.acceptor.supported_contexts = contexts

    def _store(self, event: Any) -> int:
        if self.faults.abort:
            event.assoc.abort()
            return 0x0110
        if self.faults.statuses:
            return self.faults.statuses.pop(0)
        data_set = event.encoded_dataset(include_meta=False)
        stored = self.archive.put(event.encoded_dataset(), data_set)
        with self._changed:
            self.received += 1
            self._changed.notify_all()
        if self.faults.abort_after_storing:
            event.assoc.abort()
        return 0x0000 if stored else 0xC000

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for answer in self.archive.find(event.identifier):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            answer.RetrieveAETitle = self.ae_title
            yield _PENDING, answer

    def _get(self, event: Any) -> Iterator[Any]:
        yield from self._retrieved(event)

    def _move(self, event: Any) -> Iterator[Any]:
        destination = str(event.move_destination).strip()
        peer = next((one for one in self.destinations if one.ae_title == destination), None)
        if peer is None:
            yield None, None
            return
        files = [(one.sop_class_uid, _transfer_syntax(one.path)) for one in self.archive.matches(event.identifier)]
        yield peer.host, peer.port, {"contexts": requested_for(files), "ae_title": peer.ae_title}
        yield from self._retrieved(event)

    def _retrieved(self, event: Any) -> Iterator[Any]:
        found = list(self.archive.matches(event.identifier))
        yield len(found)
        for one in found:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield _PENDING, dcmread(one.path)


def _transfer_syntax(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
