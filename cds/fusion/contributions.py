"""How much each modality moved a probability: exact Shapley values over the modalities present.

With at most four modalities that have tokens there are at most 16 coalitions, so nothing is sampled:
the values add up to the probability minus what the model says with everything missing
(Shapley 1953, doi:10.1515/9781400881970-018; Lundberg and Lee 2017, arXiv:1705.07874).
"""

from __future__ import annotations

from math import factorial

import numpy as np
import numpy.typing as npt


def coalitions(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Every subset of the modalities in `present` (m,), as rows (2**k, m); row 0 is empty, the last is full."""
    players = np.flatnonzero(present)
    rows = np.zeros((2 ** len(players), len(present)), dtype=bool)
    for bit, player in enumerate(players):
        rows[:, player] = (np.arange(len(rows)) >> bit) & 1
    return rows


def shapley(values: npt.NDArray[np.float64], players: int) -> npt.NDArray[np.float64]:
    """Shapley values (players, ...) from the worth of every coalition (2**players, ...), in bit order."""
    result = np.zeros((players, *values.shape[1:]))
    for coalition in range(2**players):
        size = coalition.bit_count()
        if size == players:
            continue
        weight = factorial(size) * factorial(players - size - 1) / factorial(players)
        for player in range(players):
            if not coalition >> player & 1:
                result[player] += weight * (values[coalition | 1 << player] - values[coalition])
    return result
