"""The model card of a fusion, written from its specification and its measured figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np

from cds.domain.vocabulary import FINDINGS
from cds.fusion.spec import FusionSpec
from cds.training.cohort import Analyte, Cohort, Mention

Figures = Mapping[str, object]


def render(spec: FusionSpec, metrics: Figures, cohort: Cohort | None) -> str:
    """The card in Markdown; `cohort` is None for weights trained on real cases."""
    lines = list(_head(spec))
    lines += _simulated(metrics) if cohort else _real(metrics)
    lines += _thresholds(spec)
    if cohort:
        lines += _sources(cohort)
    return "\n".join([*lines, *_limits(cohort is not None)]) + "\n"


def _head(spec: FusionSpec) -> Iterator[str]:
    network = spec.network
    yield f"# Model card: {spec.name} {spec.version}"
    yield ""
    yield "Written by `cds train fusion` from what it measured; do not edit by hand."
    yield ""
    yield f"- **Weights** `cds/fusion/weights/fusion.safetensors`, sha256 `{spec.sha256}`"
    yield f"- **Concludes** {', '.join(FINDINGS[target.id].meaning.lower() for target in spec.targets)}"
    yield (
        f"- **Reads** the embedding of {spec.xray.algorithm} {spec.xray.version} ({spec.xray.embedding_size} numbers, "
        f"weights `{spec.xray.sha256[:12]}`; any other is refused), nodule diameters, "
        f"{', '.join(analyte.name for analyte in spec.analytes)}, and report mentions "
        f"({', '.join(mention.id for mention in spec.mentions)})"
    )
    yield (
        f"- **Network** {network.members} set transformers of {network.layers} layers, width {network.width}, "
        f"{network.heads} heads; no positions, a learned token for each missing modality"
    )
    yield f"- **Calibrated on** {spec.calibrated_on}"
    yield ""


def _simulated(metrics: Figures) -> Iterator[str]:
    yield "## Measured on the simulated cohort"
    yield ""
    yield (
        "Figures with 95 % bootstrap intervals. *Best possible* is the exact posterior of the generator on the same "
        "inputs: no model can do better. *Best single* is the exact posterior of the strongest single modality that is "
        "left. AUROC at even prevalence on complete cases; calibration at the cohort's prevalence, modalities missing."
    )
    for target, figures in metrics.items():
        parts = cast("Mapping[str, Mapping[str, Figures]]", figures)
        yield from ("", f"### {FINDINGS[target].meaning}", "")
        yield "| modalities | fusion AUROC | best possible | share of it | best single | gain over best single |"
        yield "|---|---|---|---|---|---|"
        for name, row in parts["auroc"].items():
            single = cast("Mapping[str, Figures]", row["single"])[str(row["best_single"])]
            cells = [_text(row[key]) for key in ("fusion", "best_possible", "share_of_best_possible")]
            cells += [f"{row['best_single']} {_text(single)}", _text(row["gain_over_best_single"])]
            yield f"| {name} | {' | '.join(cells)} |"
        yield from _calibration(parts["calibration"])
    yield ""


def _calibration(figures: Figures) -> Iterator[str]:
    yield ""
    yield (
        f"Calibration at prevalence {_number(figures['prevalence'])}: ECE {_text(figures['ece'])}, where the exact "
        f"posterior has {_number(figures['ece_best_possible'])} from sampling alone and resampling adds its own noise, "
        f"so that the interval lies high; mean distance "
        f"to the exact posterior {_number(figures['mean_distance_to_exact'])}; the 95 % interval holds the exact "
        f"posterior in {100 * cast(float, figures['interval_coverage_of_exact']):.1f} % of cases, median width "
        f"{_number(figures['median_interval_width'])}."
    )


def _real(metrics: Figures) -> Iterator[str]:
    yield "## Measured on the test split of the site's own cohort"
    yield ""
    yield "| target | figure | value (95 % interval by person) |"
    yield "|---|---|---|"
    for target, figures in metrics.items():
        for name, value in cast("Figures", figures).items():
            yield f"| {target} | {name} | {_text(value) if isinstance(value, Mapping) else value} |"
    yield ""


def _thresholds(spec: FusionSpec) -> Iterator[str]:
    yield "## When a finding is present, absent or uncertain"
    yield ""
    yield "| finding | ABSENT below | PRESENT from | why |"
    yield "|---|---|---|---|"
    for target in spec.targets:
        yield f"| {target.id} | {target.absent_below} | {target.present_from} | {target.band_source} |"
    yield ""
    yield "Evidence whose gates were not passed (an adult's radiograph) moves the probability, but PRESENT and ABSENT"
    yield "also need the probability without it to lie on the same side; else the finding is UNCERTAIN."
    yield ""


def _sources(cohort: Cohort) -> Iterator[str]:
    yield "## Where the simulated cohort's numbers come from"
    yield ""
    yield "Figures in `cds/training/cohort.toml`. An analyte without published median and spread is left out."
    yield ""
    yield "| input | without | with | source |"
    yield "|---|---|---|---|"
    yield from (_analyte(analyte) for analyte in cohort.analytes)
    yield from (_mention(mention) for mention in cohort.mentions)
    nodules = cohort.nodules
    yield (
        f"| nodule diameter, median mm | {np.exp(nodules.benign[0]):.1f} (benign) | {np.exp(nodules.malignant[0]):.1f} "
        f"(rated malignant) | {cohort.sources['diameters']} |"
    )
    yield f"| cancer seen as a nodule | | {nodules.sensitivity} | {cohort.sources['sensitivity']} |"
    yield f"| correlation of CRP and procalcitonin | Spearman 0.56 | the same | {cohort.sources['correlation']} |"
    for column, target in enumerate(cohort.bands):
        yield f"| prevalence of {target} | | {cohort.prevalence[column]} | {cohort.sources[target]} |"
    shape = cohort.xray.class_mean.shape[1]
    yield (
        f"| X-ray token, {shape} numbers | Gaussian | Gaussian | held-out embeddings of the X-ray model; "
        "Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010, CC BY 4.0 |"
    )
    yield ""
    rates = ", ".join(f"{name} {rate:g}" for name, rate in cohort.missing.items())
    yield f"Missing completely at random (design choices; they cancel in the posterior): {rates}."
    yield ""


def _analyte(analyte: Analyte) -> str:
    sides = [f"{np.exp(mean):.3g} (SD of ln {sd:.2f})" for mean, sd in zip(analyte.mean, analyte.sd, strict=True)]
    return f"| {analyte.spec.name}, median {analyte.spec.unit} | {sides[0]} | {sides[1]} | {analyte.source} |"


def _mention(mention: Mention) -> str:
    sides = [f"{row[3]:.3f} / {row[2]:.3f}" for row in mention.probability]
    return f"| report says {mention.spec.id}: present / uncertain | {sides[0]} | {sides[1]} | {mention.source} |"


def _limits(simulated: bool) -> Iterator[str]:
    yield "## Limits"
    yield ""
    if simulated:
        yield "- **No real patient's image, labs and text were ever seen together.** The figures show that the network"
        yield "  learned this generator, not that it is right about patients. Retrain on your own: `cds train fusion`."
        yield "- Modalities are independent given the class, and so are analytes but one pair, and mentions. In real"
        yield "  patients they are not (a report is written from the image), so real probabilities are too extreme."
        yield "- Published groups are hospital cases against clear alternatives (procalcitonin: COPD; CEA: healthy"
        yield "  persons), which flatters the analytes; children's radiographs stand beside adults' laboratory values."
        yield "- Malignancy of nodules is radiologists' opinion (LIDC-IDRI), not pathology."
    yield "- The interval says how far the ensemble may be from its own training distribution's answer, nothing about"
    yield "  how far that distribution is from a patient."
    yield "- A value above an assay's limit (`>`) is read as the limit. At most one analyte of a case was bounded (`<`)"
    yield "  in training."


def _text(value: object) -> str:
    figure = cast("Mapping[str, float]", value)
    return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"


def _number(value: object) -> str:
    return f"{cast(float, value):.4f}"
