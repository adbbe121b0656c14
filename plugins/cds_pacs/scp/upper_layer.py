"""The PDUs that make an association (PS3.8 9.3.2, 9.3.3) as its acceptor reads and writes them; not what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, error, pack
from typing import Final

from cds_pacs.pdu import APPLICATION_CONTEXT, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Pdu, pdu
from cds_pacs.scp.wire import Fault, ProtocolError

_FIXED_BYTES: Final = 68
"""Protocol version, AE titles and what is reserved, before the first item (PS3.8 table 9-11)."""
_ITEM: Final = Struct(">BxH")
_APPLICATION, _PROPOSED, _ANSWERED, _ABSTRACT, _TRANSFER, _USER = 0x10, 0x20, 0x21, 0x30, 0x40, 0x50
_LENGTH, _CLASS_UID, _WINDOW, _ROLE, _VERSION = 0x51, 0x52, 0x53, 0x54, 0x55


class Answer(IntEnum):
    """What becomes of a proposed presentation context (PS3.8 table 9-18)."""

    ACCEPTED = 0
    REFUSED = 1
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A presentation context as the requestor proposes it."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A presentation context as it is answered."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The roles of the requestor for a SOP class (PS3.7 D.3.3.4): proposed, or accepted."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRequest:
    """An A-ASSOCIATE-RQ.

    Attributes
    ----------
    fixed
        The fixed part as it came: the answer repeats it.
    max_pdu_bytes
        Longest P-DATA-TF that the requestor takes; 0 for any.
    window
        Whether it asked for several operations at a time (PS3.7 D.3.3.3).
    """

    fixed: bytes
    protocol_version: int
    called_ae_title: str
    calling_ae_title: str
    application_context: str
    contexts: tuple[Proposed, ...]
    max_pdu_bytes: int
    roles: tuple[Role, ...]
    window: bool


@dataclass(slots=True)
class _User:
    max_pdu_bytes: int = 0
    window: bool = False
    roles: tuple[Role, ...] = ()


def read_request(content: bytes) -> AssociationRequest:
    """Read the variable part of an A-ASSOCIATE-RQ (what follows its length).

    User identity and extended negotiation are stepped over: an acceptor that does not support them
    accepts without an answer (PS3.7 D.3.3.5 to D.3.3.7). Who calls is known by TLS.

    Raises
    ------
    ProtocolError
        When it is not built as PS3.8 9.3.2 says.
    """
    try:
        return _request(content)
    except (error, IndexError, ValueError):
        raise ProtocolError(Fault.INVALID_PARAMETER, "the association request is malformed") from None


def _request(content: bytes) -> AssociationRequest:
    if len(content) < _FIXED_BYTES:
        raise ValueError
    application, user = "", _User()
    contexts: list[Proposed] = []
    for kind, start, end in _items(content, _FIXED_BYTES, len(content)):
        if kind == _APPLICATION:
            application = _uid(content[start:end])
        elif kind == _PROPOSED:
            contexts.append(_proposed(content, start, end))
        elif kind == _USER:
            user = _user(content, start, end)
    if len({context.context_id for context in contexts}) < len(contexts):
        raise ValueError
    return AssociationRequest(
        fixed=content[:_FIXED_BYTES],
        protocol_version=int.from_bytes(content[:2]),
        called_ae_title=_ae_title(content[4:20]),
        calling_ae_title=_ae_title(content[20:36]),
        application_context=application,
        contexts=tuple(contexts),
        max_pdu_bytes=user.max_pdu_bytes,
        roles=user.roles,
        window=user.window,
    )


def _items(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of the content of each item."""
    while start < end:
        kind, length = _ITEM.unpack_from(content, start)
        start += _ITEM.size
        if start + length > end:
            raise ValueError
        yield kind, start, start + length
        start += length


def _proposed(content: bytes, start: int, end: int) -> Proposed:
    context_id = content[start]
    if end - start < 4 or not context_id % 2:
        raise ValueError
    abstract, transfer = "", []
    for kind, begin, stop in _items(content, start + 4, end):
        if kind == _ABSTRACT:
            abstract = _uid(content[begin:stop])
        elif kind == _TRANSFER:
            transfer.append(_uid(content[begin:stop]))
    return Proposed(context_id=context_id, abstract_syntax=abstract, transfer_syntaxes=tuple(transfer))


def _user(content: bytes, start: int, end: int) -> _User:
    user = _User()
    for kind, begin, stop in _items(content, start, end):
        if kind == _LENGTH:
            user.max_pdu_bytes = int.from_bytes(_exactly(content[begin:stop], 4))
        elif kind == _WINDOW:
            user.window = bool(_exactly(content[begin:stop], 4))
        elif kind == _ROLE:
            user.roles += (_role(content[begin:stop]),)
    return user


def _role(content: bytes) -> Role:
    length = int.from_bytes(content[:2])
    scu, scp = _exactly(content[2 + length :], 2)
    return Role(sop_class_uid=_uid(content[2 : 2 + length]), scu=scu == 1, scp=scp == 1)


def _exactly(content: bytes, length: int) -> bytes:
    if len(content) != length:
        raise ValueError
    return content


def _uid(content: bytes) -> str:
    return content.decode("ascii").rstrip("\0 ")


def _ae_title(content: bytes) -> str:
    return content.decode("ascii", "replace").strip("\0 ")


def accept(
    request: AssociationRequest, contexts: Iterable[Answered], roles: Sequence[Role], max_pdu_bytes: int
) -> bytes:
    """Write an A-ASSOCIATE-AC (PS3.8 9.3.3)."""
    user = [
        _item(_LENGTH, pack(">L", max_pdu_bytes)),
        _item(_CLASS_UID, IMPLEMENTATION_CLASS_UID.encode()),
        _item(_WINDOW, pack(">HH", 1, 1)) if request.window else b"",
        *(_role_item(role) for role in roles),
        _item(_VERSION, IMPLEMENTATION_VERSION_NAME.encode()),
    ]
    content = [
        pack(">HH", 1, 0) + request.fixed[4:],
        _item(_APPLICATION, APPLICATION_CONTEXT.encode()),
        *(_answered_item(context) for context in contexts),
        _item(_USER, b"".join(user)),
    ]
    return pdu(Pdu.ASSOCIATE_AC, b"".join(content))


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM.pack(kind, len(content)) + content


def _answered_item(context: Answered) -> bytes:
    head = bytes((context.context_id, 0, context.answer, 0))
    return _item(_ANSWERED, head + _item(_TRANSFER, context.transfer_syntax.encode()))


def _role_item(role: Role) -> bytes:
    uid = role.sop_class_uid.encode()
    return _item(_ROLE, pack(">H", len(uid)) + uid + bytes((role.scu, role.scp)))
