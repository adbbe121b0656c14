"""Train one recurrent network: seeded, resumable, stopped when it no longer gets better."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from cds.errors import ConfigError
from cds.features.waveform.gru import GruSpec, SequenceGru
from cds.training.waveform_data import IGNORED, Inputs, Targets

Told = Callable[[int, int], None]
Rows = npt.NDArray[np.intp]
_MOST_WEIGHT: Final = 20.0
"""Of a rare class against the commonest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast; `patience` is in epochs without progress on the validation sequences."""

    epochs: int = 60
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    patience: int = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The network of the best epoch, and the losses of every epoch as (training, validation)."""

    network: SequenceGru
    losses: tuple[tuple[float, float], ...]


class _Run:
    """Everything that changes during training, so that it can be written and read back."""

    def __init__(self, spec: GruSpec, schedule: Schedule, seed: int) -> None:
        torch.manual_seed(seed)
        self.network = SequenceGru(spec)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.losses: list[tuple[float, float]] = []

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        looks = [look for _, look in self.losses]
        return len(looks) - 1 - looks.index(min(looks)) if looks else 0

    def save(self, path: Path, key: str) -> None:
        """Write atomically; a killed run leaves the epoch before."""
        tensors = {f"now.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"moment.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64).reshape(-1, 2)
        whole = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
        part = path.with_suffix(".part")
        save_file(whole, part, metadata={"key": key})
        os.replace(part, path)

    def load(self, path: Path, key: str) -> None:
        """Go on where a checkpoint was written.

        Raises
        ------
        ConfigError
            When it is cut, or of other data or settings.
        """
        try:
            with safe_open(path, framework="pt") as file:
                found = file.metadata()
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ConfigError(
                f"the checkpoint {path.name} cannot be read ({type(error).__name__}); delete it"
            ) from None
        if found.get("key") != key:
            raise ConfigError(f"the checkpoint {path.name} is of other data or settings; choose another folder")
        self.network.load_state_dict(_under(tensors, "now."))
        self.best = _under(tensors, "best.")
        self.losses = [(float(one), float(other)) for one, other in tensors["losses"].tolist()]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "moment.").items():
            index, what = name.split(".")
            moments.setdefault(int(index), {})[what] = value
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})


def fit(
    spec: GruSpec,
    steps: Sequence[Inputs],
    targets: Sequence[Targets],
    train: Rows,
    held: Rows,
    schedule: Schedule,
    seed: int,
    checkpoint: Path,
    key: str,
    tell: Told,
) -> Fitted:
    """Train on `train` and keep the epoch that is best on `held`; an interrupted run goes on from `checkpoint`."""
    run = _Run(spec, schedule, seed)
    if checkpoint.exists():
        run.load(checkpoint, key)
    weights = class_weights([targets[row] for row in train], len(spec.classes))
    while len(run.losses) < schedule.epochs and run.waited < schedule.patience:
        epoch = len(run.losses)
        order = np.random.default_rng((seed, epoch)).permutation(train)
        torch.manual_seed(seed * 100_003 + epoch)  # dropout draws from the global generator
        run.network.train()
        loss = _epoch(
            run,
            [order[at : at + schedule.batch] for at in range(0, len(order), schedule.batch)],
            steps,
            targets,
            weights,
        )
        run.network.eval()
        look = _look(run.network, steps, targets, held, weights)
        if not run.losses or look < min(seen for _, seen in run.losses):
            run.best = {name: value.clone() for name, value in run.network.state_dict().items()}
        run.losses.append((loss, look))
        run.save(checkpoint, key)
        tell(len(run.losses), schedule.epochs)
    tell(schedule.epochs, schedule.epochs)
    run.network.load_state_dict(run.best)
    return Fitted(network=run.network.eval(), losses=tuple(run.losses))


@torch.inference_mode()
def probabilities(network: SequenceGru, steps: Sequence[Inputs]) -> list[npt.NDArray[np.float64]]:
    """Of each class: (length, classes) for beats, (1, classes) for series, in the order of the sequences."""
    found: list[npt.NDArray[np.float64]] = []
    for at in range(0, len(steps), 64):
        part = steps[at : at + 64]
        inputs, lengths = _padded(part)
        chances = functional.softmax(network(inputs, lengths).double(), dim=-1).numpy()
        if network.spec.kind == "series":
            found += [row[None] for row in chances]
        else:
            found += [rows[: len(one)] for rows, one in zip(chances, part, strict=True)]
    return found


def class_weights(targets: Sequence[Targets], classes: int) -> Tensor:
    """The square root of how much rarer a class is than the commonest, so that it is not overlooked; 0 where absent."""
    whole = np.concatenate(list(targets))
    counts = np.bincount(whole[whole != IGNORED], minlength=classes).astype(np.float64)
    rarer = np.divide(counts.max(), counts, out=np.zeros(classes), where=counts > 0)
    return torch.from_numpy(np.minimum(np.sqrt(rarer), _MOST_WEIGHT)).float()


def _epoch(
    run: _Run, batches: Sequence[Rows], steps: Sequence[Inputs], targets: Sequence[Targets], weights: Tensor
) -> float:
    losses = []
    for rows in batches:
        loss = _loss(run.network, [steps[row] for row in rows], [targets[row] for row in rows], weights)
        run.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
        run.optimizer.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


@torch.inference_mode()
def _look(
    network: SequenceGru, steps: Sequence[Inputs], targets: Sequence[Targets], held: Rows, weights: Tensor
) -> float:
    loss = float(_loss(network, [steps[row] for row in held], [targets[row] for row in held], weights))
    return loss if math.isfinite(loss) else math.inf


def _loss(network: SequenceGru, steps: Sequence[Inputs], targets: Sequence[Targets], weights: Tensor) -> Tensor:
    inputs, lengths = _padded(steps)
    logits = network(inputs, lengths)
    wanted = pad_sequence([torch.from_numpy(one) for one in targets], batch_first=True, padding_value=IGNORED)
    return functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), wanted.reshape(-1), weight=weights, ignore_index=IGNORED
    )


def _padded(steps: Sequence[Inputs]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(one) for one in steps])
    return pad_sequence([torch.from_numpy(one) for one in steps], batch_first=True), lengths


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
