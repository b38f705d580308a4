"""Every table of the trust store, for SQLite and PostgreSQL alike; migrations/ brings a database to this shape.

Ids are opaque words drawn at random. Names of people stand in `subject_names` and `accounts` alone, so that one can be
erased while the records about it stay whole. Moments are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

ROLES = ("viewer", "reviewer", "administrator")
CONSENT_STATES = ("pending", "active", "revoked")
JOB_STATES = ("queued", "running", "done", "failed", "cancelled", "interrupted")


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so they are put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC, and nothing without a time zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("A moment needs its time zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The moment with its time zone, whatever the database kept."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=f"{column}_known")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# ---- who may be shown ---------------------------------------------------------------------------------------------

subjects = Table(
    "subjects",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("created_at", Moment, nullable=False),
)

subject_names = Table(
    "subject_names",
    metadata,
    Column("subject_id", String(32), ForeignKey("subjects.id"), primary_key=True),
    Column("name", Text, nullable=False),
)

consents = Table(
    "consents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("basis", String(32), nullable=False),
    Column("pixels_sha256", String(64), nullable=False, index=True),
    Column("portrait_hash", LargeBinary, nullable=False),  # perceptual hash, likeness.py
    Column("face_geometry", LargeBinary),  # float32 signature, likeness.py; null where no face was found
    Column("statement", Text, nullable=False),
    Column("purposes", JSON, nullable=False),
    Column("languages", JSON),  # null: any
    Column("emotions", JSON),  # null: any
    Column("recorded_by", String(64), nullable=False),
    Column("granted_to", String(64), nullable=False, index=True),  # who may use it: an account, or "anybody"
    Column("recorded_at", Moment, nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("approved_by", String(64)),
    Column("approved_at", Moment),
    Column("revoked_by", String(64)),
    Column("revoked_at", Moment),
    Column("revoked_because", Text),
    Column("expiry_noted_at", Moment),  # when the audit was told that this had run out
    _one_of("state", CONSENT_STATES),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("consent_id", String(32), ForeignKey("consents.id"), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("sha256", String(64)),
    Column("upload_id", String(32), ForeignKey("uploads.id")),
    Column("figures", JSON, nullable=False),  # measured scores, never pictures
    Column("kept_at", Moment, nullable=False),
)

challenges = Table(
    "challenges",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("asked_by", String(64), nullable=False),
    Column("phrase", Text, nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
)

# ---- what was allowed and what was made ---------------------------------------------------------------------------

grants = Table(
    "grants",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("mark", BigInteger, nullable=False, unique=True),  # 48 bits, the watermark's payload
    Column("consent_id", String(32), ForeignKey("consents.id"), index=True),
    Column("subject_id", String(32), ForeignKey("subjects.id")),
    Column("purpose", String(16), nullable=False),
    Column("basis", String(32), nullable=False),
    Column("pixels_sha256", String(64), nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("language", String(16)),
    Column("emotions", JSON, nullable=False),
    Column("granted_at", Moment, nullable=False),
    Column("expires_on", Date),
)

clips = Table(
    "clips",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("grant_id", String(32), ForeignKey("grants.id"), nullable=False, index=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("path", Text, nullable=False),  # relative to the house's files
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("deleted_at", Moment),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("path", Text, nullable=False),  # relative to the house's files
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("deleted_at", Moment),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("event", String(64), nullable=False, index=True),
    Column("actor", String(64), nullable=False),
    Column("facts", Text, nullable=False),  # canonical JSON, as it was hashed
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
)

# ---- the demo's own -----------------------------------------------------------------------------------------------

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("password_hash", Text),
    Column("role", String(16), nullable=False),
    Column("oidc_subject", String(255), unique=True),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    _one_of("role", ROLES),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("address", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("succeeded", Boolean, nullable=False),
    Index("ix_login_attempts_name_at", "name", "at"),
    Index("ix_login_attempts_address_at", "address", "at"),
)

portraits = Table(
    "portraits",  # the picture that a consent is about, for its pages to show and to animate
    metadata,
    Column("consent_id", String(32), ForeignKey("consents.id"), primary_key=True),
    Column("upload_id", String(32), ForeignKey("uploads.id"), nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("request", JSON, nullable=False),
    Column("message", Text),
    Column("queued_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("clip_id", String(32), ForeignKey("clips.id")),
    _one_of("state", JOB_STATES),
)
