"""MLLP blocks out of a stream of bytes, however the network cut it (HL7 Transport Specification: MLLP, Release 1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

START: Final = 0x0B
END: Final = 0x1C
CARRIAGE_RETURN: Final = 0x0D
HEAD_BYTES: Final = 4096
"""What is kept of a block that is too long: enough for its MSH segment, to answer it by its control ID."""


class Fault(StrEnum):
    """Why a block is no message; the text is what its sender is told."""

    NONE = ""
    NO_END = "the block has no end"
    TOO_LONG = "the message is longer than is taken"


@dataclass(frozen=True, slots=True)
class Block:
    """The content of one block; of a faulty one as much as is known."""

    content: bytes
    fault: Fault = Fault.NONE


class Blocks:
    """Finds the blocks in a stream.

    A block ends with its end byte (0x1C): it cannot stand in a message, and whether the carriage
    return after it comes at once, later or never changes nothing. A start byte within a block says
    that the end of the one before was lost. What stands between two blocks is passed over.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._inside = False
        self._too_long = False
        self._content = bytearray()

    @property
    def inside(self) -> bool:
        """Whether a block has begun and not ended."""
        return self._inside

    def feed(self, part: bytes) -> list[Block]:
        """Take the next bytes of the stream; the blocks that they end."""
        found: list[Block] = []
        at = 0
        while at < len(part):
            at = self._within(part, at, found) if self._inside else self._outside(part, at)
        return found

    def rest(self) -> Block | None:
        """The block that has begun and will not end, for the stream has; None where there is none."""
        return self._ended(Fault.NO_END) if self._inside else None

    def _outside(self, part: bytes, at: int) -> int:
        begins = part.find(START, at)
        self._inside = begins >= 0
        return begins + 1 if self._inside else len(part)

    def _within(self, part: bytes, at: int, found: list[Block]) -> int:
        ends = [place for place in (part.find(END, at), part.find(START, at)) if place >= 0]
        until = min(ends, default=len(part))
        self._keep(part[at:until])
        if not ends:
            return until
        again = part[until] == START
        found.append(self._ended(Fault.NO_END if again else Fault.NONE))
        self._inside = again
        return until + 1

    def _keep(self, content: bytes) -> None:
        if not self._too_long:
            self._content += content
            if len(self._content) > self._limit:
                self._too_long = True
        if self._too_long:
            del self._content[min(HEAD_BYTES, self._limit) :]

    def _ended(self, fault: Fault) -> Block:
        block = Block(bytes(self._content), Fault.TOO_LONG if self._too_long else fault)
        self._inside = self._too_long = False
        self._content.clear()
        return block


def framed(content: bytes) -> bytes:
    """`content` as a block."""
    return bytes((START,)) + content + bytes((END, CARRIAGE_RETURN))
