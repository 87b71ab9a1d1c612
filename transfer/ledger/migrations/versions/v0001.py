"""Version 1: devices, jobs, packs, objects, uploads, parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, autoincrement=False)


def _words(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _counters() -> list[sa.Column[int]]:
    return [_number(name) for name in ("objects", "bytes", "failed", "skipped", "superseded")]


def upgrade() -> None:
    """Make all tables."""
    _make_devices_and_jobs()
    _make_objects()
    _make_uploads()


def _make_devices_and_jobs() -> None:
    op.create_table(
        "devices",
        *_words("device_id", "job"),
        _number("ordinal"),
        _number("generation"),
        *_words("seal_blake3", "first_seen", "last_seen"),
        sa.PrimaryKeyConstraint("device_id"),
    )
    op.create_table(
        "jobs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        *_words("job_id", "device_id", "seal_blake3", "bucket", "prefix", "endpoint", "phase"),
        sa.Column("paused", sa.Boolean, nullable=False),
        *_words("created", "changed", "error"),
        _number("attempts"),
        *_counters(),
        sa.UniqueConstraint("job_id"),
        sa.ForeignKeyConstraint(["device_id"], ["devices.device_id"]),
    )
    op.create_table(
        "packs",
        _number("job"),
        _number("sequence"),
        *_words("checked"),
        sa.PrimaryKeyConstraint("job", "sequence"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"]),
        sqlite_with_rowid=False,
    )


def _make_objects() -> None:
    op.create_table(
        "objects",
        _number("job"),
        _number("sequence"),
        _number("position"),
        *_words("state", "key"),
        _number("size_bytes"),
        sa.Column("blake3", sa.LargeBinary, nullable=True),
        *_words("etag", "error"),
        sa.PrimaryKeyConstraint("job", "sequence", "position"),
        sqlite_with_rowid=False,
    )
    not_done = sa.text("state <> 'done'")
    op.create_index(
        "objects_not_done",
        "objects",
        ["job", "state", "sequence", "position"],
        sqlite_where=not_done,
        postgresql_where=not_done,
    )


def _make_uploads() -> None:
    op.create_table(
        "uploads",
        _number("number"),
        _number("job"),
        *_words("key", "upload_id"),
        _number("sequence"),
        _number("size_bytes"),
        _number("part_size_bytes"),
        *_words("begun"),
        sa.PrimaryKeyConstraint("number"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"]),
    )
    op.create_index("uploads_of_job", "uploads", ["job", "number"])
    op.create_table(
        "parts",
        _number("upload"),
        _number("number"),
        _number("size_bytes"),
        *_words("etag"),
        sa.Column("crc64nvme", sa.Text, nullable=True),
        sa.Column("crc32c", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("upload", "number"),
        sqlite_with_rowid=False,
    )
