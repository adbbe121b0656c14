"""What the messages about one patient say: values, reports and orders, the later ones in the place of the earlier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final

from cds.domain.joining import Search, Tally
from cds.domain.records import LabResult, LabStatus, TextKind, TextReport
from cds.domain.site_codes import SiteCode
from cds_hl7 import moments
from cds_hl7.er7 import Message, Segment
from cds_hl7.observations import NUMBERS, TEXTS, analyte_of, observed_at, status_of, value_of

ORDERS: Final = ("ORM", "OMG", "OMI")
_CANCELLED_ORDERS: Final = ("CA", "OC", "CR", "DC", "OD")
"""Order control codes (HL7 table 0119) after which the order does not stand."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message about the patient: the segments that are about that patient, and where it came from."""

    message: Message
    segments: tuple[Segment, ...]
    sender: str
    control_id: str

    @property
    def source(self) -> str:
        """How records name it."""
        return f"hl7:{self.control_id}"

    def zone(self, default: tzinfo) -> tzinfo:
        """Of times that name none: the zone of MSH-7, else the default."""
        return moments.offset(self.message.header.text(7)) or default


@dataclass(slots=True)
class Chart:
    """Fills with letters in the order of their arrival."""

    search: Search
    site: Mapping[str, SiteCode]
    tally: Tally
    _labs: dict[tuple[str, ...], list[LabResult]] = field(default_factory=dict)
    _texts: dict[tuple[str, ...], TextReport] = field(default_factory=dict)

    def labs(self) -> tuple[LabResult, ...]:
        """Every value that stands and lies in the window."""
        found = []
        for result in (result for results in self._labs.values() for result in results):
            if result.status is LabStatus.CANCELLED:
                self.tally.note(result.source, "cancelled")
            elif not self.search.window.holds(result.observed_at, result.analyte):
                self.tally.note(result.source, f"outside the window of {self.search.window}")
            else:
                found.append(result)
        return tuple(found)

    def texts(self) -> tuple[TextReport, ...]:
        """Every report and order that stands."""
        return tuple(self._texts.values())

    def add(self, letter: Letter) -> None:
        """Read a message; what cannot be used is noted."""
        if letter.message.kind[0] in ORDERS:
            self._add_orders(letter)
        elif letter.message.kind[0] == "ORU":
            for group in _groups(letter.segments):
                self._add_group(letter, group)

    def _add_group(self, letter: Letter, group: _Group) -> None:
        for number, obx in group.results:
            if obx.text(2) not in TEXTS:
                self._add_value(letter, group, obx, f"{letter.source}:OBX {number}")
        texts = [(number, obx) for number, obx in group.results if obx.text(2) in TEXTS]
        if texts and any(obx.text(2) in NUMBERS for _, obx in group.results):
            for number, _ in texts:
                self.tally.note(f"{letter.source}:OBX {number}", "a comment among laboratory values is no report")
        elif texts:
            self._add_report(letter, group, texts)

    def _add_value(self, letter: Letter, group: _Group, obx: Segment, source: str) -> None:
        try:
            status = status_of(obx, group.order)
            moment = observed_at(obx, group.order, letter.zone(self.search.zone))
            analyte, _ = analyte_of(obx, self.site)
        except ValueError as error:
            self.tally.note(source, str(error))
            return
        order = group.number
        key = (letter.sender, order, obx.text(4), analyte.key) if order else (analyte.key,)
        known = self._labs.setdefault(key, [])
        try:
            value = value_of(obx, status, moment, source, self.site)
        except ValueError as error:
            self.tally.note(source, str(error))
            if status is not LabStatus.CORRECTED or not known:
                return
            # What it corrects does not stand, although nothing readable takes its place.
            value = value_of(obx, LabStatus.CANCELLED, moment, source, self.site)
        if value.remark:
            self.tally.note(source, value.remark)
        self._place(known, value.result, is_one_order=bool(order))

    def _place(self, known: list[LabResult], new: LabResult, *, is_one_order: bool) -> None:
        """Put a value in the place of what it replaces: that of the same time, or the only one of its order.

        A correction or a cancellation replaces whatever was said before, a final value all but a correction and
        a cancellation, a preliminary one only a preliminary one.
        """
        revises = new.status in (LabStatus.CORRECTED, LabStatus.CANCELLED)
        at = next((place for place, old in enumerate(known) if old.observed_at == new.observed_at), None)
        if at is None and revises and is_one_order and len(known) == 1:
            at = 0
        if at is None:
            known.append(new)
        elif revises or _RANK[new.status] >= _RANK[known[at].status]:
            self.tally.note(known[at].source, "replaced by a later message about the same observation")
            known[at] = new
        else:
            self.tally.note(new.source, "a later message that is less final than an earlier one")

    def _add_report(self, letter: Letter, group: _Group, lines: list[tuple[int, Segment]]) -> None:
        source = f"{letter.source}:OBX {lines[0][0]}"
        report_id = group.number or f"{letter.control_id}-{lines[0][0]}"
        key = (letter.sender, report_id, group.service)
        try:
            status = status_of(lines[0][1], group.order)
            moment = observed_at(lines[0][1], group.order, letter.zone(self.search.zone))
        except ValueError as error:
            self.tally.note(source, str(error))
            return
        if self._texts.pop(key, None) is not None:
            self.tally.note(source, "it replaces an earlier version of the same report, or withdraws it")
        if status is LabStatus.CANCELLED:
            self.tally.note(source, "cancelled")
            return
        text = "\n".join(obx.whole(part) for _, obx in lines for part in obx.repetitions(5)).strip()
        kind = self._kind(group, moment)
        if kind is None or not text:
            self.tally.note(source, "a prior that is not from before the study" if text else "the report has no text")
            return
        self._texts[key] = TextReport(
            report_id=self._free(report_id, source), text=text, kind=kind, authored_at=moment, source=source
        )

    def _free(self, report_id: str, source: str) -> str:
        """An id that no other report has: departments may number alike."""
        return f"{report_id} {source}" if any(text.report_id == report_id for text in self.texts()) else report_id

    def _kind(self, group: _Group, moment: datetime) -> TextKind | None:
        """The report of this study, by its Accession Number; else a prior, if it is from before."""
        accession = self.search.study.accession_number.strip()
        if accession and accession in group.numbers:
            return TextKind.CURRENT
        return TextKind.PRIOR if moment < self.search.window.study else None

    def _add_orders(self, letter: Letter) -> None:
        for group in _groups(letter.segments):
            source = f"{letter.source}:OBR"
            key = (letter.sender, f"order-{group.number or letter.control_id}")
            if group.control in _CANCELLED_ORDERS:
                self._texts.pop(key, None)
                self.tally.note(source, "cancelled")
            elif group.order is not None:
                self._add_order(letter, group, group.order, key, source)

    def _add_order(self, letter: Letter, group: _Group, obr: Segment, key: tuple[str, str], source: str) -> None:
        """The reason for the exam (OBR-31, OBR-13) of the order that the study's Accession Number names, or of any."""
        reasons = [obr.part(each, 2) or obr.part(each) for each in obr.repetitions(31)]
        text = "\n".join(part for part in (*reasons, obr.whole(obr.raw(13)).strip()) if part)
        if not text:
            self.tally.note(source, "the order says no reason (OBR-31, OBR-13)")
            return
        accession = self.search.study.accession_number.strip()
        if accession and group.accessions and accession not in group.numbers:
            self.tally.note(source, "the order of another study")
            return
        try:
            said = obr.text(7) or obr.text(6) or letter.message.header.text(7)
            moment = moments.moment(said, letter.zone(self.search.zone))
        except ValueError as error:
            self.tally.note(source, str(error))
            return
        if accession not in group.numbers and not self.search.window.holds(moment):
            self.tally.note(source, f"outside the window of {self.search.window}")
            return
        self._texts.pop(key, None)
        self._texts[key] = TextReport(
            report_id=self._free(key[1], source), text=text, kind=TextKind.ORDER, authored_at=moment, source=source
        )


_RANK: Final = {
    LabStatus.PRELIMINARY: 0,
    LabStatus.FINAL: 1,
    LabStatus.CORRECTED: 2,
    LabStatus.CANCELLED: 2,
}


@dataclass(slots=True)
class _Group:
    """An order with its results; each OBX with its place in the message, from 1."""

    order: Segment | None = None
    control: str = ""
    results: list[tuple[int, Segment]] = field(default_factory=list)

    @property
    def number(self) -> str:
        """Filler Order Number (OBR-3), else Placer Order Number (OBR-2)."""
        return (self.order.text(3) or self.order.text(2)) if self.order else ""

    @property
    def service(self) -> str:
        """What was ordered (OBR-4.1): of one order number there may be several."""
        return self.order.text(4) if self.order else ""

    @property
    def accessions(self) -> frozenset[str]:
        """Where the department that fills an order puts its Accession Number: OBR-3, OBR-18, OBR-20."""
        return self._said(3, 18, 20)

    @property
    def numbers(self) -> frozenset[str]:
        """Where an Accession Number may stand: there, or where it is the placer's, in OBR-2."""
        return self.accessions | self._said(2)

    def _said(self, *fields: int) -> frozenset[str]:
        found = (self.order.text(number) for number in fields) if self.order else ()
        return frozenset(number for number in found if number)


def _groups(segments: Iterable[Segment]) -> Iterator[_Group]:
    group, number, control = _Group(), 0, ""
    for segment in segments:
        if segment.name == "ORC":
            control = segment.text(1).upper()
        elif segment.name == "OBR":
            yield group
            group = _Group(order=segment, control=control)
        elif segment.name == "OBX":
            number += 1
            group.results.append((number, segment))
    yield group
