"""The contract of the door `cds.fusion`, run over every registered plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from cds import ports
from cds.discovery import build, installed
from cds.domain.evidence import Evidence
from cds.fusion.spec import read_spec
from cds.fusion.weights import SHIPPED
from cds.testing.contract_fusion import CHECKS, sample_evidence

Check = Callable[[ports.FusionModel, Sequence[Evidence]], None]

EMBEDDING_SIZE = {"transformer": read_spec(SHIPPED.with_suffix(".json")).xray.embedding_size}
"""Plugins that read an X-ray embedding, and how long it must be."""


@pytest.fixture(scope="module", params=sorted(installed(ports.FUSION)))
def plugin(request: pytest.FixtureRequest) -> tuple[ports.FusionModel, int]:
    name = str(request.param)
    model = build(ports.FUSION, name, ports.FusionModel, {}, {"device": "cpu"})
    return model, EMBEDDING_SIZE.get(name, 0)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_fusion_plugin_keeps_the_contract(plugin: tuple[ports.FusionModel, int], check: Check) -> None:
    model, embedding_size = plugin
    check(model, sample_evidence(embedding_size=embedding_size))


def test_the_house_registers_the_transformer_and_the_late_fusion() -> None:
    assert {"transformer", "late"} <= set(installed(ports.FUSION))
