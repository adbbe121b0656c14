"""Classical classifiers for standardised features: fitted by scikit-learn, kept as arrays of our own.

Each is scored by `cds.features.labs_risk.scorers`, in training too: what is measured is what ships.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from cds.errors import ConfigError

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[np.generic]]
Parameters = Mapping[str, float]

TREES: Final = 200
_ROUNDS: Final = 120

GRIDS: Final[Mapping[str, Sequence[Parameters]]] = MappingProxyType(
    {
        "logistic": tuple({"c": c} for c in (0.01, 0.03, 0.1, 0.3, 1.0)),
        "svm": tuple({"c": c, "gamma": gamma} for c in (0.3, 1.0) for gamma in (0.003, 0.01, 0.03)),
        "forest": tuple({"least_leaf": leaf} for leaf in (5, 10, 20)),
        "boosting": tuple({"leaves": leaves, "ridge": ridge} for leaves in (4, 8) for ridge in (3.0, 30.0)),
    }
)
"""What the hyper-parameter search tries; the first of equals is taken, so the stronger penalty stands first."""


def fit(
    kind: str, parameters: Parameters, gapped: Floats, filled: Floats, labels: Labels, weights: Floats, seed: int
) -> Arrays:
    """Fit one classifier; the arrays that `cds.features.labs_risk.scorers.scores` reads.

    Parameters
    ----------
    gapped, filled
        Standardised features with NaN for gaps (boosting reads these) and without; shape (n, d).
    labels, weights
        Shape (n,).

    Raises
    ------
    ConfigError
        When there is no such kind.
    """
    if kind == "logistic":
        linear = LogisticRegression(C=parameters["c"], max_iter=3000).fit(filled, labels, sample_weight=weights)
        return {"weights": linear.coef_[0], "intercept": linear.intercept_}
    if kind == "svm":
        machine = SVC(C=parameters["c"], gamma=parameters["gamma"]).fit(filled, labels, sample_weight=weights)
        return _of_svm(machine, parameters["gamma"])
    if kind == "forest":
        forest = RandomForestClassifier(TREES, min_samples_leaf=int(parameters["least_leaf"]), random_state=seed)
        return _of_forest(forest.fit(filled, labels, sample_weight=weights))
    if kind == "boosting":
        boosted = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=_ROUNDS,
            max_leaf_nodes=int(parameters["leaves"]),
            min_samples_leaf=40,
            l2_regularization=parameters["ridge"],
            early_stopping=False,
            random_state=seed,
        )
        known = np.where(np.isnan(gapped).all(axis=0), 0.0, gapped)  # a column that nobody has cannot be binned
        return _of_boosting(boosted.fit(known, labels, sample_weight=weights))
    raise ConfigError(f"no kind of classifier {kind!r}; there are: {', '.join(GRIDS)}")


def _of_svm(machine: SVC, gamma: float) -> Arrays:
    return {
        "vectors": machine.support_vectors_,
        "weights": machine.dual_coef_[0],
        "intercept": machine.intercept_,
        "gamma": np.array([gamma]),
    }


def _of_forest(forest: RandomForestClassifier) -> Arrays:
    trees = []
    for tree in (member.tree_ for member in forest.estimators_):
        leaf = tree.children_left < 0
        votes = tree.value[:, 0, :]
        trees.append(
            _tree(
                leaf,
                tree.feature,
                tree.threshold,
                tree.children_left,
                tree.children_right,
                np.zeros(len(leaf), dtype=np.uint8),
                votes[:, 1] / votes.sum(axis=1),
            )
        )
    return _grown(trees)


def _of_boosting(boosted: HistGradientBoostingClassifier) -> Arrays:
    """scikit-learn keeps its trees in an attribute that is not public; a test holds us to its predictions."""
    trees = []
    for (grown,) in boosted._predictors:
        node = grown.nodes
        leaf = node["is_leaf"].astype(bool)
        trees.append(
            _tree(
                leaf,
                node["feature_idx"],
                node["num_threshold"],
                node["left"],
                node["right"],
                node["missing_go_to_left"],
                node["value"],
            )
        )
    return _grown(trees) | {"intercept": np.asarray(boosted._baseline_prediction, dtype=np.float64).reshape(1)}


def _tree(
    leaf: npt.NDArray[np.bool_],
    feature: npt.NDArray[np.generic],
    threshold: Floats,
    left: npt.NDArray[np.generic],
    right: npt.NDArray[np.generic],
    missing_left: npt.NDArray[np.generic],
    value: Floats,
) -> Arrays:
    """One tree's nodes; a leaf points at itself, so that all rows may take the same number of steps."""
    own = np.arange(len(leaf))
    return {
        "feature": np.where(leaf, 0, feature).astype(np.int32),
        "threshold": np.where(leaf, 0.0, threshold).astype(np.float64),
        "left": np.where(leaf, own, left).astype(np.int32),
        "right": np.where(leaf, own, right).astype(np.int32),
        "missing_left": np.where(leaf, 0, missing_left).astype(np.uint8),
        "value": np.asarray(value, dtype=np.float64),
    }


def _grown(trees: Sequence[Arrays]) -> Arrays:
    """Every tree's nodes in one array each, and where each tree begins."""
    sizes = np.array([len(tree["value"]) for tree in trees])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    joined: Arrays = {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}
    for side in ("left", "right"):
        joined[side] = joined[side] + np.repeat(roots, sizes)
    return joined | {"roots": roots, "depth": np.array([max(_depth(tree) for tree in trees)])}


def _depth(tree: Arrays) -> int:
    """Steps from the root to the deepest leaf."""
    depth = np.zeros(len(tree["value"]), dtype=np.int64)
    for node in range(len(depth)):
        for child in (int(tree["left"][node]), int(tree["right"][node])):
            if child != node:
                depth[child] = depth[node] + 1
    return int(depth.max())
