"""The `labs_risk` extractor: when it speaks, and why it is silent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cds import config, ports
from cds.discovery import installed
from cds.domain.evidence import Assertion, Evidence, Missing
from cds.domain.labs import ANALYTES
from cds.domain.records import LabResult, Records, TextKind, TextReport
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.errors import ConfigError
from cds.features.labs_risk.extractor import HIGH_RISK, LabsRisk
from cds.observed import observed_findings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SICK = {"ldh": 900.0, "lymphocytes_percent": 3.0, "hs_crp": 150.0}
WELL = {"ldh": 180.0, "lymphocytes_percent": 30.0, "hs_crp": 2.0}


def lab(key: str, value: float, hours_ago: float = 2.0) -> LabResult:
    analyte = ANALYTES[key]
    taken = NOW - timedelta(hours=hours_ago)
    return LabResult(analyte=analyte.code, value=value, unit=analyte.unit, observed_at=taken, source=f"file row {key}")


def case(
    labs: dict[str, float],
    text: str = "COVID-19 pneumonia.",
    kind: TextKind = TextKind.CURRENT,
    age: float | None = 64.0,
) -> Case:
    study = Study(study_instance_uid="1.2.3", patient=Patient(age_years=age), started_at=NOW, series=())
    texts = (TextReport(report_id="r1", text=text, kind=kind),) if text else ()
    return Case(study=study, records=Records(labs=tuple(lab(*one) for one in labs.items()), texts=texts))


def read(given: Case, **settings: object) -> Evidence | Missing:
    return LabsRisk(LabsRisk.Settings(**settings)).extract(given)  # type: ignore[arg-type]


def reason(found: Evidence | Missing) -> str:
    assert isinstance(found, Missing)
    return found.reason


def test_it_takes_no_part_unless_it_is_named() -> None:
    assert "labs_risk" in installed(ports.EXTRACTORS)
    assert "labs_risk" not in config.ModelsSettings().extractors


def test_the_sick_are_at_high_risk_and_the_well_are_not() -> None:
    sick, well = read(case(SICK)), read(case(WELL))
    assert isinstance(sick, Evidence)
    assert isinstance(well, Evidence)
    ((high,), (low,)) = sick.observations, well.observations
    assert (high.assertion, low.assertion) == (Assertion.PRESENT, Assertion.ABSENT)
    assert high.probability is not None
    assert low.probability is not None
    assert high.probability > 0.7 > 0.05 > low.probability
    assert high.interval is None  # a spread of models is what a report calls an interval, and there is one model
    assert "LDH" in high.note
    assert "not measured could make it" in high.note
    assert "100%" not in high.note
    assert sick.algorithm.card == "model-card-labs.md"


def test_the_risk_is_a_finding_of_the_report() -> None:
    found = read(case(SICK))
    assert isinstance(found, Evidence)
    (finding,) = observed_findings((found,), ())
    assert finding.code == HIGH_RISK
    assert finding.because == ("labs/risk/covid19",)
    assert finding.calibrated_on == "see model-card-labs.md"


@pytest.mark.parametrize(
    "text", ["", "Pneumonia.", "No COVID-19.", "? COVID-19", "Rule out COVID-19.", "排除新冠", "新冠肺炎？"]
)
def test_without_the_disease_it_says_nothing(text: str) -> None:
    assert "no current report or order states COVID-19" in reason(read(case(SICK, text)))


def test_an_earlier_report_is_not_the_present_disease() -> None:
    assert "states COVID-19" in reason(read(case(SICK, kind=TextKind.PRIOR)))


def test_the_site_may_vouch_for_the_disease() -> None:
    assert isinstance(read(case(SICK, ""), every_patient_has_covid19=True), Evidence)


@pytest.mark.parametrize(("age", "told"), [(None, "the age is not known"), (4.0, "the patient is not an adult")])
def test_only_adults_are_read(age: float | None, told: str) -> None:
    assert told in reason(read(case(SICK, age=age)))


@pytest.mark.parametrize("labs", [{}, {"sodium": 140.0}, {"cea": 3.0}])
def test_too_little_measured_is_told_with_how_much_it_settles(labs: dict[str, float]) -> None:
    assert "of the score, at least 50% are needed" in reason(read(case(labs)))


def test_a_later_value_counts_and_an_unrelated_one_changes_nothing() -> None:
    base = case(SICK)
    older = replace(
        base, records=replace(base.records, labs=(*base.records.labs, lab("ldh", 150.0, 50), lab("cea", 9)))
    )
    first, second = read(base), read(older)
    assert isinstance(first, Evidence)
    assert isinstance(second, Evidence)
    assert first.observations[0].probability == second.observations[0].probability


def test_the_sites_own_share_of_deaths_moves_the_probability() -> None:
    low, high = (read(case(SICK), prevalence=share) for share in (0.02, 0.3))
    assert isinstance(low, Evidence)
    assert isinstance(high, Evidence)
    chances = [found.observations[0].probability or 0.0 for found in (low, high)]
    assert chances[0] < chances[1]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="prevalence"):
        LabsRisk(LabsRisk.Settings(prevalence=1.5))
    with pytest.raises(ConfigError, match=r"labs_x\.json"):
        LabsRisk(LabsRisk.Settings(weights="labs_x.safetensors")).check()
