"""The tables of people: users, their sessions, one-time keys, and who may see whose jobs.

Of every secret only a digest is stored: argon2id for passwords, SHA-256 for keys and refresh
tokens, which are random enough that nothing slower is needed.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table, Text

from caseframe.catalog.tables import UtcTime, metadata

__all__ = ["identities", "keys", "metadata", "sessions", "shares", "users"]

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("email", Text, nullable=False),
    # What makes two spellings of an address the same; pages of users are ordered by it too.
    Column("email_key", String(320), nullable=False, unique=True),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    # Name and address in folded case: SQLite folds the case of ASCII only.
    Column("search_text", Text, nullable=False),
    Column("password_hash", Text),
    Column("role", String(16), nullable=False, index=True),
    Column("verified_at", UtcTime),
    Column("disabled_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime),
)

identities = Table(
    "identities",
    metadata,
    Column("provider", String(64), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    # A refresh token names its session, so any other genuine one is known to be an old one.
    Column("refresh_digest", LargeBinary(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("used_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
    Column("user_agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("ended_at", UtcTime),
    Column("end_reason", String(32)),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("purpose", String(16), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("email_key", String(320)),
    Column("email", Text),
    Column("role", String(16)),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
    Column("used_at", UtcTime),
    Index("ix_keys_purpose_email_key", "purpose", "email_key"),
)

shares = Table(
    "shares",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("level", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
