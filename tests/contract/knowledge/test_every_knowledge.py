"""The contract of the door `cds.knowledge`, run over every registered plugin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cds import ports
from cds.discovery import build, installed
from cds.testing.contract_knowledge import CHECKS

Plugin = ports.KnowledgeSource


@pytest.fixture(scope="module", params=sorted(installed(ports.KNOWLEDGE)))
def plugin(request: pytest.FixtureRequest) -> Plugin:
    return build(ports.KNOWLEDGE, str(request.param), ports.KnowledgeSource, {})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_knowledge_plugin_keeps_the_contract(plugin: Plugin, check: Callable[[Plugin], None]) -> None:
    check(plugin)


def test_the_house_registers_the_thorax_graph() -> None:
    assert "thorax" in installed(ports.KNOWLEDGE)
