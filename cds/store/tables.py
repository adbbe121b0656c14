"""The tables. Times are UTC in ISO 8601 with microseconds, so that they sort as text."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

SCHEMA_VERSION: Final = 5

METADATA: Final = MetaData()

META: Final = Table(
    "meta",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

STUDIES: Final = Table(
    "studies",
    METADATA,
    Column("study_instance_uid", String(64), primary_key=True),
    Column("state", String(20), nullable=False, index=True),
    Column("reason", Text, nullable=False, default=""),
    Column("generation", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("arrivals", Integer, nullable=False, default=0),
    Column("reopened", Boolean, nullable=False, default=False),
    Column("late", Boolean, nullable=False, default=False),
    Column("inputs_hash", String(64), nullable=False, default=""),
    Column("completed_by", Text, nullable=False, default=""),
    Column("held", Integer, nullable=False, default=0),
    Column("expected", Integer, nullable=False, default=0),
    Column("patient_id", Text, nullable=False, default=""),
    Column("issuer_of_patient_id", Text, nullable=False, default=""),
    Column("birth_date", String(10), nullable=False, default=""),
    Column("sex", String(1), nullable=False, default=""),
    Column("first_received_at", String(32), nullable=False),
    Column("last_received_at", String(32), nullable=False),
    Column("changed_at", String(32), nullable=False),
)
"""`arrivals` counts what keeps a study open; `reopened`: an image came while the analysis ran;
`late`: records did.

`completed_by` is why it was last taken for complete, with `held` of `expected` instances; 0 where nobody said.
"""

INSTANCES: Final = Table(
    "instances",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("study_instance_uid", String(64), ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("series_instance_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("image", Boolean, nullable=False),
    Column("own", Boolean, nullable=False),
    Column("blob", String(128), nullable=False, unique=True),
    Column("size", Integer, nullable=False),
    Column("calling_ae_title", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("received_at", String(32), nullable=False),
    UniqueConstraint("sop_instance_uid", "sha256"),
)

ANNOUNCED: Final = Table(
    "announced",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("announced_at", String(32), nullable=False),
    UniqueConstraint("study_instance_uid", "sop_instance_uid"),
)
"""Which instances a peer said there are (Instance Availability Notification, PS3.4 R)."""

REPORTS: Final = Table(
    "reports",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", String(64), ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    Column("inputs_hash", String(64), nullable=False),
    Column("content_hash", String(64), nullable=False, default=""),
    Column("superseded", Boolean, nullable=False, default=False),
    Column("created_at", String(32), nullable=False),
    UniqueConstraint("study_instance_uid", "revision"),
)
"""One row per revision; `sop_instance_uid` is that of its structured report.

`content_hash` is over what it says: a run that says the same makes no new revision; ``""`` in rows of schema 2.
"""

REPORT_FILES: Final = Table(
    "report_files",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("report_id", Integer, ForeignKey("reports.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, index=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("path", String(160), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("writer", Text, nullable=False, default=""),
)
"""Every encoding of a report, with the name of the writer that made it; position 0 is the structured report."""

DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("file_id", Integer, ForeignKey("report_files.id"), nullable=False),
    Column("peer", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("first_at", String(32), nullable=False),
    Column("next_at", String(32), nullable=False),
    Column("commit_at", String(32), nullable=False, default=""),
    Column("commit_asks", Integer, nullable=False, default=0),
    Column("commit_refusals", Integer, nullable=False, default=0),
    UniqueConstraint("file_id", "peer"),
    Index("ix_deliveries_peer_due", "peer", "state", "next_at"),
    Index("ix_deliveries_peer_commit", "peer", "commit_at"),
)
"""`commit_at` is when the peer is asked (again) to commit to the file; ``""`` where it is not asked."""

COMMITMENTS: Final = Table(
    "commitments",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", String(64), nullable=False, index=True),
    Column("delivery_id", Integer, ForeignKey("deliveries.id"), nullable=False),
    Column("asked_at", String(32), nullable=False),
)
"""What a peer was asked to commit to, file by file (PS3.4 J.3.2); an answer may come late."""

ANSWERS: Final = Table(
    "answers",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("peer", Text, nullable=False),
    Column("transaction_uid", String(64), nullable=False),
    Column("instances", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("first_at", String(32), nullable=False),
    Column("next_at", String(32), nullable=False),
    Index("ix_answers_peer_due", "peer", "state", "next_at"),
)
"""What peers asked us to commit to, and how far our answer has come (PS3.4 J.3.3); `instances` is JSON."""

WATCHED: Final = Table(
    "watched",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("position", Text, nullable=False),
    Column("since", String(32), nullable=False),
)
"""How far each source of records was looked at, in its own words, and since when it is watched."""

LATE_STUDIES: Final = Table(
    "late_studies",
    METADATA,
    Column("study_instance_uid", String(64), ForeignKey("studies.study_instance_uid"), primary_key=True),
    Column("first_at", String(32), nullable=False),
    Column("last_at", String(32), nullable=False),
)
"""Studies of whose patient records came, the first and the last time, until they are read again."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("study_instance_uid", String(64), nullable=False, index=True),
    Column("sop_instance_uid", String(64), nullable=False, default=""),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False, default=""),
)
"""Every change of state, dated; never deleted."""

NOTICES: Final = Table(
    "notices",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("at", String(32), nullable=False),
)
"""What a peer told us, as JSON, until somebody has acted on it."""
