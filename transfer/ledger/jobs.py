"""The jobs, one for each sealed device and place it goes to.

A phase never says more than the rows: what was recorded before is durable before the phase changes.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from transfer.errors import UsageError
from transfer.ledger.database import Database
from transfer.ledger.phases import Phase, may_follow
from transfer.ledger.recorder import Recorder
from transfer.ledger.schema import jobs
from transfer.ledger.text import storable_error
from transfer.ledger.values import Counters, Job, JobIdentity

_NO_NUMBER = 2**63 - 1


class Jobs:
    """The jobs of a ledger."""

    def __init__(self, database: Database, recorder: Recorder, now: Callable[[], str]) -> None:
        self._database = database
        self._recorder = recorder
        self._now = now

    async def find_or_create(self, identity: JobIdentity) -> Job:
        """The job of this identity, as it stands; where there is none, a new one, `received`. Durable.

        Args:
            identity: of a device that was seen.
        """

        async def work(connection: AsyncConnection) -> Job:
            same = jobs.c.job_id == identity.job_id
            if (found := await _find(connection, same)) is not None:
                return found
            now = self._now()
            values = asdict(identity) | asdict(Counters())
            values |= {"job_id": identity.job_id, "phase": Phase.RECEIVED.value}
            values |= {"paused": False, "created": now, "changed": now, "error": "", "attempts": 0}
            await connection.execute(insert(jobs).values(**values))
            return await _require(connection, same)

        return await self._database.run(work)

    async def get(self, number: int) -> Job | None:
        """A job by its number; None where there is none."""
        return await self._database.run(lambda connection: _find(connection, jobs.c.number == number))

    async def by_id(self, job_id: str) -> Job | None:
        """A job by its id; None where there is none."""
        return await self._database.run(lambda connection: _find(connection, jobs.c.job_id == job_id))

    async def first_of(self, number: int) -> int:
        """The number of the first job of the same device and place as this one, whatever the seal was."""
        mine = select(jobs.c.device_id, jobs.c.bucket, jobs.c.prefix, jobs.c.endpoint)

        async def work(connection: AsyncConnection) -> int:
            place = (await connection.execute(mine.where(jobs.c.number == number))).one_or_none()
            if place is None:
                return number
            same = [jobs.c[name] == value for name, value in place._mapping.items()]
            first = await connection.execute(select(func.min(jobs.c.number)).where(*same))
            return first.scalar() or number

        return await self._database.run(work)

    async def page(self, *, before: int = _NO_NUMBER, limit: int = 100) -> list[Job]:
        """Jobs, newest first.

        Args:
            before: the last number of the page before.
            limit: how many at most.
        """
        statement = select(jobs).where(jobs.c.number < before).order_by(jobs.c.number.desc()).limit(limit)

        async def work(connection: AsyncConnection) -> list[Job]:
            return [_job(row) for row in await connection.execute(statement)]

        return await self._database.run(work)

    async def set_phase(self, number: int, phase: Phase, *, error: str = "") -> Job:
        """Put a job into a phase. Durable, and so is all that was recorded before.

        Args:
            number: of the job.
            phase: one that may follow (`phases.NEXT`), or the one it is in.
            error: why, for `failed` and `quarantined`.

        Raises:
            UsageError: there is no such job, or the phase may not follow.
        """
        await self._recorder.flush()

        async def work(connection: AsyncConnection) -> Job:
            job = await _require(connection, jobs.c.number == number)
            if not may_follow(job.phase, phase):
                raise UsageError(f"job {number} is {job.phase}, from there it cannot become {phase}")
            values: dict[str, object] = {"phase": phase.value, "error": storable_error(error)}
            return await self._change(connection, number, values)

        return await self._database.run(work)

    async def set_paused(self, number: int, paused: bool) -> Job:
        """Say whether a job is to rest. Durable.

        Raises:
            UsageError: there is no such job.
        """
        return await self._database.run(
            lambda connection: self._change(connection, number, {"paused": paused})
        )

    async def count_attempt(self, number: int) -> Job:
        """A job is begun once more. Durable.

        Raises:
            UsageError: there is no such job.
        """
        return await self._database.run(
            lambda connection: self._change(connection, number, {"attempts": jobs.c.attempts + 1})
        )

    async def set_counters(self, number: int, counters: Counters) -> Job:
        """Put down how far a job has come, for lists. Durable. The truth is in packs and objects.

        Raises:
            UsageError: there is no such job.
        """
        return await self._database.run(lambda connection: self._change(connection, number, asdict(counters)))

    async def _change(self, connection: AsyncConnection, number: int, values: dict[str, object]) -> Job:
        same = jobs.c.number == number
        await connection.execute(update(jobs).where(same).values(**values, changed=self._now()))
        return await _require(connection, same)


async def _require(connection: AsyncConnection, which: ColumnElement[bool]) -> Job:
    job = await _find(connection, which)
    if job is None:
        raise UsageError("the ledger has no such job", remedy="look at the list of jobs")
    return job


async def _find(connection: AsyncConnection, which: ColumnElement[bool]) -> Job | None:
    row = (await connection.execute(select(jobs).where(which))).one_or_none()
    return None if row is None else _job(row)


def _job(row: Row[tuple[object, ...]]) -> Job:
    return Job(
        number=row.number,
        job_id=row.job_id,
        identity=JobIdentity(row.device_id, row.seal_blake3, row.bucket, row.prefix, row.endpoint),
        phase=Phase(row.phase),
        paused=row.paused,
        created=row.created,
        changed=row.changed,
        error=row.error,
        counters=counters_of(row),
        attempts=row.attempts,
    )


def counters_of(row: Row[tuple[object, ...]]) -> Counters:
    """The counters in a row of jobs or packs."""
    return Counters(row.objects, row.bytes, row.failed, row.skipped, row.superseded)
