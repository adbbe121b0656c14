"""A recurrent network (GRU, Cho 2014, arXiv 1406.1078) over beats, or over laboratory values and vital signs in time.

Weights lie in ``NAME.safetensors`` beside ``NAME.json``, which says what goes in and what was measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from cds.errors import ConfigError

Kind = Literal["beats", "series"]
FORMAT: Final = "cds-gru-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class GruSpec:
    """What goes in, what comes out, and what is known of it.

    Attributes
    ----------
    kind
        ``"beats"``: a class for every step; ``"series"``: one for the whole, at the last step.
    inputs, classes
        Numbers of a step, and the names of the classes.
    names
        Of the inputs, where they have some.
    facts, measured
        Of the training: data, split, settings; figures on what was held out.
    """

    kind: Kind
    inputs: int
    classes: tuple[str, ...]
    width: int = 32
    dropout: float = 0.2
    version: str = "1.0.0"
    names: tuple[str, ...] = ()
    format: str = FORMAT
    sha256: str = ""
    facts: dict[str, object] = field(default_factory=dict)
    measured: dict[str, object] = field(default_factory=dict)

    def to_json(self) -> str:
        """The sidecar's text."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def of_json(text: str) -> GruSpec:
        """The specification in a sidecar's text; ValueError or TypeError where it is none."""
        table = json.loads(text)
        if not isinstance(table, dict):
            raise TypeError("a sidecar is an object")
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
        return GruSpec(**values)


class SequenceGru(nn.Module):
    """A GRU, in both directions where every step is judged, and a linear layer."""

    def __init__(self, spec: GruSpec) -> None:
        super().__init__()
        self.spec = spec
        both = spec.kind == "beats"
        self.before = nn.Sequential(nn.Linear(spec.inputs, spec.width), nn.GELU(), nn.Dropout(spec.dropout))
        self.gru = nn.GRU(spec.width, spec.width, batch_first=True, bidirectional=both)
        self.after = nn.Sequential(
            nn.Dropout(spec.dropout), nn.Linear(spec.width * (2 if both else 1), len(spec.classes))
        )

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Logits.

        Parameters
        ----------
        steps
            float32, shape (n, longest, inputs), zero behind the end.
        lengths
            int64, shape (n,), on the CPU, at least 1.

        Returns
        -------
        Tensor
            Shape (n, longest, classes) for beats, (n, classes) for series.
        """
        packed = pack_padded_sequence(self.before(steps), lengths, batch_first=True, enforce_sorted=False)
        found, last = self.gru(packed)
        if self.spec.kind == "series":
            return torch.as_tensor(self.after(last[-1]))
        padded, _ = pad_packed_sequence(found, batch_first=True, total_length=steps.shape[1])
        return torch.as_tensor(self.after(padded))


def save_gru(path: Path, network: SequenceGru, spec: GruSpec) -> GruSpec:
    """Write weights and sidecar; the specification with the sha256 that was written."""
    content = save({name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()})
    written = dataclasses.replace(spec, sha256=hashlib.sha256(content).hexdigest())
    path.write_bytes(content)
    path.with_suffix(".json").write_text(written.to_json(), encoding="utf-8")
    return written


def load_gru(path: Path) -> SequenceGru:
    """The network at `path`, ready to judge.

    Raises
    ------
    ConfigError
        When a file is missing or damaged, or the sha256 is not the sidecar's.
    """
    try:
        spec = GruSpec.of_json(path.with_suffix(".json").read_text("utf-8"))
        content = path.read_bytes()
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"the weights {path.name} or their sidecar cannot be read: {type(error).__name__}") from None
    if spec.format != FORMAT or hashlib.sha256(content).hexdigest() != spec.sha256:
        raise ConfigError(f"the weights {path.name} do not belong to their sidecar: another format or sha256")
    network = SequenceGru(spec)
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as error:
        raise ConfigError(f"the weights {path.name} do not fit their sidecar: {type(error).__name__}") from None
    return network.eval()
