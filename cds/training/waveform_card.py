"""The model card and the curves that training of a recurrent network writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from cds.features.waveform.gru import GruSpec

_SIZE: Final = (640, 400)
_MARGIN: Final = 50
_INKS: Final = ("#00639c", "#b34700")


def model_card(spec: GruSpec) -> str:
    """The card of a set of weights, from its own specification."""
    return "\n".join([_head(spec), _figures(spec), _limits(spec)])


def _head(spec: GruSpec) -> str:
    what = {
        "beats": "names the kind of each heart beat from its shape and its neighbours",
        "series": "tells from laboratory values in time who died in hospital",
    }[spec.kind]
    facts = spec.facts
    return f"""# Model card: recurrent network ({spec.kind}), version {spec.version}

A GRU of width {spec.width} that {what}. Classes: {", ".join(spec.classes)}. Weights sha256 `{spec.sha256}`.

**It is part of no report**: no extractor and no fusion model reads it. It is a training command for a site's own data.

- Trained on {facts.get("sequences")} sequences ({facts.get("steps")} steps) of {facts.get("persons")} persons,
  data sha256 `{facts.get("data_sha256")}`.
- Split: {facts.get("split")}.
- Settings: {facts.get("settings")}; torch {facts.get("torch")}.
"""


def _figures(spec: GruSpec) -> str:
    lines = ["## Measured on what was held out", "", "| figure | value |", "|---|---|"]
    lines += [f"| {name} | {_shown(value)} |" for name, value in _flat(spec.measured)]
    return "\n".join([*lines, ""])


def _flat(table: Mapping[str, object], before: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in table.items():
        if isinstance(value, Mapping) and "low" not in value:
            found += _flat(value, f"{before}{name}: ")
        else:
            found.append((f"{before}{name}", value))
    return found


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        bounds = [value.get(key) for key in ("value", "low", "high")]
        return "not defined" if bounds[0] is None else f"{bounds[0]:.3f} ({bounds[1]:.3f} to {bounds[2]:.3f})"
    if value is None:
        return "not defined"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _limits(spec: GruSpec) -> str:
    shared = "- The figures are of the data named above and of no other site, device or population."
    if spec.kind == "series":
        return f"""## Limits

{shared}
- When and how often something was measured tells of how ill somebody was; the network reads that too, and the last
  values lie close to the outcome. Neither is known at admission.
- Probabilities are not calibrated.
"""
    unseen = "" if "by person" in str(spec.facts.get("split")) else _SAME_PERSONS
    rare = [
        name
        for name, figures in spec.measured.items()
        if isinstance(figures, Mapping) and 0 < int(figures.get("beats") or 0) < 100
    ]
    few = f"- Fewer than 100 held-out beats of: {', '.join(rare)}. Their figures support no claim.\n" if rare else ""
    return f"""## Limits

{shared}
{unseen}{few}- One lead is read. Beats must have been found before; a beat that was missed is not judged.
- Accuracy says little where one class is common: compare it with that of always naming the commonest class.
"""


_SAME_PERSONS: Final = (
    "- **The test is on later beats of the same persons.** It says nothing of how the network does on another\n"
    "  person, and cannot support a claim of use.\n"
)


def write_curves(out: Path, losses: Sequence[tuple[float, float]], measured: Mapping[str, object]) -> tuple[Path, ...]:
    """Write ``losses.png``: the loss of every epoch on training and validation sequences."""
    path = out / "losses.png"
    picture = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(picture)
    top = max(max(pair) for pair in losses) or 1.0
    across, up = _SIZE[0] - 2 * _MARGIN, _SIZE[1] - 2 * _MARGIN
    draw.rectangle((_MARGIN, _MARGIN, _MARGIN + across, _MARGIN + up), outline="black")
    for number, name in enumerate(("training", "validation")):
        values = np.array([pair[number] for pair in losses])
        xs = _MARGIN + np.arange(len(values)) / max(len(values) - 1, 1) * across
        ys = _MARGIN + (1 - values / top) * up
        draw.line([(float(x), float(y)) for x, y in zip(xs, ys, strict=True)], fill=_INKS[number], width=2)
        draw.text((_MARGIN + across - 90, _MARGIN + 10 + 16 * number), name, fill=_INKS[number])
    draw.text((_MARGIN, _MARGIN - 20), f"loss, 0 to {top:.2f}", fill="black")
    draw.text((_MARGIN + across // 2, _MARGIN + up + 12), f"epochs, 1 to {len(losses)}", fill="black")
    picture.save(path)
    return (path,)
