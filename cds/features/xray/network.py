"""The network: a small ConvNeXt V2 with one channel in and one logit out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import ConvNextV2Config, ConvNextV2Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What fixes the shape of every weight.

    Attributes
    ----------
    size
        Side of the square input in pixels.
    depths, widths
        Blocks and channels of each of the four stages (Woo et al., ConvNeXt V2,
        doi 10.1109/CVPR52729.2023.01548).
    members
        Networks whose logits are averaged.
    """

    size: int
    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    members: int = 1


class PneumoniaNet(nn.Module):
    """ConvNeXt V2 backbone, global average pooling, layer norm, one linear unit."""

    def __init__(self, architecture: Architecture, drop_path: float = 0.0) -> None:
        super().__init__()
        configuration = ConvNextV2Config(
            num_channels=1,
            patch_size=4,
            num_stages=4,
            depths=list(architecture.depths),
            hidden_sizes=list(architecture.widths),
            drop_path_rate=drop_path,
        )
        self.backbone = ConvNextV2Model(configuration)
        self.head = nn.Linear(architecture.widths[-1], 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pneumonia, shape (n,), and pooled features, shape (n, widths[-1]).

        Parameters
        ----------
        images
            float32, shape (n, 1, size, size), equalised.
        """
        features: Tensor = self.backbone(images).pooler_output
        return self.head(features)[:, 0], features

    def staged(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, and the map before the last stage, shape (n, widths[2], size / 16, size / 16)."""
        hidden: Sequence[Tensor] = self.backbone(images, output_hidden_states=True).hidden_states
        features = self.backbone.layernorm(hidden[-1].mean((-2, -1)))
        return self.head(features)[:, 0], features, hidden[-2]


def parameters(network: nn.Module) -> int:
    """How many numbers the network has."""
    return sum(parameter.numel() for parameter in network.parameters())


def grad_cam(network: PneumoniaNet, images: Tensor) -> Tensor:
    """Where evidence for pneumonia lies: Grad-CAM (doi 10.1109/ICCV.2017.74) before the last stage.

    Returns
    -------
    torch.Tensor
        Not negative, shape (n, size / 16, size / 16).
    """
    with torch.enable_grad():
        logits, _, maps = network.staged(images.detach().clone().requires_grad_())
        (gradients,) = torch.autograd.grad(logits.sum(), maps)
    return torch.relu((gradients.mean((-2, -1), keepdim=True) * maps).sum(1)).detach()
