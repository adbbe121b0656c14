"""The contract of the door `cds.listeners`, run over every registered plugin."""

from __future__ import annotations

import pytest

from cds import ports
from cds.discovery import build, installed
from cds.ports import Listener
from cds.testing.contract_listeners import CHECKS, RefusingIntake


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(installed(ports.LISTENERS)))
def test_every_listener_keeps_the_contract(name: str, check) -> None:
    check(lambda: build(ports.LISTENERS, name, Listener, {}, {}), RefusingIntake())


def test_the_house_registers_dicom() -> None:
    assert "dicom" in installed(ports.LISTENERS)
