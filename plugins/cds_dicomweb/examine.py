"""Trying a peer out for `cds doctor`: whether its web services answer; nothing of a patient is sent or asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cds.domain.diagnosis import Diagnosis, fail, ok, warn
from cds.errors import ConfigError
from cds.ports import Peer
from cds_dicomweb import model
from cds_dicomweb.client import Answer, Clients, Unanswered, is_confidential

_NOBODY_S_STUDY: Final = "2.25.0"


def try_delivery(peer: Peer, clients: Clients) -> Iterator[Diagnosis]:
    """Whether there is something at the peer's URL that lets us in; it need not serve searches."""
    subject = f"peer {peer.name} takes"
    answer, confidential = _asked(peer, clients)
    if isinstance(answer, Exception):
        yield _silent(subject, answer)
    elif answer.status in (401, 403, 404) or answer.status // 100 == 3:
        yield _unwelcome(subject, answer)
    elif not confidential:
        yield warn(subject, f"objects over plain http (status {answer.status})", "use https, where the peer has it")
    else:
        yield ok(subject, f"requests over HTTP (status {answer.status})")


def try_queries(peer: Peer, clients: Clients) -> Iterator[Diagnosis]:
    """Whether the peer answers searches, and may be searched by patient."""
    subject = f"peer {peer.name} answers"
    answer, confidential = _asked(peer, clients)
    if isinstance(answer, Exception):
        yield _silent(subject, answer)
    elif answer.status in (200, 204):
        yield ok(subject, "searches (QIDO-RS)")
    else:
        yield _unwelcome(subject, answer)
    if peer.priors and not confidential:
        mend = "give the peer a url with https, or set priors = false"
        yield fail(subject, "plain http, and a search by patient carries the Patient ID in its URL: no priors", mend)


def _asked(peer: Peer, clients: Clients) -> tuple[Answer | ConfigError | Unanswered, bool]:
    """What the peer says to a search for a study that nobody has; whether our URLs are confidential."""
    query = (("StudyInstanceUID", _NOBODY_S_STUDY), ("limit", "1"))
    try:
        confidential = is_confidential(peer)
    except ConfigError as error:
        return error, True
    try:
        return clients.ask(peer, "GET", "/studies", headers={"Accept": model.MEDIA_TYPE}, query=query), confidential
    except (ConfigError, Unanswered) as error:
        return error, confidential


def _silent(subject: str, error: Exception) -> Diagnosis:
    return fail(subject, str(error), "correct its url, and see that both sides agree on TLS")


def _unwelcome(subject: str, answer: Answer) -> Diagnosis:
    if answer.status in (401, 403):
        return fail(subject, f"nothing from us: status {answer.status}", "make our certificate or address known there")
    return fail(subject, f"with status {answer.status}", "its url must be the root of DICOMweb, above /studies")
