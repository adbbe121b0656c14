"""A transformer encoder from a local folder, over long texts in windows.

The folder is one that `transformers` writes with ``save_pretrained``: ``config.json``, the tokenizer's files and
``model.safetensors``. Nothing else is read: no hub, no pickle, no code of the folder's own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from cds.errors import ConfigError, EvidenceError

WEIGHTS: Final = "model.safetensors"
CONFIG: Final = "config.json"
MOST_WINDOWS: Final = 64
"""Of one text: 64 windows of 512 tokens are about fifty pages."""
BATCH: Final = 8
_OVERLAP: Final = 0.25
"""Share of a window that the next one repeats, so that no phrase is cut in both."""
_CODE_OF_ITS_OWN: Final = "auto_map"

Head = Literal["", "text", "token"]
_HEADS: Final[dict[Head, Any]] = {
    "": AutoModel,
    "text": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Characters ``start`` to ``end`` that a token head gives one label, with the mean probability of its tokens."""

    label: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder makes of one text.

    Attributes
    ----------
    embedding
        (hidden_size,) mean over the tokens of all windows, special tokens left out.
    labels
        Probability in 0..1 of each label of a sequence head, the highest over the windows; `{}` without one.
    spans
        What a token head marks, in order.
    whole
        False where the text has more windows than are read.
    """

    embedding: tuple[float, ...]
    labels: dict[str, float]
    spans: tuple[Labelled, ...]
    whole: bool


class Encoder:
    """A loaded encoder with its tokenizer and, where the folder has one, its head.

    Raises
    ------
    ConfigError
        When a file is missing, the weights are not those of `sha256`, or the folder wants to run code.
    """

    def __init__(self, folder: Path, sha256: str, device: torch.device, max_tokens: int) -> None:
        config = _checked(folder, sha256)
        self.sha256 = sha256.lower()
        self.name = str(config.get("model_type", "encoder"))
        self.head = _head(config)
        self.device = device
        given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **given)
            self._model = _HEADS[self.head].from_pretrained(folder, use_safetensors=True, **given).to(device).eval()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ConfigError(
                f"{folder} holds no encoder that transformers can load: {type(error).__name__}"
            ) from error
        if not self._tokenizer.is_fast:
            raise ConfigError(f"{folder} has no fast tokenizer (tokenizer.json), which says where a token stands")
        fitting = (max_tokens, self._tokenizer.model_max_length, config.get("max_position_embeddings", max_tokens))
        self.window = min(int(length) for length in fitting)
        self._many = str(config.get("problem_type")) == "multi_label_classification"

    @property
    def labels(self) -> tuple[str, ...]:
        """The head's labels in its order, none without a head."""
        names: dict[int, str] = self._model.config.id2label if self.head else {}
        return tuple(names[number] for number in sorted(names))

    def __call__(self, text: str) -> Encoded:
        """Encode one text.

        Raises
        ------
        EvidenceError
            When the encoder gives NaN or infinity.
        """
        tokens = self._tokenizer(
            text,
            truncation=True,
            max_length=self.window,
            stride=int(self.window * _OVERLAP),
            padding=True,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        number = len(tokens["input_ids"])
        states, scores = self._run({key: tokens[key][:MOST_WINDOWS] for key in ("input_ids", "attention_mask")})
        own = (tokens["attention_mask"] * (1 - tokens["special_tokens_mask"]))[:MOST_WINDOWS, :, None].to(states)
        embedding = (states * own).sum((0, 1)) / own.sum().clamp(min=1)
        if not torch.isfinite(embedding).all() or not torch.isfinite(scores).all():
            raise EvidenceError(f"the encoder {self.name} gave NaN or infinity")
        offsets = tokens["offset_mapping"][:MOST_WINDOWS]
        return Encoded(
            embedding=tuple(embedding.tolist()),
            labels=self._of_text(scores) if self.head == "text" else {},
            spans=_spans(self.labels, scores, offsets, own[..., 0] > 0) if self.head == "token" else (),
            whole=number <= MOST_WINDOWS,
        )

    @torch.inference_mode()
    def _run(self, tokens: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Hidden states (windows, tokens, hidden) and the head's scores, on the CPU in single precision."""
        states, scores = [], []
        for first in range(0, len(tokens["input_ids"]), BATCH):
            part = {key: value[first : first + BATCH].to(self.device) for key, value in tokens.items()}
            made = self._model(**part, output_hidden_states=True)
            states.append(made.hidden_states[-1].float().cpu())
            scores.append(made.logits.float().cpu() if self.head else torch.zeros(1))
        return torch.cat(states), torch.cat(scores)

    def _of_text(self, scores: Tensor) -> dict[str, float]:
        """Sigmoids where labels may hold together, else a softmax; the highest over the windows."""
        shares = scores.sigmoid() if self._many else scores.softmax(-1)
        return dict(zip(self.labels, shares.amax(0).tolist(), strict=True))


def _checked(folder: Path, sha256: str) -> dict[str, Any]:
    """The folder's configuration, once its weights are those that are pinned."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        others = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("tokenizer_config.json")]
    except OSError as error:
        raise ConfigError(f"{folder} must hold {CONFIG} and {WEIGHTS}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{folder}: {CONFIG} or tokenizer_config.json is no JSON") from error
    if digest != sha256.lower():
        raise ConfigError(
            f"the sha256 of {folder / WEIGHTS} is {digest}, not {sha256 or 'given'}: set sha256 to pin it"
        )
    if any(_CODE_OF_ITS_OWN in part for part in (config, *others)):
        raise ConfigError(f"{folder} asks to run code of its own ({_CODE_OF_ITS_OWN}), which is never done")
    if not isinstance(config, dict):
        raise ConfigError(f"{folder / CONFIG} is no JSON object")
    return config


def _head(config: dict[str, Any]) -> Head:
    """Which head the weights have, from the name of their architecture."""
    architecture = "".join(config.get("architectures") or ())
    if architecture.endswith("ForSequenceClassification"):
        return "text"
    return "token" if architecture.endswith("ForTokenClassification") else ""


def _spans(names: Sequence[str], scores: Tensor, offsets: Tensor, own: Tensor) -> tuple[Labelled, ...]:
    """Neighbouring tokens of one label as one span: ``B-`` begins it, ``I-`` and the bare label go on, ``O`` is none.

    A place that two windows hold is taken from the first.
    """
    found: list[Labelled] = []
    read = 0
    for window, places, told in zip(scores.softmax(-1), offsets.tolist(), own.tolist(), strict=True):
        current: list[tuple[str, int, int, float]] = []
        for shares, (start, end), counts in zip(window, places, told, strict=True):
            best = int(shares.argmax())
            prefix, _, label = names[best].rpartition("-") if names[best][:2] in ("B-", "I-") else ("", "", names[best])
            if not counts or start < read or label in ("", "O"):
                found += _joined(current)
                current = []
                continue
            if current and (prefix == "B" or current[-1][0] != label):
                found += _joined(current)
                current = []
            current.append((label, start, end, float(shares[best])))
        found += _joined(current)
        read = max([read, *(end for (_, end), counts in zip(places, told, strict=True) if counts)])
    return tuple(found)


def _joined(tokens: list[tuple[str, int, int, float]]) -> list[Labelled]:
    if not tokens:
        return []
    mean = sum(token[3] for token in tokens) / len(tokens)
    return [Labelled(tokens[0][0], tokens[0][1], tokens[-1][2], mean)]
