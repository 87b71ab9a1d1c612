"""No statement of the ledger goes through a table or sorts it: the databases' own plans say so.

All statements of a busy life are caught on their way to the driver, then explained by a ledger that has
rows and, as in the middle of a first import, no statistics.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event

from tests.ledger.making import DEVICE, entry, job_of, opened
from transfer.ledger.ledger import Ledger
from transfer.ledger.phases import Phase
from transfer.ledger.values import Counters, MadeVersion, ObjectState
from transfer.stores.contract import Part

Caught = dict[str, Any]


async def live(ledger: Ledger) -> None:
    """Every call once."""
    recorder = ledger.recorder
    job = await job_of(ledger)
    await ledger.devices.see(replace(DEVICE, generation=2))
    await ledger.devices.get(DEVICE.device_id)
    upload = await recorder.begin_upload(job.number, "key", sequence=1, size_bytes=2, part_size_bytes=1)
    await recorder.name_upload(upload.number, "id")
    await recorder.part(upload.number, Part(1, 1, "etag"))
    await recorder.end_upload(upload.number)
    for position in range(3000):
        state = ObjectState.FAILED if position % 300 == 0 else ObjectState.DONE
        await recorder.object(entry(position, state, sequence=position // 500))
    await recorder.pack_checked(job.number, 1)
    await recorder.flush()
    await ledger.uploads.begun(job.number)
    await ledger.uploads.parts(upload.number)
    await ledger.objects.of_pack(job.number, 2, after=7, limit=100)
    await recorder.version(MadeVersion(job.number, 1, 2, "key", "v1"))
    await ledger.jobs.first_of(job.number)
    await ledger.objects.made_versions(job.number, 1, after=1, limit=10)
    await ledger.objects.checked_packs(job.number)
    await ledger.objects.last_spot(job.number)
    for state in ObjectState:
        await ledger.objects.page(job.number, state, after=(1, 1), limit=10)
    await ledger.jobs.get(job.number)
    await ledger.jobs.page(before=7, limit=10)
    await ledger.jobs.set_counters(job.number, Counters())
    await ledger.jobs.set_paused(job.number, True)
    await ledger.jobs.set_phase(job.number, Phase.IMPORTING)


async def test_every_statement_follows_an_index(where: str) -> None:
    caught: Caught = {}

    def catch(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            caught.setdefault(statement, values)

    async with opened(where) as ledger:
        database = ledger.jobs._database
        event.listen(database._connection.sync_connection, "before_cursor_execute", catch)
        await live(ledger)
        event.remove(database._connection.sync_connection, "before_cursor_execute", catch)
        assert len(caught) >= 15
        for statement, values in caught.items():
            plan = await explain(ledger, statement, values)
            assert plan
            for bad in ("SCAN", "TEMP B-TREE", "Seq Scan", "Sort"):
                assert bad not in plan or is_end_of_index(statement), (statement, plan)


def is_end_of_index(statement: str) -> bool:
    """The largest number: SQLite calls it a search only where it is bare, and does the same."""
    return "max(" in statement


async def explain(ledger: Ledger, statement: str, values: Any) -> str:
    async def work(connection: Any) -> str:
        is_sqlite = connection.dialect.name == "sqlite"
        prefix = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        rows = await connection.exec_driver_sql(f"{prefix} {statement}", tuple(values))
        return "\n".join(str(row[-1]) for row in rows)

    return await ledger.jobs._database.run(work)


@pytest.mark.parametrize("state", list(ObjectState))
async def test_a_page_of_what_is_rare_reads_the_index_of_what_is_rare(where: str, state: ObjectState) -> None:
    from transfer.ledger.objects import page_statement

    async with opened(where) as ledger:
        await live(ledger)
        database = ledger.jobs._database
        statement = page_statement(database.dialect, 1, state, (1, 1), 10)
        sql = str(
            statement.compile(dialect=database._connection.dialect, compile_kwargs={"literal_binds": True})
        )
        plan = await explain(ledger, sql, ())
    assert ("objects_not_done" in plan) == (state is not ObjectState.DONE), plan
