"""The whole check of a device can be stopped, and leaves no thread behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from transfer.core.progress import Progress
from transfer.errors import DeviceError
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.job import Verification
from transfer.service.ingest.verifying import told, verify_whole


async def test_who_is_cancelled_stops_reading(pristine: Path) -> None:
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    seen: list[Progress] = []

    def observe(progress: Progress) -> None:
        seen.append(progress)
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()

    checking = asyncio.create_task(verify_whole(str(pristine), 1, observe))
    await begun.wait()
    checking.cancel()
    await asyncio.sleep(0)  # it is told to stop; the thread is in the middle of a block
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await checking
    assert len(seen) == 1


async def test_what_is_whole_is_read_to_its_last_byte(pristine: Path) -> None:
    seen: list[Progress] = []
    found = await verify_whole(str(pristine), 2, seen.append)
    assert found.is_valid
    assert found.is_deep
    assert seen[-1].bytes_done == seen[-1].bytes_total


async def test_a_device_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no such folder"):
        await verify_whole(str(tmp_path / "away"), 1, lambda progress: None)


def test_three_findings_are_told_and_the_others_counted() -> None:
    findings = [Finding(code="pack-missing", file=f"packs/{number}") for number in range(5)]
    assert (
        told(Verification(count=1, findings=findings[:1])) == "the device is damaged: pack-missing: packs/0"
    )
    assert told(Verification(count=12, findings=findings)) == (
        "the device is damaged: pack-missing: packs/0; pack-missing: packs/1; pack-missing: packs/2; "
        "and 9 more findings"
    )
