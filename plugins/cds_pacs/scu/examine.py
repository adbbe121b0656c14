"""Trying a peer out for `cds doctor`: verification, and what it would take of what we are to send and ask."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from cds.domain.diagnosis import Diagnosis, fail, ok, warn
from cds.ports import Peer
from cds_pacs import commands
from cds_pacs.contexts import (
    COMPANIONS,
    EXPLICIT_VR_LITTLE_ENDIAN,
    FIND,
    GET,
    MOVE,
    STORAGE_COMMITMENT,
    STRUCTURED_REPORTS,
    VERIFICATION,
    requested_for,
)
from cds_pacs.scu.association import Association
from cds_pacs.scu.upper_layer import AssociationEnded, AssociationRejected, Called, Timeouts
from cds_pacs.status import SUCCESS

_SPOKEN: Final = {"pdf": "encapsulated PDF", "sc": "secondary captures"}


def try_delivery(peer: Peer, called: Called, timeouts: Timeouts) -> Iterator[Diagnosis]:
    """C-ECHO, then whether the peer takes the objects that it is to have; nothing is sent."""
    subject = f"peer {peer.name} takes"
    wanted: dict[str, str] = {}
    if "sr" in peer.send:
        wanted |= {
            uid: f"structured reports ({name})" for uid, name in STRUCTURED_REPORTS.items() if name == peer.sr_class
        }
    wanted |= {uid: _SPOKEN[name] for name, uid in COMPANIONS.items() if name in peer.send}
    if peer.commitment:
        wanted |= {STORAGE_COMMITMENT: "storage commitment requests"}
    others = {uid: name for uid, name in STRUCTURED_REPORTS.items() if uid not in wanted}
    accepted = yield from _accepted(peer, called, timeouts, (VERIFICATION, *wanted, *others))
    if accepted is None:
        return
    for uid, name in wanted.items():
        if uid in accepted:
            yield ok(subject, name)
        elif uid == STORAGE_COMMITMENT:
            yield fail(
                subject, "no storage commitment requests", "set commitment = false, or let it allow our AE title"
            )
        else:
            yield fail(
                subject, f"no {name}", _mend(peer, uid, [others[other] for other in others if other in accepted])
            )


def try_queries(peer: Peer, called: Called, timeouts: Timeouts) -> Iterator[Diagnosis]:
    """Whether the peer can be asked for what it keeps; nothing is asked."""
    subject = f"peer {peer.name} answers"
    accepted = yield from _accepted(peer, called, timeouts, (VERIFICATION, FIND, GET, MOVE))
    if accepted is None:
        return
    if FIND not in accepted:
        mend = "allow our AE title to query there, or set counts = false and priors = false"
        yield fail(subject, "no queries (C-FIND, study root)", mend)
        return
    yield ok(subject, "queries (C-FIND, study root)")
    if peer.priors and GET not in accepted:
        move = "C-MOVE is tried instead: it has to know our AE title, host and port"
        if MOVE in accepted:
            yield warn(subject, "no C-GET", move)
        else:
            yield fail(subject, "neither C-GET nor C-MOVE", "allow our AE title to retrieve, or set priors = false")


def _accepted(
    peer: Peer, called: Called, timeouts: Timeouts, sop_classes: tuple[str, ...]
) -> Generator[Diagnosis, None, frozenset[str] | None]:
    """What the peer accepts of `sop_classes`, after a C-ECHO; None where there is no association."""
    subject = f"peer {peer.name} as {peer.ae_title}"
    contexts = requested_for((str(uid), EXPLICIT_VR_LITTLE_ENDIAN) for uid in sop_classes)
    try:
        association = Association.open(called, contexts, timeouts)
    except AssociationRejected as error:
        mend = f"make our AE title {called.calling_ae_title} and address known there, and compare its AE title"
        yield fail(subject, f"rejects our association ({error})", mend)
        return None
    except AssociationEnded as error:
        mend = "is it a DICOM port, and do both sides agree on TLS?"
        yield fail(subject, str(error), mend)
        return None
    try:
        yield _echo(subject, association)
        return frozenset(str(uid) for uid in sop_classes if association.syntaxes(str(uid)))
    finally:
        association.release()


def _echo(subject: str, association: Association) -> Diagnosis:
    context_id = next(iter(association.syntaxes(VERIFICATION).values()), None)
    if context_id is None:
        return warn(subject, "takes our association, but no C-ECHO", "nothing, if it takes what follows")
    request: dict[int, int | str] = {
        commands.AFFECTED_CLASS: VERIFICATION,
        commands.FIELD: commands.Field.C_ECHO,
    }
    try:
        status = commands.number(association.request(context_id, request, None), commands.STATUS)
    except AssociationEnded as error:
        return fail(subject, f"takes our association, but not C-ECHO: {error}", "look into its log")
    if status != SUCCESS:
        return warn(subject, f"answers C-ECHO with {status}", "look into its log")
    return ok(subject, "answers C-ECHO")


def _mend(peer: Peer, refused: str, instead: list[str]) -> str:
    if refused in COMPANIONS.values():
        names = ", ".join(f'"{name}"' for name in peer.send if COMPANIONS.get(name) != refused)
        return f"let it accept SOP Class {refused}, or set send = [{names}]"
    if instead:
        return f"set sr_class = {' or '.join(repr(name) for name in instead)} for it"
    return f"let it accept SOP Class {refused} from our AE title"
