"""Walk the encoding of a data set (PS3.5 Section 7) strictly, to its very last byte.

The common DICOM libraries are lazy: random bytes, zeros and a cut data set pass them until
somebody asks for the missing value. What is promised to be whole is walked here first.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from tempfile import SpooledTemporaryFile
from types import MappingProxyType
from typing import Final

from cds.errors import MalformedInstance
from cds.ports import Bytes

Buffer = Bytes | mmap

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
IMPLICIT: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.113619.5.2"})
DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
MAX_INFLATED_BYTES: Final = 1 << 30
_HELD_BYTES: Final = 8 << 20
_FED_BYTES: Final = 64 << 10
_PART_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
"""Real objects nest about ten deep; far deeper nesting is an attack on recursive readers."""

PIXEL_DATA: Final = 0x7FE00010
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_UNDEFINED: Final = 0xFFFFFFFF
_BEFORE_THE_FIRST: Final = 0x0007FFFF
"""Groups below 0008 belong to commands and files."""
_NOTHING: Final = frozenset[int]()
_SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


def inflate(data: Bytes, max_bytes: int = MAX_INFLATED_BYTES) -> bytes:
    """Inflate a deflated data set (PS3.5 A.5), never to more than `max_bytes`.

    A byte of padding may follow it, or the checksum and length that some writers add as gzip does.

    Raises
    ------
    MalformedInstance
        When the stream is broken or cut, bytes follow it, or it grows beyond `max_bytes`.
    """
    return b"".join(_inflated_parts(data, max_bytes))


@contextmanager
def inflated(data: Bytes, max_bytes: int = MAX_INFLATED_BYTES) -> Iterator[Buffer]:
    """The same in bounded memory: what is large lies in a temporary file while it is looked at.

    Raises
    ------
    MalformedInstance
        As `inflate`.
    OSError
        When there is no room for the file.
    """
    with SpooledTemporaryFile(_HELD_BYTES) as file:
        for part in _inflated_parts(data, max_bytes):
            file.write(part)
        if file.tell() <= _HELD_BYTES:
            file.seek(0)
            yield file.read()
            return
        file.flush()
        with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            yield mapped


def _inflated_parts(data: Bytes, max_bytes: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    length = crc = fed = 0
    rest: Bytes = b""
    while not stream.eof and (rest or fed < len(data)):
        if not rest:
            rest, fed = data[fed : fed + _FED_BYTES], fed + _FED_BYTES
        try:
            part = stream.decompress(rest, _PART_BYTES)
        except zlib.error as error:
            raise MalformedInstance("the deflated data set cannot be inflated") from error
        rest = stream.unconsumed_tail
        length, crc = length + len(part), zlib.crc32(part, crc)
        if length > max_bytes:
            raise MalformedInstance(f"the deflated data set inflates to more than {max_bytes} bytes")
        yield part
    if not stream.eof:
        raise MalformedInstance("the deflated data set is cut")
    if stream.unused_data + bytes(data[fed:]) not in (b"", b"\0", struct.pack("<LL", crc, length)):
        raise MalformedInstance("bytes follow the end of the deflated data set")


@dataclass(frozen=True, slots=True)
class Scan:
    """What one walk found: encoded top-level values by tag, and where native Pixel Data lie.

    `pixels` is the (start, end) of the pixels in the buffer, None where there are none or
    where they are encapsulated. Among `values`, Pixel Data is ``b""``.
    """

    values: Mapping[int, bytes]
    pixels: tuple[int, int] | None


def scan(data: Buffer, transfer_syntax_uid: str, wanted: Iterable[int], start: int = 0) -> Scan:
    """Walk a data set from `start` to its end and take the top-level values of the `wanted` tags.

    Parameters
    ----------
    data
        The data set as encoded in `transfer_syntax_uid`, already inflated.
    wanted
        Tags as numbers, e.g. ``0x0020000D``.

    Raises
    ------
    MalformedInstance
        When any element is cut, out of order, of no known VR, or nested too deep; when nothing is there.
    """
    if len(data) <= start:
        raise MalformedInstance("the data set is empty")
    walker = _Walker(data, _encoding(transfer_syntax_uid), frozenset(wanted))
    walker.data_set(start, len(data), depth=0)
    return Scan(MappingProxyType(walker.found), walker.pixels)


def values(data: Buffer, transfer_syntax_uid: str, wanted: Iterable[int], start: int = 0) -> Mapping[int, bytes]:
    """Take the values alone; see `scan`."""
    return scan(data, transfer_syntax_uid, wanted, start).values


def first_item(sequence: bytes, transfer_syntax_uid: str, wanted: Iterable[int]) -> Mapping[int, bytes]:
    """Take values from the first item of a sequence's encoded value, as `values` gave it.

    Raises
    ------
    MalformedInstance
        When the item is not whole.
    """
    encoding = _encoding(transfer_syntax_uid)
    walker = _Walker(sequence, encoding, frozenset(wanted))
    if len(sequence) < 8 or sequence[:4] == struct.pack(encoding.order + "HH", 0xFFFE, 0xE0DD):
        return MappingProxyType({})
    (length,) = struct.unpack_from(encoding.order + "L", sequence, 4)
    undefined = length == _UNDEFINED
    walker.data_set(8, len(sequence) if undefined else 8 + length, depth=0, delimited=undefined)
    return MappingProxyType(walker.found)


@dataclass(frozen=True, slots=True)
class _Encoding:
    explicit: bool
    order: str


def _encoding(transfer_syntax_uid: str) -> _Encoding:
    return _Encoding(
        explicit=transfer_syntax_uid not in IMPLICIT,
        order=">" if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN else "<",
    )


class _Walker:
    """One pass over one data set; `found` fills with the wanted top-level values."""

    def __init__(self, data: Buffer, encoding: _Encoding, wanted: frozenset[int]) -> None:
        self._data = data
        self._wanted = wanted
        self.found: dict[int, bytes] = {}
        self.pixels: tuple[int, int] | None = None
        self._use(encoding)

    def _use(self, encoding: _Encoding) -> None:
        self._encoding = encoding
        self._tag = struct.Struct(encoding.order + "HH").unpack_from
        self._short = struct.Struct(encoding.order + "H").unpack_from
        self._long = struct.Struct(encoding.order + "L").unpack_from
        self._head = struct.Struct(encoding.order + ("HH2sH" if encoding.explicit else "HHL")).unpack_from

    def data_set(self, offset: int, end: int, depth: int, delimited: bool = False) -> int:
        """Walk elements from `offset` to `end`, or to the Item Delimitation Item; the offset behind."""
        if depth > MAX_DEPTH:
            raise MalformedInstance(f"sequences are nested more than {MAX_DEPTH} deep")
        previous = _BEFORE_THE_FIRST if depth == 0 else -1
        plain = self._explicit_run if self._encoding.explicit else self._implicit_run
        while offset < end:
            offset, previous = plain(offset, end, previous, self._wanted if depth == 0 else _NOTHING)
            if offset == end:
                break
            tag, vr, length, value = self._element(offset, end)
            if delimited and tag == _ITEM_END:
                return value
            _check_order(tag, previous, depth)
            offset = self._value(tag, vr, length, value, end, depth)
            if depth == 0 and tag == PIXEL_DATA:
                self.pixels = (value, offset) if length != _UNDEFINED else None
                self.found[tag] = b""
            elif depth == 0 and tag in self._wanted:
                self.found[tag] = bytes(self._data[value:offset])
            previous = tag
        if delimited:
            raise MalformedInstance("the data set ends inside an item of a sequence")
        return offset

    def _explicit_run(self, offset: int, end: int, previous: int, wanted: frozenset[int]) -> tuple[int, int]:
        """Walk quickly over elements with a short VR; the offset of the first that is not so plain, or not right."""
        data, head, found, short_vrs, last = self._data, self._head, self.found, _SHORT_VRS, end - 8
        while offset <= last:
            group, number, vr, length = head(data, offset)
            tag = group << 16 | number
            behind = offset + 8 + length
            if vr not in short_vrs or tag <= previous or behind > end:
                break
            if tag in wanted:
                found[tag] = bytes(data[offset + 8 : behind])
            offset, previous = behind, tag
        return offset, previous

    def _implicit_run(self, offset: int, end: int, previous: int, wanted: frozenset[int]) -> tuple[int, int]:
        """The same for elements of defined length before Pixel Data, whose VR is not told."""
        data, head, found, last = self._data, self._head, self.found, end - 8
        while offset <= last:
            group, number, length = head(data, offset)
            tag = group << 16 | number
            behind = offset + 8 + length
            if tag <= previous or tag >= PIXEL_DATA or behind > end:
                break
            if tag in wanted:
                found[tag] = bytes(data[offset + 8 : behind])
            offset, previous = behind, tag
        return offset, previous

    def _element(self, offset: int, end: int) -> tuple[int, bytes, int, int]:
        """Tag, VR (``b""`` where implicit), length and the offset of the value."""
        try:
            group, number = self._tag(self._data, offset)
            tag = group << 16 | number
            if not self._encoding.explicit or group == 0xFFFE:
                vr, length, value = b"", self._long(self._data, offset + 4)[0], offset + 8
            else:
                vr = bytes(self._data[offset + 4 : offset + 6])
                if vr in _SHORT_VRS:
                    length, value = self._short(self._data, offset + 6)[0], offset + 8
                elif vr in _LONG_VRS:
                    length, value = self._long(self._data, offset + 8)[0], offset + 12
                else:
                    raise MalformedInstance(f"element {_name(tag)} at byte {offset} has no known VR")
        except struct.error as error:
            raise MalformedInstance(f"the data set ends inside an element at byte {offset}") from error
        if length != _UNDEFINED and value + length > end:
            raise MalformedInstance(f"the data set ends inside element {_name(tag)} at byte {offset}")
        return tag, vr, length, value

    def _value(self, tag: int, vr: bytes, length: int, value: int, end: int, depth: int) -> int:
        """Walk over one value; the offset behind it."""
        if length != _UNDEFINED:
            return self._items(value, value + length, depth, delimited=False) if vr == b"SQ" else value + length
        if tag == PIXEL_DATA:
            return self._fragments(value, end)
        if vr == b"UN":
            return self._unknown_sequence(value, end, depth)
        if vr in (b"SQ", b""):
            return self._items(value, end, depth, delimited=True)
        raise MalformedInstance(f"element {_name(tag)} has an undefined length, which its VR does not allow")

    def _unknown_sequence(self, value: int, end: int, depth: int) -> int:
        """UN of undefined length is a sequence in Implicit VR Little Endian (PS3.5 6.2.2 note 2)."""
        outer = self._encoding
        self._use(_Encoding(explicit=False, order="<"))
        behind = self._items(value, end, depth, delimited=True)
        self._use(outer)
        return behind

    def _items(self, offset: int, end: int, depth: int, *, delimited: bool) -> int:
        while offset < end:
            tag, _, length, value = self._element(offset, end)
            if delimited and tag == _SEQUENCE_END:
                return value
            if tag != _ITEM:
                raise MalformedInstance(f"a sequence holds {_name(tag)} at byte {offset} where an item belongs")
            undefined = length == _UNDEFINED
            offset = self.data_set(value, end if undefined else value + length, depth + 1, delimited=undefined)
        if delimited:
            raise MalformedInstance("the data set ends inside a sequence")
        return offset

    def _fragments(self, offset: int, end: int) -> int:
        """Encapsulated Pixel Data: items of defined length up to the delimiter (PS3.5 A.4)."""
        while offset < end:
            tag, _, length, value = self._element(offset, end)
            if tag == _SEQUENCE_END:
                return value
            if tag != _ITEM or length == _UNDEFINED:
                raise MalformedInstance(f"encapsulated Pixel Data is broken at byte {offset}")
            offset = value + length
        raise MalformedInstance("the data set ends inside encapsulated Pixel Data")


def _check_order(tag: int, previous: int, depth: int) -> None:
    """Elements ascend, each once (PS3.5 7.1); groups below 0008 belong to commands and files."""
    if tag <= previous and previous != _BEFORE_THE_FIRST:
        raise MalformedInstance(f"element {_name(tag)} follows {_name(previous)}: out of order")
    if tag >> 16 == 0xFFFE or (depth == 0 and tag >> 16 < 0x0008):
        raise MalformedInstance(f"{_name(tag)} does not belong into a data set")


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
