"""The fusion transformer: a small set encoder with a query token per target, in an ensemble.

    query_t, panel_m (read | missing), xray, nodule..., lab..., mention...  ->  layers  ->  log-odds_t

Each token is its kind's learned vector plus a learned map of its value; there are no positions.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from cds.fusion.spec import MODALITIES, FusionSpec
from cds.fusion.tokens import State, Tokens

CT, LABS, TEXT = 1, 2, 3
STATES: Final = len(State)


class Block(nn.Module):
    """One pre-norm layer: attention over the set, then a map of each token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_map = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """(n, s, width) and (n, s) bool -> (n, s, width)."""
        n, s, width = tokens.shape
        parts = self.mix(self.norm_attention(tokens)).view(n, s, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=present[:, None, None, :])
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(n, s, width))
        mapped: Tensor = tokens + self.narrow(functional.gelu(self.widen(self.norm_map(tokens))))
        return mapped


class Member(nn.Module):
    """One member of the ensemble: tokens -> raw log-odds per target."""

    def __init__(self, spec: FusionSpec) -> None:
        super().__init__()
        width = spec.network.width
        kinds = len(spec.analytes)
        self.query = nn.Parameter(0.5 * torch.randn(len(spec.targets), width))
        self.read = nn.Parameter(0.5 * torch.randn(len(MODALITIES), width))
        self.missing = nn.Parameter(0.5 * torch.randn(len(MODALITIES), width))
        self.xray = nn.Linear(spec.xray.token_size, width)
        self.nodule = nn.Linear(1, width)
        self.lab_kind = nn.Parameter(0.5 * torch.randn(kinds, width))
        self.lab_value = nn.Parameter(0.5 * torch.randn(kinds, width))
        self.lab_below = nn.Parameter(0.5 * torch.randn(kinds, width))
        self.mention = nn.Parameter(0.5 * torch.randn(len(spec.mentions), STATES, width))
        self.blocks = nn.ModuleList(Block(width, spec.network.heads) for _ in range(spec.network.layers))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Parameter(torch.zeros(len(spec.targets), width))
        self.bias = nn.Parameter(torch.zeros(len(spec.targets)))

    def forward(self, batch: Batch) -> Tensor:
        """Raw log-odds (n, targets)."""
        tokens, present = self._embed(batch)
        for block in self.blocks:
            tokens = block(tokens, present)
        queries = self.norm(tokens[:, : len(self.query)])
        log_odds: Tensor = (queries * self.heads).sum(-1) + self.bias
        return log_odds

    def _embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        n = len(batch.modalities)
        always = torch.ones(n, 1, dtype=torch.bool, device=batch.modalities.device)
        panel = torch.where(batch.modalities[..., None], self.read, self.missing)
        labs = self.lab_kind + batch.labs[..., None] * self.lab_value + batch.below[..., None] * self.lab_below
        groups = torch.arange(batch.mentions.shape[1], device=batch.mentions.device)
        text = batch.modalities[:, TEXT:].expand(batch.mentions.shape)
        parts = (
            (self.query.expand(n, -1, -1), always.expand(n, len(self.query))),
            (panel, always.expand(n, len(MODALITIES))),
            (self.xray(batch.xray)[:, None], batch.modalities[:, :1]),
            (self.nodule(batch.nodules[..., None]), batch.has_nodule),
            (labs, batch.has_lab),
            (self.mention[groups, batch.mentions], text),
        )
        return torch.cat([part for part, _ in parts], 1), torch.cat([mask for _, mask in parts], 1)


class Batch:
    """Tokens as tensors, with 0 where a token is absent and a mask that hides it."""

    def __init__(self, tokens: Tokens, device: torch.device) -> None:
        def numbers(values: npt.NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(np.nan_to_num(values, nan=0.0)).to(device)

        most = int(np.isfinite(tokens.nodules).sum(axis=1).max(initial=0))
        nodules = -np.sort(-tokens.nodules, axis=1)[:, :most]
        self.modalities = torch.from_numpy(np.ascontiguousarray(tokens.present)).to(device)
        self.xray = numbers(tokens.xray)
        self.nodules = numbers(nodules)
        self.has_nodule = torch.from_numpy(np.isfinite(nodules)).to(device)
        self.labs = numbers(tokens.labs)
        self.has_lab = torch.from_numpy(np.isfinite(tokens.labs)).to(device)
        self.below = torch.from_numpy(tokens.below.astype(np.float32)).to(device)
        self.mentions = torch.from_numpy(np.ascontiguousarray(tokens.mentions)).to(device)


class Ensemble(nn.Module):
    """Several members of the same shape, trained apart."""

    def __init__(self, spec: FusionSpec) -> None:
        super().__init__()
        self.members = nn.ModuleList(Member(spec) for _ in range(spec.network.members))

    @torch.inference_mode()
    def log_odds(self, tokens: Tokens, *, chunk: int = 512) -> npt.NDArray[np.float64]:
        """Raw log-odds of every member, (members, n, targets)."""
        device = next(self.parameters()).device
        rows = [slice(start, start + chunk) for start in range(0, len(tokens), chunk)]
        batches = (Batch(tokens.take(row), device) for row in rows)
        parts = [torch.stack([member(batch) for member in self.members]) for batch in batches]
        return torch.cat(parts, dim=1).double().cpu().numpy()
