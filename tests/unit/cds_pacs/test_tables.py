from __future__ import annotations

import subprocess
import sys

import pytest
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import StoragePresentationContexts, build_context
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from cds.errors import CdsError, MalformedInstance, MismatchedInstance, OutOfResources
from cds.store import part10
from cds_pacs import pdu
from cds_pacs.contexts import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES, is_storage, requested_for
from cds_pacs.status import Outcome, outcome_of, status_of
from cds_pacs.testing.server import supported_of

NOT_OF_A_STUDY = (
    "Defined Procedure Protocol",
    "Protocol Approval",
    "Inventory",
    "Hanging",
    "Palette",
    "Implant Template",
    "Implant Assembly",
)


def test_every_storage_class_that_pynetdicom_knows_is_accepted_unless_it_belongs_to_no_study() -> None:
    for context in AllStoragePresentationContexts:
        belongs = not any(word in context.abstract_syntax.name for word in NOT_OF_A_STUDY)
        assert is_storage(str(context.abstract_syntax)) is belongs, context.abstract_syntax.name
    assert len(STORAGE_SOP_CLASSES) > len(StoragePresentationContexts)


@pytest.mark.parametrize(
    ("uid", "stored"),
    [
        ("1.2.840.10008.5.1.4.1.1.6", True),  # retired Ultrasound Image Storage
        ("1.3.46.670589.5.0.1", True),  # private
        ("1.2.840.10008.1.20.1", False),  # storage commitment
        ("1.2.840.10008.5.1.4.1.2.2.1", False),  # query
        ("1.2.840.10008.5.1.4.31", False),  # worklist
    ],
)
def test_what_is_storage_and_what_is_not(uid: str, stored: bool) -> None:
    assert is_storage(uid) is stored


def test_compressed_deflated_and_big_endian_transfer_syntaxes_are_accepted() -> None:
    wanted = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"}
    wanted |= {"1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5"}
    wanted |= {"1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.108"}
    assert wanted <= TRANSFER_SYNTAXES.keys()


def test_the_answer_keeps_the_order_of_the_request_and_leaves_out_what_is_not_taken() -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    requested = [
        build_context(ct, [JPEG2000, ExplicitVRLittleEndian]),
        build_context(ct, [ImplicitVRLittleEndian]),
        build_context(StudyRootQueryRetrieveInformationModelFind),
        build_context("1.3.46.670589.5.0.1", ["1.2.3.4"]),
    ]
    (answer,) = supported_of(requested)
    assert answer.abstract_syntax == ct
    assert answer.transfer_syntax == [JPEG2000, ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def test_only_what_is_sent_is_proposed_and_the_default_transfer_syntax_beside_it() -> None:
    ct, sr = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.33"
    explicit, jpeg = str(ExplicitVRLittleEndian), str(JPEG2000)
    contexts = requested_for([(sr, explicit), (sr, explicit), (ct, jpeg)])
    assert [(context.abstract_syntax, context.transfer_syntax) for context in contexts] == [
        (sr, [explicit]),
        (sr, [str(ImplicitVRLittleEndian)]),
        (ct, [jpeg]),
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfResources("x"), 0xA700),
        (MismatchedInstance("x"), 0xA900),
        (MalformedInstance("x"), 0xC000),
        (CdsError("x"), 0x0110),
    ],
)
def test_statuses_say_whether_a_retry_helps(error: CdsError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, Outcome.ACCEPTED),
        (0xB000, Outcome.ACCEPTED),
        (0xB007, Outcome.ACCEPTED),
        (0x0111, Outcome.ACCEPTED),
        (0xA700, Outcome.TRY_AGAIN),
        (0xA702, Outcome.TRY_AGAIN),
        (0x0110, Outcome.TRY_AGAIN),
        (0xA900, Outcome.REFUSED),
        (0xC000, Outcome.REFUSED),
        (0x0122, Outcome.REFUSED),
        (0x0124, Outcome.REFUSED),
        (0xFF00, Outcome.REFUSED),
    ],
)
def test_a_peers_status_is_read_as_the_standard_means_it(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


def test_the_host_and_its_guest_sign_files_and_messages_alike() -> None:
    theirs = (part10.IMPLEMENTATION_CLASS_UID, part10.IMPLEMENTATION_VERSION_NAME)
    assert theirs == (pdu.IMPLEMENTATION_CLASS_UID, pdu.IMPLEMENTATION_VERSION_NAME)


def test_the_receiving_side_takes_the_same_syntaxes_without_pynetdicom() -> None:
    """pynetdicom adds to pydicom's dictionary when it is imported; a listener does not import it."""
    script = """
import sys
import cds_pacs.listener
from cds_pacs.contexts import TRANSFER_SYNTAXES
assert "pynetdicom" not in sys.modules
print(*TRANSFER_SYNTAXES)
"""
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert printed.split() == list(TRANSFER_SYNTAXES)
