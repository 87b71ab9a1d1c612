"""The supervisor and the dock: what comes, what is refused, what goes, and who was there first."""

from __future__ import annotations

import asyncio
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.jobs.ship.docking import tracking
from tests.jobs.shipment import copy_to, make_device, transfer
from tests.service.supervising import Gate, Sick, content_of, memory, options, serving, wanted
from tests.simulators.disks import tmpfs
from transfer.errors import DeviceError
from transfer.formats.tracking import encode
from transfer.jobs.import_.options import ImportOptions
from transfer.ledger.phases import Phase
from transfer.service.ingest import dock_watch, notices
from transfer.service.ingest.arrivals import look
from transfer.service.ingest.patience import Patience
from transfer.service.ingest.plan import Plan
from transfer.service.views import DeviceView
from transfer.stores.contract import Store


def state_of(root: Path) -> dict[str, tuple[int, int, int]]:
    """All that touching could change."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in [root, *root.rglob("*")]
    }


def is_refused(device: DeviceView) -> bool:
    return device.state == "refused"


def is_accepted(device: DeviceView) -> bool:
    return device.state == "accepted"


async def test_nothing_is_written_into_a_device(tmp_path: Path, dock: Path, pristine: Path) -> None:
    device = Path(shutil.copytree(pristine, dock / "survey"))
    before = state_of(device)
    async with serving(tmp_path, dock, memory()) as service:
        await service.phase(Phase.COMPLETE)
    assert state_of(device) == before


async def test_a_shipment_shows_its_way_and_is_imported(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    store = memory()
    device = Path(shutil.copytree(pristine, tmp_path / "ssd"))
    async with serving(tmp_path, dock, store) as service:
        await service.problem("")
        assert transfer("ship", device, dock, "--days", "2").code == 0
        shown = await service.device("test", is_accepted)
        assert shown.tracking is not None
        assert (shown.tracking.state, len(shown.tracking.events)) == ("docked", 5)
        assert shown.tracking.source == str(device)
        await service.phase(Phase.COMPLETE)
        assert [one.folder for one in await service.supervisor.devices()] == ["test"]
    assert await content_of(store) == wanted(site)


async def test_what_its_carrier_has_is_expected(tmp_path: Path, dock: Path, pristine: Path) -> None:
    device = Path(shutil.copytree(pristine, tmp_path / "ssd"))
    assert transfer("ship", device, dock, "--days", "2").code == 0
    record = tracking(dock)
    path = dock / f".tracking/{record.device_id}.json"
    (dock / "test").rename(dock / f".arriving-{record.device_id}")
    path.write_bytes(encode(msgspec.structs.replace(record, events=record.events[:3])))
    os.mkfifo(dock / ".tracking/fifo.json")
    (dock / ".tracking/bad.json").write_text("{}")
    async with serving(tmp_path, dock, memory()) as service:
        shown = await service.device("test", lambda device: device.state == "expected")
        assert shown.tracking is not None
        assert (shown.device_id, shown.tracking.state) == (record.device_id, "in-transit")
        assert sum("tracking record" in line for line in service.logged) == 2
        path.write_bytes(encode(record))
        (dock / f".arriving-{record.device_id}").rename(dock / "test")
        shown = await service.device("test", is_accepted)
        assert shown.tracking is not None
        assert shown.tracking.state == "docked"
        assert len(await service.supervisor.devices()) == 1


async def test_what_is_no_device_is_refused_untouched_and_what_hides_is_ignored(
    tmp_path: Path, dock: Path, pristine: Path
) -> None:
    (dock / "photos").mkdir()
    (dock / "photos/holiday.jpg").write_bytes(b"sun")
    (dock / "link").symlink_to(pristine)
    (dock / "readme.txt").write_text("hello")
    (dock / "lost+found").mkdir()
    shutil.copytree(pristine, dock / ".arriving-x")
    os.mkdir(os.fsencode(dock) + b"/\xff\xfe\x1b[31m")
    before = state_of(dock / "photos")
    async with serving(tmp_path, dock, memory()) as service:
        for folder, reason in (
            ("photos", "it is no device: it has no DEVICE.json"),
            ("link", "it is a symbolic link; a device is a folder of the dock"),
            ("\\xff\\xfe\\x1b[31m", "it is no device: it has no DEVICE.json"),
        ):
            shown = await service.device(folder, is_refused)
            assert (shown.reason, shown.device_id, shown.job_id) == (reason, None, None)
        folders = {one.folder for one in await service.supervisor.devices()}
        assert folders == {"photos", "link", "\\xff\\xfe\\x1b[31m"}
        assert (await service.supervisor.jobs()).items == []
        msgspec.json.encode(await service.supervisor.devices())
    assert state_of(dock / "photos") == before


async def test_what_is_refused_is_looked_at_again_when_it_changes(
    tmp_path: Path, dock: Path, site: Path
) -> None:
    device = dock / "survey"
    make = partial(make_device, device, site / "source", site / "small.toml", seal=False)
    await asyncio.to_thread(make)
    async with serving(tmp_path, dock, memory()) as service:
        assert (await service.device("survey", is_refused)).reason == "it is not sealed"
        await asyncio.to_thread(copy_to, device, site / "source")
        assert transfer("seal", device, "-q").code == 0
        (device / "packs/00000000.tar.zst").rename(tmp_path / "pack")
        shown = await service.device(
            "survey", lambda one: one.state == "refused" and "whole" in str(one.reason)
        )
        assert shown.reason == "it is not whole: packs/00000000.tar.zst is missing"
        assert (shown.job, shown.ordinal) == ("test", 1)
        (tmp_path / "pack").rename(device / "packs/00000000.tar.zst")
        await service.phase(Phase.COMPLETE)


async def test_a_dock_that_tells_nothing_is_looked_at(
    tmp_path: Path, dock: Path, pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network mount: the kernel's notices never come."""
    from transfer.service.ingest.notices import Notices

    async def hear_nothing(self: Notices) -> None:
        return

    monkeypatch.setattr(Notices, "run", hear_nothing)
    async with serving(tmp_path, dock, memory(), rescan_s=0.2) as service:
        await service.problem("")
        device = Path(shutil.copytree(pristine, dock / "survey"))
        await service.phase(Phase.COMPLETE)
        (device / "packs/00000000.tar.zst").rename(tmp_path / "pack")
        await service.device("survey", is_refused)
        (tmp_path / "pack").rename(device / "packs/00000000.tar.zst")
        await service.device("survey", is_accepted)
        shutil.rmtree(device)
        await service.device("survey", lambda one: one.state == "gone")


async def test_while_it_still_changes_it_arrives(tmp_path: Path, dock: Path, pristine: Path) -> None:
    async with serving(tmp_path, dock, memory(), settle_s=3600.0) as service:
        await service.problem("")
        device = Path(shutil.copytree(pristine, dock / "survey"))
        for other in ("x", "y", "z"):  # each makes it go through the dock again
            (dock / other).mkdir()
            await service.device(other, lambda one: one.state == "arriving")
        shown = await service.device("survey", lambda one: True)
        assert (shown.state, shown.reason, shown.job_id) == ("arriving", None, None)
        shutil.rmtree(device)

        async def is_gone() -> bool:
            return len(await service.supervisor.devices()) == 3

        await service.until(is_gone)


async def test_of_two_folders_with_one_device_the_first_is_taken_and_the_other_takes_over(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    gate = Gate(store := memory())
    shutil.copytree(pristine, dock / "first")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        shutil.copytree(pristine, dock / "second")
        shown = await service.device("second", is_refused)
        assert shown.reason == "the same device is in first"
        shutil.rmtree(dock / "first")
        job = await service.job(lambda job: job.folder == "second")
        gate.open()
        await service.phase(Phase.COMPLETE)
        assert job.job_id == (await service.device("second", is_accepted)).job_id
    assert await content_of(store) == wanted(site)


async def test_a_device_that_is_pulled_out_parks_its_import_until_it_is_back(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    gate = Gate(store := memory())
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        (dock / "survey").rename(tmp_path / "away")
        job = await service.job(lambda job: job.folder is None)
        assert (job.phase, job.waiting) == (Phase.IMPORTING, "its device is not in the dock")
        await service.device("survey", lambda one: one.state == "gone")
        gate.open()
        (tmp_path / "away").rename(dock / "other name")
        job = await service.phase(Phase.COMPLETE)
        assert job.folder == "other name"
    assert await content_of(store) == wanted(site)


class Stubborn:
    """Decorates a store: its first write, when cancelled, goes on until it is let go."""

    def __init__(self, store: Store) -> None:
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, *arguments: Any, **named: Any) -> Any:
        if not self.let_go.is_set():
            self.reached.set()
            try:
                await asyncio.Event().wait()
            finally:
                await self.let_go.wait()
        return await self._store.put(*arguments, **named)


async def test_a_device_that_is_back_before_its_import_is_parked_goes_on_behind_it(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    """As where a reader hangs in a disk that was pulled: nothing else waits for it."""
    stubborn = Stubborn(store := memory())
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, stubborn) as service:
        await stubborn.reached.wait()
        (dock / "survey").rename(tmp_path / "away")
        await service.job(lambda job: job.folder is None)
        (dock / "other").mkdir()
        await service.device("other", is_refused)
        (tmp_path / "away").rename(dock / "survey")
        job = await service.job(lambda job: job.folder == "survey")
        assert (job.phase, service.supervisor.totals().running) == (Phase.IMPORTING, 1)
        stubborn.let_go.set()
        await service.phase(Phase.COMPLETE)
    assert await content_of(store) == wanted(site)


async def test_an_old_seal_of_a_device_is_refused(
    tmp_path: Path, dock: Path, site: Path, pristine: Path
) -> None:
    """Somebody who lays an old copy into the dock does not have old data imported."""
    from msgspec.structs import replace

    from transfer.formats import documents

    newer = Path(shutil.copytree(pristine, dock / "newer"))
    seal = documents.decode_seal((newer / "SEAL.json").read_bytes(), "SEAL.json")
    (newer / "SEAL.json").write_bytes(documents.encode(replace(seal, generation=2, previous_seal="0" * 64)))
    forged = Path(shutil.copytree(newer, tmp_path / "forged"))
    forgery = replace(seal, generation=2, previous_seal="0" * 64, software="x")
    (forged / "SEAL.json").write_bytes(documents.encode(forgery))
    async with serving(tmp_path, dock, memory()) as service:
        await service.phase(Phase.COMPLETE)
        newer.rename(tmp_path / "away")
        shutil.copytree(pristine, dock / "older")
        shown = await service.device("older", is_refused)
        assert shown.reason == "its seal is older than one of this device that was seen before"
        forged.rename(dock / "forged")
        shown = await service.device("forged", is_refused)
        assert shown.reason == "another seal of the same generation of this device was seen before"
        assert len((await service.supervisor.jobs()).items) == 1


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked more often whether the dock is there, and nothing else is tried again by itself."""
    monkeypatch.setattr(dock_watch, "_PRESENCE_S", 0.1)
    monkeypatch.setattr(notices, "_AGAIN_S", 3600.0)


async def test_a_dock_that_goes_takes_its_devices_and_brings_them_back(
    tmp_path: Path, dock: Path, pristine: Path, site: Path, often: None
) -> None:
    gate = Gate(store := memory())
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        dock.rename(tmp_path / "away")
        job = await service.job(lambda job: job.folder is None)
        assert (job.phase, job.waiting) == (Phase.IMPORTING, "its device is not in the dock")
        await service.problem("is gone: No such file or directory")
        gate.open()
        (tmp_path / "away").rename(dock)
        await service.phase(Phase.COMPLETE)
        assert service.supervisor.problems() == []
    assert await content_of(store) == wanted(site)


async def test_a_dock_may_come_later(tmp_path: Path, dock: Path, pristine: Path, often: None) -> None:
    dock.rmdir()
    async with serving(tmp_path, dock, memory()) as service:
        await service.problem("is gone")
        shutil.copytree(pristine, dock / "survey")
        await service.phase(Phase.COMPLETE)
        (dock / "survey/DEVICE.json").rename(tmp_path / "elsewhere")  # nobody looks for that within the test
        await service.device("survey", is_refused)


async def test_a_dock_that_is_unmounted_is_missed_even_if_its_folder_is_left(
    tmp_path: Path, pristine: Path
) -> None:
    with tmpfs(8 << 20) as disk:
        place = Path(disk.path)
        shutil.copytree(pristine, place / "survey")
        async with serving(tmp_path, place, memory(), rescan_s=0.2) as service:
            await service.phase(Phase.COMPLETE)
            disk.pull()
            await service.problem("nothing is mounted there any more")
            assert list(place.iterdir()) == []


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were looked at, in order."""
    paths: list[str] = []

    def counted(root: str, options: ImportOptions) -> object:
        paths.append(root)
        return look(root, options)

    monkeypatch.setattr(dock_watch, "look", counted)
    return paths


async def test_reading_a_device_is_no_change_of_it(
    tmp_path: Path, dock: Path, pristine: Path, looked: list[str]
) -> None:
    """Or every import would have its device looked at again, and again."""
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, memory(), rescan_s=0.2) as service:
        await service.phase(Phase.COMPLETE)
        (dock / "other").mkdir()
        await service.device("other", is_refused)
        (dock / "survey/new").touch()
        (dock / "another").mkdir()
        await service.device("another", is_refused)
    assert looked.count(str(dock / "survey")) == 2


async def test_a_device_that_changes_a_little_while_it_is_imported_is_not_imported_twice_at_once(
    tmp_path: Path, dock: Path, pristine: Path, looked: list[str]
) -> None:
    gate = Gate(memory())
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, gate) as service:
        await gate.reached.wait()
        await service.device("survey", is_accepted)
        (dock / "survey/new").touch()

        async def was_looked_at() -> bool:
            return looked.count(str(dock / "survey")) == 2

        await service.until(was_looked_at)
        (dock / "other").mkdir()
        await service.device("other", is_refused)
        totals = service.supervisor.totals()
        assert (totals.running, totals.queued) == (1, 0)
        gate.open()
        await service.phase(Phase.COMPLETE)


async def test_an_accepted_device_that_changes_is_looked_at_and_let_go(
    tmp_path: Path, dock: Path, pristine: Path, another: Path, site: Path
) -> None:
    """Another device takes the place of the first, under its name, while that is imported."""
    gate = Gate(store := memory())
    shutil.copytree(pristine, dock / "survey")
    shutil.copytree(another, tmp_path / "other")
    async with serving(tmp_path, dock, gate, plan=Plan(options(prefix="{device_id}/"))) as service:
        await gate.reached.wait()
        first = await service.device("survey", is_accepted)
        (dock / "survey").rename(dock / ".gone")
        (tmp_path / "other").rename(dock / "survey")
        second = await service.device("survey", lambda one: is_accepted(one) and one != first)
        assert first.device_id != second.device_id
        gate.open()
        await service.phase(Phase.COMPLETE)
        job = await service.supervisor.job(str(first.job_id))
        assert (job.phase, job.waiting) == (Phase.IMPORTING, "its device is not in the dock")
    assert await content_of(store) == wanted(site, f"{second.device_id}/")


async def test_a_device_that_fails_is_looked_at_and_its_job_rests_all_the_same(
    tmp_path: Path, dock: Path, pristine: Path, looked: list[str]
) -> None:
    """Only the error itself is made up: no disk of the test fails on request."""
    sick = Sick(memory(), DeviceError("the device failed: Input/output error"))
    shutil.copytree(pristine, dock / "survey")
    patience = Patience(first_s=3600, longest_s=3600)
    async with serving(tmp_path, dock, sick, patience=patience) as service:

        async def was_looked_at() -> bool:
            return looked.count(str(dock / "survey")) == 2

        await service.until(was_looked_at)
        (dock / "other").mkdir()
        await service.device("other", is_refused)
        job = await service.job(lambda job: job.waiting is not None)
        assert str(job.waiting).startswith("the device failed: Input/output error; tried again at ")
        assert sick.probes == 1
