"""The `labs_risk` extractor: laboratory values of an adult with COVID-19 in hospital -> the risk of death."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from cds.domain.analytes import ADULT_YEARS
from cds.domain.code import Code
from cds.domain.evidence import Algorithm, Assertion, Evidence, Gate, Missing, Modality, Observation
from cds.domain.labs import ANALYTES, by_code, latest_final
from cds.domain.records import LabResult, TextKind
from cds.domain.report import Case
from cds.domain.vocabulary import FINDINGS
from cds.errors import ConfigError, EvidenceError
from cds.features.labs_risk.inputs import AGE, VARIABLES, Floats, values_of
from cds.features.labs_risk.model import SHIPPED, Reading, RiskModel
from cds.features.text.extractor import texts_of
from cds.features.text.parser import parse

CARD: Final = "model-card-labs.md"
HIGH_RISK: Final = Code(
    "covid19_highrisk", "99CDS", "High risk of death in hospital with COVID-19", "新型冠状病毒感染住院死亡高风险"
)
LIMITS: Final = (
    "The laboratory risk model was trained on patients of one hospital in early 2020; today's risks are lower.",
    "It is for adults in hospital with COVID-19; whether the patient is in hospital was not checked.",
)
_STRONGEST: Final = 3
_SHOWN: Final = 5
_NEVER: Final = 0.01
"""No bound is told as 0 or 1."""
_ASKED: Final = frozenset("?？")
_NEAR: Final = 3
"""Characters beside a mention in which a question mark makes it a question: "? COVID-19"."""
_loading = threading.Lock()


class LabsRisk:
    """Reads the laboratory values of a case; off unless the configuration names it (`cds.extractors`)."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """``[models.labs_risk]``.

        `weights` is a file instead of the one that ships; `prevalence` the share of such patients who die in this
        hospital, 0 for the model's own; `every_patient_has_covid19` vouches for it where no text says so.
        """

        weights: str = ""
        prevalence: float = 0.0
        every_patient_has_covid19: bool = False

    modality: ClassVar[Modality] = Modality.LABS

    def __init__(self, settings: LabsRisk.Settings) -> None:
        if not 0.0 <= settings.prevalence < 1.0:
            raise ConfigError(f"[models.labs_risk] prevalence must be from 0 to 1, not {settings.prevalence}")
        self._settings = settings

    def check(self) -> None:
        """Load the weights.

        Raises
        ------
        ConfigError
            When they are not there, or are not the ones that their sidecar names.
        """
        self._model()

    def extract(self, case: Case) -> Evidence | Missing:
        """One observation, or why there is none: another disease, a child, too little measured.

        Raises
        ------
        EvidenceError
            When no number comes out.
        """
        gates = [self._disease(case), _adult(case)]
        if all(gate.passed for gate in gates):
            used = [result for result in latest_final(case.records.labs)[0] if by_code(result.analyte.value)]
            values = _values(used, case)
            model = self._model()
            reading = model.read(values[None], self._settings.prevalence or None)
            gates.append(_enough(float(reading.known[0]), model.sidecar.least_known))
            if gates[-1].passed:
                return _evidence(model, reading, values, used, tuple(gates))
        reasons = "; ".join(gate.reason for gate in gates if not gate.passed)
        return Missing(modality=self.modality, reason=f"no risk from laboratory values: {reasons}", gates=tuple(gates))

    def _model(self) -> RiskModel:
        return _model(Path(self._settings.weights) if self._settings.weights else SHIPPED)

    def _disease(self, case: Case) -> Gate:
        if self._settings.every_patient_has_covid19:
            return Gate(name="COVID-19", passed=True, reason="the configuration vouches for it")
        stated = any(_states_covid19(text.text) for text in texts_of(case) if text.kind is not TextKind.PRIOR)
        reason = "a current text states it" if stated else "no current report or order states COVID-19"
        return Gate(name="COVID-19", passed=stated, reason=reason)


def _states_covid19(text: str) -> bool:
    """Whether it is said to be present in this patient now; a question or a suspicion is none."""
    return any(
        mention.code == FINDINGS["covid19"]
        and mention.assertion is Assertion.PRESENT
        and mention.subject == "patient"
        and not (mention.historical or mention.hypothetical)
        and not _ASKED & set(text[max(mention.start - _NEAR, 0) : mention.end + _NEAR])
        for mention in parse(text).mentions
    )


def _adult(case: Case) -> Gate:
    age = case.study.patient.age_years
    if age is None:
        return Gate(name="adult", passed=False, reason="the age is not known")
    if age < ADULT_YEARS:
        return Gate(name="adult", passed=False, reason="the patient is not an adult")
    return Gate(name="adult", passed=True, reason="an adult, as the training patients")


def _enough(known: float, least: float) -> Gate:
    reason = f"the laboratory values settle {known:.0%} of the score, at least {least:.0%} are needed"
    return Gate(name="laboratory values", passed=known >= least, reason=reason)


def _values(used: Sequence[LabResult], case: Case) -> Floats:
    known = {analyte.key: one.value for one in used if (analyte := by_code(one.analyte.value)) is not None}
    age = case.study.patient.age_years
    return values_of(known if age is None else known | {AGE: age})


def _evidence(
    model: RiskModel, reading: Reading, values: Floats, used: Sequence[LabResult], gates: tuple[Gate, ...]
) -> Evidence:
    chance, low, high = (float(part[0]) for part in (reading.probability, reading.low, reading.high))
    if not np.isfinite((chance, low, high)).all():
        raise EvidenceError("the laboratory risk model gave a number that is none")
    sidecar = model.sidecar
    observation = Observation(
        id="labs/risk/covid19",
        concept=HIGH_RISK,
        assertion=Assertion.PRESENT if reading.high_risk[0] else Assertion.ABSENT,
        probability=chance,
        source=_sources(used),
        note=_note(model, values, low, high),
    )
    return Evidence(
        modality=Modality.LABS,
        algorithm=Algorithm(name="cds-labs-risk", version=sidecar.version, sha256=sidecar.sha256, card=CARD),
        observations=(observation,),
        gates=gates,
        limits=LIMITS,
    )


def _sources(used: Sequence[LabResult]) -> str:
    sources = list(dict.fromkeys(result.source or result.analyte.value for result in used))
    return "; ".join(sources[:_SHOWN]) + (f"; and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else "")


def _note(model: RiskModel, values: Floats, low: float, high: float) -> str:
    """What moved the score most, and what the missing values leave open: no spread of models, so no interval."""
    moved = model.contributions(values)
    strongest = [place for place in np.argsort(-np.abs(moved))[:_STRONGEST] if moved[place]]
    low, high = max(low, _NEVER), min(high, 1.0 - _NEVER)
    moved_by = ", ".join(_label(VARIABLES[place]) for place in strongest)
    return f"moved most by: {moved_by}; what was not measured could make it {low:.0%} to {high:.0%}"


def _label(key: str) -> str:
    return "age" if key == AGE else ANALYTES[key].names[0]


def _model(weights: Path) -> RiskModel:
    with _loading:
        return _loaded(weights)


@cache
def _loaded(weights: Path) -> RiskModel:
    return RiskModel.load(weights)
