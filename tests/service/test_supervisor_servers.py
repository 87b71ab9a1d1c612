"""The supervisor with a real S3 server, and with carriers that drop what they carry."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.buckets import Bucket, make_bucket
from tests.jobs.shipment import transfer
from tests.service.supervising import PLAN, content_of, memory, options, serving, wanted
from tests.simulators.servers import rclone_s3
from transfer.ledger.phases import Phase
from transfer.service.ingest.plan import Plan
from transfer.service.views import Action
from transfer.stores.contract import Store
from transfer.stores.open import open_store


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    (tmp_path / "buckets").mkdir()
    with rclone_s3(tmp_path / "buckets") as server:
        made = make_bucket(server, "archive", "rclone")
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


async def test_a_device_goes_into_a_real_bucket_over_a_stop_and_a_pause(
    tmp_path: Path, dock: Path, pristine: Path, site: Path, bucket: Bucket
) -> None:
    endpoint = bucket.server.endpoint_url

    async def opened() -> Store:
        return await open_store(bucket.name, endpoint_url=endpoint)

    plan = Plan(options(bucket=bucket.name, endpoint=endpoint, prefix="survey/"))
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, opened, plan=plan) as service:
        job = await service.job(lambda job: True)
    async with serving(tmp_path, dock, opened, plan=plan) as service:
        job = await service.job(lambda job: job.folder == "survey")
        if job.actions:
            job = await service.supervisor.act(job.job_id, Action.PAUSE)
            await service.supervisor.act(job.job_id, Action.RESUME)
        job = await service.phase(Phase.COMPLETE)
        assert job.endpoint == endpoint
    expected = wanted(site, "survey/")
    assert bucket.listed() == set(expected)
    assert {key: bucket.read(key) for key in expected} == expected
    assert bucket.uploads() == []


async def test_a_bucket_that_does_not_exist_fails_the_job_with_the_reason(
    tmp_path: Path, dock: Path, pristine: Path, bucket: Bucket
) -> None:
    async def opened() -> Store:
        return await open_store("nobodys", endpoint_url=bucket.server.endpoint_url)

    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, opened, plan=Plan(options(bucket="nobodys"))) as service:
        assert "nobodys" in (await service.phase(Phase.FAILED)).error


@pytest.mark.parametrize("verify_first", [False, True])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("bitflip:2", None),
        ("truncate:1", "it is not whole: "),
        ("lose-pack:1", "it is not whole: packs/0000000"),
    ],
)
async def test_what_a_carrier_did_to_a_device_is_found(
    tmp_path: Path,
    dock: Path,
    pristine: Path,
    site: Path,
    fault: str,
    reason: str | None,
    verify_first: bool,
) -> None:
    store = memory()
    device = shutil.copytree(pristine, tmp_path / "ssd")
    async with serving(tmp_path, dock, store, plan=replace(PLAN, verify_first=verify_first)) as service:
        command = ("ship", device, dock, "--fault", fault, "--seed", "7", "--days", "1")
        assert (await asyncio.to_thread(transfer, *command)).code == 0
        if reason is not None:
            shown = await service.device("test", lambda one: one.state == "refused")
            assert str(shown.reason).startswith(reason)
            assert shown.tracking is not None
            assert (await service.supervisor.jobs()).items == []
        else:
            job = await service.phase(Phase.QUARANTINED)
            assert "damaged" in job.error
            assert bool(await content_of(store)) != verify_first
    assert (await content_of(store)).items() <= wanted(site).items()
