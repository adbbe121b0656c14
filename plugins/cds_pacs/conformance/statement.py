"""The statement in the order of PS3.2 Annex A; every number and UID comes from the tables that run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from cds_pacs.conformance import tables
from cds_pacs.listener import ListenerSettings
from cds_pacs.pdu import APPLICATION_CONTEXT, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from cds_pacs.scu.query import ArchiveSettings
from cds_pacs.sender import SenderSettings


def statement() -> str:
    """The whole statement, Markdown."""
    parts = (_overview, _introduction, _model, _acceptance, _initiation, _interfaces, _characters, _security, _content)
    return "\n\n".join(part() for part in parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _overview() -> str:
    return "\n\n".join(
        (
            "# DICOM Conformance Statement",
            f"cds-pacs {version('cds-pacs')}. Printed by `cds conformance`, in the order of PS3.2 Annex A.",
            "## 1 Overview",
            "The node receives composite instances of any kind, analyses chest images of complete studies, and "
            "sends structured reports and encapsulated PDF documents back. Every report is unverified.",
            table(("network service", "user (SCU)", "provider (SCP)"), tables.services()),
            "Over the web (PS3.18) the plugin `dicomweb` receives by STOW-RS, sends by STOW-RS and asks by QIDO-RS "
            "and WADO-RS; the node's own web pages give its results by QIDO-RS and WADO-RS: see "
            "[DICOMweb](howto/dicomweb.md). Media are not supported.",
        )
    )


def _introduction() -> str:
    return "\n\n".join(
        (
            "## 2 Introduction",
            "For administrators who connect the node to a PACS, and for their vendors. Agreement of two statements "
            "does not by itself make two systems work together: [Connect a PACS](howto/connect-a-pacs.md) says how "
            "to try it, `cds doctor` tries it.",
        )
    )


def _model() -> str:
    return "\n\n".join(
        (
            "## 3 Networking",
            "### 3.1 Implementation model",
            "One application entity, title `[node] ae_title` (default `CDS`), receives and sends. A listener process "
            "makes each instance durable before it answers; the node assembles studies, has them analysed in a "
            "process apart, and delivers from an outbox. No analysis happens within an association.",
            table(
                ("activity", "begins when"),
                (
                    ("receive", "a peer stores instances"),
                    ("report", "the report of a complete study is made, or its delivery is due again"),
                    ("commit", "a peer accepted our instances (asked), or asks about its own (answered)"),
                    ("query and retrieve", "a peer has `counts` or `priors`, and a study came from it"),
                ),
            ),
            "### 3.2 Association policies",
            table(
                ("", ""),
                (
                    ("application context", APPLICATION_CONTEXT),
                    ("implementation class UID", IMPLEMENTATION_CLASS_UID),
                    ("implementation version name", IMPLEMENTATION_VERSION_NAME),
                    ("asynchronous operations", "none: one outstanding operation (answered 1/1)"),
                    (
                        "associations at once, accepted",
                        "`[node] max_associations`, default 25, in each listener process",
                    ),
                    ("associations at once, initiated", "one for each delivery; up to four deliveries at once"),
                ),
            ),
        )
    )


def _acceptance() -> str:
    settings = ListenerSettings()
    return "\n\n".join(
        (
            "### 3.3 Association acceptance",
            "Refused with the reason of PS3.8 Table 9-21: a calling AE title that is not among the `[[peers]]`, or "
            "that calls from an address outside its `addresses` or with another certificate (unless `[node] "
            "accept_unknown`); more associations than the limit (transient).",
            table(
                ("setting of `[node.dicom]`", "default"),
                ((f"`{name}`", f"{value}") for name, value in tables.defaults(settings)),
            ),
            "Accepted presentation contexts: Verification; every storage SOP class below, and any private SOP class; "
            "Storage Commitment Push Model; Instance Availability Notification. For a storage context the first "
            "proposed transfer syntax that stands below is taken, so that an instance comes as its sender has it; "
            "for the others an uncompressed one.",
            table(("service SOP class", "UID", "role"), tables.accepted_services()),
            "#### Status of C-STORE",
            table(("status", "meaning", "when"), tables.statuses()),
            "Success is answered when the instance is durable on disk (unless `[node] durable = false`). Instances "
            "are kept as received, bit for bit, level 2 (PS3.4 B.4.1), without coercion; signatures are not checked. "
            "An instance that is here already is accepted again and changes nothing; another data set under a known "
            "SOP Instance UID is kept apart and not used.",
            "#### Storage commitment",
            "A request (N-ACTION) is answered with 0x0000 when it is durable, and later by an N-EVENT-REPORT on an "
            "association that we initiate to the peer's configured host and port. Instances are kept until an "
            "operator erases them.",
            "#### Instance availability",
            "An N-CREATE is taken as the list of a study's instances: the study is complete when all are here.",
            "#### Storage SOP classes",
            table(("name", "UID"), tables.storage()),
            "#### Transfer syntaxes",
            table(("name", "UID"), tables.syntaxes()),
        )
    )


def _initiation() -> str:
    return "\n\n".join(
        (
            "### 3.4 Association initiation",
            "Only what is to be sent is proposed. What is refused for the moment (no connection, rejected, aborted, "
            "0xA7xx, 0x0110) is tried again after 30 s, doubling to 10 min, for 72 h; what is refused for good "
            "(SOP class, 0xA9xx, 0xCxxx) is FAILED at once and visible.",
            table(("SOP class", "UID", "transfer syntax", "when"), tables.sent()),
            table(
                ("setting of `[report.dicom]`", "default"),
                ((f"`{name}`", f"{value}") for name, value in tables.defaults(SenderSettings())),
            ),
            "#### Query and retrieve",
            "Study root, without relational queries. A patient's studies are asked for by Patient ID and its issuer, "
            "and compared with birth date and sex; nothing is asked by name.",
            table(("SOP class", "UID", "when"), tables.queries()),
            table(
                ("setting of `[archives.dicom]`", "default"),
                ((f"`{name}`", f"{value}") for name, value in tables.defaults(ArchiveSettings())),
            ),
        )
    )


def _interfaces() -> str:
    return "\n\n".join(
        (
            "### 3.5 Network interfaces and configuration",
            "TCP over IPv4 or IPv6. Port `[node] port`, default 11112. AE titles, addresses and ports of peers stand "
            "in `[[peers]]`; nothing is discovered.",
        )
    )


def _characters() -> str:
    return "\n\n".join(
        (
            "## 4 Character sets",
            "Instances are kept as they came. Read: every defined term of Specific Character Set (0008,0005), "
            "GB18030, GBK and ISO 2022 code extensions among them. Written: ISO_IR 192 (UTF-8).",
        )
    )


def _security() -> str:
    return "\n\n".join(
        (
            "## 5 Security",
            "With `[node.tls]`: mutual TLS, version 1.2 or 1.3 (PS3.15 B.12, BCP 195); a peer's certificate may be "
            "pinned to its AE title. Without: in the clear. Association level: AE title, network address and "
            "certificate are checked; user identity negotiation is not used.",
        )
    )


def _content() -> str:
    return "\n\n".join(
        (
            "## 6 What our instances contain",
            "Structured reports follow TID 1500, the attributes and codes are in [The report](reference-report.md). "
            "Patient and study attributes are copied from the images; SOP Instance UIDs derive from what went in, so "
            "that the same inputs give the same instance. There are no private attributes.",
        )
    )
