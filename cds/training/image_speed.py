"""What makes training on images fast on this machine: bfloat16 and a compiled network, where they pay."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Final

import torch

from cds.errors import ConfigError
from cds.features.xray.model import chosen_device
from cds.training.image_members import TrainSettings

COMPILERS: Final = ("g++", "clang++", "c++", "cl")
"""What ``torch.compile`` can build with; the environment's ``CXX`` goes first."""


def with_speed(settings: TrainSettings, *, bf16: bool | None = None, compiled: bool | None = None) -> TrainSettings:
    """`settings` with bfloat16 and compilation as asked for, or where None as this machine can.

    By default both are on where the device computes in bfloat16 by itself (CUDA, or a CPU with AVX512-BF16), as
    for the weights that ship, and off elsewhere: there bfloat16 is emulated and slower. Results of both differ
    in the last digits, so a run goes on only with the setting it began with.

    Raises
    ------
    ConfigError
        When compilation is asked for and there is no C++ compiler, or torch does not know the device.
    """
    fast = computes_in_bfloat16(chosen_device(settings.device))
    if compiled and not has_compiler():
        raise ConfigError(
            f"--compile needs a C++ compiler; none of {', '.join(COMPILERS)} is on the PATH, nor is CXX set"
        )
    return replace(
        settings,
        half=fast if bf16 is None else bf16,
        compiled=fast and has_compiler() if compiled is None else compiled,
    )


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def has_compiler() -> bool:
    """Whether there is a C++ compiler to build compiled networks with."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", ""), *COMPILERS) if name)
