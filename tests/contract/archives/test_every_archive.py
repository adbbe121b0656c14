"""The contract of the door `cds.archives`, run over every registered plugin; ours with a peer of their own protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset

from cds import ports
from cds.discovery import build, installed
from cds.ports import Archive, Peer
from cds.testing.contract_archives import CHECKS, KEPT_CHECKS, STOCK
from cds_dicomweb.testing import Origin
from cds_pacs.testing.instances import part10, small_data_set, write_file
from cds_pacs.testing.mini_pacs import MiniPacs


def stock() -> Iterator[Dataset]:
    for kept in STOCK:
        number = int(kept.study_instance_uid.removeprefix("2.25."))
        for instance in range(1, kept.instances + 1):
            yield small_data_set(
                number,
                instance,
                PatientID=kept.patient_id,
                IssuerOfPatientID=kept.issuer_of_patient_id,
                StudyDate=kept.study_date,
            )


@contextmanager
def dicomweb(folder: Path) -> Iterator[Peer]:
    with Origin() as origin:
        for ds in stock():
            origin.put(part10(ds))
        yield origin.peer()


@contextmanager
def dicom(folder: Path) -> Iterator[Peer]:
    (folder / "out").mkdir()
    with MiniPacs(folder / "pacs") as pacs:
        for ds in stock():
            pacs.archive.add(write_file(folder / "out", ds))
        yield pacs.peer()


PEERS: dict[str, Callable[[Path], AbstractContextManager[Peer]]] = {"dicom": dicom, "dicomweb": dicomweb}


def archive_named(name: str) -> Archive:
    return build(ports.ARCHIVES, name, Archive, {}, {})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(installed(ports.ARCHIVES)))
def test_every_archive_keeps_the_contract(name: str, check, tmp_path: Path) -> None:
    check(archive_named(name), tmp_path)


@pytest.mark.parametrize("check", KEPT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(PEERS))
def test_every_archive_of_ours_keeps_the_contract_with_a_peer(name: str, check, tmp_path: Path) -> None:
    (tmp_path / "peer").mkdir()
    (tmp_path / "fetched").mkdir()
    with PEERS[name](tmp_path / "peer") as peer:
        check(archive_named(name), peer, tmp_path / "fetched")


def test_each_of_ours_is_tried_with_a_peer() -> None:
    assert set(PEERS) == {name for name, point in installed(ports.ARCHIVES).items() if point.value.startswith("cds_")}
