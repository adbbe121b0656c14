"""The simulated cohort: cases drawn from published distributions, with their exact posterior.

No open data set pairs image, laboratory values and report of one patient. Here each case has two
hidden truths (pneumonia, lung cancer) and modalities that are independent given them, drawn from the
distributions in ``cohort.toml``, where every figure has its source. Because the generator is known,
so is the best score that any model can reach on any subset of the modalities: `bayes_score`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr
from scipy.stats import norm

from cds.fusion.spec import MODALITIES, AnalyteSpec, MentionSpec, NoduleSpec
from cds.fusion.tokens import State, Tokens
from cds.fusion.weights import XrayToken

Array = npt.NDArray[np.float64]
Table = Mapping[str, object]

PARAMETERS: Final = Path(__file__).with_name("cohort.toml")
TARGETS: Final = ("pneumonia", "lung_cancer")
QUARTILE_SD: Final = float(norm.ppf(0.75))
"""A normal distribution's quartiles lie this many SD (0.6745) from its median."""
XRAY_TARGET, CT_TARGET = 0, 1


@dataclass(frozen=True, slots=True)
class Analyte:
    """A log-normal analyte: mean and SD of ln(value), each (2,) for the classes without and with."""

    spec: AnalyteSpec
    mean: Array
    sd: Array
    source: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A group of report findings: probability (2, 4) of each `State` without and with the target."""

    spec: MentionSpec
    probability: Array
    source: str


@dataclass(frozen=True, slots=True)
class Nodules:
    """Diameters (ln mm) of benign and malignant nodules, how many there are, how often a cancer is seen."""

    spec: NoduleSpec
    benign: tuple[float, float]
    malignant: tuple[float, float]
    benign_per_scan: float
    sensitivity: float


@dataclass(frozen=True, slots=True)
class Band:
    """The probabilities between which a finding is UNCERTAIN, and why."""

    absent_below: float
    present_from: float
    source: str


@dataclass(frozen=True)
class Cohort:
    """A generator of cases, and the exact posterior of each.

    `correlation` is (analytes, analytes), within a class. `missing` are rates by modality, plus
    ``"analyte"`` and ``"limit"``. `prevalence` is (targets,).
    """

    version: str
    prevalence: Array
    analytes: tuple[Analyte, ...]
    correlation: Array
    mentions: tuple[Mention, ...]
    nodules: Nodules
    missing: Mapping[str, float]
    bands: Mapping[str, Band]
    sources: Mapping[str, str]
    xray: XrayToken

    def sample(
        self, n: int, seed: int, *, prevalence: Array | None = None, complete: bool = False
    ) -> tuple[Tokens, npt.NDArray[np.bool_]]:
        """`n` cases and their truths (n, targets).

        Parameters
        ----------
        prevalence
            Of each target, instead of the cohort's own.
        complete
            Keep all modalities and analytes (assay limits remain).
        """
        rng = np.random.default_rng(seed)
        truth = rng.random((n, len(TARGETS))) < (self.prevalence if prevalence is None else prevalence)
        labs, below = self._labs(rng, truth)
        tokens = Tokens(
            np.ones((n, len(MODALITIES)), dtype=bool),
            _single(self._embeddings(rng, truth)),
            _single(self._diameters(rng, truth)),
            _single(labs),
            below,
            self._states(rng, truth),
        )
        return (tokens if complete else self._drop(rng, tokens)), truth

    def bayes_score(self, tokens: Tokens, *, prevalence: Array | None = None) -> Array:
        """Exact posterior log-odds (n, targets) given whatever each case has."""
        prior = self.prevalence if prevalence is None else prevalence
        score = np.tile(np.log(prior / (1 - prior)), (len(tokens), 1))
        score[:, XRAY_TARGET] += self._xray_ratio(tokens)
        score[:, CT_TARGET] += self._nodule_ratio(tokens)
        for target in range(len(TARGETS)):
            score[:, target] += self._lab_ratio(tokens, target) + self._mention_ratio(tokens, target)
        return score

    def _embeddings(self, rng: np.random.Generator, truth: npt.NDArray[np.bool_]) -> Array:
        side = truth[:, XRAY_TARGET].astype(int)
        noise = rng.standard_normal((len(truth), self.xray.class_mean.shape[1]))
        return np.asarray(self.xray.class_mean[side] + np.einsum("nij,nj->ni", self._roots[side], noise))

    @cached_property
    def _roots(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.xray.class_covariance), dtype=float)

    def _xray_ratio(self, tokens: Tokens) -> Array:
        densities = []
        for side in (0, 1):
            white = np.linalg.solve(self._roots[side], (tokens.xray - self.xray.class_mean[side]).T)
            densities.append(-0.5 * (white**2).sum(axis=0) - np.log(np.diag(self._roots[side])).sum())
        return np.where(tokens.present[:, 0], np.nan_to_num(densities[1] - densities[0]), 0.0)

    def _diameters(self, rng: np.random.Generator, truth: npt.NDArray[np.bool_]) -> Array:
        """Standardised ln diameters (n, m), NaN-padded; the malignant one, where seen, in column 0."""
        nodules = self.nodules
        count = rng.poisson(nodules.benign_per_scan, len(truth))
        width = 1 + max(1, int(count.max(initial=1)))
        logs = rng.normal(*nodules.benign, (len(truth), width))
        logs[np.arange(width) > count[:, None]] = np.nan
        seen = truth[:, CT_TARGET] & (rng.random(len(truth)) < nodules.sensitivity)
        logs[:, 0] = np.where(seen, rng.normal(*nodules.malignant, len(truth)), np.nan)
        return np.asarray((logs - nodules.spec.log_mean) / nodules.spec.log_sd)

    def _nodule_ratio(self, tokens: Tokens) -> Array:
        """Log of ``(1 - s) + s / rate * sum of density ratios``.

        With N nodules the cancer may be any of them and N - 1 are benign, Poisson with `rate`:
        Poisson(N - 1) / Poisson(N) / N = 1 / rate.
        """
        nodules = self.nodules
        logs = tokens.nodules * nodules.spec.log_sd + nodules.spec.log_mean
        ratios = np.exp(norm.logpdf(logs, *nodules.malignant) - norm.logpdf(logs, *nodules.benign))
        total = np.nansum(ratios, axis=1) if logs.shape[1] else np.zeros(len(tokens))
        ratio = np.log(1 - nodules.sensitivity + nodules.sensitivity * total / nodules.benign_per_scan)
        return np.where(tokens.present[:, 1], ratio, 0.0)

    def _labs(self, rng: np.random.Generator, truth: npt.NDArray[np.bool_]) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Standardised ln values and "only an upper bound" flags, (n, analytes)."""
        side = truth[:, self._analyte_target].astype(int)
        columns = np.arange(len(self.analytes))
        noise = rng.standard_normal(side.shape) @ np.linalg.cholesky(self.correlation).T
        values = self._lab_mean[side, columns] + self._lab_sd[side, columns] * noise
        chosen = rng.integers(0, len(self.analytes), len(truth))[:, None] == columns
        limited = chosen & (rng.random((len(truth), 1)) < self.missing["limit"] * len(self.analytes))
        limit = rng.standard_normal(values.shape)
        below = limited & (values < limit)
        return np.where(below, limit, values), below

    @cached_property
    def _analyte_target(self) -> npt.NDArray[np.intp]:
        return np.array([TARGETS.index(analyte.spec.target) for analyte in self.analytes])

    @cached_property
    def _lab_mean(self) -> Array:
        """(2, analytes), standardised."""
        return np.array([(a.mean - a.spec.log_mean) / a.spec.log_sd for a in self.analytes]).T

    @cached_property
    def _lab_sd(self) -> Array:
        return np.array([a.sd / a.spec.log_sd for a in self.analytes]).T

    def _lab_ratio(self, tokens: Tokens, target: int) -> Array:
        """Sum over the patterns of measured and bounded analytes, each a Gaussian in closed form."""
        columns = np.flatnonzero(self._analyte_target == target)
        values, below = tokens.labs[:, columns].astype(float), tokens.below[:, columns]
        pattern = np.where(np.isfinite(values), np.where(below, 2, 1), 0)
        ratio = np.zeros(len(tokens))
        for kind in np.unique(pattern, axis=0):
            rows = (pattern == kind).all(axis=1)
            density = [self._log_density(values[rows], columns, kind, side) for side in (0, 1)]
            ratio[rows] = density[1] - density[0]
        return ratio

    def _log_density(
        self, values: Array, columns: npt.NDArray[np.intp], kind: npt.NDArray[np.int64], side: int
    ) -> Array:
        """Log density of the measured analytes (kind 1) times the log mass below the bound (kind 2)."""
        correlation = self.correlation[np.ix_(columns, columns)]
        z = (values - self._lab_mean[side, columns]) / self._lab_sd[side, columns]
        exact, bound = np.flatnonzero(kind == 1), np.flatnonzero(kind == 2)
        inner = correlation[np.ix_(exact, exact)]
        solved = np.linalg.solve(inner, z[:, exact].T).T if len(exact) else np.zeros((len(z), 0))
        density = -0.5 * (z[:, exact] * solved).sum(axis=1) - np.log(self._lab_sd[side, columns[exact]]).sum()
        for column in bound:
            across = correlation[column, exact]
            rest = across @ np.linalg.solve(inner, across) if len(exact) else 0.0
            density = density + log_ndtr((z[:, column] - solved @ across) / np.sqrt(1 - rest))
        return np.asarray(density)

    def _states(self, rng: np.random.Generator, truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        columns = []
        for mention in self.mentions:
            side = truth[:, TARGETS.index(mention.spec.target)].astype(int)
            edges = mention.probability.cumsum(axis=1)[side]
            columns.append((rng.random((len(truth), 1)) > edges[:, :-1]).sum(axis=1))
        return np.stack(columns, axis=1).astype(np.int64)

    def _mention_ratio(self, tokens: Tokens, target: int) -> Array:
        ratio = np.zeros(len(tokens))
        for column, mention in enumerate(self.mentions):
            if mention.spec.target == TARGETS[target]:
                ratio += np.log(mention.probability[1] / mention.probability[0])[tokens.mentions[:, column]]
        return np.where(tokens.present[:, 3], ratio, 0.0)

    def _drop(self, rng: np.random.Generator, tokens: Tokens) -> Tokens:
        """Lose modalities and single analytes completely at random."""
        rates = np.array([self.missing[modality] for modality in MODALITIES])
        tokens = tokens.keep(rng.random(tokens.present.shape) >= rates)
        lost = rng.random(tokens.labs.shape) < self.missing["analyte"]
        labs = np.where(lost, np.float32(np.nan), tokens.labs)
        present = tokens.present.copy()
        present[:, 2] &= np.isfinite(labs).any(axis=1)
        return Tokens(present, tokens.xray, tokens.nodules, labs, tokens.below & ~lost, tokens.mentions)


def _single(values: Array) -> npt.NDArray[np.float32]:
    return values.astype(np.float32)


def load_cohort(xray: XrayToken, path: Path = PARAMETERS) -> Cohort:
    """The cohort of ``cohort.toml`` with the X-ray token `xray`."""
    table = tomllib.loads(path.read_text("utf-8"))
    analytes = tuple(_analyte(row) for row in table["analyte"])
    return Cohort(
        version=str(table["version"]),
        prevalence=np.array([table["prevalence"][target] for target in TARGETS]),
        analytes=analytes,
        correlation=_correlation(analytes, table["correlation"]),
        mentions=tuple(_mention(row) for row in table["mention"]),
        nodules=_nodules(table["ct"]),
        missing=table["missing"],
        bands={target: Band(**table["band"][target]) for target in TARGETS},
        sources={
            **table["prevalence"]["source"],
            **table["ct"]["source"],
            "correlation": table["correlation"][0]["source"],
        },
        xray=xray,
    )


def _analyte(row: Mapping[str, object]) -> Analyte:
    pairs = [log_normal(cast(Table, row[side])) for side in ("without", "with")]
    mean, sd = np.array(pairs).T
    pooled = float(np.sqrt((sd**2).mean() + (mean.std()) ** 2))
    spec = AnalyteSpec(
        loinc=str(row["loinc"]),
        name=str(row["name"]),
        unit=str(row["unit"]),
        log_mean=round(float(mean.mean()), 4),
        log_sd=round(pooled, 4),
        target=str(row["target"]),
    )
    return Analyte(spec, mean, sd, str(row["source"]))


def log_normal(published: Table) -> tuple[float, float]:
    """Mean and SD of ln(value) from ``quartiles`` (Q1, median, Q3), or ``median`` and ``iqr`` = Q3 - Q1.

    With only the width, ``Q3 - Q1 = 2 median sinh(0.6745 sd)``.
    """
    if "quartiles" in published:
        low, median, high = cast("list[float]", published["quartiles"])
        return float(np.log(median)), float(np.log(high / low)) / (2 * QUARTILE_SD)
    median, width = cast(float, published["median"]), cast(float, published["iqr"])
    return float(np.log(median)), float(np.arcsinh(width / (2 * median))) / QUARTILE_SD


def _correlation(analytes: tuple[Analyte, ...], rows: list[Table]) -> Array:
    """Spearman's rho of a bivariate normal is Pearson's ``2 sin(pi rho / 6)``."""
    codes = [analyte.spec.loinc for analyte in analytes]
    matrix = np.eye(len(codes))
    for row in rows:
        first, second = (codes.index(code) for code in cast("list[str]", row["analytes"]))
        matrix[first, second] = matrix[second, first] = 2 * np.sin(np.pi * cast(float, row["spearman"]) / 6)
    return matrix


def _mention(row: Mapping[str, object]) -> Mention:
    probability = np.zeros((2, len(State)))
    for side, name in enumerate(("without", "with")):
        published = cast("Mapping[str, float]", row[name])
        rest = 1 - published["present"] - published["uncertain"]
        probability[side] = [rest / 2, rest / 2, published["uncertain"], published["present"]]
    spec = MentionSpec(id=str(row["id"]), keys=tuple(cast("list[str]", row["keys"])), target=str(row["target"]))
    return Mention(spec, probability, str(row["source"]))


def _nodules(row: Mapping[str, object]) -> Nodules:
    benign, malignant = (cast("list[float]", row[f"{kind}_log_mm"]) for kind in ("benign", "malignant"))
    spec = NoduleSpec(log_mean=2.0, log_sd=0.5, target=TARGETS[CT_TARGET])
    rate, sensitivity = cast(float, row["benign_per_scan"]), cast(float, row["sensitivity"])
    return Nodules(spec, (benign[0], benign[1]), (malignant[0], malignant[1]), rate, sensitivity)
