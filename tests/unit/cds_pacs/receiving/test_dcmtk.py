"""DCMTK as the sender, as packaged: other people's protocol code on the other side."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import FileMetaDataset, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from cds_pacs.testing.door import Door
from cds_pacs.testing.instances import small_data_set, write_file
from cds_pacs.testing.tray import Tray

ECHOSCU, STORESCU = Path("/usr/bin/echoscu"), Path("/usr/bin/storescu")
pytestmark = pytest.mark.skipif(not STORESCU.exists(), reason="DCMTK is not installed: apt-get install dcmtk")
EXPLICIT = "1.2.840.10008.1.2.1"


def run(program: Path, door: Door, *arguments: object) -> None:
    command = [program, *arguments, "127.0.0.1", door.port]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def send(door: Door, *arguments: object, files: list[Path]) -> None:
    command = [STORESCU, *arguments, "127.0.0.1", door.port, *files]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_it_can_echo(door: Door) -> None:
    run(ECHOSCU, door)


@pytest.mark.parametrize("contexts", [1, 38])
def test_it_can_echo_with_many_transfer_syntaxes_again_and_again(door: Door, contexts: int) -> None:
    run(ECHOSCU, door, "--propose-ts", contexts, "--repeat", 20)


def test_it_can_echo_in_many_presentation_contexts(door: Door) -> None:
    run(ECHOSCU, door, "--propose-pc", 128)


def test_its_abort_leaves_the_listener_well(door: Door) -> None:
    run(ECHOSCU, door, "--abort")
    run(ECHOSCU, door)


@pytest.mark.parametrize("option", [f"-x{letter}" for letter in "=ebisyxwvutrd"])
def test_it_can_store_an_uncompressed_image_whatever_it_prefers(door: Door, option: str, tmp_path: Path) -> None:
    send(door, option, files=[write_file(tmp_path, small_data_set())])
    assert [taken.sop_instance_uid for taken in door.tray.taken] == ["2.25.1.1"]


COMPRESSED = {
    "-xs": "1.2.840.10008.1.2.4.70",
    "-xy": "1.2.840.10008.1.2.4.50",
    "-xx": "1.2.840.10008.1.2.4.51",
    "-xv": "1.2.840.10008.1.2.4.90",
    "-xw": "1.2.840.10008.1.2.4.91",
    "-xt": "1.2.840.10008.1.2.4.80",
    "-xu": "1.2.840.10008.1.2.4.81",
    "-xm": "1.2.840.10008.1.2.4.100",
    "-xh": "1.2.840.10008.1.2.4.101",
    "-xn": "1.2.840.10008.1.2.4.102",
    "-xl": "1.2.840.10008.1.2.4.103",
    "-x2": "1.2.840.10008.1.2.4.104",
    "-x3": "1.2.840.10008.1.2.4.105",
    "-xo": "1.2.840.10008.1.2.4.106",
    "-x4": "1.2.840.10008.1.2.4.107",
    "-x5": "1.2.840.10008.1.2.4.108",
    "-xr": "1.2.840.10008.1.2.5",
}


@pytest.mark.parametrize("option", COMPRESSED)
def test_it_can_store_in_every_compressed_transfer_syntax(door: Door, option: str, tmp_path: Path) -> None:
    """DCMTK hands compressed frames on without looking at them."""
    frame = bytes(range(256)) * 40
    ds = small_data_set(PixelData=encapsulate([frame]))
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(COMPRESSED[option])
    dcmwrite(tmp_path / "one.dcm", ds, enforce_file_format=True)
    send(door, option, files=[tmp_path / "one.dcm"])
    (taken,) = door.tray.taken
    assert taken.transfer_syntax_uid == COMPRESSED[option]
    assert frame in bytes(taken.data_set)


@pytest.mark.parametrize("max_pdu", [4096, 4098, 16_384, 65_534, 131_072])
def test_it_can_store_in_pdus_of_any_size(door: Door, max_pdu: int, tmp_path: Path) -> None:
    pixels = bytes(range(256)) * 2048
    ds = small_data_set(Rows=512, Columns=512, PixelData=pixels)
    ds["PixelData"].VR = "OW"
    send(door, "--max-send-pdu", max_pdu, "--max-pdu", max_pdu, "-xe", files=[write_file(tmp_path, ds)])
    (taken,) = door.tray.taken
    assert taken.transfer_syntax_uid == EXPLICIT
    assert bytes(taken.data_set).endswith(pixels)


def test_what_it_sends_from_a_file_is_what_lies_in_the_file(door: Door) -> None:
    """DCMTK writes a data set anew; this one comes out as it went in."""
    source = get_testdata_file("JPEG2000.dcm", download=False)
    send(door, "-xw", files=[Path(source)])
    (taken,) = door.tray.taken
    assert bytes(taken.data_set)[-1000:] == Path(source).read_bytes()[-1000:]


def test_a_large_image_goes_through_in_parts(open_door: Callable[..., Door], tmp_path: Path) -> None:
    door = open_door(tray=Tray(spool_above_bytes=1 << 20))
    pixels = bytes(range(256)) * (8 << 12)
    ds = small_data_set(Rows=2048, Columns=2048, PixelData=pixels)
    ds["PixelData"].VR = "OW"
    send(door, "-xe", files=[write_file(tmp_path, ds)])
    (spool,) = door.tray.spools
    assert spool.state == "taken"
    assert bytes(spool.content).endswith(pixels)
