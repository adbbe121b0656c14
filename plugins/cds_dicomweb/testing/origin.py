"""A DICOMweb origin server of the standard library and pydicom alone, with nothing of the plugin's own code."""

from __future__ import annotations

import fnmatch
import json
import re
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from pydicom import Dataset, dcmread

from cds.ports import Peer

BOUNDARY = "the-origin-s-own"


@dataclass(frozen=True)
class Reply:
    """One answer of a server."""

    status: int
    body: bytes = b""
    content_type: str = "application/dicom+json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Origin:
    """Stores, searches and gives back; use it as a context manager.

    Attributes
    ----------
    says
        Answers to give instead of its own, first to last; a callable is asked with the path.
    page
        Most results that a search gives at once.
    counts
        Whether a search tells Number of Study Related Instances (0020,1208).
    targets
        Method and target of every request that came.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    says: list[Reply] = field(default_factory=list)
    page: int = 1000
    counts: bool = True
    cut_retrievals: bool = False
    targets: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    connections: int = 0

    def __enter__(self) -> Origin:
        origin = self

        class Handler(_Handler):
            served = origin

        self._server = _Server(("127.0.0.1", 0), Handler)
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def peer(self, **changes: object) -> Peer:
        """Give the peer that it is."""
        values: dict[str, object] = {"name": "origin", "ae_title": "ORIGIN", "host": "127.0.0.1", "port": self.port}
        return Peer(**{**values, "via": "dicomweb", "priors": True, **changes})  # type: ignore[arg-type]

    def put(self, content: bytes) -> None:
        """Have it keep a DICOM file."""
        self.files[str(dcmread(BytesIO(content), stop_before_pixels=True).SOPInstanceUID)] = content

    def data_sets(self) -> list[Dataset]:
        """What it keeps, without pixels."""
        return [dcmread(BytesIO(content), stop_before_pixels=True) for content in self.files.values()]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client may go whenever it likes."""


class _Handler(BaseHTTPRequestHandler):
    served: Origin
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.served.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self._serve(self._store)

    def do_GET(self) -> None:
        self._serve(self._search)

    def do_OPTIONS(self) -> None:
        self._serve(lambda body: Reply(204, headers=(("Allow", "GET, POST"),)))

    def _serve(self, own: Callable[[bytes], Reply]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.served.targets.append(f"{self.command} {self.path}")
        reply = self.served.says.pop(0) if self.served.says else own(body)
        self.send_response(reply.status)
        for name, value in (*reply.headers, ("Content-Type", reply.content_type)):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _store(self, body: bytes) -> Reply:
        boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])
        assert boundary
        stored = []
        for part in body.split(b"--" + boundary[1].encode())[1:-1]:
            content = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
            self.served.put(content)
            stored.append(dcmread(BytesIO(content), stop_before_pixels=True))
        return Reply(200, stored_answer([(ds.SOPClassUID, ds.SOPInstanceUID) for ds in stored]))

    def _search(self, _: bytes) -> Reply:
        target = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(target.query).items()}
        match target.path.removeprefix("/dicom-web/").split("/"):
            case ["studies"]:
                found = _studies(self.served, query)
            case ["studies", uid, "instances"]:
                found = [ds for ds in self.served.data_sets() if ds.StudyInstanceUID == uid]
            case ["studies", uid]:
                return self._retrieve(uid)
            case _:
                return Reply(404)
        start = int(query.get("offset", 0))
        page = found[start : start + min(self.served.page, int(query.get("limit", 1000)))]
        more = (("Warning", '299 origin "there are more"'),) if start + len(page) < len(found) else ()
        return Reply(200, json.dumps([ds.to_json_dict() for ds in page]).encode(), headers=more)

    def _retrieve(self, uid: str) -> Reply:
        own = {str(ds.SOPInstanceUID) for ds in self.served.data_sets() if ds.StudyInstanceUID == uid}
        if not own:
            return Reply(404)
        parts = [
            f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + self.served.files[one] + b"\r\n"
            for one in sorted(own)
        ]
        end = b"" if self.served.cut_retrievals else f"--{BOUNDARY}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        return Reply(200, b"".join(parts) + end, kind)


def _studies(origin: Origin, query: dict[str, str]) -> list[Dataset]:
    studies: dict[str, Dataset] = {}
    for ds in origin.data_sets():
        if any(not fnmatch.fnmatch(str(ds.get(key, "")), value) for key, value in query.items() if key in _KEYS):
            continue
        study = studies.setdefault(str(ds.StudyInstanceUID), Dataset())
        for keyword in _STUDY_LEVEL:
            if keyword in ds:
                setattr(study, keyword, ds[keyword].value)
        modalities = {*study.get("ModalitiesInStudy", "").split("\\"), ds.Modality} - {""}
        study.ModalitiesInStudy = "\\".join(sorted(modalities)) if len(modalities) > 1 else modalities.pop()
        if origin.counts:
            study.NumberOfStudyRelatedInstances = int(study.get("NumberOfStudyRelatedInstances", 0)) + 1
    return list(studies.values())


_STUDY_LEVEL = (
    "StudyInstanceUID",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyDescription",
)
_KEYS = ("PatientID", "StudyInstanceUID")


def stored_answer(stored: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]] = ()) -> bytes:
    """Give a Store Instances Response: (class, instance) stored, and (class, instance, Failure Reason) failed."""
    response = Dataset()
    response.RetrieveURL = ""
    response.ReferencedSOPSequence = [_item(*one) for one in stored]
    response.FailedSOPSequence = [_item(*one) for one in failed]
    return json.dumps(response.to_json_dict()).encode()


def _item(sop_class_uid: str, sop_instance_uid: str, failure: int = 0) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    if failure:
        item.FailureReason = failure
    return item
