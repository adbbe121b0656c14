"""The contract of the door `cds.senders`, run over every registered plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds import ports
from cds.discovery import build, installed
from cds.ports import Sender
from cds.testing.contract_senders import CHECKS
from cds_pacs.testing.instances import small_data_set, write_file


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(installed(ports.SENDERS)))
def test_every_sender_keeps_the_contract(name: str, check, tmp_path: Path) -> None:
    check(build(ports.SENDERS, name, Sender, {}, {}), write_file(tmp_path, small_data_set()))


def test_the_house_registers_dicom() -> None:
    assert "dicom" in installed(ports.SENDERS)
