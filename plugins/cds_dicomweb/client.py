"""HTTP to peers: kept connections, mutual TLS, deadlines; no redirect, no proxy, nothing of a URL in a log."""

from __future__ import annotations

import ipaddress
import logging
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx2

from cds.errors import ConfigError
from cds.ports import Peer, Tls
from cds_dicomweb.multipart import media_type
from cds_dicomweb.tls import client_context, stamp_of

_MAX_ANSWER_BYTES: Final = 16 << 20


class Unanswered(Exception):
    """The peer gave no whole answer; the message carries no URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Times in seconds: to connect, between two signs of life, and for a whole answer."""

    connect_seconds: float = 10.0
    idle_seconds: float = 60.0
    answer_seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer; `more` says that the peer has more results than it gives (PS3.18 8.3.4.4)."""

    status: int
    media_type: str
    body: bytes
    more: bool = False


class Clients:
    """One kept client for each peer; safe to use from several threads. Closed with its owner at the latest."""

    def __init__(self, owner: object, tls: Tls | None, patience: Patience) -> None:
        self._tls = tls
        self._patience = patience
        self._lock = threading.Lock()
        self._clients: dict[Peer, tuple[object, httpx2.Client]] = {}
        weakref.finalize(owner, _close, self._clients)

    def ask(
        self,
        peer: Peer,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Sequence[tuple[str, str]] = (),
        content: Iterable[bytes] | None = None,
    ) -> Answer:
        """Send a request and read its answer whole.

        Raises
        ------
        Unanswered
            When none comes, in time, of a size that can be held.
        ConfigError
            When the peer's URL or our TLS files are not usable.
        """
        with self.streamed(peer, method, path, headers=headers, query=query, content=content) as response:
            body = bytearray()
            for chunk in within(response, self._patience.answer_seconds):
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES:
                    raise Unanswered(f"peer {peer.name}: the answer is longer than {_MAX_ANSWER_BYTES} bytes")
            return Answer(
                status=response.status_code,
                media_type=media_type(response.headers.get("content-type", "")).name,
                body=bytes(body),
                more=response.headers.get("warning", "").startswith("299"),
            )

    @contextmanager
    def streamed(
        self,
        peer: Peer,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Sequence[tuple[str, str]] = (),
        content: Iterable[bytes] | None = None,
    ) -> Iterator[httpx2.Response]:
        """Send a request; its answer is read by `within`. Errors as in `ask`."""
        url = root_of(peer) + path
        client = self._client(peer)
        try:
            with client.stream(
                method, url, params=list(query) or None, headers=dict(headers), content=content
            ) as response:
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise Unanswered(f"peer {peer.name}: the answer is compressed, which was not asked for")
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:  # their messages may carry the URL
            raise Unanswered(f"peer {peer.name}: {type(error).__name__}") from None

    def _client(self, peer: Peer) -> httpx2.Client:
        secure = root_of(peer).startswith("https:")
        files = self._tls if peer.tls else None
        if peer.tls and files is None:
            raise ConfigError(f"peer {peer.name} has tls = true, and there is no [node.tls]")
        stamp = stamp_of(files) if files else ()
        with self._lock:
            known = self._clients.get(peer)
            if known is not None and known[0] == stamp:
                return known[1]
            fresh = self._new_client(client_context(files, peer.certificate) if secure else None)
            self._clients[peer] = (stamp, fresh)
        if known is not None:
            known[1].close()
        return fresh

    def _new_client(self, context: ssl.SSLContext | None) -> httpx2.Client:
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log whole URLs
        patience = self._patience
        return httpx2.Client(
            verify=context if context is not None else False,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(patience.idle_seconds, connect=patience.connect_seconds),
            headers={"Accept-Encoding": "identity", "User-Agent": "CDS"},
        )


def within(response: httpx2.Response, seconds: float) -> Iterator[bytes]:
    """The body of a response as it comes, not decoded.

    Raises
    ------
    Unanswered
        When it takes longer.
    """
    deadline = time.monotonic() + seconds
    for chunk in response.iter_raw():  # as it comes: gathered into larger pieces, a trickle would never be looked at
        yield chunk
        if time.monotonic() > deadline:
            raise Unanswered(f"the answer was not whole within {seconds:.0f} s")


def root_of(peer: Peer) -> str:
    """The root of a peer's web services, without a slash at its end.

    Raises
    ------
    ConfigError
        When it is no URL of the Web, or not https for a peer with TLS.
    """
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    url = peer.url or f"{'https' if peer.tls else 'http'}://{host}:{peer.port}/dicom-web"
    parts = _url(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.host or parts.query or parts.userinfo:
        raise ConfigError(f"peer {peer.name}: url must be like https://host:port/dicom-web")
    if peer.tls and parts.scheme != "https":
        raise ConfigError(f"peer {peer.name} has tls = true: its url must begin with https://")
    return url.rstrip("/")


def is_confidential(peer: Peer) -> bool:
    """Whether nobody but the peer reads the URLs of our requests: TLS, or a peer on this machine."""
    parts = httpx2.URL(root_of(peer))
    if parts.scheme == "https" or parts.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.host).is_loopback
    except ValueError:
        return False


def _url(text: str) -> httpx2.URL | None:
    try:
        return httpx2.URL(text)
    except httpx2.InvalidURL:
        return None


def _close(clients: dict[Peer, tuple[object, httpx2.Client]]) -> None:
    for _, client in clients.values():
        client.close()
