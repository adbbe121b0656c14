"""How good a recurrent network is: beat by beat with counts, and on series with intervals, against the last values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cds.training.metrics import measured
from cds.training.waveform_data import IGNORED, Targets

Floats = npt.NDArray[np.float64]
_REPEATS = 1000


def beat_figures(chances: Sequence[Floats], targets: Sequence[Targets], classes: Sequence[str]) -> dict[str, object]:
    """Accuracy, that of always naming the commonest class, and for each class counts, sensitivity and PPV."""
    wanted = np.concatenate(list(targets))
    named = np.concatenate([rows.argmax(axis=1) for rows in chances])[wanted != IGNORED]
    wanted = wanted[wanted != IGNORED]
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(table, (wanted, named), 1)
    found: dict[str, object] = {
        "beats": len(wanted),
        "accuracy": float((wanted == named).mean()),
        "accuracy of the commonest class": float(table.sum(axis=1).max() / len(wanted)),
    }
    for place, name in enumerate(classes):
        right, there, said = int(table[place, place]), int(table[place].sum()), int(table[:, place].sum())
        found[name] = {
            "beats": there,
            "found": right,
            "named": said,
            "sensitivity": right / there if there else None,
            "ppv": right / said if said else None,
        }
    return found


def series_figures(
    said: Floats, last: Floats, died: npt.NDArray[np.int64], persons: npt.NDArray[np.str_]
) -> dict[str, object]:
    """Out-of-fold figures of the network and of the last values alone."""
    labels = died.astype(np.float64)
    found: dict[str, object] = {"patients": len(died), "died": int(died.sum())}
    for name, chances in (("GRU over the series", said), ("logistic regression on the last values", last)):
        estimates = measured(labels, chances, persons, repeats=_REPEATS)
        found[name] = {key: estimate.as_json() for key, estimate in estimates.items()}
    return found
