"""Character sets by MSH-18 (HL7 table 0211), as codecs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_NOT_LETTERS: Final = re.compile(r"[^0-9A-Z]")


def _folded(name: str) -> str:
    return _NOT_LETTERS.sub("", name.upper())


CODECS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ASCII": "ascii",
        **{f"8859/{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
        "ISO IR6": "ascii",
        "ISO IR14": "shift_jis",
        "ISO IR87": "iso2022_jp",
        "ISO IR159": "iso2022_jp_1",
        "GB 18030-2000": "gb18030",
        "KS X 1001": "euc_kr",
        "BIG-5": "big5",
        "UNICODE": "utf-8",
        "UNICODE UTF-8": "utf-8",
    }
)
"""By the names of table 0211.

JIS X 0201 (ISO IR14) is the part of Shift JIS with one byte. ``UNICODE`` names no encoding: UTF-8 is
taken, which other encodings fail to be. CNS 11643 has no codec here; UTF-16 and UTF-32 hold the bytes
that end MLLP blocks.
"""

_SEEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UTF-8": "utf-8",
        "GB18030": "gb18030",
        "GBK": "gb18030",
        "GB2312": "gb18030",
        **{f"ISO-8859-{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
        "ISO IR192": "utf-8",
        "US-ASCII": "ascii",
    }
)
"""What senders write instead. GB 18030 reads all of GBK and GB 2312."""

_BY_FOLDED: Final = {_folded(name): codec for name, codec in (*CODECS.items(), *_SEEN.items())}


def codec_of(name: str) -> str | None:
    """The codec of a character set; case, spaces and punctuation do not count; None where there is none.

    >>> codec_of("GB 18030-2000")
    'gb18030'
    """
    return _BY_FOLDED.get(_folded(name))
