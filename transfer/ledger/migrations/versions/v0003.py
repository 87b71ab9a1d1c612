"""Version 3: the devices that a job is known to have; which versions uploads are of, and which were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_index("devices_of_job", "devices", ["job", "ordinal"])
    op.create_index("jobs_of_device", "jobs", ["device_id", "number"])
    op.create_table(
        "members",
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("ordinal", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("told_by", sa.Text, nullable=False),
        sa.Column("is_listed", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("job", "ordinal"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "upload_versions",
        sa.Column("upload", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("upload"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "made_versions",
        sa.Column("job", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version_id", sa.Text, nullable=False),
        sa.Column("blake3", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("job", "sequence", "position"),
        sqlite_with_rowid=False,
    )
