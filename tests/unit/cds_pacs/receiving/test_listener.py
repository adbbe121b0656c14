from __future__ import annotations

import hashlib
import socket
import struct
import subprocess
import threading
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import CTImageStorage, Verification

from cds.errors import CdsError, MalformedInstance, MismatchedInstance, OutOfResources
from cds.ports import Peer, ReceivedInstance
from cds_pacs.testing.bare_scu import BareScu, association_request
from cds_pacs.testing.door import Door
from cds_pacs.testing.instances import encoded, small_data_set

ECHOSCU, STORESCU = Path("/usr/bin/echoscu"), Path("/usr/bin/storescu")
needs_dcmtk = pytest.mark.skipif(not STORESCU.exists(), reason="DCMTK is not installed: apt-get install dcmtk")
CT = str(CTImageStorage)
EXPLICIT = "1.2.840.10008.1.2.1"


def associate(port: int, *contexts, ae_title: str = "MODALITY", called: str = "CDS"):
    entity = AE(ae_title=ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    return entity.associate(
        "127.0.0.1", port, contexts=list(contexts) or [build_context(CT, EXPLICIT)], ae_title=called
    )


def c_store(association, data_set: bytes, uid: str = "2.25.1.1", sop_class: str = CT):
    """Send any bytes as the data set, under any announced UID; the answer's status, or None."""
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    request.AffectedSOPClassUID = sop_class
    request.AffectedSOPInstanceUID = uid
    request.DataSet = BytesIO(data_set)
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        pass
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer


def test_the_instance_comes_in_byte_for_byte_with_what_was_said_of_it(door: Door) -> None:
    data_set = encoded(small_data_set())
    association = associate(door.port)
    assert c_store(association, data_set).Status == 0x0000
    association.release()
    (taken,) = door.tray.taken
    assert taken == ReceivedInstance(
        data_set=data_set,
        transfer_syntax_uid=EXPLICIT,
        sop_class_uid=CT,
        sop_instance_uid="2.25.1.1",
        calling_ae_title="MODALITY",
        address="127.0.0.1",
    )


def test_nothing_is_answered_before_the_intake_has_returned(door: Door) -> None:
    door.tray.gate.clear()
    answers: list[int] = []
    association = associate(door.port)
    sending = threading.Thread(target=lambda: answers.append(c_store(association, b"12").Status))
    sending.start()
    assert door.tray.entered.wait(60)
    assert answers == []
    door.tray.gate.set()
    sending.join(60)
    assert answers == [0x0000]
    association.release()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfResources("the disk is full"), 0xA700),
        (MismatchedInstance("another instance"), 0xA900),
        (MalformedInstance("garbage"), 0xC000),
        (CdsError("something"), 0x0110),
        (RuntimeError("Canary^Yellow"), 0x0110),
    ],
)
def test_what_was_not_stored_is_never_answered_with_success(
    door: Door, error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    door.tray.error = error
    association = associate(door.port)
    answer = c_store(association, encoded(small_data_set()))
    assert answer.Status == status
    assert "Canary" not in str(answer.ErrorComment) and "Canary" not in caplog.text
    door.tray.error = None
    assert c_store(association, encoded(small_data_set())).Status == 0x0000
    association.release()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("uid", ["../../x", "/etc/passwd", "1.2.3 OR 1=1"])
def test_a_uid_that_is_a_path_is_handed_on_as_it_is(door: Door, uid: str) -> None:
    association = associate(door.port)
    assert c_store(association, b"12", uid=uid).Status == 0x0000
    association.release()
    assert door.tray.taken[0].sop_instance_uid == uid


def test_a_private_sop_class_is_stored(door: Door) -> None:
    private = "1.3.46.670589.5.0.1"
    association = associate(door.port, build_context(private, EXPLICIT))
    assert c_store(association, b"12", sop_class=private).Status == 0x0000
    association.release()


def test_a_query_is_refused_and_the_storage_beside_it_is_not(door: Door) -> None:
    association = associate(door.port, build_context("1.2.840.10008.5.1.4.1.2.2.1"), build_context(CT, EXPLICIT))
    assert [context.abstract_syntax for context in association.accepted_contexts] == [CT]
    association.release()


PEER = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)
ELSEWHERE = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=104, addresses=("10.0.0.0/8",))


NOT_RECOGNIZED = (1, 1, 3)
"""Rejected permanently, by the user: calling AE title not recognized (PS3.8 table 9-21)."""
LIMIT_EXCEEDED = (2, 3, 2)
"""Rejected transiently, by the presentation service: local limit exceeded."""


def answer(scu: BareScu, calling: str = "MODALITY") -> tuple[int, ...]:
    """Ask for an association: ``()`` where it is accepted, else result, source and reason of the rejection."""
    scu.say(association_request(calling=calling))
    kind, content = scu.hear()
    assert kind in (2, 3)
    return tuple(content[1:]) if kind == 3 else ()


@pytest.mark.parametrize(
    ("peers", "accept_unknown", "calling", "expected"),
    [
        ((PEER,), False, "PACS", ()),
        ((PEER,), False, "STRANGER", NOT_RECOGNIZED),
        ((PEER,), True, "STRANGER", ()),
        ((ELSEWHERE,), False, "PACS", NOT_RECOGNIZED),
        ((), False, "PACS", NOT_RECOGNIZED),
    ],
)
def test_only_a_known_peer_at_its_own_address_is_admitted(
    peers: tuple[Peer, ...], accept_unknown: bool, calling: str, expected: tuple[int, ...]
) -> None:
    with Door(peers=peers, accept_unknown=accept_unknown) as door, door.call() as scu:
        assert answer(scu, calling) == expected


def test_beyond_its_limit_the_node_rejects_for_the_moment_and_recovers() -> None:
    with Door(max_associations=2) as door, door.call() as first, door.call() as second, door.call() as third:
        assert [answer(scu) for scu in (first, second, third)] == [(), (), LIMIT_EXCEEDED]
        first.release()
        with door.call() as fourth:
            assert answer(fourth) == ()


def test_idle_connections_do_not_keep_others_out(door: Door) -> None:
    idle = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(50)]
    for sock in idle[:20]:
        sock.sendall(b"\x01")
    association = associate(door.port, build_context(Verification))
    assert association.send_c_echo().Status == 0x0000
    association.release()
    for sock in idle:
        sock.close()


@pytest.mark.parametrize("announced", [0xFFFFFFFF, 1 << 30, (1 << 20) + 1])
def test_a_giant_pdu_is_not_read(door: Door, announced: int) -> None:
    with socket.create_connection(("127.0.0.1", door.port), timeout=60) as sock:
        sock.sendall(struct.pack(">BBL", 0x01, 0, announced))
        assert sock.recv(100) == bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))  # A-ABORT
    association = associate(door.port, build_context(Verification))
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_random_bytes_and_broken_off_transfers_leave_the_node_well(door: Door) -> None:
    for content in (b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x04\x00\x00\x00\x00\x10" + b"\xff" * 16):
        with socket.create_connection(("127.0.0.1", door.port), timeout=60) as sock:
            sock.sendall(content)
    for _ in range(3):
        association = associate(door.port)
        association.dul.socket.socket.close()
    association = associate(door.port)
    assert c_store(association, encoded(small_data_set())).Status == 0x0000
    association.release()
    assert len(door.tray.taken) == 1


def test_stopping_lets_a_running_transfer_end(door: Door) -> None:
    door.tray.gate.clear()
    answers: list[int] = []
    association = associate(door.port)

    def send() -> None:
        answers.append(c_store(association, b"12").Status)
        association.release()

    sending = threading.Thread(target=send)
    sending.start()
    assert door.tray.entered.wait(60)
    stopping = threading.Thread(target=door.listener.stop)
    stopping.start()
    door.tray.gate.set()
    sending.join(60)
    stopping.join(60)
    assert answers == [0x0000]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", door.port))


def test_a_taken_port_is_an_error_at_the_start(door: Door) -> None:
    with pytest.raises(OSError, match="in use"):
        Door(port=door.port)


@needs_dcmtk
def test_dcmtk_can_echo(door: Door) -> None:
    done = subprocess.run([ECHOSCU, "127.0.0.1", str(door.port)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@needs_dcmtk
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("CT_small.dcm", "-xe"),
        ("MR_small_implicit.dcm", "-xi"),
        ("MR_small_bigendian.dcm", "-xb"),
        ("JPEG2000.dcm", "-xw"),
        ("SC_rgb_jpeg_dcmtk.dcm", "-xy"),
        ("JPEG-LL.dcm", "-xs"),
        ("MR_small_RLE.dcm", "-xr"),
        ("image_dfl.dcm", "-xd"),
        ("reportsi.dcm", "-xe"),
        ("waveform_ecg.dcm", "-xe"),
    ],
)
def test_dcmtk_can_store_in_every_transfer_syntax(door: Door, name: str, option: str) -> None:
    source = get_testdata_file(name, download=False)
    if source is None:
        pytest.skip(f"pydicom came without {name}")
    done = subprocess.run(
        [STORESCU, option, "127.0.0.1", str(door.port), source], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (taken,) = door.tray.taken
    expected = dcmread(source)
    assert taken.sop_instance_uid == expected.SOPInstanceUID
    assert taken.transfer_syntax_uid == expected.file_meta.TransferSyntaxUID
    assert len(hashlib.sha256(taken.data_set).hexdigest()) == 64 and len(taken.data_set) > 100
