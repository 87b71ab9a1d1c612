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
from transfer.ledger.values import Upload

_BULK: Final = {
    RowKind.OBJECTS: BulkUpsert(schema.objects),
    RowKind.PARTS: BulkUpsert(schema.parts),
    RowKind.VERSIONS: BulkUpsert(schema.made_versions),
}


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
            await _begin_upload(connection, step.upload)
        case UploadNamed():
            named = update(schema.uploads).where(uploads.number == step.number)
            await connection.execute(named.values(upload_id=step.upload_id))
        case UploadEnded():
            await connection.execute(delete(schema.parts).where(parts.upload == step.number))
            versions = schema.upload_versions
            await connection.execute(delete(versions).where(versions.c.upload == step.number))
            await connection.execute(delete(schema.uploads).where(uploads.number == step.number))
        case PackChecked():
            await _write_checked(connection, step)


async def _begin_upload(connection: AsyncConnection, upload: Upload) -> None:
    values = asdict(upload)
    position = values.pop("position")
    versions = schema.upload_versions
    await connection.execute(delete(versions).where(versions.c.upload == upload.number))
    await connection.execute(insert(schema.uploads).values(values))
    if position >= 0:
        await connection.execute(insert(versions).values(upload=upload.number, position=position))


async def _write_checked(connection: AsyncConnection, step: PackChecked) -> None:
    """A pack may be read again: then the last time counts."""
    here = (schema.packs.c.job == step.job) & (schema.packs.c.sequence == step.sequence)
    await connection.execute(delete(schema.packs).where(here))
    await connection.execute(insert(schema.packs).values(asdict(step)))
