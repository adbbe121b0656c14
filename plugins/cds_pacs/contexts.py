"""THE table of presentation contexts: what the node accepts, in one place.

Every storage SOP class of the standard, retired ones too, and any private one, in every transfer
syntax whose data sets can lie in a file: an instance is stored as it was sent, and what no model
can read is skipped later, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

if TYPE_CHECKING:
    from pynetdicom.presentation import PresentationContext

VERIFICATION: Final = "1.2.840.10008.1.1"
STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model (PS3.4 J)."""
STORAGE_COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""The one SOP instance that commitment is asked of."""
INSTANCE_AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification (PS3.4 R)."""

ANSWERED_BY_US: Final = frozenset({STORAGE_COMMITMENT, INSTANCE_AVAILABILITY})
"""SOP classes beside storage and verification of which we are SCP."""
EITHER_ROLE: Final = frozenset({STORAGE_COMMITMENT})
"""SOP classes whose requestor may be the SCP: it reports to us what it keeps (PS3.4 J.3.3)."""

STRUCTURED_REPORTS: Final = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.88.22": "enhanced",
        "1.2.840.10008.5.1.4.1.1.88.33": "comprehensive",
        "1.2.840.10008.5.1.4.1.1.88.34": "comprehensive-3d",
    }
)
"""The structured reports that a peer can be given, by their names in the configuration."""

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"

COMPANIONS: Final = MappingProxyType({"pdf": ENCAPSULATED_PDF, "sc": SECONDARY_CAPTURE})
"""What goes with a structured report, by its name in `send` of a peer."""

FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model (PS3.4 C.6.2)."""

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

_STORAGE_ROOTS: Final = ("1.2.840.10008.5.1.4.1.1.", "1.2.840.10008.5.1.4.34.")
"""Composite storage (PS3.4 B.5), and radiotherapy's."""

_WITHOUT_A_STUDY: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.200.1",
        "1.2.840.10008.5.1.4.1.1.200.3",
        "1.2.840.10008.5.1.4.1.1.200.7",
        "1.2.840.10008.5.1.4.1.1.201.1",
    }
)
"""Non-patient objects (PS3.4 GG): defined protocols and inventories belong to no study."""

_NOT_IN_A_FILE: Final = frozenset(
    {
        "1.2.840.10008.1.2.6.1",  # MIME encapsulation
        "1.2.840.10008.1.2.6.2",  # XML
        "1.2.840.10008.1.2.7.1",  # SMPTE ST 2110: streams, PS3.22
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
        "1.2.840.10008.1.20",  # Papyrus 3
    }
)

_NEWER: Final = MappingProxyType(
    {
        "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
        "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
        "1.2.840.10008.1.2.4.112": "JPEG XL",
        "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    }
)
"""Not in pydicom 3.0.2's dictionary, unless pynetdicom was imported before, which the receiving side does without."""

TRANSFER_SYNTAXES: Final = MappingProxyType(
    {
        uid: entry[0]
        for uid, entry in UID_dictionary.items()
        if entry[1] == "Transfer Syntax" and uid not in _NOT_IN_A_FILE
    }
    | dict(_NEWER)
)
"""Every transfer syntax that is accepted, with its name (PS3.6 table A-1)."""

STORAGE_SOP_CLASSES: Final = MappingProxyType(
    {
        uid: entry[0]
        for uid, entry in UID_dictionary.items()
        if entry[1].startswith("SOP Class")
        and "Storage" in entry[0]
        and uid.startswith(_STORAGE_ROOTS)
        and uid not in _WITHOUT_A_STUDY
    }
)
"""Every standard SOP class that is accepted for storage, with its name."""

UNCOMPRESSED: Final = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN})


def is_storage(sop_class_uid: str) -> bool:
    """Whether instances of a SOP class are stored: the standard's, and any private one."""
    return sop_class_uid in STORAGE_SOP_CLASSES or sop_class_uid not in UID_dictionary


def requested_for(files: Iterable[tuple[str, str]]) -> list[PresentationContext]:
    """What to propose to send files of these (SOP class, transfer syntax): nothing more.

    Implicit VR Little Endian, the default transfer syntax, is proposed beside every uncompressed
    one (PS3.5 10.1).
    """
    contexts = []
    for sop_class, syntax in dict.fromkeys(files):
        contexts.append(proposed(sop_class, [syntax]))
        if syntax in UNCOMPRESSED and syntax != IMPLICIT_VR_LITTLE_ENDIAN:
            contexts.append(proposed(sop_class, [IMPLICIT_VR_LITTLE_ENDIAN]))
    return contexts


def proposed(sop_class_uid: str, transfer_syntaxes: Iterable[str]) -> PresentationContext:
    """One presentation context, to propose."""
    from pynetdicom.presentation import PresentationContext  # the receiving side does without it

    context = PresentationContext()
    context.abstract_syntax = UID(sop_class_uid)
    context.transfer_syntax = [UID(syntax) for syntax in dict.fromkeys(transfer_syntaxes)]
    return context
