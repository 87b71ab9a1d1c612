"""Jobs by their id: what the outside knows of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from tests.ledger.making import DEVICE, IDENTITY, job_of, opened
from transfer.ledger.phases import Phase
from transfer.ledger.values import JobIdentity


async def test_a_job_is_found_by_its_id(where: str) -> None:
    async with opened(where) as ledger:
        for number in range(3):
            await job_of(ledger, JobIdentity(DEVICE.device_id, "", f"b{number}", "", ""))
        job = await job_of(ledger)
        assert await ledger.jobs.by_id(IDENTITY.job_id) == job
        changed = await ledger.jobs.set_phase(job.number, Phase.IMPORTING)
        assert await ledger.jobs.by_id(IDENTITY.job_id) == changed
        for unknown in ("", "x", IDENTITY.job_id.upper(), IDENTITY.job_id[:-1]):
            assert await ledger.jobs.by_id(unknown) is None


async def test_it_is_found_by_an_index(where: str) -> None:
    caught: list[tuple[str, Any]] = []

    def catch(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        caught.append((statement, values))

    async with opened(where) as ledger:
        await job_of(ledger)
        database = ledger.jobs._database
        event.listen(database._connection.sync_connection, "before_cursor_execute", catch)
        await ledger.jobs.by_id(IDENTITY.job_id)
        event.remove(database._connection.sync_connection, "before_cursor_execute", catch)
        ((statement, values),) = [one for one in caught if one[0].startswith("SELECT")]

        async def explain(connection: Any) -> str:
            if database.dialect == "postgresql":  # or it goes through a table so small
                await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            prefix = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
            rows = await connection.exec_driver_sql(f"{prefix} {statement}", tuple(values))
            return "\n".join(str(row[-1]) for row in rows)

        plan = await database.run(explain)
        assert "SEARCH jobs USING INDEX" in plan or "Index Scan using" in plan
