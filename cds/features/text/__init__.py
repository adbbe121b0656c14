"""Reads radiology reports, English and Chinese: `parse` gives the findings they mention."""

from cds.features.text.parser import parse
from cds.features.text.values import Change, Mention, ParsedReport, Section, Sentence, Size

__all__ = ["Change", "Mention", "ParsedReport", "Section", "Sentence", "Size", "parse"]
