"""kill -9 and loss of power while recording: what was acknowledged is there; what is there is a prefix."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.ledger.making import opened, states_of
from tests.simulators.disks import ext4_image

ROUNDS = 3


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_what_was_acknowledged_survives_kill_9(where: str, round_: int) -> None:
    with recording(where) as (process, output):
        said = [output.readline() for _ in range(random.Random(round_).randint(1, 60))]
        process.kill()
        said += output.readlines()
    await check(where, said)


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_what_was_acknowledged_survives_loss_of_power(round_: int) -> None:
    with ext4_image(64 << 20) as disk:
        where = os.path.join(disk.path, "ledger.sqlite")
        with recording(where) as (process, output):
            said = [output.readline() for _ in range(random.Random(round_).randint(1, 60))]
            # Only what was said before counts: the simulated cut takes a while, and an fsync under way
            # may still report success.
            disk.cut_power()
            output.read()  # until it finds out
            assert process.wait() == 1
        disk.plug_in()
        await check(where, said)


@contextmanager
def recording(where: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The program of `crashing` at work, and what it says; killed at the end if it is still there."""
    command = [sys.executable, "-m", "tests.ledger.crashing", where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


async def check(where: str, said: list[str]) -> None:
    """What is in the ledger, against what the program said before it died."""
    whole = [line.split() for line in said if line.endswith("\n")]
    flushed, uploads = ([int(line[1]) for line in whole if line[0] == word] for word in ("flushed", "upload"))
    async with opened(where) as ledger:
        states = await states_of(ledger, 1, 0)
        assert list(states) == list(range(len(states)))
        packs = sorted(await ledger.objects.checked_packs(1))
        assert packs == list(range(173, 173 * (len(packs) + 1), 173))
        assert flushed
        assert packs
        assert flushed[-1] <= packs[-1] <= len(states)
        assert {upload.number for upload in await ledger.uploads.begun(1)} >= set(uploads)
