"""The members of the ensemble: settings, split, and each network trained in its own checkpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from cds.features.xray.model import chosen_device
from cds.features.xray.network import Architecture, PneumoniaNet
from cds.training.image_data import Images, Progress
from cds.training.image_loop import Fitting, Indices, Schedule, fit

_DROP_PATH: Final = 0.05

State = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """What can be chosen in training.

    Attributes
    ----------
    size, depths, widths
        The network, see `cds.features.xray.network.Architecture`.
    members
        Networks; each trains without one of as many parts of the persons, which calibrates it.
    holdout
        One in so many persons is kept out of everything, to measure the result on.
    schedule
        See `cds.training.image_loop.Schedule`.
    embedding
        Components of the embedding that later models read.
    seed
        The same seed, data and machine give the same weights.
    compiled
        Compile the network first (needs a C++ compiler; pays from about a thousand steps).
    half
        Compute in bfloat16.
    version
        Of the model that is written.
    """

    size: int = 96
    depths: tuple[int, int, int, int] = (2, 2, 6, 2)
    widths: tuple[int, int, int, int] = (24, 48, 96, 192)
    members: int = 3
    holdout: int = 7
    schedule: Schedule = field(default_factory=Schedule)
    embedding: int = 16
    seed: int = 7
    device: str = "auto"
    compiled: bool = False
    half: bool = False
    version: str = "1.0.0"

    @property
    def architecture(self) -> Architecture:
        """The network that these settings ask for."""
        return Architecture(size=self.size, depths=self.depths, widths=self.widths, members=self.members)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Indices: persons held out of everything, and the folds of the rest."""

    held: Indices
    folds: tuple[Indices, ...]

    def training(self, member: int) -> Indices:
        """All folds but the member's own."""
        return np.sort(np.concatenate([fold for number, fold in enumerate(self.folds) if number != member]))


def fitted(images: Images, split: Split, out: Path, settings: TrainSettings, progress: Progress) -> tuple[State, ...]:
    """Train every member; each in its own resumable checkpoint."""
    device = chosen_device(settings.device)
    torch.manual_seed(settings.seed)
    network = PneumoniaNet(settings.architecture, _DROP_PATH).to(device)
    fitting = Fitting(
        network=network,
        forward=torch.compile(network) if settings.compiled else network,
        pixels=torch.from_numpy(images.pixels).float()[:, None] / 255,
        labels=torch.from_numpy(images.labels).float(),
        size=settings.size,
        device=device,
        half=settings.half,
    )
    return tuple(_fitted(fitting, images, split, out, settings, number, progress) for number in range(settings.members))


def data_sha256(images: Images) -> str:
    """What was learned from, in one string."""
    return hashlib.sha256(_content(images)).hexdigest()


def _content(images: Images) -> bytes:
    return images.pixels.tobytes() + images.labels.tobytes() + "\n".join(images.persons).encode()


def _fitted(
    fitting: Fitting, images: Images, split: Split, out: Path, settings: TrainSettings, number: int, progress: Progress
) -> State:
    seed = settings.seed + number
    torch.manual_seed(seed)
    fresh = PneumoniaNet(settings.architecture, _DROP_PATH)
    fitting.network.load_state_dict(fresh.state_dict())
    key = hashlib.sha256(_content(images))
    key.update(json.dumps(asdict(settings), sort_keys=True).encode() + str(number).encode())

    def tell(step: int, steps: int) -> None:
        progress(f"training network {number + 1} of {settings.members}", step, steps)

    state = fit(
        fitting,
        settings.schedule,
        split.training(number),
        split.folds[number],
        seed,
        out / f"member-{number}.safetensors",
        key.hexdigest(),
        tell,
    )
    return {name: value.detach().cpu().clone() for name, value in state.items()}
