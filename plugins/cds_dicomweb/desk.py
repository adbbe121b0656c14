"""Where requests are looked at: who calls, what for, and in which form; then bodies go to the intake."""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass
from typing import Final

import h11

from cds.ports import Intake, ListenerAddress
from cds_dicomweb.access import Caller, caller_of
from cds_dicomweb.model import MEDIA_TYPE, store_response
from cds_dicomweb.multipart import MultipartError, is_boundary, media_type
from cds_dicomweb.part10 import is_uid
from cds_dicomweb.server import Connection
from cds_dicomweb.status import answer_status
from cds_dicomweb.store import StoreRequest
from cds_dicomweb.wire import BadRequest, Gone, Headers, Pace, Wire

_LOG: Final = logging.getLogger(__name__)

_ACCEPTED: Final = frozenset({MEDIA_TYPE, "application/json", "application/*", "*/*"})
"""Media ranges that our answer, DICOM JSON, is in."""


class Refused(Exception):
    """The request is answered before its body is read; the message carries nothing of a patient."""

    def __init__(self, status: int, why: str, *headers: tuple[str, str]) -> None:
        super().__init__(why)
        self.status = status
        self.headers: Headers = headers


@dataclass(frozen=True, slots=True)
class _Order:
    """A store request as its head describes it; `study` is ``""`` for instances of any study."""

    study: str
    boundary: str


class Desk:
    """Serves the connections of one listener; safe to call from several threads."""

    def __init__(
        self, listening: ListenerAddress, intake: Intake, path: str, pace: Pace, retry_after_seconds: int
    ) -> None:
        self._listening = listening
        self._intake = intake
        self._pace = pace
        self._places = threading.BoundedSemaphore(listening.max_associations)
        self._studies = re.compile(re.escape(path.rstrip("/")) + r"/studies(?:/([^/?]+))?/?(?:\?.*)?")
        self._retry_after = ("Retry-After", str(retry_after_seconds))

    def serve(self, connection: Connection) -> None:
        """Answer the requests of one connection, one after the other."""
        caller = caller_of(self._listening, connection.address, connection.certificate())
        wire = Wire(connection.socket, self._pace)
        try:
            self._serve(connection, wire, caller)
        except BadRequest as error:
            self._refuse(wire, connection.address, Refused(error.status, "no HTTP request that can be read"))
        except Gone:
            return
        wire.linger()

    def _serve(self, connection: Connection, wire: Wire, caller: Caller | None) -> None:
        while True:
            request = wire.request()
            if not connection.begin():
                raise Gone
            try:
                self._answer(wire, request, caller)
            except Refused as refused:
                self._refuse(wire, connection.address, refused)
            if not connection.end() or not wire.is_reusable:
                return

    def _refuse(self, wire: Wire, address: str, refused: Refused) -> None:
        _LOG.warning("request from %s refused with %d: %s", address, refused.status, refused)
        headers = [("Content-Type", "text/plain; charset=us-ascii"), *refused.headers]
        try:
            wire.answer(refused.status, headers, f"{refused}\n".encode("ascii", "replace"), close=True)
        except Gone:
            return

    def _answer(self, wire: Wire, request: h11.Request, caller: Caller | None) -> None:
        if caller is None:
            raise Refused(403, "not among the peers that may call")
        order = self._order(request)
        if not self._places.acquire(blocking=False):
            raise Refused(503, "too many requests at once", self._retry_after)
        try:
            self._store(wire, order, caller)
        finally:
            self._places.release()

    def _order(self, request: h11.Request) -> _Order:
        """Read the head of a request.

        Raises
        ------
        Refused
            When it asks for anything but what we do.
        """
        found = self._studies.fullmatch(request.target.decode("ascii", "replace"))
        if found is None:
            raise Refused(404, "there is nothing here; instances are stored at /studies")
        if request.method != b"POST":
            raise Refused(405, "only POST is served", ("Allow", "POST"))
        study = found[1] or ""
        if study and not is_uid(study):
            raise Refused(400, "the study in the URL is no UID")
        if not _accepts(_header(request, b"accept")):
            raise Refused(406, f"the answer is {MEDIA_TYPE}, which the request does not accept")
        return _Order(study, _boundary(_header(request, b"content-type")))

    def _store(self, wire: Wire, order: _Order, caller: Caller) -> None:
        store = StoreRequest(order.boundary, self._intake, caller, order.study)
        broken = ""
        try:
            for chunk in wire.body():
                store.feed(chunk)
            store.close()
        except (MultipartError, BadRequest) as error:
            broken = str(error)
        finally:
            store.abandon()
        self._tell(wire, store, caller, broken)

    def _tell(self, wire: Wire, store: StoreRequest, caller: Caller, broken: str) -> None:
        failures = [result.failure for result in store.results if result.failure]
        status = 400 if broken else answer_status(len(store.results) - len(failures), failures)
        headers = [("Content-Type", MEDIA_TYPE)]
        if status == 503:
            headers.append(self._retry_after)
        if broken:
            headers.append(("Warning", f'299 cds "{broken}"'))
            _LOG.warning("request from %s broken: %s", caller.address, broken)
        wire.answer(status, headers, store_response(store.results))


def _boundary(content_type: str) -> str:
    kind = media_type(content_type)
    if kind.name != "multipart/related" or kind.parameters.get("type", "").lower() not in ("application/dicom", ""):
        raise Refused(415, 'the body must be multipart/related; type="application/dicom"')
    boundary = kind.parameters.get("boundary", "")
    if not is_boundary(boundary):
        raise Refused(400, "the Content-Type names no boundary that RFC 2046 allows")
    return boundary


def _accepts(accept: str) -> bool:
    """Whether one of the media ranges is ours and not excluded by ``q=0`` (RFC 9110 12.5.1)."""
    if not accept.strip():
        return True
    for part in accept.split(","):
        kind = media_type(part.strip())
        if kind.name in _ACCEPTED and kind.parameters.get("q", "1").strip("0.") != "":
            return True
    return False


def _header(request: h11.Request, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in request.headers if key == name)
