"""What the kernel tells of a dock: which folders changed, from when on, and again after a trouble."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from transfer.service.ingest import notices as module
from transfer.service.ingest.notices import Notices


class Heard:
    """What was told, in order."""

    notices: Notices

    def __init__(self) -> None:
        self.names: asyncio.Queue[str] = asyncio.Queue()
        self.doubts: asyncio.Queue[None] = asyncio.Queue()

    async def until(self, name: str) -> None:
        """Wait until a name was told."""
        async with asyncio.timeout(20):
            while await self.names.get() != name:
                pass

    async def doubt(self) -> None:
        """Wait until it is in doubt; in a dock that is well, until it listens."""
        async with asyncio.timeout(20):
            await self.doubts.get()

    async def until_it_hears(self, dock: Path) -> None:
        """Make folders until one is told."""
        for number in range(100):
            (dock / f"sound {number}").mkdir()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self.names.get()
                    return
        raise AssertionError("it is deaf")


@asynccontextmanager
async def listening(dock: Path) -> AsyncIterator[Heard]:
    heard = Heard()
    log = logging.getLogger("transfer.test.notices")
    heard.notices = notices = Notices(
        str(dock), heard.names.put_nowait, lambda: heard.doubts.put_nowait(None), log
    )
    task = asyncio.create_task(notices.run())
    try:
        yield heard
    finally:
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([task])
        assert task.cancelled()


async def test_folders_are_told_however_deep_the_change_is(dock: Path) -> None:
    async with listening(dock) as heard:
        await heard.doubt()
        (dock / "a/b/c").mkdir(parents=True)
        await heard.until("a")
        (dock / "z").mkdir()
        await heard.until("z")
        (dock / "a/b/c/file").write_text("x")
        await heard.until("a")
        (dock / "z").rename(dock / "y")
        await heard.until("y")


async def test_reading_is_no_change(dock: Path) -> None:
    (dock / "a").mkdir()
    (dock / "a/file").write_text("x")
    async with listening(dock) as heard:
        await heard.doubt()
        (dock / "a/file").read_text()
        os.listdir(dock / "a")
        (dock / "b").mkdir()
        async with asyncio.timeout(20):
            assert await heard.names.get() == "b"


async def test_while_there_is_a_name_that_it_cannot_tell_it_is_in_doubt(
    dock: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.05)
    async with listening(dock) as heard:
        await heard.doubt()
        os.mkdir(os.fsencode(dock) + b"/\xff")
        for _ in range(3):
            await heard.doubt()
        os.rmdir(os.fsencode(dock) + b"/\xff")
        await heard.until_it_hears(dock)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_while_the_dock_is_away_it_is_in_doubt_and_hears_it_when_it_is_back(
    dock: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.05)
    dock.rmdir()
    async with listening(dock) as heard:
        for _ in range(3):
            await heard.doubt()
        dock.mkdir()
        await heard.until_it_hears(dock)
    assert len(caplog.records) == 1


async def test_another_folder_at_the_place_of_the_dock_is_heard_of_after_a_restart(
    dock: Path, tmp_path: Path
) -> None:
    async with listening(dock) as heard:
        await heard.doubt()
        dock.rename(tmp_path / "before")
        dock.mkdir()
        heard.notices.restart()
        await heard.until_it_hears(dock)
