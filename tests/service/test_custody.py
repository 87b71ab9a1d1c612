"""The service and custody logs: a device whose log was cut stays outside; with --who the log is continued."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from tests.jobs.shipment import transfer
from tests.service.supervising import PLAN, content_of, memory, options, serving, wanted
from transfer.device.custody import read_log
from transfer.device.layout import Layout
from transfer.ledger.phases import Phase


def events(device: Path) -> list[tuple[str, str]]:
    return [(entry.event, entry.who) for entry in read_log(Layout(str(device))).entries]


def cut(device: Path) -> None:
    log = device / "CUSTODY.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))


async def test_a_log_that_was_cut_keeps_its_device_outside(
    tmp_path: Path, dock: Path, pristine: Path, site: Path
) -> None:
    store = memory()
    async with serving(tmp_path, dock, store) as service:
        await service.problem("")
        shutil.copytree(pristine, dock / "survey")
        job = await service.phase(Phase.COMPLETE)
        before = (dock / "survey/CUSTODY.jsonl").read_bytes()
        head = read_log(Layout(str(pristine))).head
        assert await service.ledger.devices.custody(job.device_id) == head
        cut(dock / "survey")
        refused = await service.device("survey", lambda device: device.state == "refused")
        assert refused.reason is not None
        assert "it ends before entry 2, which was seen before: its tail was cut off" in refused.reason
        assert await service.ledger.devices.custody(job.device_id) == head
        (dock / "survey/CUSTODY.jsonl").write_bytes(before)
        await service.device("survey", lambda device: device.state == "accepted")
    assert await content_of(store) == wanted(site)


async def test_a_broken_log_keeps_its_device_outside_and_ignore_custody_lets_it_in(
    tmp_path: Path, dock: Path, pristine: Path
) -> None:
    broken = Path(shutil.copytree(pristine, tmp_path / "broken"))
    log = broken / "CUSTODY.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"who":""', b'"who":"Eve"', 1))
    async with serving(tmp_path, dock, memory()) as service:
        await service.problem("")
        shutil.copytree(broken, dock / "survey")
        refused = await service.device("survey", lambda device: device.state == "refused")
        assert refused.reason is not None
        assert "line 2 does not follow the line before it" in refused.reason
    plan = replace(PLAN, options=options(ignore_custody=True, who="dock 7"))
    async with serving(tmp_path, dock, memory(), plan=plan) as service:
        await service.phase(Phase.COMPLETE)
    assert (dock / "survey/CUSTODY.jsonl").read_bytes() == log.read_bytes()  # nothing is added to it


async def test_with_who_the_service_continues_the_log_once(
    tmp_path: Path, dock: Path, pristine: Path
) -> None:
    plan = replace(PLAN, options=options(who="dock 7"))
    async with serving(tmp_path, dock, memory(), plan=plan) as service:
        await service.problem("")
        shutil.copytree(pristine, dock / "survey")
        job = await service.phase(Phase.COMPLETE)
        told = [*events(pristine), ("received", "dock 7"), ("imported", "dock 7")]
        assert events(dock / "survey") == told
        head = read_log(Layout(str(dock / "survey"))).head
        assert await service.ledger.devices.custody(job.device_id) == head
        # It looks again at a folder that changed, and finds nothing new to do.
        assert transfer("custody", dock / "survey", "--event", "received", "--who", "Ann").code == 0
        shutil.copytree(pristine, dock / "twin")
        await service.device("twin", lambda device: device.state == "refused")
        await service.device("survey", lambda device: device.state == "accepted")
    async with serving(tmp_path, dock, memory(), plan=plan) as service:
        await service.device("survey", lambda device: device.state == "accepted")
    assert events(dock / "survey") == [*told, ("received", "Ann")]
