"""Fusion weights on disk: ``NAME.safetensors`` beside ``NAME.json``, bound by sha256."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from cds.errors import FusionError
from cds.fusion.network import Ensemble
from cds.fusion.spec import FusionSpec, read_spec

SHIPPED: Final = Path(__file__).parent / "weights" / "fusion.safetensors"
"""The weights that come with the software; trained on the simulated cohort."""

Array = npt.NDArray[np.float64]
XRAY_ARRAYS: Final = ("mean", "projection", "class_mean", "class_covariance")


@dataclass(frozen=True, slots=True)
class XrayToken:
    """How an embedding becomes a token, and how that token is distributed.

    Attributes
    ----------
    mean, projection
        (d,) and (k, d): token = projection @ (embedding - mean).
    class_mean, class_covariance
        (2, k) and (2, k, k) of the token without and with pneumonia.
    """

    mean: Array
    projection: Array
    class_mean: Array
    class_covariance: Array


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """A trained fusion: what it reads, its network, and its X-ray token."""

    spec: FusionSpec
    ensemble: Ensemble
    xray: XrayToken


def save_weights(path: Path, weights: FusionWeights) -> FusionSpec:
    """Write `path` (.safetensors) and its sidecar; the specification with the sha256 that was written."""
    tensors = {f"ensemble.{name}": tensor.contiguous() for name, tensor in weights.ensemble.state_dict().items()}
    for name in XRAY_ARRAYS:
        tensors[f"xray.{name}"] = torch.from_numpy(np.ascontiguousarray(getattr(weights.xray, name), dtype=np.float32))
    content = save(tensors)
    spec = dataclasses.replace(weights.spec, sha256=hashlib.sha256(content).hexdigest())
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, data in ((path, content), (path.with_suffix(".json"), spec.to_json().encode())):
        partial = target.with_suffix(target.suffix + ".partial")
        partial.write_bytes(data)
        partial.replace(target)
    return spec


def load_weights(path: Path, device: torch.device) -> FusionWeights:
    """The weights at `path` on `device`.

    Raises
    ------
    FusionError
        When a file is missing or damaged, the sha256 is not the sidecar's, or shapes do not fit.
    """
    spec = read_spec(path.with_suffix(".json"))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FusionError(f"the fusion weights {path.name} cannot be read: {error.strerror}") from error
    if (found := hashlib.sha256(content).hexdigest()) != spec.sha256:
        raise FusionError(
            f"the fusion weights {path.name} have sha256 {found[:12]}, the sidecar says {spec.sha256[:12]}: "
            "the file is damaged or not the one that belongs to it"
        )
    try:
        tensors = load(content)
        ensemble = Ensemble(spec)
        state = {name.removeprefix("ensemble."): t for name, t in tensors.items() if name.startswith("ensemble.")}
        ensemble.load_state_dict(state)
        arrays = [tensors[f"xray.{name}"].double().numpy() for name in XRAY_ARRAYS]
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise FusionError(f"the fusion weights {path.name} do not fit their sidecar: {error}") from error
    return FusionWeights(spec, ensemble.to(device).eval(), XrayToken(*arrays))
