"""The supervisor and the imports: what runs, what waits, what goes on after a stop, what fails alone."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from tests.jobs.test_import_device_set import make_device
from tests.service.supervising import (
    PLAN,
    Gate,
    Sick,
    content_of,
    memory,
    options,
    serving,
    wanted,
)
from transfer.device.clock import timestamp
from transfer.errors import (
    AccessError,
    BusyError,
    LockedError,
    NotFoundError,
    StoreUnreachableError,
    TransferError,
    UsageError,
)
from transfer.ledger.ledger import open_ledger
from transfer.ledger.phases import Phase
from transfer.ledger.values import ObjectState
from transfer.service.ingest.patience import Patience
from transfer.service.ingest.plan import Plan
from transfer.service.refusals import NoSuchJobError
from transfer.service.views import Action
from transfer.stores.contract import Store


async def test_a_device_that_comes_is_imported(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    store = memory()
    async with serving(tmp_path, dock, store) as service:
        await service.problem("")
        shutil.copytree(pristine, dock / "survey")
        job = await service.phase(Phase.COMPLETE)
        assert (job.folder, job.device_job, job.ordinal) == ("survey", "test", 1)
        assert (job.destination, job.endpoint) == ("s3://memory/p/", "")
        assert (job.waiting, job.error, job.actions, job.progress) == (None, "", [], None)
        assert (job.counters.objects, job.counters.bytes, job.counters.failed) == (7, 760_000, 0)
        device = await service.device("survey", lambda device: device.state == "accepted")
        assert (device.job_id, device.size_bytes) == (job.job_id, 760_000)
        assert [one.phase for one in service.supervisor.totals().jobs] == [Phase.COMPLETE]
        path = service.supervisor.report_file(job.job_id, "report.json")
        assert path is not None
        assert b'"complete"' in Path(path).read_bytes()
        page = await service.supervisor.entries(job.job_id, ObjectState.DONE, limit=3)
        rest = await service.supervisor.entries(job.job_id, ObjectState.DONE, after=page.next, limit=9)
        keys = [entry.key for entry in (*page.items, *rest.items)]
        assert rest.next is None
        assert len(keys) == len(set(keys)) == 7
    assert await content_of(store) == wanted(site)


async def test_what_is_under_way_shows_how_far_it_is(tmp_path: Path, dock: Path, pristine: Path) -> None:
    gate = Gate(memory())
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        job = await service.job(lambda job: job.phase is Phase.IMPORTING)
        assert job.actions == [Action.PAUSE, Action.CANCEL]
        assert service.supervisor.totals().running == 1
        gate.open()
        await service.phase(Phase.COMPLETE)
        done = [shown.progress.bytes_imported for shown in service.shown if shown.progress]
        assert done == sorted(done)


async def test_only_so_many_are_imported_at_once(
    tmp_path: Path, dock: Path, pristine: Path, another: Path
) -> None:
    gate = Gate(memory())
    shutil.copytree(pristine, dock / "a")
    shutil.copytree(another, dock / "b")
    plan = Plan(options(prefix="{job}/{ordinal}/{device_id}/"), imports=1)
    async with serving(tmp_path, dock, gate, plan=plan) as service:
        await gate.reached.wait()
        for folder in ("a", "b"):
            await service.device(folder, lambda device: device.state == "accepted")
        page = await service.supervisor.jobs()
        waiting = [job.waiting for job in page.items if job.waiting]
        assert waiting == ["it waits for its turn: 1 of 1 imports are under way"]
        totals = service.supervisor.totals()
        assert (totals.running, totals.queued) == (1, 1)
        gate.open()

        async def all_complete() -> bool:
            return all(job.phase is Phase.COMPLETE for job in (await service.supervisor.jobs()).items)

        await service.until(all_complete)
        first = await service.supervisor.jobs(limit=1)
        second = await service.supervisor.jobs(limit=1, before=first.next)
        assert second.next is None
        places = {job.destination for page in (first, second) for job in page.items}
        ids = {device.device_id for device in await service.supervisor.devices()}
        assert places == {f"s3://memory/test/1/{device_id}/" for device_id in ids}


async def test_after_a_stop_it_goes_on_and_sends_nothing_twice(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    store = memory()
    first, second = Gate(store, is_open=True, closes_behind=2), Gate(store, is_open=True)
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, first) as service:
        await service.job(lambda job: job.counters.objects > 0 and job.phase is Phase.IMPORTING)
    before = await content_of(store)
    async with serving(tmp_path, dock, second) as service:
        job = await service.phase(Phase.COMPLETE)
        assert job.counters.objects == 7
    assert await content_of(store) == wanted(site)
    assert first.calls
    assert not set(first.calls) & set(second.calls)
    assert not before.keys() & set(second.calls)
    assert [upload async for upload in store.list_uploads()] == []


async def test_what_is_complete_is_not_run_again(tmp_path: Path, dock: Path, pristine: Path) -> None:
    store = memory()
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, store) as service:
        before = await service.phase(Phase.COMPLETE)
    gate = Gate(store)
    async with serving(tmp_path, dock, gate) as service:
        device = await service.device("survey", lambda device: device.state == "accepted")
        assert device.job_id == before.job_id
        assert (await service.supervisor.job(before.job_id)).changed == before.changed
        assert service.supervisor.totals().queued == service.supervisor.totals().running == 0
    assert not gate.calls


@pytest.mark.parametrize(
    "error",
    [
        StoreUnreachableError("no answer from the store"),
        BusyError("the store is busy", retry_after_s=0.01),
    ],
)
async def test_a_store_that_is_away_is_waited_for(
    tmp_path: Path, dock: Path, pristine: Path, site: Path, error: TransferError
) -> None:
    store = memory()
    sick = Sick(store, error)
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, sick) as service:
        job = await service.job(lambda job: sick.probes >= 3 and job.waiting is not None)
        assert (job.phase, job.error) == (Phase.IMPORTING, "")
        assert job.waiting is not None
        assert job.waiting.startswith(f"{error.what}; tried again at 2")
        assert service.supervisor.totals().waiting == 1
        sick.error = None
        await service.phase(Phase.COMPLETE)
    assert await content_of(store) == wanted(site)


async def test_a_clock_that_jumps_only_tells_wrong_times(tmp_path: Path, dock: Path, pristine: Path) -> None:
    sick = Sick(memory(), StoreUnreachableError("no answer"))
    times = (datetime(2031 - 7 * number % 40, 1, 1, tzinfo=UTC) for number in count())
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, sick, now=lambda: next(times)) as service:
        await service.job(lambda job: sick.probes >= 5 and job.waiting is not None)
        sick.error = None
        await service.phase(Phase.COMPLETE)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AccessError("access to the bucket was denied"), "denied"),
        (NotFoundError("no such bucket", status=404, code="NoSuchBucket"), "no such bucket"),
        (ZeroDivisionError("out of nowhere"), "ZeroDivisionError: out of nowhere"),
    ],
)
async def test_what_waiting_does_not_mend_fails_the_job_alone(
    tmp_path: Path, dock: Path, pristine: Path, another: Path, site: Path, error: Exception, reason: str
) -> None:
    store = memory()
    sick = Sick(store, error)
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, sick, allow_faults=True) as service:
        job = await service.phase(Phase.FAILED)
        assert reason in job.error
        assert (job.actions, job.waiting) == ([Action.RETRY, Action.CANCEL], None)
        traces = [record for record in service.events.records if record.exc_info]
        assert bool(traces) == isinstance(error, ZeroDivisionError)
        assert all(record.job_id == job.job_id for record in traces)  # type: ignore[attr-defined]
        sick.error = None
        shutil.copytree(another, dock / "another")
        await service.phase(Phase.COMPLETE)
        assert (await service.supervisor.job(job.job_id)).phase is Phase.FAILED


async def test_a_bucket_that_cannot_be_opened_fails_the_job(
    tmp_path: Path, dock: Path, pristine: Path
) -> None:
    async def open_store() -> Store:
        raise UsageError("there is no such profile")

    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, open_store) as service:
        assert (await service.phase(Phase.FAILED)).error == "there is no such profile"


async def test_first_verified_then_imported(tmp_path: Path, dock: Path, pristine: Path, site: Path) -> None:
    store, opened, go_on = memory(), asyncio.Event(), asyncio.Event()

    async def open_store() -> Store:
        opened.set()
        await go_on.wait()
        return store

    shutil.copytree(pristine, dock / "survey")
    for _ in range(2):  # the second goes on where the first was stopped
        opened.clear()
        async with serving(tmp_path, dock, open_store, plan=replace(PLAN, verify_first=True)) as service:
            await opened.wait()
            assert (await service.supervisor.jobs()).items[0].phase is Phase.VERIFYING
    go_on.set()
    async with serving(tmp_path, dock, open_store, plan=replace(PLAN, verify_first=True)) as service:
        await service.phase(Phase.COMPLETE)
    assert await content_of(store) == wanted(site)


async def test_what_is_damaged_is_quarantined_before_its_first_object(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    store = memory()
    shutil.copytree(pristine, dock / "survey")
    flip(dock / "survey/packs/00000001.tar.zst")
    async with serving(tmp_path, dock, store, plan=replace(PLAN, verify_first=True)) as service:
        job = await service.phase(Phase.QUARANTINED)
        assert "packs/00000001.tar.zst" in job.error
        assert await content_of(store) == {}
        assert job.actions == [Action.RETRY, Action.CANCEL]
        await service.supervisor.act(job.job_id, Action.RETRY)
        job = await service.job(lambda job: job.counters.failed > 0 and job.phase is Phase.QUARANTINED)
    good = await content_of(store)
    assert good
    assert good.items() < wanted(site).items()
    assert job.counters.objects == len(good)


async def test_without_that_the_good_of_a_damaged_device_is_imported(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    store = memory()
    shutil.copytree(pristine, dock / "survey")
    flip(dock / "survey/packs/00000001.tar.zst")
    async with serving(tmp_path, dock, store) as service:
        job = await service.phase(Phase.QUARANTINED)
        path = service.supervisor.report_file(job.job_id, "repair.txt")
        assert path is not None
        assert Path(path).read_bytes()
        page = await service.supervisor.entries(job.job_id, ObjectState.FAILED)
        assert len(page.items) == job.counters.failed > 0
        assert all(entry.error for entry in page.items)
    good = await content_of(store)
    assert good
    assert good.items() < wanted(site).items()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


async def test_a_second_service_on_the_dock_is_refused(tmp_path: Path, dock: Path) -> None:
    (tmp_path / "other").mkdir()
    async with serving(tmp_path, dock, memory()) as service:
        await service.problem("")
        with pytest.raises(LockedError, match=r"is served by transfer serve, process \d+ on "):
            async with serving(tmp_path / "other", dock, memory()) as second:
                await asyncio.wait([second.task])
        assert service.supervisor.problems() == []


async def test_a_ledger_that_fails_ends_the_service_with_its_error(
    tmp_path: Path, dock: Path, pristine: Path
) -> None:
    """An upload of a job that does not exist: the recorder refuses everything from then on."""
    gate = Gate(memory())
    shutil.copytree(pristine, dock / "survey")
    with pytest.raises(TransferError, match="ledger"):
        async with (
            open_ledger(str(tmp_path / "ledger.sqlite"), timestamp) as ledger,
            serving(tmp_path, dock, gate, ledger=ledger) as service,
        ):
            await gate.reached.wait()
            with pytest.raises(TransferError):
                await ledger.recorder.begin_upload(99, "k", sequence=0, size_bytes=1, part_size_bytes=1)
            gate.open()
            await asyncio.wait([service.task])
            assert any("ledger" in problem for problem in service.supervisor.problems())


async def test_what_is_not_there_is_said(tmp_path: Path, dock: Path) -> None:
    async with serving(tmp_path, dock, memory()) as service:
        supervisor = service.supervisor
        for job_id in ("", "x", "../../etc", "00000000-0000-5000-8000-000000000000", "\ud800" * 300):
            with pytest.raises(NoSuchJobError):
                await supervisor.job(job_id)
            with pytest.raises(NoSuchJobError):
                await supervisor.act(job_id, Action.PAUSE)
            assert supervisor.report_file(job_id, "report.json") is None
        assert supervisor.report_file("00000000-0000-5000-8000-000000000000", "../ledger.sqlite") is None
        for cursor in ("", "-1", "x", "1.1", "9" * 400):
            with pytest.raises(UsageError):
                await supervisor.jobs(before=cursor)
        assert (await supervisor.jobs()).items == []


async def test_a_full_stop_ends_what_listens(tmp_path: Path, dock: Path) -> None:
    async with serving(tmp_path, dock, memory()) as service:
        await service.problem("")
        async with service.supervisor.changes() as changes:
            service.task.cancel()
            assert [change async for change in changes] == []
        assert service.supervisor.problems() == ["the service is not running"]
    with pytest.raises(asyncio.CancelledError):
        service.task.result()


def test_patience_grows_and_ends_at_its_ceiling() -> None:
    error = StoreUnreachableError("away")
    hasty = Patience(random=lambda: 0.0)
    assert [hasty.wait_s(failures, error) for failures in (1, 2, 3, 7, 2000)] == [5, 10, 20, 300, 300]
    calm = Patience(random=lambda: 1.0)
    assert [calm.wait_s(failures, error) for failures in (1, 2, 7, 2000)] == [10, 20, 600, 600]
    assert hasty.wait_s(1, BusyError("busy", retry_after_s=60)) == 60


async def test_which_devices_of_a_job_are_missing(tmp_path: Path, dock: Path) -> None:
    """Told of each of them, and told anew when another one comes."""
    for number in (1, 3):
        await asyncio.to_thread(make_device, tmp_path, number, listed=3 if number == 3 else 0)
    async with serving(tmp_path, dock, memory()) as service:
        shutil.copytree(tmp_path / "device-3", dock / "third")
        third = await service.job(lambda job: job.phase is Phase.COMPLETE)
        assert (third.devices_missing, third.devices_total) == ([1, 2], 3)
        shutil.copytree(tmp_path / "device-1", dock / "first")
        first = await service.job(lambda job: job.ordinal == 1 and job.phase is Phase.COMPLETE)
        assert (first.devices_missing, first.devices_total) == ([2], 3)
        assert any(job.ordinal == 3 and job.devices_missing == [2] for job in service.shown)
