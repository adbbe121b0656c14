"""The model card of the risk model: made from what was measured, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from cds.domain.labs import ANALYTES
from cds.features.labs_risk.inputs import AGE, THREE, VARIABLES, Floats
from cds.features.labs_risk.model import RiskModel, Sidecar
from cds.features.labs_risk.scorers import KINDS
from cds.training.labs_conditions import CONDITIONS
from cds.training.labs_measure import NEARLY, TREE
from cds.training.labs_temporal import EARLIER

_NAMES: Final = {
    "logistic": "logistic regression",
    "svm": "SVM (radial)",
    "forest": "random forest",
    "boosting": "gradient boosting",
    TREE: "published tree, fitted on these very patients",
}
_COLUMNS: Final = {
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "f1": "F1",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity_at_90_specificity": "sensitivity at 90 % specificity",
    "ece": "ECE",
}
_OF_CALLS: Final = frozenset({"accuracy", "f1", "balanced_accuracy"})
"""What a yes or no can be measured by."""
_SHOWN: Final = 12
_REMOVED: Final = (
    '"three": only LDH, lymphocytes in % and hs-CRP. Values are removed at random; the published tree then reads the'
    " median. It was made from these very patients' last values, so that its figures there are not of unseen patients."
)
_ALONE: Final = (*THREE, "urea", "d_dimer", "sodium", AGE)


def model_card(sidecar: Sidecar, model: RiskModel, values: Floats) -> str:
    """Markdown: what it is, data, choice, figures with intervals, what it weighs, limits.

    `values` are the last values of the training patients, shape (n, d): what each variable settles is shown on them.
    """
    parts = [_head(sidecar), _data(sidecar), _choice(sidecar), _figures(sidecar), _published(sidecar)]
    parts += [*_temporal(sidecar), _trend(sidecar)]
    return "\n".join((*parts, _weights(sidecar, model), _known(model, values), _limits(sidecar)))


def _head(sidecar: Sidecar) -> str:
    curve = sidecar.calibration
    line = f"sigmoid({curve.scale:.3f} x score {curve.offset:+.3f})" if curve.kind != "isotonic" else "isotonic"
    return f"""# Model card: death in hospital with COVID-19, from laboratory values, version {sidecar.version}

Decision support, unverified: one hospital, early 2020. Not a diagnosis, not a triage rule. Written by
`cds train labs` from what it measured; do not edit by hand.

- For adults in hospital with COVID-19, and for nobody else. It takes no part in a report unless a site switches it on
  (`[models] extractors` names `labs_risk`), and then only where COVID-19 is stated or the site vouches for it.
- Model: {_NAMES[sidecar.kind]} on {len(VARIABLES) - 1} laboratory values and the age, any of which may be missing:
  values on a log scale where that is the analyte's, standardised, held within 3 SD; a gap is filled with what the other
  values lead one to expect (joint normal distribution).
- CRP stands in for hs-CRP, urea nitrogen for urea, and cell counts for shares, where the first is missing.
- Probability: {line} ({curve.kind}), for a ward where {sidecar.prevalence:.0%} die (the share can be set); fitted where
  {curve.prior:.0%} of the rows are of patients who died.
- Called at high risk from a score of {sidecar.threshold:.3f}.
- Weights: sha256 `{sidecar.sha256}`
"""


def _data(sidecar: Sidecar) -> str:
    facts = sidecar.training
    known, total = _table(facts.get("known")), facts.get("patients", 0)
    rows = sorted(known.items(), key=lambda item: -int(str(item[1])))
    shown = ", ".join(f"{_name(key)} {count}" for key, count in rows)
    refused = "; ".join(f"{reason}: {count}" for reason, count in _table(facts.get("refused_values")).items())
    return f"""## Data

{total} patients, {facts.get("died", 0)} of whom died in hospital. Patients with at least one value: {shown}.
Values that were refused: {refused or "none"}. Data sha256 `{facts.get("data_sha256", "")}`.
"""


def _choice(sidecar: Sidecar) -> str:
    shortfall, errors = _table(sidecar.measured.get("shortfall")), _table(sidecar.measured.get("brier_by_curve"))
    lines = ["## What was compared, and what ships", ""]
    settings = _table(sidecar.training.get("settings"))
    lines += [
        f"Cross-validation by patient, stratified, {settings.get('repeats')} x {settings.get('folds')} folds, with the"
        " hyper-parameters searched inside each fold, and",
        "curve and threshold fitted on the other folds. Each learned from last and admission values, whole and with",
        "some removed.",
        f"What ships is the simplest kind whose worst shortfall in AUROC, over {len(CONDITIONS)} conditions, is within"
        f" {NEARLY} of the least one.",
        "",
        "| kind | worst shortfall in AUROC | parameters on all patients |",
        "|---|---|---|",
    ]
    chosen = _table(sidecar.training.get("parameters"))
    for kind in KINDS:
        given = ", ".join(f"{name} {value}" for name, value in _table(chosen.get(kind)).items())
        mark = " (ships)" if kind == sidecar.kind else ""
        lines.append(f"| {_NAMES[kind]}{mark} | {_number(shortfall.get(kind))} | {given} |")
    curves = ", ".join(f"{name} {_number(error, 4)}" for name, error in errors.items())
    return "\n".join([*lines, "", f"Brier score of each calibration curve where it was not fitted: {curves}.", ""])


def _figures(sidecar: Sidecar) -> str:
    lines = ["## What was measured", "", "95 % intervals by bootstrap over patients, 1,000 draws.", "", _REMOVED, ""]
    everybody, ours = (*KINDS, TREE), (sidecar.kind, TREE)
    lines += [f"### At a share of deaths of {sidecar.prevalence:.0%}", ""]
    lines += [*_grid(sidecar, "at the prevalence", everybody), ""]
    lines += ["### At the share of deaths of the data", "", *_grid(sidecar, "as it is", ours), ""]
    return "\n".join(lines)


def _grid(sidecar: Sidecar, which: str, kinds: tuple[str, ...]) -> list[str]:
    crossed = _table(sidecar.measured.get("cross_validation"))
    lines = [
        "| values | model | " + " | ".join(_COLUMNS.values()) + " |",
        "|---|---|" + "---|" * len(_COLUMNS),
    ]
    for condition in map(str, CONDITIONS):
        for kind in kinds:
            found = _table(_table(_table(crossed.get(kind)).get(condition)).get(which))
            shown = _OF_CALLS if kind == TREE else _COLUMNS.keys()
            cells = " | ".join(_cell(found.get(name)) if name in shown else "-" for name in _COLUMNS)
            lines.append(f"| {condition} | {_NAMES[kind].split(',')[0]} | {cells} |")
    return lines


def _published(sidecar: Sidecar) -> str:
    crossed = _table(_table(sidecar.measured.get("cross_validation")).get(sidecar.kind))
    lines = [
        "## Against the published result",
        "",
        "Yan et al. 2020 give, on 110 later patients (13 died) whom we have not: accuracy 0.973 and F1 0.889 with last"
        " values, 0.882 and 0.649 with those of admission.",
        "In what share of cohorts of 110 with 13 deaths, drawn from the cross-validated patients, is our model beyond"
        " both figures:",
        "",
        "| values | share of cohorts |",
        "|---|---|",
    ]
    for condition in map(str, CONDITIONS):
        lines.append(f"| {condition} | {_number(_table(crossed.get(condition)).get('better_than_published'), 2)} |")
    return "\n".join([*lines, ""])


def _temporal(sidecar: Sidecar) -> tuple[str, ...]:
    """Nothing where admissions were not known."""
    found = _table(sidecar.measured.get("temporal"))
    if not found:
        return ()
    names = ("auroc", "accuracy", "f1", "balanced_accuracy", "ece")
    lines = [
        "## Earlier patients, later patients",
        "",
        f"The shipped kind, fitted on the {EARLIER:.0%} admitted first and measured on the {found.get('n')} admitted"
        f" last, {found.get('died')} of whom died,",
        f"at a share of deaths of {sidecar.prevalence:.0%}; threshold and curve are those of all patients.",
        "",
        "| values | " + " | ".join(_COLUMNS[name] for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for condition in map(str, CONDITIONS):
        cells = " | ".join(_cell(_table(found.get(condition)).get(name)) for name in names)
        lines.append(f"| {condition} | {cells} |")
    return ("\n".join([*lines, ""]),)


def _trend(sidecar: Sidecar) -> str:
    lines = [
        "## Does the trend help?",
        "",
        "Logistic regression on last values, without and with the change of LDH, lymphocytes and hs-CRP over at least"
        " 24 hours; not shipped unless the intervals part.",
        "",
        "| features | AUROC | accuracy | F1 | ECE |",
        "|---|---|---|---|---|",
    ]
    for name, found in _table(sidecar.measured.get("trend")).items():
        cells = " | ".join(_cell(_table(found).get(key)) for key in ("auroc", "accuracy", "f1", "ece"))
        lines.append(f"| {name} | {cells} |")
    return "\n".join([*lines, ""])


def _weights(sidecar: Sidecar, model: RiskModel) -> str:
    order = np.argsort(-np.abs(model.direction))[:_SHOWN]
    what = "its weights" if sidecar.kind == "logistic" else "weights of the logistic model beside it"
    lines = ["## What it weighs most", "", f"Change of the score for one SD more ({what}):", ""]
    lines += ["| variable | change |", "|---|---|"]
    lines += [
        f"| {_name(VARIABLES[place])} | {model.direction[place] * _sign(VARIABLES[place]):+.2f} |" for place in order
    ]
    return "\n".join([*lines, "", "Weights of variables that go together are shared among them; none is a cause.", ""])


def _sign(key: str) -> int:
    """Neutrophils in % are read as the logarithm of what is left to 101 %."""
    return -1 if key == "neutrophils_percent" else 1


def _known(model: RiskModel, values: Floats) -> str:
    least = model.sidecar.least_known
    lines = [
        "## When it says nothing",
        "",
        f"It abstains where the values at hand settle less than {least:.0%} of the score's variance. What some of them"
        " settle alone:",
        "",
        "| at hand | settled |",
        "|---|---|",
    ]
    for keys in ((key,) for key in _ALONE):
        lines.append(f"| {_name(keys[0])} | {_settled(model, keys):.0%} |")
    lines.append(f"| all three of Yan et al. | {_settled(model, THREE):.0%} |")
    whole = float(np.mean(model.read(values).known))
    return "\n".join([*lines, f"| what the patients had, mean | {whole:.0%} |", ""])


def _settled(model: RiskModel, keys: tuple[str, ...]) -> float:
    """Of the score's variance; any value does, it depends only on what is there."""
    row = np.full((1, len(VARIABLES)), np.nan)
    row[0, [VARIABLES.index(key) for key in keys]] = 1.0
    return float(model.read(row).known[0])


def _limits(sidecar: Sidecar) -> str:
    return f"""## Limits

- One hospital in Wuhan, January and February 2020: before vaccination, before dexamethasone, an overcrowded referral
  hospital where {sidecar.calibration.prior:.0%} of the rows are of patients who died. Today's risks are lower; the
  probability is not to be read as today's without `cds evaluate labs` on one's own patients.
- Last values are measured near discharge or death: figures for them flatter every model. Those of admission are what a
  clinician can use.
- Death in hospital is partly a consequence of what was done about the values; nothing here says what helps.
- No children, no other disease, no out-patients were seen.
- Values removed at random are not values that nobody ordered: who is measured more is often sicker.

Source: Yan L, Zhang H-T, Goncalves J, et al. An interpretable mortality prediction model for COVID-19 patients. Nat
Mach Intell 2020;2:283-288, doi:10.1038/s42256-020-0180-7; data under the MIT licence. Its 110 test patients were
not used.

Rebuild: `cds train labs --manifest time_series_375.xlsx --out run`.
"""


def _name(key: str) -> str:
    if key == AGE:
        return "age"
    short = {"ldh": "LDH", "lymphocytes_percent": "lymphocytes in %", "hs_crp": "hs-CRP"}
    return short.get(key, ANALYTES[key].names[0].split("|")[0])


def _table(found: object) -> Mapping[str, object]:
    return found if isinstance(found, Mapping) else {}


def _number(found: object, places: int = 3) -> str:
    return f"{found:.{places}f}" if isinstance(found, float | int) else "not measured"


def _cell(figure: object) -> str:
    one = _table(figure)
    value, low, high = (one.get(key) for key in ("value", "low", "high"))
    if not (isinstance(value, float | int) and isinstance(low, float | int) and isinstance(high, float | int)):
        return "not defined"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
