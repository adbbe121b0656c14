"""The model card: made from what was measured, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cds.features.xray.model import Sidecar

_ROWS: Final = {
    "auroc": "AUROC",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "accuracy": "Accuracy",
    "ece": "Expected calibration error",
    "brier": "Brier score",
}


def model_card(sidecar: Sidecar) -> str:
    """Markdown: architecture, data, figures with intervals, calibration, limits."""
    return "\n".join((_head(sidecar), _data(sidecar), _figures(sidecar), _calibration(sidecar), _limits())) + "\n"


def _head(sidecar: Sidecar) -> str:
    shape, numbers = sidecar.architecture, sidecar.training.get("parameters", "unknown")
    return f"""# Model card: chest X-ray, version {sidecar.version}

Decision support: finds signs of pneumonia on frontal chest radiographs. Not a diagnosis; a physician reviews
every result.

- Network: {shape.members} x ConvNeXt V2, depths {list(shape.depths)}, widths {list(shape.widths)}, one channel,
  {shape.size} x {shape.size} pixels, {numbers} parameters in all, from random weights.
- Input: percentile stretch, antialiased resize to a square (the aspect ratio is lost, as in the training images),
  histogram equalisation; the mean over the image and its mirror image.
- Weights: sha256 `{sidecar.sha256}`
"""


def _data(sidecar: Sidecar) -> str:
    lines = ["## Data", "", "| part | images | pneumonia | normal | persons |", "|---|---|---|---|---|"]
    for part in ("trained", "held_out"):
        counts = sidecar.training.get(part)
        if isinstance(counts, Mapping):
            numbers = " | ".join(str(counts.get(key, "")) for key in ("images", "pneumonia", "normal", "persons"))
            lines.append(f"| {part.replace('_', ' ')} | {numbers} |")
    skipped, digest = sidecar.training.get("skipped", 0), sidecar.training.get("data_sha256", "")
    return "\n".join(
        [*lines, "", f"Split by person. Files that could not be read: {skipped}. Data sha256 `{digest}`.", ""]
    )


def _figures(sidecar: Sidecar) -> str:
    """One row a metric for held-out persons and cross-validation; one row a shift."""
    held, crossed = sidecar.measured.get("held_out"), sidecar.measured.get("cross_validation")
    lines = ["## What was measured", "", "95 % intervals by bootstrap over persons, 1,000 draws; threshold 0.5.", ""]
    lines += ["| metric | held-out persons, all networks | cross-validation, one network each |", "|---|---|---|"]
    lines += [f"| {title} | {_cell(held, name)} | {_cell(crossed, name)} |" for name, title in _ROWS.items()]
    lines += ["", "The held-out persons again, with images changed as another site might take them:", ""]
    lines += ["| change | AUROC | balanced accuracy | calibration error |", "|---|---|---|---|"]
    for name, figures in sidecar.measured.items():
        if name.startswith("shift: "):
            cells = " | ".join(_cell(figures, key) for key in ("auroc", "balanced_accuracy", "ece"))
            lines.append(f"| {name.removeprefix('shift: ')} | {cells} |")
    return "\n".join([*lines, ""])


def _calibration(sidecar: Sidecar) -> str:
    fitted, limits = sidecar.calibration, sidecar.familiarity
    return f"""## Calibration and abstention

- Probability: sigmoid({fitted.scale:.3f} x logit {fitted.offset:+.3f}), fitted on {fitted.basis};
  it holds where {fitted.prior:.0%} of the images show pneumonia.
- Below {fitted.absent_below:.2f} (95 % sensitivity on those persons) the finding is ABSENT, from
  {fitted.present_from:.2f} (95 % specificity) PRESENT, between them UNCERTAIN.
- The interval of a probability spans the networks.
- Unfamiliar images: embedding distance above {limits.distance:.2f} or residual above {limits.residual:.3f},
  or the picture itself, coarsely seen, by {limits.picture_distance:.2f} or {limits.picture_residual:.3f} in principal
  components of the training images; set on {limits.basis};
  beyond one and a half times that the model abstains.
"""


def _limits() -> str:
    return """## Limits

- It knows only what the manifest called pneumonia and normal: no other disease, no healthy-but-unusual chest.
- The two classes may differ in how they were taken; augmentation and equalisation reduce, and do not remove, what a
  network can learn from that.
- Figures are of the site of the data. Measure on your own with `cds evaluate image` before you rely on one.
"""


def _cell(figures: object, name: str) -> str:
    if not isinstance(figures, Mapping) or not isinstance(figures.get(name), Mapping):
        return "not measured"
    value, low, high = (figures[name].get(key) for key in ("value", "low", "high"))
    return "not defined" if value is None else f"{value:.3f} ({low:.3f} to {high:.3f})"
