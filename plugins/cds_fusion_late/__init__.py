"""Late fusion by Bayes' rule: the plugin to copy. It knows the doors and the values, nothing else.

Each modality is turned into a log-likelihood ratio, and these are added to the prior log-odds.
That is right only if the modalities are independent given the disease, and nobody has calibrated
the sum: so it gives no interval, and says so in every finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cds.domain.evidence import Algorithm, Assertion, Evidence, Missing, Modality, Observation
from cds.domain.finding import Contribution, Finding
from cds.domain.report import Case
from cds.domain.vocabulary import FINDINGS
from cds.errors import ConfigError, FusionError
from cds_fusion_late.ratios import likelihood_ratio

ALGORITHM = Algorithm(name="cds-fusion-late", version="2")
UNCALIBRATED = "naive Bayes over published likelihood ratios: the probability is not calibrated and has no interval"
SURE = math.log(4.0)
"""Log-odds of 80 %: a number that nobody calibrated is UNCERTAIN between 20 and 80 %."""
NOTHING = "no observation of any modality bears on this finding"
LABS_ONLY = "not assessed on the images: from laboratory values only"


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSettings:
    """The plugin's table in the configuration; every value lies between 0 and 1.

    Attributes
    ----------
    prior_pneumonia
        CAP among adults with acute respiratory symptoms and a radiograph: doi:10.1186/1757-7241-21-S2-A21.
    prior_lung_cancer
        Lung cancer among adults with a nodule found by chance: doi:10.1016/j.chest.2022.09.030.
    image_prior
        The share of the disease for which the image models' probabilities hold.
    """

    prior_pneumonia: float = 0.479
    prior_lung_cancer: float = 0.037
    image_prior: float = 0.5

    def __post_init__(self) -> None:
        if not all(0 < value < 1 for value in (self.prior_pneumonia, self.prior_lung_cancer, self.image_prior)):
            raise ConfigError("fusion plugin 'late': prior_pneumonia, prior_lung_cancer and image_prior lie in 0..1")


def assertion_of(log_odds: float) -> Assertion:
    """PRESENT and ABSENT only far from even odds."""
    if abs(log_odds) < SURE:
        return Assertion.UNCERTAIN
    return Assertion.PRESENT if log_odds > 0 else Assertion.ABSENT


class LateFusion:
    """Adds up what each modality says about pneumonia and lung cancer (`cds.fusion`)."""

    Settings = LateSettings

    def __init__(self, settings: LateSettings) -> None:
        self._priors = {"pneumonia": settings.prior_pneumonia, "lung_cancer": settings.prior_lung_cancer}
        self._image_offset = logit(settings.image_prior)

    def fuse(self, case: Case, evidence: Sequence[Evidence], missing: Sequence[Missing]) -> tuple[Finding, ...]:
        """One finding per target; the order of `evidence` does not matter."""
        return tuple(self._conclude(target, logit(prior), evidence) for target, prior in self._priors.items())

    def _conclude(self, target: str, prior: float, evidence: Sequence[Evidence]) -> Finding:
        strongest = self._strongest(target, evidence)
        because = tuple(sorted(identifier for _, identifier in strongest.values()))
        if all(modality is Modality.LABS for modality, _ in strongest):
            return Finding(id=target, code=FINDINGS[target], assertion=Assertion.NOT_ASSESSED, algorithm=ALGORITHM,
                           because=because, reason=LABS_ONLY if because else NOTHING)  # fmt: skip
        shares: dict[Modality, float] = {}
        for (modality, _), (ratio, _) in sorted(strongest.items()):
            shares[modality] = shares.get(modality, 0.0) + ratio
        total = prior + math.fsum(shares.values())
        return Finding(
            id=target,
            code=FINDINGS[target],
            assertion=assertion_of(total),
            algorithm=ALGORITHM,
            probability=expit(total),
            # With this modality, minus without it.
            contributions=tuple(
                Contribution(modality=modality, value=expit(total) - expit(total - shares[modality]))
                for modality in Modality
                if modality in shares
            ),
            because=because,
            reason=UNCALIBRATED,
        )

    def _strongest(self, target: str, evidence: Sequence[Evidence]) -> dict[tuple[Modality, str], tuple[float, str]]:
        """Per modality, of labs per analyte, what speaks most for `target`: two nodules are not two proofs."""
        found: dict[tuple[Modality, str], tuple[float, str]] = {}
        for part in evidence:
            for item in part.observations:
                ratio = self._log_ratio(target, part.modality, item)
                key = (part.modality, item.concept.key if part.modality is Modality.LABS else "")
                if ratio is not None and (key not in found or (ratio, item.id) > found[key]):
                    found[key] = (ratio, item.id)
        return found

    def _log_ratio(self, target: str, modality: Modality, item: Observation) -> float | None:
        """Log-likelihood ratio of one observation; None where it says nothing about `target`."""
        numbers = [m.value for m in item.measurements] + ([] if item.probability is None else [item.probability])
        if not all(math.isfinite(number) for number in numbers):
            raise FusionError(f"observation {item.id} carries NaN or infinity; a measured value is a number")
        if modality is not Modality.TEXT and item.concept == FINDINGS[target] and item.probability is not None:
            return logit(item.probability) - self._image_offset
        ratio = likelihood_ratio(target, modality, item)
        return None if ratio is None else math.log(ratio)


def logit(probability: float) -> float:
    """Log-odds; 0 and 1 are held at one in a million, so that no single modality is ever certain."""
    held = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(held / (1 - held))


def expit(log_odds: float) -> float:
    """The probability of log-odds."""
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
