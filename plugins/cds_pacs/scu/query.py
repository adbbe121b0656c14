"""The query SCU: asks a peer what it keeps by C-FIND (PS3.4 C.4.1, Study Root), and believes little of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom.dsutils import encode as encode_data_set
from pynetdicom.presentation import PresentationContext

from cds.errors import ArchiveError, DeliveryError
from cds.ports import Peer, Tls
from cds_pacs import commands
from cds_pacs.commands import Field
from cds_pacs.contexts import EXPLICIT_VR_LITTLE_ENDIAN, FIND, IMPLICIT_VR_LITTLE_ENDIAN, proposed
from cds_pacs.scu.association import Association, Message
from cds_pacs.scu.upper_layer import AssociationEnded, AssociationRejected, Timeouts, call, no_association
from cds_pacs.status import PENDING, SUCCESS

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

    @property
    def timeouts(self) -> Timeouts:
        """How long the peer may take for what."""
        return Timeouts(
            connect=self.connect_timeout_seconds,
            associate=self.acse_timeout_seconds,
            message=self.dimse_timeout_seconds,
        )


@contextmanager
def associated(
    peer: Peer,
    models: Sequence[str],
    settings: ArchiveSettings,
    calling_ae_title: str,
    *,
    storage: Sequence[PresentationContext] = (),
) -> Iterator[Association]:
    """Hold an association with a peer; it is released at the end, and aborted after an error.

    `models` are query/retrieve SOP classes; of `storage` we are the SCP.

    Raises
    ------
    ArchiveError
        When there is none to be had.
    """
    plain_ones = [proposed(model, [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]) for model in models]
    try:
        association = Association.open(
            call(peer, calling_ae_title, settings.tls),
            [*plain_ones, *storage],
            settings.timeouts,
            scp_of=dict.fromkeys(str(context.abstract_syntax) for context in storage),
            max_pdu_bytes=settings.max_pdu_bytes,
        )
    except DeliveryError as error:
        raise ArchiveError(str(error)) from None
    except (AssociationEnded, AssociationRejected) as error:
        raise ArchiveError(no_association(peer, error)) from None
    try:
        if not association.accepts_anything:
            raise ArchiveError(f"peer {peer.name!r} offers no query or retrieve service")
        yield association
    except BaseException:
        association.abort()
        raise
    association.release()


def ask(
    association: Association,
    model: str,
    field: Field,
    keys: Dataset,
    peer: Peer,
    *,
    seconds: float = math.inf,
    destination: str = "",
) -> Iterator[Message]:
    """Every response to a query or retrieve request.

    Raises
    ------
    ArchiveError
        When the peer does not offer the service.
    AssociationEnded
        When it broke off, or was silent.
    """
    syntaxes = association.syntaxes(model)
    if not syntaxes:
        raise ArchiveError(f"peer {peer.name!r} does not offer {field.name.replace('_', '-')} (Study Root)")
    syntax, context_id = next(iter(syntaxes.items()))
    encoded = encode_data_set(keys, syntax == IMPLICIT_VR_LITTLE_ENDIAN, True)
    if encoded is None:
        raise ArchiveError(f"peer {peer.name!r} cannot be asked: the keys of the query cannot be encoded")
    request: dict[int, int | str] = {
        commands.AFFECTED_CLASS: model,
        commands.FIELD: field,
        commands.PRIORITY: commands.MEDIUM_PRIORITY,
    }
    if destination:
        request[commands.MOVE_DESTINATION] = destination
    return association.exchange(context_id, request, BytesIO(encoded), seconds=seconds)


def find(association: Association, keys: Dataset, peer: Peer, most_answers: int) -> list[Dataset]:
    """Every answer to one query.

    Raises
    ------
    ArchiveError
        When the peer refuses, breaks off, or answers more than `most_answers`.
    """
    answers: list[Dataset] = []
    code: int | None = None
    try:
        for message in ask(association, FIND, Field.C_FIND, keys, peer):
            code = commands.number(message.command, commands.STATUS)
            if code in PENDING:
                answers.append(_answer(association, message, peer))
            if len(answers) > most_answers:
                raise ArchiveError(f"peer {peer.name!r} answers more than {most_answers} times to one query")
    except AssociationEnded:
        code = None
    if code == SUCCESS:
        return answers
    told = "gave no answer" if code is None else f"answered 0x{code:04X}"
    raise ArchiveError(f"peer {peer.name!r} {told} to a query at level {keys.QueryRetrieveLevel}")


def _answer(association: Association, message: Message, peer: Peer) -> Dataset:
    implicit = association.syntax_of(message.context_id) == IMPLICIT_VR_LITTLE_ENDIAN
    try:
        return read_dataset(BytesIO(message.data_set), implicit, True)
    except Exception:  # a stranger's bytes make pydicom raise nearly anything
        raise ArchiveError(f"peer {peer.name!r} gave an answer that cannot be understood") from None


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
