"""Train one network: seeded, resumable, stopped when it no longer gets better."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from cds.errors import ConfigError
from cds.features.xray.network import PneumoniaNet
from cds.features.xray.prepare import equalised
from cds.training.image_augment import augmented

Indices = npt.NDArray[np.intp]
Step = Callable[[int, int], None]

_BETAS: Final = (0.9, 0.98)
_PREDICTED_AT_ONCE: Final = 128
_LOOKED_AT: Final = 512
"""Validation images of one look, evenly from all: enough to see progress, and soon done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How one network is trained.

    Attributes
    ----------
    steps, batch
        Batches, and images in each: half of them pneumonia whatever the data's share.
    learning_rate, weight_decay
        AdamW; warm-up over 8 % of the steps, then a cosine to 1 %.
    smoothing
        Label smoothing.
    mixup
        Beta parameter; a batch is mixed with probability one half; 0 is never.
    strength
        Of the augmentation.
    average
        Decay of the running mean of the weights; the mean is what is kept.
    check_every, patience
        Steps between looks at the validation persons, and looks without progress before it stops.
    """

    steps: int = 2400
    batch: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    smoothing: float = 0.05
    mixup: float = 0.2
    strength: float = 0.9
    average: float = 0.99
    check_every: int = 200
    patience: int = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitting:
    """What `fit` needs besides the schedule.

    `pixels` is float32 of shape (n, 1, rows, columns) in 0..1, `labels` float32 of shape (n,);
    `forward` is the network itself or its compiled form.
    """

    network: PneumoniaNet
    forward: Callable[[Tensor], tuple[Tensor, Tensor]]
    pixels: Tensor
    labels: Tensor
    size: int
    device: torch.device
    half: bool


class _Run:
    """Everything that changes during training, so that it can be written and read back."""

    def __init__(self, fitting: Fitting, schedule: Schedule, seed: int) -> None:
        self.network = fitting.network
        self.judged = copy.deepcopy(fitting.network)
        self.seed = seed
        self.random = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.AdamW(
            _decayed(self.network, schedule.weight_decay), lr=schedule.learning_rate, betas=_BETAS
        )
        self.mean = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.best = dict(self.mean)
        self.step, self.best_loss, self.waited = 0, math.inf, 0

    def save(self, path: Path, key: str) -> None:
        """Write atomically; a killed run leaves the checkpoint before."""
        tensors: dict[str, Tensor] = {"random": self.random.get_state()}
        for prefix, part in (("now", self.network.state_dict()), ("mean", self.mean), ("best", self.best)):
            tensors |= {f"{prefix}.{name}": value for name, value in part.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"moment.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        whole = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
        facts = {"step": self.step, "best_loss": self.best_loss, "waited": self.waited, "key": key}
        part_file = path.with_suffix(".part")
        save_file(whole, part_file, metadata={name: str(value) for name, value in facts.items()})
        os.replace(part_file, path)

    def load(self, path: Path, key: str) -> None:
        """Go on where a checkpoint was written.

        Raises
        ------
        ConfigError
            When it is cut, or of another data set, split or schedule.
        """
        try:
            with safe_open(path, framework="pt") as file:
                facts = file.metadata()
                names: list[str] = file.keys()
                tensors = {name: file.get_tensor(name) for name in names}
        except (SafetensorError, OSError) as error:
            raise ConfigError(
                f"the checkpoint {path.name} cannot be read ({type(error).__name__}); delete it"
            ) from None
        if facts.get("key") != key:
            raise ConfigError(f"the checkpoint {path.name} is of other data or settings; choose another folder")
        self.step, self.waited = int(facts["step"]), int(facts["waited"])
        self.best_loss = float(facts["best_loss"])
        self.network.load_state_dict(_under(tensors, "now."))
        device = next(self.network.parameters()).device
        self.mean = {name: value.to(device) for name, value in _under(tensors, "mean.").items()}
        self.best = {name: value.to(device) for name, value in _under(tensors, "best.").items()}
        self.random.set_state(tensors["random"])
        state = self.optimizer.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "moment.").items():
            index, what = name.split(".")
            moments.setdefault(int(index), {})[what] = value
        self.optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})


def fit(
    fitting: Fitting,
    schedule: Schedule,
    train: Indices,
    held: Indices,
    seed: int,
    checkpoint: Path,
    key: str,
    tell: Step,
) -> dict[str, Tensor]:
    """Train on `train`, watch `held`, and return the best running mean of the weights.

    Parameters
    ----------
    checkpoint
        Written at every look; where it exists the run goes on from it.
    key
        Identifies data, split and settings; a checkpoint with another one is refused.
    """
    run = _Run(fitting, schedule, seed)
    if checkpoint.exists():
        run.load(checkpoint, key)
    fitting.network.train()
    while run.step < schedule.steps and run.waited < schedule.patience:
        torch.manual_seed(run.seed * schedule.steps + run.step)  # stochastic depth draws from the global generator
        _step(run, fitting, schedule, train)
        run.step += 1
        if run.step % 20 == 0:
            tell(run.step, schedule.steps)
        if run.step % schedule.check_every == 0 or run.step == schedule.steps:
            _look(run, fitting, held)
            run.save(checkpoint, key)
    return run.best


@torch.inference_mode()
def predicted(network: PneumoniaNet, images: Tensor, *, mirrored: bool = True) -> tuple[Tensor, Tensor]:
    """Logits (n,) and features (n, width), by default the mean of an image and its mirror image.

    Parameters
    ----------
    images
        Shape (n, 1, size, size), 0..1, not yet equalised.
    """
    network.eval()
    device = next(network.parameters()).device
    logits, features = [], []
    for part in torch.split(images, _PREDICTED_AT_ONCE):
        ready = equalised(part).to(device, memory_format=torch.channels_last)
        answers = [network(ready), network(ready.flip(-1))] if mirrored else [network(ready)]
        logits.append(torch.stack([answer[0] for answer in answers]).mean(0).cpu())
        features.append(torch.stack([answer[1] for answer in answers]).mean(0).cpu())
    return torch.cat(logits), torch.cat(features)


def _step(run: _Run, fitting: Fitting, schedule: Schedule, train: Indices) -> None:
    for group in run.optimizer.param_groups:
        group["lr"] = _rate(run.step, schedule)
    chosen = _balanced(fitting.labels, train, schedule.batch, run.random)
    images = equalised(augmented(fitting.pixels[chosen], fitting.size, schedule.strength, run.random))
    targets = fitting.labels[chosen] * (1 - 2 * schedule.smoothing) + schedule.smoothing
    if schedule.mixup and float(torch.rand((), generator=run.random)) < 0.5:
        images, targets = _mixed(images, targets, schedule.mixup, run.random)
    images = images.to(fitting.device, memory_format=torch.channels_last)
    with torch.autocast(fitting.device.type, torch.bfloat16, enabled=fitting.half):
        logits, _ = fitting.forward(images)
    loss = functional.binary_cross_entropy_with_logits(logits.float(), targets.to(fitting.device))
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimizer.step()
    decay = min(schedule.average, (run.step + 1) / (run.step + 10))
    for name, value in run.network.state_dict().items():
        run.mean[name].lerp_(value, 1 - decay)


def _look(run: _Run, fitting: Fitting, held: Indices) -> None:
    """Measure the running mean on the held-out persons; both classes weigh the same."""
    run.judged.load_state_dict(run.mean)
    seen = held[:: -(-len(held) // _LOOKED_AT)]
    side = (fitting.size, fitting.size)
    images = functional.interpolate(fitting.pixels[seen], size=side, mode="bilinear", antialias=True)
    logits, _ = predicted(run.judged, images, mirrored=False)
    labels = fitting.labels[seen]
    losses = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    loss = float((losses[labels == 1].mean() + losses[labels == 0].mean()) / 2)
    if loss < run.best_loss:
        run.best_loss, run.waited = loss, 0
        run.best = {name: value.clone() for name, value in run.mean.items()}
    else:
        run.waited += 1


def _rate(step: int, schedule: Schedule) -> float:
    warm = min(1.0, (step + 1) / (schedule.steps * 0.08))
    return schedule.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / schedule.steps)))


def _balanced(labels: Tensor, train: Indices, batch: int, random: torch.Generator) -> Tensor:
    """As many of either class, drawn with replacement."""
    members = torch.from_numpy(train)
    drawn = []
    for label, count in ((1, batch // 2), (0, batch - batch // 2)):
        pool = members[labels[members] == label]
        drawn.append(pool[torch.randint(len(pool), (count,), generator=random)])
    return torch.cat(drawn)[torch.randperm(batch, generator=random)]


def _mixed(images: Tensor, targets: Tensor, beta: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mixup (arXiv 1710.09412) with a share that is uniform on 0..`beta`."""
    share = float(torch.rand((), generator=random)) * beta
    other = torch.randperm(len(images), generator=random)
    return (1 - share) * images + share * images[other], (1 - share) * targets + share * targets[other]


def _decayed(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay on matrices and kernels only, not on biases, norms and GRN."""
    named = list(network.named_parameters())
    matrices = [value for name, value in named if value.ndim > 1 and "grn" not in name]
    others = [value for name, value in named if not (value.ndim > 1 and "grn" not in name)]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    def parts() -> Iterator[tuple[str, Tensor]]:
        for name, value in tensors.items():
            if name.startswith(prefix):
                yield name.removeprefix(prefix), value

    return dict(parts())
