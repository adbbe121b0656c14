"""The fusion model of the house: evidence of any modalities -> calibrated findings with their reasons."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from cds.domain.evidence import Algorithm, Assertion, Evidence, Missing, Modality, Site
from cds.domain.finding import Contribution, Finding
from cds.domain.report import Case
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.errors import FusionError
from cds.fusion.calibration import calibrated
from cds.fusion.contributions import coalitions, shapley
from cds.fusion.spec import MODALITIES, TargetSpec
from cds.fusion.tokens import CaseTokens, tokens_of
from cds.fusion.weights import SHIPPED, load_weights

Array = npt.NDArray[np.float64]

NOTHING: Final = "no observation of any modality bears on this finding"
LABS_ONLY: Final = "not assessed on the images: from laboratory values only"
"""Laboratory values move a probability; that something is not there, only one who looked can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionSettings:
    """The table ``[models.transformer]`` of the configuration.

    Attributes
    ----------
    device
        ``"auto"`` is the CPU, which is faster than a GPU for thirty tokens; or a torch device name.
    weights
        A ``.safetensors`` of ``cds train fusion``; ``""`` for those that come with the software.
    """

    device: str = "auto"
    weights: str = ""


@dataclass(frozen=True, slots=True)
class _Scores:
    """What the ensemble says about one case, each (targets,), and Shapley values (players, targets).

    `trusted` is the probability without the modalities whose gates were not passed.
    """

    probability: Array
    low: Array
    high: Array
    trusted: Array
    contributions: Array


class TransformerFusion:
    """Fuses X-ray embedding, CT nodules, laboratory values and report mentions (`cds.fusion`)."""

    Settings = FusionSettings

    def __init__(self, settings: FusionSettings) -> None:
        path = Path(settings.weights) if settings.weights else SHIPPED
        device = torch.device("cpu" if settings.device == "auto" else settings.device)
        self._weights = load_weights(path, device)
        spec = self._weights.spec
        self._algorithm = Algorithm(name=spec.name, version=spec.version, sha256=spec.sha256, card=spec.card)

    def fuse(self, case: Case, evidence: Sequence[Evidence], missing: Sequence[Missing]) -> tuple[Finding, ...]:
        """One finding per target of the weights, NOT_ASSESSED where no image and no report text bears on it.

        Raises
        ------
        FusionError
            When the evidence carries NaN, infinity, a foreign unit or a foreign embedding, or the
            network gives no finite number.
        """
        weights = self._weights
        read = tokens_of(evidence, weights.spec, weights.xray.mean, weights.xray.projection)
        doubted = {part.modality for part in evidence if not all(gate.passed for gate in part.gates)}
        scores = self._score(read, doubted)
        reason = _reason(evidence, read)
        return tuple(
            self._finding(column, target, read, scores, doubted, reason)
            for column, target in enumerate(weights.spec.targets)
        )

    def _score(self, read: CaseTokens, doubted: Set[Modality]) -> _Scores:
        """One batch: every coalition of the modalities present; the last row is the case itself."""
        present = read.tokens.present[0]
        rows = coalitions(present)
        raw = self._weights.ensemble.log_odds(read.tokens.keep(rows))
        if not np.isfinite(raw).all():
            raise FusionError("the fusion network gave NaN or infinity; no number of it is reported")
        probability, low, high = calibrated(raw, self._weights.spec.targets)
        without = (rows == present & [modality not in doubted for modality in MODALITIES]).all(axis=1)
        contributions = shapley(probability, int(present.sum()))
        return _Scores(probability[-1], low[-1], high[-1], probability[without][0], contributions)

    def _finding(
        self, column: int, target: TargetSpec, read: CaseTokens, scores: _Scores, doubted: Set[Modality], reason: str
    ) -> Finding:
        because, looked = read.because[target.id], read.looked[target.id]
        if not looked:
            return self._not_assessed(target, because)
        players = [modality for modality, there in zip(MODALITIES, read.tokens.present[0], strict=True) if there]
        probability = float(scores.probability[column])
        return Finding(
            id=target.id,
            code=FINDINGS[target.id],
            assertion=assertion_of(probability, float(scores.trusted[column]), target, settled=bool(looked - doubted)),
            algorithm=self._algorithm,
            probability=probability,
            interval=(float(scores.low[column]), float(scores.high[column])),
            calibrated_on=self._weights.spec.calibrated_on,
            site=Site(region=ANATOMY["lung"]),
            contributions=tuple(
                Contribution(modality=modality, value=float(value))
                for modality, value in zip(players, scores.contributions[:, column], strict=True)
            ),
            because=because,
            reason=reason,
        )

    def _not_assessed(self, target: TargetSpec, because: tuple[str, ...]) -> Finding:
        return Finding(
            id=target.id,
            code=FINDINGS[target.id],
            assertion=Assertion.NOT_ASSESSED,
            algorithm=self._algorithm,
            because=because,
            reason=LABS_ONLY if because else NOTHING,
        )


def assertion_of(probability: float, trusted: float, target: TargetSpec, *, settled: bool = True) -> Assertion:
    """PRESENT or ABSENT outside the target's band, UNCERTAIN within it.

    Both need the evidence whose gates were passed to say the same (`trusted`): what lies outside its
    intended use may raise a doubt, and may not settle a finding. Nor may laboratory values alone: it is
    `settled` only where an image or a text that passed its gates bears on it.
    """
    if not settled:
        return Assertion.UNCERTAIN
    if min(probability, trusted) >= target.present_from:
        return Assertion.PRESENT
    return Assertion.ABSENT if max(probability, trusted) < target.absent_below else Assertion.UNCERTAIN


def _reason(evidence: Sequence[Evidence], read: CaseTokens) -> str:
    """What a reader must know beside the number: gates not passed, inputs not used."""
    failed = {
        f"{part.modality} was used although its gate {gate.name!r} was not passed ({gate.reason})"
        for part in evidence
        for gate in part.gates
        if not gate.passed
    }
    return "; ".join((*read.notes, *sorted(failed)))
