"""The query SCU: asks a peer what it keeps by C-FIND (PS3.4 C.4.1, Study Root), and believes little of it."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from cds.errors import ArchiveError
from cds.ports import Peer, Tls
from cds_pacs.contexts import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from cds_pacs.entity import CarefulEntity

_config.LOG_HANDLER_LEVEL = "none"  # pynetdicom would write every query and answer, patients and all, to its log
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False

FIND: Final = UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE: Final = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET: Final = UID("1.2.840.10008.5.1.4.1.2.2.3")
"""Study Root Query/Retrieve Information Model (PS3.4 C.6.2)."""

_SUCCESS: Final = 0x0000
_PENDING: Final = (0xFF00, 0xFF01)
"""Matches are continuing; with 0xFF01 some optional keys were not supported (PS3.4 C.4.1.1.4)."""
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_WILD: Final = re.compile(r"[*?\\\x00-\x1f]")
"""What would make a key match more than one value (PS3.4 C.2.2.2), or is no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Times in seconds; `most_answers` and `most_megabytes` bound what a peer may hand us.

    `fetch_seconds` is for one whole study. With `retrieve` ``"move"`` a peer is never asked by C-GET.
    `tls` is filled by the host.
    """

    connect_timeout_seconds: float = 10.0
    acse_timeout_seconds: float = 15.0
    dimse_timeout_seconds: float = 20.0
    fetch_seconds: float = 120.0
    most_answers: int = 5000
    most_megabytes: int = 4096
    max_pdu_bytes: int = 131_072
    retrieve: str = "get"
    tls: Tls | None = None


@contextmanager
def associated(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    settings: ArchiveSettings,
    calling_ae_title: str,
    *,
    roles: Sequence[Any] = (),
    handlers: Sequence[Any] = (),
) -> Iterator[Association]:
    """Hold an association with a peer; it is released at the end, and aborted after an error.

    Raises
    ------
    ArchiveError
        When there is none to be had.
    """
    entity = CarefulEntity(ae_title=calling_ae_title)
    entity.connection_timeout = settings.connect_timeout_seconds
    entity.acse_timeout = settings.acse_timeout_seconds
    entity.dimse_timeout = settings.dimse_timeout_seconds
    entity.network_timeout = settings.dimse_timeout_seconds
    association = entity.associate(
        peer.host,
        peer.port,
        contexts=list(contexts),
        ae_title=peer.ae_title,
        max_pdu=settings.max_pdu_bytes,
        ext_neg=list(roles),
        evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once), *handlers],
        tls_args=(_secured(peer, settings.tls), peer.host) if peer.tls else None,
    )
    if not association.is_established:
        raise ArchiveError(_why_not(association, peer))
    _keep_messages_for_the_caller(association)
    try:
        _check_certificate(association, peer)
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()


def find(association: Association, keys: Dataset, peer: Peer, most_answers: int) -> list[Dataset]:
    """Every answer to one query.

    Raises
    ------
    ArchiveError
        When the peer refuses, breaks off, or answers more than `most_answers`.
    """
    answers: list[Dataset] = []
    for status, answer in _asked(association, keys, peer):
        code = status_of(status)
        if code in _PENDING and answer is not None:
            answers.append(answer)
            if len(answers) > most_answers:
                raise ArchiveError(f"peer {peer.name!r} answers more than {most_answers} times to one query")
        elif code == _SUCCESS:
            return answers
        else:
            break
    raise ArchiveError(f"peer {peer.name!r} {_told(code)} to a query at level {keys.QueryRetrieveLevel}")


def keys_of(level: str, *wanted: str, **matching: str) -> Dataset:
    """A query: attributes that must match, and attributes that are wanted back, by keyword."""
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    for keyword in wanted:
        setattr(keys, keyword, None)
    for keyword, value in matching.items():
        if not value.isascii():
            keys.SpecificCharacterSet = "ISO_IR 192"
        setattr(keys, keyword, value)
    return keys


def is_single_value(text: str) -> bool:
    """Whether a key of this value matches this value alone: no wild card, no list, not empty."""
    return bool(text.strip()) and not _WILD.search(text)


def is_uid(text: str) -> bool:
    """Whether it is a UID (PS3.5 9.1)."""
    return len(text) <= 64 and bool(_UID.fullmatch(text))


def plain(answer: Dataset, keyword: str) -> str:
    """An attribute of an answer as it was sent, without padding; ``""`` where it is absent or no ASCII.

    The value is not converted: what is wrong with it costs nothing, and is told to nobody.
    """
    element = answer.get_item(keyword) if keyword in answer else None
    value = element.value if element is not None else None
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore") if value.isascii() else ""
    return str(value or "").strip(" \0")


def count(answer: Dataset, keyword: str) -> int | None:
    """A number of an answer (IS); None where it does not say."""
    text = plain(answer, keyword)
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 9 else None


def status_of(status: Dataset) -> int | None:
    """The status of a response; None where the peer broke off or was silent."""
    return int(status.Status) if "Status" in status else None


def context(model: str) -> PresentationContext:
    """The presentation context of a query/retrieve model."""
    return build_context(model, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])


def _asked(association: Association, keys: Dataset, peer: Peer) -> Iterator[tuple[Dataset, Dataset | None]]:
    try:
        yield from association.send_c_find(keys, FIND)
    except (RuntimeError, ValueError):
        raise ArchiveError(f"peer {peer.name!r} does not take queries (C-FIND, Study Root)") from None


def _told(code: int | None) -> str:
    return "gave no answer" if code is None else f"answered 0x{code:04X}"


def _why_not(association: Association, peer: Peer) -> str:
    where = f"peer {peer.name!r} at {peer.host}:{peer.port}"
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return f"{where} rejected the association ({answer.reason_str}); does it know our AE title?"
    if answer is None:
        return f"{where} does not answer: is it running?"
    if not association.accepted_contexts:
        return f"{where} offers no query or retrieve service"
    return f"{where} broke the association off"


def _secured(peer: Peer, tls: Tls | None) -> ssl.SSLContext:
    """Mutual TLS with our certificate; which peer it is says its certificate, not a host name (PS3.15 B.12)."""
    if tls is None:
        raise ArchiveError(f"peer {peer.name!r} has tls = true: give us a certificate in [node.tls]")
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    secured.check_hostname = False
    secured.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        secured.load_verify_locations(tls.ca_file)
        secured.load_cert_chain(tls.certificate_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ArchiveError(f"our own certificate or key cannot be used: {error.strerror}") from None
    return secured


def _check_certificate(association: Association, peer: Peer) -> None:
    """Nothing is asked of a peer whose certificate is not the one that is configured for it."""
    if not peer.certificate:
        return
    connection = association.dul.socket
    sock = connection.socket if connection is not None else None
    found = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
    if hashlib.sha256(found or b"").hexdigest() != peer.certificate:
        raise ArchiveError(f"peer {peer.name!r} has another certificate than the one that is configured for it")


def _keep_messages_for_the_caller(association: Association) -> None:
    """Let only who asked take answers: pynetdicom 3.0.4's reactor, told to pause, may still take the first one.

    The reactor looks without blocking, everybody else waits.
    """
    take = association.dimse.get_msg
    association.dimse.get_msg = lambda block=False: take(block) if block else (None, None)  # type: ignore[method-assign]


def _send_at_once(event: Any) -> None:
    """Switch Nagle's algorithm off: our answers to each instance must not wait for an acknowledgement."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
