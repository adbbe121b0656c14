"""The model card in the documentation speaks of the weights that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds.features.xray.extractor import CARD
from cds.features.xray.model import SHIPPED, Sidecar

DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture(scope="module")
def card() -> str:
    return (DOCS / CARD).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sidecar() -> Sidecar:
    return Sidecar.read(SHIPPED.with_suffix(".json"))


def test_the_card_names_the_weights_by_version_and_sha256(card, sidecar):
    assert f"version {sidecar.version}" in card
    assert f"`{sidecar.sha256}`" in card


@pytest.mark.parametrize("metric", ["auroc", "balanced_accuracy", "sensitivity", "specificity", "ece", "brier"])
@pytest.mark.parametrize("part", ["held_out", "cross_validation", "shift: noisy"])
def test_the_cards_figures_are_the_measured_ones(card, sidecar, part, metric):
    if part.startswith("shift") and metric not in ("auroc", "balanced_accuracy", "ece"):
        return
    figures = sidecar.measured[part][metric]
    assert f"{figures['value']:.3f} ({figures['low']:.3f} to {figures['high']:.3f})" in card


def test_the_card_names_source_licence_and_whom_the_children_stand_for(card):
    for fact in ("10.1016/j.cell.2018.02.010", "10.17632/rscbjbr9sj", "CC BY 4.0", "1 to 5 years"):
        assert fact in card


def test_no_person_was_both_learned_from_and_measured_on(sidecar):
    trained, held = sidecar.training["trained"], sidecar.training["held_out"]
    assert trained["persons"] > held["persons"] > 100
    assert trained["images"] + held["images"] == 5216
