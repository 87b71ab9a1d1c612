"""Pause, resume, retry, cancel: at every moment of a job, and over a restart."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.service.supervising import (
    PLAN,
    Gate,
    Service,
    Sick,
    content_of,
    memory,
    options,
    serving,
    wanted,
)
from transfer.errors import AccessError, StoreUnreachableError
from transfer.ledger.phases import Phase
from transfer.service.ingest.patience import Patience
from transfer.service.refusals import NotNowError
from transfer.service.views import Action, JobView
from transfer.stores.memory import MemoryStore

NEVER = Patience(first_s=3600, longest_s=3600)


async def act(service: Service, job: JobView, action: Action) -> JobView:
    return await service.supervisor.act(job.job_id, action)


async def test_what_runs_is_parked_and_goes_on(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    store = memory()
    gate = Gate(store)
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        job = await service.job(lambda job: job.phase is Phase.IMPORTING)
        job = await act(service, job, Action.PAUSE)
        assert (job.phase, job.paused, job.waiting) == (Phase.IMPORTING, True, None)
        assert (job.progress, job.actions) == (None, [Action.RESUME, Action.CANCEL])
        assert service.supervisor.totals().running == 0
        with pytest.raises(NotNowError, match="a job that is paused takes no pause; possible is: resume"):
            await act(service, job, Action.PAUSE)
        gate.open()
        job = await act(service, job, Action.RESUME)
        assert not job.paused
        await service.phase(Phase.COMPLETE)
    assert await content_of(store) == wanted(site)


async def test_a_pause_holds_over_a_restart(tmp_path: Path, dock: Path, pristine: Path, site: Path) -> None:
    store = memory()
    gate = Gate(store)
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        await act(service, await service.job(lambda job: True), Action.PAUSE)
    async with serving(tmp_path, dock, store) as service:
        job = await service.job(lambda job: job.folder == "survey")
        assert (job.phase, job.paused, job.actions) == (Phase.IMPORTING, True, [Action.RESUME, Action.CANCEL])
        assert service.supervisor.totals().queued == service.supervisor.totals().running == 0
        assert await content_of(store) == {}
        await act(service, job, Action.RESUME)
        await service.phase(Phase.COMPLETE)
    assert await content_of(store) == wanted(site)


async def test_what_waits_for_a_store_can_be_paused_and_is_tried_at_once_when_resumed(
    tmp_path: Path, dock: Path, pristine: Path
) -> None:
    sick = Sick(memory(), StoreUnreachableError("no answer"))
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, sick, patience=NEVER) as service:
        job = await service.job(lambda job: job.waiting is not None and "no answer" in job.waiting)
        assert (await act(service, job, Action.PAUSE)).waiting is None
        sick.error = None
        await act(service, job, Action.RESUME)
        await service.phase(Phase.COMPLETE)


async def test_what_waits_for_its_turn_can_be_paused(
    tmp_path: Path, dock: Path, pristine: Path, another: Path
) -> None:
    gate = Gate(memory())
    shutil.copytree(pristine, dock / "a")
    async with serving(tmp_path, dock, gate, plan=replace(PLAN, imports=1)) as service:
        await gate.reached.wait()
        shutil.copytree(another, dock / "b")
        job = await service.job(lambda job: job.folder == "b" and job.waiting is not None)
        await act(service, job, Action.PAUSE)
        assert service.supervisor.totals().queued == 0
        gate.open()
        await service.job(lambda _: service.supervisor.totals().running == 0)
        assert (await service.supervisor.job(job.job_id)).phase is Phase.RECEIVED
        await act(service, job, Action.RESUME)
        await service.phase(Phase.COMPLETE)


async def test_what_failed_is_retried(tmp_path: Path, dock: Path, pristine: Path) -> None:
    sick = Sick(memory(), AccessError("denied"))
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, sick) as service:
        job = await service.phase(Phase.FAILED)
        for action in (Action.PAUSE, Action.RESUME):
            with pytest.raises(NotNowError, match=f"a job that is failed takes no {action}"):
                await act(service, job, action)
        sick.error = None
        job = await act(service, job, Action.RETRY)
        assert (job.phase, job.error) == (Phase.IMPORTING, "")
        job = await service.phase(Phase.COMPLETE)
        for action in Action:
            with pytest.raises(NotNowError, match="possible is: nothing"):
                await act(service, job, action)


async def test_a_retry_holds_over_a_restart(tmp_path: Path, dock: Path, pristine: Path) -> None:
    """Asked for while the device is away, acknowledged, then the service is started anew."""
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, Sick(memory(), AccessError("denied"))) as service:
        job = await service.phase(Phase.FAILED)
        (dock / "survey").rename(tmp_path / "away")
        await service.device("survey", lambda device: device.state == "gone")
        job = await act(service, job, Action.RETRY)
        assert (job.phase, job.waiting) == (Phase.IMPORTING, "its device is not in the dock")
    (tmp_path / "away").rename(dock / "survey")
    async with serving(tmp_path, dock, memory()) as service:
        await service.phase(Phase.COMPLETE)


@pytest.fixture
def store() -> MemoryStore:
    return memory()


async def parked_with_an_upload(service: Service, gate: Gate, store: MemoryStore) -> JobView:
    """A paused job that has an upload in parts at the store."""
    await gate.reached.wait()
    job = await act(service, await service.job(lambda job: True), Action.PAUSE)
    assert len([upload async for upload in store.list_uploads()]) == 1
    return job


async def test_cancelling_gives_up_the_uploads_and_may_be_taken_back(
    tmp_path: Path, dock: Path, pristine: Path, site: Path, store: MemoryStore
) -> None:
    gate = Gate(store, names=("put_part",))
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        job = await parked_with_an_upload(service, gate, store)
        job = await act(service, job, Action.CANCEL)
        assert (job.phase, job.paused, job.actions) == (Phase.CANCELLED, False, [Action.RETRY])
        assert [upload async for upload in store.list_uploads()] == []
        gate.open()
        await act(service, job, Action.RETRY)
        await service.phase(Phase.COMPLETE)
    assert await content_of(store) == wanted(site)


async def test_what_runs_is_cancelled_in_one_step_and_stays_so(
    tmp_path: Path, dock: Path, pristine: Path, store: MemoryStore
) -> None:
    gate = Gate(store, names=("put_part",))
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        job = await act(service, await service.job(lambda job: True), Action.CANCEL)
        assert job.phase is Phase.CANCELLED
    async with serving(tmp_path, dock, store) as service:
        job = await service.job(lambda job: job.folder == "survey")
        assert job.phase is Phase.CANCELLED
        assert service.supervisor.totals().queued == service.supervisor.totals().running == 0
    assert [upload async for upload in store.list_uploads()] == []


async def test_uploads_that_the_store_keeps_leave_the_job_paused(
    tmp_path: Path, dock: Path, pristine: Path, store: MemoryStore
) -> None:
    gate, is_away = Gate(store, names=("put_part",)), False

    async def open_store() -> Gate:
        if is_away:
            raise StoreUnreachableError("no answer")
        return gate

    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, open_store) as service:
        job = await parked_with_an_upload(service, gate, store)
        await act(service, job, Action.RESUME)
        is_away = True
        with pytest.raises(NotNowError, match="does not give up its uploads: no answer; it rests"):
            await act(service, job, Action.CANCEL)
        job = await service.supervisor.job(job.job_id)
        assert (job.paused, job.actions) == (True, [Action.RESUME, Action.CANCEL])
        is_away = False
        assert (await act(service, job, Action.CANCEL)).phase is Phase.CANCELLED
    assert [upload async for upload in store.list_uploads()] == []


async def test_jobs_of_another_place_are_shown_and_do_not_run(
    tmp_path: Path, dock: Path, pristine: Path, store: MemoryStore
) -> None:
    gate = Gate(store, names=("put_part",))
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        job = await parked_with_an_upload(service, gate, store)
        await act(service, job, Action.RESUME)
    plan = replace(PLAN, options=options(bucket="elsewhere"))
    async with serving(tmp_path, dock, memory(), plan=plan) as service:
        await service.phase(Phase.COMPLETE)
        job = await service.supervisor.job(job.job_id)
        assert (job.phase, job.folder) == (Phase.IMPORTING, None)
        assert job.waiting == "this service imports to another place"
        with pytest.raises(NotNowError, match="which is not this service's bucket"):
            await act(service, job, Action.CANCEL)
