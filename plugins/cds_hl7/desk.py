"""What becomes of a block: kept and then answered AA, or answered AE or AR with the reason."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cds.errors import OutOfResources
from cds_hl7.answers import Refusal, answer
from cds_hl7.er7 import Message, Unreadable, messages_in, read
from cds_hl7.framing import Block, Fault
from cds_hl7.kept import MessageStore, Received, Reused
from cds_hl7.person import Identifier, Merge, check_of, identifiers, merges

_LOG: Final = logging.getLogger(__name__)
_LONGEST_CONTROL_ID: Final = 199
"""HL7 v2.7 and later; before it is 20."""

TAKEN: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "ORU": frozenset({"R01"}),
        "ADT": frozenset({"A01", "A04", "A05", "A08", "A28", "A31", "A40"}),
        "ORM": frozenset({"O01"}),
        "OMG": frozenset({"O19"}),
        "OMI": frozenset({"O23"}),
    }
)
"""Message types and trigger events (HL7 tables 0076 and 0003)."""

Answer = Callable[[], bytes]
"""Gives the answer once the message is durable, or once it is known that it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is taken: by which default codec a message is read, and which processing IDs (table 0103) it may have."""

    codec: str = "utf-8"
    processing_ids: tuple[str, ...] = ("P",)


class Desk:
    """Checks messages and hands them to the store."""

    def __init__(self, store: MessageStore, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    def take(self, block: Block) -> list[Answer]:
        """Begin to keep every message of a block; an answer for each, in order."""
        if block.fault is not Fault.NONE:
            return [_told(_refused(block.content, self._rules.codec, _fault(block.fault)))]
        return [self._begin(content) for content in messages_in(block.content)]

    def _begin(self, content: bytes) -> Answer:
        try:
            message = read(content, self._rules.codec)
        except Unreadable as error:
            refusal = Refusal(error.code, str(error))
            return _told(_refused(content, self._rules.codec, refusal))
        if found := self._refusal(message):
            return _told(_logged(found, answer(message, found)))
        control_id = message.header.text(10)
        received = Received(
            sender="\x1f".join((message.header.raw(3), message.header.raw(4))),
            control_id=control_id,
            digest=_digest(content),
            codec=message.codec,
            body=content,
            answer=answer(message),
            subjects=_subjects(message),
            merges=_merges(message),
        )
        done = self._store.keep(received)

        def told() -> bytes:
            try:
                return done.result()
            except Reused:
                refusal = Refusal(205, "the control ID (MSH-10) was used for another message")
            except OutOfResources as error:
                refusal = Refusal(207, f"{error}; send it again later")
            return _logged(refusal, answer(message, refusal))

        return told

    def _refusal(self, message: Message) -> Refusal | None:
        return next(self._refusals(message), None)

    def _refusals(self, message: Message) -> Iterator[Refusal]:
        header = message.header
        control_id, (kind, event) = header.text(10), message.kind
        if not control_id:
            yield Refusal(101, "the message has no control ID (MSH-10)")
        if len(control_id) > _LONGEST_CONTROL_ID or not control_id.isprintable():
            yield Refusal(102, "the control ID (MSH-10) is too long or has characters that cannot be shown")
        if kind not in TAKEN:
            yield Refusal(200, f"the message type (MSH-9) is not taken; there are: {', '.join(TAKEN)}")
        elif event not in TAKEN[kind]:
            yield Refusal(201, f"the event (MSH-9) is not taken; of {kind} there are: {', '.join(sorted(TAKEN[kind]))}")
        if (wanted := header.text(11)) and wanted not in self._rules.processing_ids:
            yield Refusal(202, f"the processing ID (MSH-11) must be: {', '.join(self._rules.processing_ids)}")
        if (version := header.text(12)) and not re.fullmatch(r"2(\.[0-9](\.[0-9])?)?", version):
            yield Refusal(203, "the version (MSH-12) is not 2.x")
        yield from _lacking(message)


def _lacking(message: Message) -> Iterator[Refusal]:
    """What must be there for the message to be of use: a patient, and one whose checks can be read."""
    pids = list(message.all("PID"))
    if not pids:
        yield Refusal(100, "the message has no PID segment")
    for pid in pids:
        if not identifiers(pid, 3):
            yield Refusal(101, "a PID segment has no patient identifier (PID-3)")
        try:
            check_of(pid)
        except ValueError as error:
            yield Refusal(102, str(error))
    if message.kind[1] == "A40" and not _merges(message):
        yield Refusal(101, "the message has no earlier identifier (MRG-1) after its PID")


def _subjects(message: Message) -> tuple[Identifier, ...]:
    """Every identifier that the message is to be found by."""
    found = [identifier for pid in message.all("PID") for identifier in identifiers(pid, 3)]
    return tuple(dict.fromkeys((*found, *(merge.old for merge in _merges(message)))))


def _merges(message: Message) -> tuple[Merge, ...]:
    return tuple(merges(message)) if message.kind == ("ADT", "A40") else ()


def _digest(content: bytes) -> bytes:
    """Of what the message says: all but its MSH, whose time is another when it is sent again."""
    lines = re.split(rb"[\r\n]+", content.strip(b"\r\n"), maxsplit=1)
    return hashlib.sha256(lines[-1].rstrip(b"\r\n")).digest()


def _fault(fault: Fault) -> Refusal:
    return Refusal(104 if fault is Fault.TOO_LONG else 100, fault.value)


def _refused(content: bytes, codec: str, refusal: Refusal) -> bytes:
    """The refusal of a message that cannot be read; by its header, where that can."""
    line = re.split(rb"[\r\n]", content.lstrip(b"\r\n"), maxsplit=1)[0]
    try:
        return _logged(refusal, answer(read(line, codec), refusal))
    except Unreadable:
        pass
    fields = line.decode("latin-1").split("|") if line.startswith(b"MSH|") else []
    control_id = fields[9] if len(fields) > 9 else ""
    plain = control_id if control_id.isascii() and control_id.isprintable() else ""
    return _logged(refusal, answer(None, refusal, control_id=plain))


def _logged(refusal: Refusal, message: bytes) -> bytes:
    _LOG.warning("message answered %s: %s", refusal.acknowledgment, refusal.reason)
    return message


def _told(message: bytes) -> Answer:
    return lambda: message
