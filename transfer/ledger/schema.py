"""The tables, as the newest script of migrations/ leaves them.

`objects` is the one that grows (a row an entry), so it has no secondary index over what is usual, no
foreign key, and in SQLite no rowid: rows come in the order of the primary key and are appended at the end
of one tree. Whatever did not simply go well is in a partial index, for the reports. Numbers of at most 64
signed bits are integers; CRCs, which are unsigned, are hex digits as everywhere in the product.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

VERSION = "0003"
"""The script that this code was written for."""

VERSION_TABLE = "ledger_version"
"""Where Alembic keeps it; not Alembic's default name, which other programs in a shared database may use."""

APPLICATION_ID = 0x7472_6C67
"""Marks a SQLite file as a ledger (PRAGMA application_id): "trlg"."""

SCHEMA = "transfer_ledger"
"""Our tables' own schema in a PostgreSQL database."""

NOT_DONE = text("state <> 'done'")
"""The condition of the partial index. Queries repeat it word by word: a planner compares words."""

metadata = MetaData()


def _number(name: str, **options: object) -> Column[int]:
    return Column(name, BigInteger, nullable=False, **options)  # type: ignore[arg-type]


def _words(name: str, **options: object) -> Column[str]:
    return Column(name, Text, nullable=False, **options)  # type: ignore[arg-type]


def _counters() -> list[Column[int]]:
    return [_number(name) for name in ("objects", "bytes", "failed", "skipped", "superseded")]


devices = Table(
    "devices",
    metadata,
    _words("device_id", primary_key=True),
    _words("job"),
    _number("ordinal"),
    _number("generation"),
    _words("seal_blake3"),
    _words("first_seen"),
    _words("last_seen"),
    Index("devices_of_job", "job", "ordinal"),
)

custody = Table(
    "custody",
    metadata,
    Column("device_id", Text, ForeignKey("devices.device_id"), primary_key=True),
    _number("number"),
    _words("blake3"),
    _words("seen"),
)

members = Table(
    "members",
    metadata,
    _words("job", primary_key=True),
    _number("ordinal", primary_key=True, autoincrement=False),
    _words("told_by"),
    Column("is_listed", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
"""Devices that a job is known to have, whether they were seen or not."""

jobs = Table(
    "jobs",
    metadata,
    # SQLite numbers rows by itself in a column of the type INTEGER only.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _words("job_id", unique=True),
    Column("device_id", Text, ForeignKey("devices.device_id"), nullable=False),
    _words("seal_blake3"),
    _words("bucket"),
    _words("prefix"),
    _words("endpoint"),
    _words("phase"),
    Column("paused", Boolean, nullable=False),
    _words("created"),
    _words("changed"),
    _words("error"),
    _number("attempts"),
    *_counters(),
    Index("jobs_of_device", "device_id", "number"),
)

packs = Table(
    "packs",
    metadata,
    Column("job", BigInteger, ForeignKey("jobs.number"), primary_key=True),
    _number("sequence", primary_key=True, autoincrement=False),
    _words("checked"),
    sqlite_with_rowid=False,
)

objects = Table(
    "objects",
    metadata,
    _number("job", primary_key=True, autoincrement=False),
    _number("sequence", primary_key=True, autoincrement=False),
    _number("position", primary_key=True, autoincrement=False),
    _words("state"),
    _words("key"),
    _number("size_bytes"),
    Column("blake3", LargeBinary, nullable=True),
    _words("etag"),
    _words("error"),
    Index(
        "objects_not_done",
        "job",
        "state",
        "sequence",
        "position",
        sqlite_where=NOT_DONE,
        postgresql_where=NOT_DONE,
    ),
    sqlite_with_rowid=False,
)

uploads = Table(
    "uploads",
    metadata,
    _number("number", primary_key=True, autoincrement=False),
    Column("job", BigInteger, ForeignKey("jobs.number"), nullable=False),
    _words("key"),
    _words("upload_id"),
    _number("sequence"),
    _number("size_bytes"),
    _number("part_size_bytes"),
    _words("begun"),
    Index("uploads_of_job", "job", "number"),
)

upload_versions = Table(
    "upload_versions",
    metadata,
    _number("upload", primary_key=True, autoincrement=False),
    _number("position"),
    sqlite_with_rowid=False,
)
"""Which record an upload is of, where its key has several versions."""

made_versions = Table(
    "made_versions",
    metadata,
    _number("job", primary_key=True, autoincrement=False),
    _number("sequence", primary_key=True, autoincrement=False),
    _number("position", primary_key=True, autoincrement=False),
    _words("key"),
    _words("version_id"),
    Column("blake3", LargeBinary, nullable=True),
    sqlite_with_rowid=False,
)
"""What versions and delete markers became in the bucket; all jobs of a device and place share the first's."""

parts = Table(
    "parts",
    metadata,
    _number("upload", primary_key=True, autoincrement=False),
    _number("number", primary_key=True, autoincrement=False),
    _number("size_bytes"),
    _words("etag"),
    Column("crc64nvme", Text, nullable=True),
    Column("crc32c", Text, nullable=True),
    sqlite_with_rowid=False,
)
