"""One training run of the chest X-ray model, from loaded images to files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.nn import functional

from cds.features.xray.model import Familiarity, Sidecar, XrayModel, chosen_device, pictured
from cds.features.xray.network import PneumoniaNet, parameters
from cds.training.image_calibrate import SHIFTS, Floats, calibration_of, familiarity_of, shifted, whitening
from cds.training.image_card import model_card
from cds.training.image_data import Images, Progress
from cds.training.image_loop import Indices, predicted
from cds.training.image_members import Split, State, TrainSettings, data_sha256
from cds.training.metrics import measured

WEIGHTS: Final = "chest_xray.safetensors"
"""The name of the weights in the run folder; sidecar and card lie beside them."""
_AT_ONCE: Final = 128
_REPEATS: Final = 1000
_EMBEDDED: Final = 1500
"""Images that the embedding is fitted on, evenly from all: it has a hundredth as many components."""
_PICTURE_COMPONENTS: Final = 32
_BOTH: Final = "each image as it is and once shifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What training wrote, and the figures on the held-out persons."""

    weights: Path
    sidecar: Path
    card: Path
    metrics: dict[str, object]
    skipped: int


def finished(
    images: Images, split: Split, states: Sequence[State], out: Path, settings: TrainSettings, progress: Progress
) -> TrainResult:
    """Calibrate the members together, measure them on the held-out persons, and write everything."""
    pixels = resized(images, settings.size)
    rest = np.concatenate(split.folds)
    unseen = _out_of_fold(states, pixels, split, settings, progress)
    labels = np.concatenate([images.labels[rest]] * 2).astype(np.float64)
    sidecar = Sidecar(
        version=settings.version,
        sha256="",
        architecture=settings.architecture,
        calibration=calibration_of(unseen.reshape(-1), labels, f"out-of-fold persons, {_BOTH}"),
        familiarity=Familiarity(),
        training=_facts(images, split, settings),
        measured={},
    )
    model, tensors = _projected(sidecar, states, pixels[rest], settings)
    held = pixels[split.held]
    far = [model.distances(part, scored(model, part)[1]) for part in (held, shifted(held, settings.seed))]
    content = save_tensors(tensors)
    sidecar = replace(
        sidecar,
        sha256=hashlib.sha256(content).hexdigest(),
        familiarity=familiarity_of(torch.cat(far), f"held-out persons, {_BOTH}"),
        measured=_measured(model, images, pixels, split, unseen[0], progress),
    )
    return _written(out, content, sidecar, len(images.skipped))


def _projected(
    sidecar: Sidecar, states: Sequence[State], images: Tensor, settings: TrainSettings
) -> tuple[XrayModel, State]:
    """The model with its embedding fitted on the training images."""
    width, device = settings.widths[-1] * settings.members, chosen_device(settings.device)
    picture = whitening(pictured(images), _PICTURE_COMPONENTS)
    bare = XrayModel(sidecar, _tensors(states, (torch.zeros(width), torch.eye(width)), picture), device)
    some = images[:: -(-len(images) // _EMBEDDED)]
    tensors = _tensors(states, whitening(scored(bare, some)[1], settings.embedding), picture)
    return XrayModel(sidecar, tensors, device), tensors


def _out_of_fold(
    states: Sequence[State], pixels: Tensor, split: Split, settings: TrainSettings, progress: Progress
) -> Floats:
    """Logits of each image by the member that has not seen its person: as it is, and shifted; (2, n)."""
    network = PneumoniaNet(settings.architecture).to(chosen_device(settings.device))
    found: list[list[Tensor]] = [[], []]
    for number, (state, fold) in enumerate(zip(states, split.folds, strict=True)):
        progress("calibrating", number, len(states))
        network.load_state_dict(state)
        for kind, images in enumerate((pixels[fold], shifted(pixels[fold], settings.seed))):
            found[kind].append(predicted(network, images)[0])
    return np.stack([torch.cat(part).double().numpy() for part in found])


def _measured(
    model: XrayModel, images: Images, pixels: Tensor, split: Split, unseen: Floats, progress: Progress
) -> dict[str, object]:
    """Figures of held-out persons, as they are and shifted, and of the cross-validation."""

    def figures(rows: Indices, chances: Tensor) -> dict[str, object]:
        estimates = measured(images.labels[rows], chances.double().numpy(), images.persons[rows], repeats=_REPEATS)
        return {name: estimate.as_json() for name, estimate in estimates.items()}

    held = pixels[split.held]
    found: dict[str, object] = {"held_out": figures(split.held, model.probabilities(scored(model, held)[0]))}
    rest = np.concatenate(split.folds)
    single = model.probabilities(torch.from_numpy(unseen).float()[:, None])
    found["cross_validation"] = figures(rest, single)
    for number, (name, shift) in enumerate(SHIFTS.items()):
        progress("measuring under change", number, len(SHIFTS))
        found[f"shift: {name}"] = figures(split.held, model.probabilities(scored(model, shift(held))[0]))
    return found


def _facts(images: Images, split: Split, settings: TrainSettings) -> dict[str, object]:
    rest = np.concatenate(split.folds)

    def count(rows: Indices) -> dict[str, int]:
        positive = int(images.labels[rows].sum())
        persons = len(np.unique(images.persons[rows]))
        return {"images": len(rows), "pneumonia": positive, "normal": len(rows) - positive, "persons": persons}

    return {
        "trained": count(rest),
        "held_out": count(split.held),
        "skipped": len(images.skipped),
        "data_sha256": data_sha256(images),
        "settings": asdict(settings),
        "parameters": settings.members * parameters(PneumoniaNet(settings.architecture)),
        "torch": torch.__version__,
    }


def _written(out: Path, content: bytes, sidecar: Sidecar, skipped: int) -> TrainResult:
    weights, card = out / WEIGHTS, out / "model-card.md"
    weights.write_bytes(content)
    weights.with_suffix(".json").write_text(sidecar.as_json(), encoding="utf-8")
    card.write_text(model_card(sidecar), encoding="utf-8")
    return TrainResult(
        weights=weights,
        sidecar=weights.with_suffix(".json"),
        card=card,
        metrics=dict(sidecar.measured),
        skipped=skipped,
    )


def scored(model: XrayModel, images: Tensor) -> tuple[Tensor, Tensor]:
    """As `XrayModel.scored`, for any number of images."""
    parts = [model.scored(part) for part in torch.split(images, _AT_ONCE)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def resized(images: Images, size: int) -> Tensor:
    """The images as the network reads them, float32, shape (n, 1, size, size), 0..1."""
    whole = torch.from_numpy(images.pixels).float()[:, None] / 255
    return functional.interpolate(whole, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def _tensors(states: Sequence[State], projection: tuple[Tensor, Tensor], picture: tuple[Tensor, Tensor]) -> State:
    """The networks in half precision, the projections in single: what is measured is what is shipped."""
    members = {f"{number}.{name}": part.half() for number, state in enumerate(states) for name, part in state.items()}
    for name, (centre, axes) in (("projection", projection), ("picture", picture)):
        members |= {f"{name}.centre": centre, f"{name}.axes": axes}
    return {name: value.contiguous() for name, value in members.items()}
