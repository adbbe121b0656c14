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
from io import BytesIO
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from fontTools.ttLib import TTLibError
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError
from reportlab.pdfbase.ttfonts import TTFont as EmbeddedFont

from cds.errors import ConfigError
from cds.report.pdf_glyphs import font_source
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
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fonts:
    """The names to draw with, and how text becomes reportlab's paragraph markup."""

    body: str
    bold: str
    known: frozenset[int]

    @property
    def any_script(self) -> str:
        """The font for a line that is drawn outside of paragraphs and may be Chinese."""
        return self.body if self.known else UNEMBEDDED

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
        font = EmbeddedFont(name, BytesIO(font_source(file).cut(characters, name)))
    except (TTLibError, TTFError, OSError) as error:
        raise ConfigError(f"the font file {str(file)!r} cannot be embedded: {error}") from error
    pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(name, normal=name, bold=name, italic=name, boldItalic=name)
    return font
