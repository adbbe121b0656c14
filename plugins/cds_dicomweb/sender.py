"""STOW-RS, the user agent's side (PS3.18 10.5): delivers files to a peer, and looks at every instance's result."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from cds.domain.diagnosis import Diagnosis
from cds.errors import ConfigError, DeliveryError, DeliveryPostponed, MalformedInstance
from cds.ports import Peer, Tls
from cds_dicomweb.client import Answer, Clients, Patience, Unanswered
from cds_dicomweb.examine import try_delivery
from cds_dicomweb.model import MEDIA_TYPE, NoDicomJson, parse, read_results
from cds_dicomweb.part10 import MAX_META_BYTES, file_meta
from cds_dicomweb.status import Outcome, outcome_of_reason, outcome_of_status

_CHUNK_BYTES: Final = 262_144
_JSON: Final = frozenset({MEDIA_TYPE, "application/json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """Times in seconds; `tls` is the node's own certificate, for peers that want one."""

    connect_seconds: float = 10.0
    idle_seconds: float = 60.0
    answer_seconds: float = 120.0
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    size: int
    sop_instance_uid: str


class DicomWebSender:
    """Sends DICOM files by STOW-RS (`cds.senders`, name ``dicomweb``)."""

    Settings: ClassVar = SenderSettings

    def __init__(self, settings: SenderSettings) -> None:
        patience = Patience(
            connect_seconds=settings.connect_seconds,
            idle_seconds=settings.idle_seconds,
            answer_seconds=settings.answer_seconds,
        )
        self._clients = Clients(self, settings.tls, patience)

    def examine(self, peer: Peer, *, calling_ae_title: str) -> Iterator[Diagnosis]:
        """Try the peer out; nothing of a patient is sent."""
        return try_delivery(peer, self._clients)

    def send(self, files: Sequence[Path], peer: Peer, *, calling_ae_title: str) -> None:
        """Deliver DICOM files in one request; return only when the peer names every one as stored.

        HTTP carries no AE title: `calling_ae_title` is not told.

        Raises
        ------
        DeliveryPostponed
            When a retry may help: no connection, no answer, 5xx, Failure Reason A7xx, an instance not named.
        DeliveryError
            When it will not: 4xx, any other Failure Reason, an answer that is no DICOM JSON, no such file.
        """
        described = [_describe(path) for path in files]
        if not described:
            return
        boundary = secrets.token_hex(24)
        body = _Body(described, boundary)
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(body.size),
            "Accept": MEDIA_TYPE,
        }
        try:
            answer = self._clients.ask(peer, "POST", "/studies", headers=headers, content=body.chunks())
        except Unanswered as error:
            raise DeliveryPostponed(str(error)) from None
        except ConfigError as error:
            raise DeliveryError(str(error)) from None
        except OSError as error:
            raise DeliveryError(f"a file to send cannot be read: {error.strerror}") from None
        _judge(answer, described, peer)


class _Body:
    """The body of a request: a part for each file, read as it is sent."""

    def __init__(self, files: Sequence[_File], boundary: str) -> None:
        self._files = files
        self._before = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
        self._end = f"--{boundary}--\r\n".encode("ascii")

    @property
    def size(self) -> int:
        return sum(len(self._before) + file.size + 2 for file in self._files) + len(self._end)

    def chunks(self) -> Iterator[bytes]:
        for file in self._files:
            yield self._before
            with file.path.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk
            yield b"\r\n"
        yield self._end


def _describe(path: Path) -> _File:
    """Read a file's meta.

    Raises
    ------
    DeliveryError
        When it is not there, or no DICOM file.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(2 * MAX_META_BYTES)
        meta = file_meta(head, is_whole=True)
        size = path.stat().st_size
    except OSError as error:
        raise DeliveryError(f"cannot read the file to send: {error.strerror}") from None
    except MalformedInstance as error:
        raise DeliveryError(f"the file to send is {error}") from None
    if meta is None:
        raise DeliveryError("the file to send is no DICOM file")
    return _File(path=path, size=size, sop_instance_uid=meta.sop_instance_uid)


def _judge(answer: Answer, files: Sequence[_File], peer: Peer) -> None:
    """Look at what became of every instance. Errors as in `DicomWebSender.send`."""
    is_success = answer.status in (200, 202)
    failures = _failures(answer)
    if is_success and failures is None:
        raise DeliveryError(f"peer {peer.name} answers {answer.status}, but not in {MEDIA_TYPE} what it stored")
    problems: list[tuple[Outcome, str]] = []
    for file in files:
        failure = (failures or {}).get(file.sop_instance_uid)
        if failure is None:
            outcome = Outcome.TRY_AGAIN if is_success else outcome_of_status(answer.status)
            problems.append((outcome, f"status {answer.status}, not a word on SOP Instance {file.sop_instance_uid}"))
        elif failure and outcome_of_reason(failure) is not Outcome.ACCEPTED:
            told = f"SOP Instance {file.sop_instance_uid}: Failure Reason 0x{failure:04X}"
            problems.append((outcome_of_reason(failure), told))
    if not problems:
        return
    final = [told for outcome, told in problems if outcome is Outcome.REFUSED]
    kind = DeliveryError if final else DeliveryPostponed
    told = (final or [told for _, told in problems])[0]
    raise kind(f"peer {peer.name} did not store {len(problems)} of {len(files)} instances: {told}")


def _failures(answer: Answer) -> dict[str, int] | None:
    """Failure Reason, or 0, by SOP Instance UID; a failure outweighs a success. None for no DICOM JSON."""
    if answer.media_type not in _JSON or not answer.body.strip():
        return None
    try:
        results = read_results(parse(answer.body))
    except NoDicomJson:
        return None
    failures: dict[str, int] = {}
    for result in results:
        failures[result.sop_instance_uid] = failures.get(result.sop_instance_uid, 0) or result.failure
    return failures
