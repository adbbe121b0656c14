"""Cuts a font down to the characters of one report, as TrueType, which is what reportlab embeds."""

from __future__ import annotations

import re
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont

CONVERSION_ERROR_UNITS: Final = 1.0
"""How far a quadratic curve may lie from the cubic one, in font units (1/1000 em): not visible."""
MISSING: Final = ".notdef"


class FontSource:
    """One installed font, read once; the outlines that were drawn are kept."""

    def __init__(self, file: Path) -> None:
        raw = file.read_bytes()
        number = _simplified_chinese(raw) if raw[:4] == b"ttcf" else -1
        self._font = TTFont(BytesIO(raw), fontNumber=number, lazy=True)
        self._names: dict[int, str] = self._font.getBestCmap()
        self._glyphs = self._font.getGlyphSet()
        self._cubic = "CFF " in self._font
        self._drawn: dict[str, tuple[Any, tuple[int, int]]] = {}

    def cut(self, characters: frozenset[str], name: str) -> bytes:
        """A TrueType font called `name`, of those `characters` that there are; the same bytes every time.

        Parameters
        ----------
        characters
            Single characters; one that the font lacks is left out.
        """
        known = {ord(each): self._names[ord(each)] for each in sorted(characters) if ord(each) in self._names}
        order = [MISSING, *dict.fromkeys(glyph for glyph in known.values() if glyph != MISSING)]
        drawn = {glyph: self._draw(glyph) for glyph in order}
        builder = FontBuilder(self._font["head"].unitsPerEm, isTTF=True)
        builder.setupGlyphOrder(order)
        builder.setupCharacterMap(known)
        builder.setupGlyf({glyph: outline for glyph, (outline, _) in drawn.items()})
        builder.setupHorizontalMetrics({glyph: metrics for glyph, (_, metrics) in drawn.items()})
        head = self._font["hhea"]
        builder.setupHorizontalHeader(ascent=head.ascent, descent=head.descent)
        builder.setupNameTable({"familyName": name, "styleName": "Regular", "fullName": name, "psName": name})
        builder.setupOS2(sTypoAscender=head.ascent, sTypoDescender=head.descent, usWeightClass=400)
        builder.setupPost(keepGlyphNames=False)
        builder.font["head"].created = builder.font["head"].modified = 0
        builder.font.recalcTimestamp = False
        buffer = BytesIO()
        builder.save(buffer)
        return buffer.getvalue()

    def _draw(self, glyph: str) -> tuple[Any, tuple[int, int]]:
        """The outline with quadratic curves, and (advance width, left side bearing)."""
        if glyph not in self._drawn:
            recorded = DecomposingRecordingPen(self._glyphs)
            self._glyphs[glyph].draw(recorded)
            pen = TTGlyphPen(None)
            recorded.replay(Cu2QuPen(pen, CONVERSION_ERROR_UNITS, reverse_direction=self._cubic))
            self._drawn[glyph] = pen.glyph(), self._font["hmtx"][glyph]
        return self._drawn[glyph]


@lru_cache(maxsize=4)
def font_source(file: Path) -> FontSource:
    """The font of that file, read on the first call."""
    return FontSource(file)


def _simplified_chinese(collection: bytes) -> int:
    """Which face of a collection to take: the first for simplified Chinese, else the first."""
    with TTCollection(BytesIO(collection), lazy=True) as faces:
        names = [str(face["name"].getDebugName(4)) for face in faces.fonts]
    return next((number for number, name in enumerate(names) if re.search(r"\bSC\b", name)), 0)
