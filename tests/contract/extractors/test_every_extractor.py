"""The contract of the door `cds.extractors`, run over every registered plugin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest

from cds import ports
from cds.discovery import build, installed
from cds.domain.evidence import Evidence, Missing, Modality
from cds.domain.labs import ANALYTES
from cds.domain.records import LabResult, Records, TextKind, TextReport
from cds.domain.report import Case
from cds.features.labs_risk.extractor import LabsRisk
from cds.testing.contract_extractors import (
    CHECKS,
    full_case,
    the_same_case_gives_the_same_evidence,
    what_it_does_not_depend_on_changes_nothing,
)
from support.encoders import encoder


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return full_case(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(scope="module", params=sorted(installed(ports.EXTRACTORS)))
def extractor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ports.Extractor:
    table = {}
    if request.param == "text_encoder":  # ships no weights: it reads a folder of the site's
        folder = tmp_path_factory.mktemp("encoder")
        table = {"folder": str(folder), "sha256": encoder(folder, head="text", labels={0: "pneumonia", 1: "other"})}
    return build(ports.EXTRACTORS, str(request.param), ports.Extractor, table)


@pytest.fixture(scope="module")
def given(extractor: ports.Extractor, case: Case) -> Case:
    """The full case, whose patient is a child without COVID-19: the risk model is given one that it may read."""
    if not isinstance(extractor, LabsRisk):
        return case
    taken = case.records.labs[0].observed_at
    measured = (("ldh", 500.0), ("lymphocytes_percent", 9.0), ("hs_crp", 80.0))
    labs = tuple(
        LabResult(analyte=ANALYTES[key].code, value=value, unit=ANALYTES[key].unit, observed_at=taken, source="test")
        for key, value in measured
    )
    text = TextReport(report_id="r1", text="COVID-19 pneumonia.", kind=TextKind.CURRENT)
    adult = replace(case.study.patient, age_years=60.0, birth_date=None)
    return Case(study=replace(case.study, patient=adult), records=Records(labs=labs, texts=(text,)))


class Remembering:
    """Reads a case once: for the checks that look at what was read, and not at how it is read."""

    def __init__(self, extractor: ports.Extractor) -> None:
        self.modality = extractor.modality
        if isinstance(extractor, ports.Depending):
            self.depends_on = extractor.depends_on
        self._extractor = extractor
        self._read: list[tuple[Case, Evidence | Missing]] = []

    def extract(self, case: Case) -> Evidence | Missing:
        for known, found in self._read:
            if known is case:
                return found
        self._read.append((case, self._extractor.extract(case)))
        return self._read[-1][1]


@pytest.fixture(scope="module")
def remembering(extractor: ports.Extractor) -> Remembering:
    return Remembering(extractor)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_extractor_keeps_the_contract(
    extractor: ports.Extractor,
    remembering: Remembering,
    given: Case,
    check: Callable[[ports.Extractor, Case], None],
) -> None:
    check(extractor if check is the_same_case_gives_the_same_evidence else remembering, given)


class Claims:
    """Says that it depends on the study alone, and reads a text."""

    modality: ClassVar = Modality.CT
    depends_on: ClassVar[frozenset[ports.CasePart]] = frozenset({"study"})

    def extract(self, case: Case) -> Evidence | Missing:
        return Missing(modality=Modality.CT, reason=f"texts: {len(case.records.texts)}")


def test_an_extractor_that_says_the_study_alone_and_reads_records_does_not_keep_the_contract(case: Case) -> None:
    with pytest.raises(AssertionError):
        what_it_does_not_depend_on_changes_nothing(Claims(), case)


def test_the_house_reads_images_without_a_look_at_records() -> None:
    built = [build(ports.EXTRACTORS, name, ports.Extractor, {}) for name in ("chest_xray", "chest_ct")]
    assert all(isinstance(each, ports.Depending) and each.depends_on == {"study"} for each in built)


def test_the_house_registers_an_extractor_for_each_modality_it_reads() -> None:
    assert set(installed(ports.EXTRACTORS)) >= {"chest_xray", "chest_ct", "labs", "text", "ecg"}
