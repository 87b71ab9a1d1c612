"""A batch to the database: each step its statements, all in one transaction."""

from __future__ import annotations

from typing import Final

from msgspec.structs import asdict
from sqlalchemy import BigInteger, ColumnElement, Select, delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.ledger import schema
from transfer.ledger.buffer import (
    Batch,
    PackSettled,
    RowKind,
    Rows,
    Step,
    UploadBegun,
    UploadEnded,
    UploadNamed,
)
from transfer.ledger.bulk import BulkUpsert
from transfer.ledger.database import Database
from transfer.ledger.values import ObjectState

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
        case PackSettled():
            await _settle(connection, step)


async def _settle(connection: AsyncConnection, step: PackSettled) -> None:
    """Count a pack's rows where they are; a pack may be settled again, with what is there now."""
    here = (schema.packs.c.job == step.job) & (schema.packs.c.sequence == step.sequence)
    await connection.execute(delete(schema.packs).where(here))
    names = [column.name for column in schema.packs.columns]
    await connection.execute(insert(schema.packs).from_select(names, _counts(step)))


def _counts(step: PackSettled) -> Select[tuple[object, ...]]:
    objects = schema.objects.c
    of_pack = (objects.job == step.job) & (objects.sequence == step.sequence)
    done = objects.state == ObjectState.DONE.value
    return select(
        literal(step.job, BigInteger),
        literal(step.sequence, BigInteger),
        literal(step.settled),
        _count(ObjectState.DONE),
        func.coalesce(func.sum(objects.size_bytes).filter(done), 0),
        _count(ObjectState.FAILED),
        _count(ObjectState.SKIPPED),
        _count(ObjectState.SUPERSEDED),
    ).where(of_pack)


def _count(state: ObjectState) -> ColumnElement[int]:
    return func.count().filter(schema.objects.c.state == state.value)
