"""verify against b3sum: the same stored files, in memory, so that no disk is measured.

Both compute BLAKE3 of every stored byte; verify also reads the manifest and compares. The bytes are the same
for both, so the ratio of their times is that per stored byte.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.benchmarks import programs
from tests.benchmarks.appliance import fill, stored_bytes, stored_files, transfer
from tests.benchmarks.datasets import MIB, make_large, make_small
from tests.benchmarks.places import tmpfs
from tests.benchmarks.race import Contender, Race
from tests.benchmarks.results import Row
from tests.benchmarks.setting import Setting, room_for_large, room_for_small
from tests.benchmarks.targets import B3SUM, VERIFY


def small(setting: Setting) -> Row:
    """The device of SMALL."""
    count = setting.small_files()
    with tmpfs(room_for_small(count, 1)) as place:
        make_small(place / "source", count)
        return _race("verify-small", "SMALL", place, setting)


def large(setting: Setting) -> Row:
    """The device of LARGE."""
    with tmpfs(room_for_large(setting.large_file_bytes, 1.1)) as place:
        make_large(place / "source", setting.large_file_bytes)
        return _race("verify-large", "LARGE", place, setting)


def _race(key: str, dataset: str, place: Path, setting: Setting) -> Row:
    device = place / "device"
    fill(place / "source", device)
    size = stored_bytes(device)
    setting.say(f"{key}: {size / MIB:,.0f} MiB stored")
    entries = Race(place / "target", setting.rounds).run(
        [
            Contender(VERIFY, lambda _target: transfer("verify", device, "--quiet"), kind="us"),
            Contender(
                B3SUM,
                lambda _target: [programs.B3SUM.path, *map(os.fspath, stored_files(device))],
                missing=programs.B3SUM.missing,
            ),
        ]
    )
    title = f"verify the device of {dataset}, {size / MIB:,.0f} MiB stored, on tmpfs"
    return Row(key, title, entries, ["b3sum maps the files: its peak counts pages of them"])
