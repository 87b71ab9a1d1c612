"""A dock with more in it than anybody would put there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.service.supervising import memory, serving
from transfer.ledger.phases import Phase
from transfer.service.ingest import dock_watch, folders


async def test_beyond_the_limit_folders_are_refused_loudly_and_those_known_stay(
    tmp_path: Path, dock: Path, pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dock_watch, "MAX_FOLDERS", 20)
    monkeypatch.setattr(dock_watch, "list_dock", lambda root: folders.list_dock(root, limit=20))
    shutil.copytree(pristine, dock / "survey")
    async with serving(tmp_path, dock, memory(), rescan_s=0.3) as service:
        await service.phase(Phase.COMPLETE)
        for number in range(100):
            (dock / f"x{number}").mkdir()
        await service.problem("the dock holds more than ")
        await service.device("survey", lambda one: one.state == "accepted")
        assert len(await service.supervisor.devices()) <= 20
        for number in range(100):
            (dock / f"x{number}").rmdir()
        await service.problem("")
        await service.device("survey", lambda one: one.state == "accepted")


async def test_thousands_of_folders_are_looked_at(tmp_path: Path, dock: Path) -> None:
    for number in range(3000):
        (dock / f"{number:04}").mkdir()
    async with serving(tmp_path, dock, memory()) as service:

        async def all_were_told() -> bool:
            return len(service.events.records) > 3000

        await service.until(all_were_told)
        devices = await service.supervisor.devices()
        assert len(devices) == 3000
        assert {one.state for one in devices} == {"refused"}
