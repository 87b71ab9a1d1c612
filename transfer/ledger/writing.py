"""A batch to the database: each step its statements, all in one transaction."""

from __future__ import annotations

from typing import Final

from msgspec.structs import asdict
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.ledger import schema
from transfer.ledger.buffer import (
    Batch,
    PackChecked,
    RowKind,
    Rows,
    Step,
    UploadBegun,
    UploadEnded,
    UploadNamed,
)
from transfer.ledger.bulk import BulkUpsert
from transfer.ledger.database import Database

_BULK: Final = {RowKind.OBJECTS: BulkUpsert(schema.objects), RowKind.PARTS: BulkUpsert(schema.parts)}


async def write_batch(database: Database, batch: Batch) -> None:
    """Write a batch; when this returns it is durable.

    Raises:
        TransferError: nothing of it was written.
    """

    async def work(connection: AsyncConnection) -> None:
        for step in batch.steps:
            await _write(connection, step)

    await database.run(work)


async def _write(connection: AsyncConnection, step: Step) -> None:
    uploads, parts = schema.uploads.c, schema.parts.c
    match step:
        case Rows():
            await _BULK[step.kind].write(connection, list(step.rows.values()))
        case UploadBegun():
            # The number may have been another upload's, in an earlier life of this ledger.
            await connection.execute(delete(schema.parts).where(parts.upload == step.upload.number))
            await connection.execute(insert(schema.uploads).values(asdict(step.upload)))
        case UploadNamed():
            named = update(schema.uploads).where(uploads.number == step.number)
            await connection.execute(named.values(upload_id=step.upload_id))
        case UploadEnded():
            await connection.execute(delete(schema.parts).where(parts.upload == step.number))
            await connection.execute(delete(schema.uploads).where(uploads.number == step.number))
        case PackChecked():
            await _write_checked(connection, step)


async def _write_checked(connection: AsyncConnection, step: PackChecked) -> None:
    """A pack may be read again: then the last time counts."""
    here = (schema.packs.c.job == step.job) & (schema.packs.c.sequence == step.sequence)
    await connection.execute(delete(schema.packs).where(here))
    await connection.execute(insert(schema.packs).values(asdict(step)))
