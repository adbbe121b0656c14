"""The page's fonts: one that has Chinese, its used glyphs embedded, so that every viewer shows every character.

An unembedded Chinese font is left to the viewer, which often has none. So the page takes an
installed font (`find`), cuts it down to the characters of this one report, turns PostScript
outlines into TrueType ones (which reportlab embeds), and embeds that. Only where no such font is
installed is the Adobe CID font named and not embedded.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, TTLibError, newTable
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError
from reportlab.pdfbase.ttfonts import TTFont as EmbeddedFont

from cds.errors import ConfigError
from cds.report.wording import clean

INSTALLED: Final = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
"""Where Debian, Fedora, Arch, macOS and Windows keep a sans font with Chinese; the first there is, is taken."""

BODY: Final = "CdsBody"
BOLD: Final = "CdsBold"
UNEMBEDDED: Final = "STSong-Light"
MISSING_GLYPH: Final = "□"
CONVERSION_ERROR_UNITS: Final = 1.0
"""How far a quadratic curve may lie from the cubic one, in font units (1/1000 em): not visible."""
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fonts:
    """The names to draw with, and how text becomes reportlab's paragraph markup."""

    body: str
    bold: str
    known: frozenset[int]

    def markup(self, text: str) -> str:
        """`text` as paragraph markup: nothing in it is taken for a tag, line ends are breaks."""
        escaped = escape(self.shown(text)).replace("\n", "<br/>")
        if self.known:
            return escaped
        return re.sub(r"([^\x00-\xff–—…€•]+)", rf'<font name="{UNEMBEDDED}">\1</font>', escaped)

    def shown(self, text: str) -> str:
        """`text` with a box for every character that the font lacks."""
        plain = clean(text)
        if not self.known:
            return plain
        return "".join(each if ord(each) in self.known or each.isspace() else MISSING_GLYPH for each in plain)


def find(configured: str) -> Path | None:
    """The font file to embed: the configured one, else the first installed, else None.

    Raises
    ------
    ConfigError
        When the configured file does not exist.
    """
    if configured:
        path = Path(configured)
        if not path.is_file():
            raise ConfigError(f"the font file {configured!r} does not exist; leave it out to use an installed font")
        return path
    return next((Path(each) for each in INSTALLED if Path(each).is_file()), None)


@contextmanager
def fonts_for(text: str, file: Path | None) -> Iterator[Fonts]:
    """Fonts that have the characters of `text`, registered with reportlab while the context lasts.

    reportlab's registry is global and keeps what it has: so one page at a time, and the fonts are
    taken out again afterwards.
    """
    with _lock:
        if file is None:
            pdfmetrics.registerFont(UnicodeCIDFont(UNEMBEDDED))
            yield Fonts(body="Helvetica", bold="Helvetica-Bold", known=frozenset())
            return
        characters = frozenset(clean(text)) | {MISSING_GLYPH} | frozenset(map(chr, range(32, 127)))
        heavy = file.with_name(file.name.replace("Regular", "Bold").replace("msyh.", "msyhbd."))
        made = [_register(BODY, file, characters), _register(BOLD, heavy if heavy.is_file() else file, characters)]
        try:
            yield Fonts(body=BODY, bold=BOLD, known=frozenset(made[0].face.charToGlyph))
        finally:
            for font in made:
                pdfmetrics._fonts.pop(font.fontName, None)
                pdfmetrics._dynFaceNames.pop(font.face.name, None)


def _register(name: str, file: Path, characters: frozenset[str]) -> EmbeddedFont:
    try:
        font = EmbeddedFont(name, BytesIO(reduced(file, characters, name)))
    except (TTLibError, TTFError, OSError) as error:
        raise ConfigError(f"the font file {str(file)!r} cannot be embedded: {error}") from error
    pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(name, normal=name, bold=name, italic=name, boldItalic=name)
    return font


def reduced(file: Path, characters: frozenset[str], name: str) -> bytes:
    """A TrueType font of those `characters` that `file` has, called `name`; the same bytes every time."""
    options = subset.Options(
        layout_features=[],
        name_IDs=[],
        hinting=False,
        notdef_outline=True,
        drop_tables=[*subset.Options().drop_tables, "GSUB", "GPOS", "GDEF", "BASE", "vhea", "vmtx", "VORG", "DSIG"],
    )
    with TTFont(file, fontNumber=_face(file), lazy=True, recalcTimestamp=False) as font:
        cutter = subset.Subsetter(options)
        cutter.populate(text="".join(sorted(characters)))
        cutter.subset(font)
        if "CFF " in font:
            _to_truetype(font)
        for name_id in (1, 4, 6):
            font["name"].setName(name, name_id, 3, 1, 0x409)
        buffer = BytesIO()
        font.save(buffer)
    return buffer.getvalue()


@lru_cache(maxsize=8)
def _face(file: Path) -> int:
    """Which face of a collection to take: the one for simplified Chinese."""
    if file.suffix.lower() != ".ttc":
        return -1
    with TTCollection(str(file), lazy=True) as collection:
        names = [str(face["name"].getDebugName(4)) for face in collection.fonts]
    return next((number for number, name in enumerate(names) if re.search(r"\bSC\b", name)), 0)


def _to_truetype(font: TTFont) -> None:
    """Replace PostScript outlines (CFF) by quadratic ones (glyf)."""
    order, glyphs = font.getGlyphOrder(), font.getGlyphSet()
    drawn = {}
    for name in order:
        pen = TTGlyphPen(None)
        glyphs[name].draw(Cu2QuPen(pen, CONVERSION_ERROR_UNITS, reverse_direction=True))
        drawn[name] = pen.glyph()
    font["loca"], glyf = newTable("loca"), newTable("glyf")
    glyf.glyphOrder, glyf.glyphs = order, drawn
    font["glyf"] = glyf
    del font["CFF "]
    _set_maximum_profile(font)
    font["head"].glyphDataFormat = 0
    font["post"].formatType = 3.0
    font.sfntVersion = "\0\1\0\0"


def _set_maximum_profile(font: TTFont) -> None:
    """A ``maxp`` table of version 1.0, which TrueType outlines need (OpenType, maxp)."""
    profile = font["maxp"]
    profile.tableVersion = 0x00010000
    profile.maxZones = 1
    for field in (
        "maxTwilightPoints",
        "maxStorage",
        "maxFunctionDefs",
        "maxInstructionDefs",
        "maxStackElements",
        "maxSizeOfInstructions",
        "maxComponentElements",
        "maxComponentDepth",
        "maxPoints",
        "maxContours",
        "maxCompositePoints",
        "maxCompositeContours",
    ):
        setattr(profile, field, 0)
