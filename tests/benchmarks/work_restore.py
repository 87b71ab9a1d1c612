"""restore against cp -a of the original, and against restic's restore of its own backup of it.

Ours checks every byte that it writes; so does restic, unless it is told not to; cp checks nothing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import programs
from tests.benchmarks.appliance import fill, transfer
from tests.benchmarks.datasets import Content, contents, make_large, make_small
from tests.benchmarks.places import tmpfs
from tests.benchmarks.processes import ProgramError
from tests.benchmarks.race import Contender, NotDoneError, Race
from tests.benchmarks.results import Row
from tests.benchmarks.setting import Setting, room_for_large, room_for_small
from tests.benchmarks.targets import CP, RESTIC_RESTORE, RESTORE

_WHERE = "source, device, repository and target on tmpfs"


def small(setting: Setting) -> Row:
    """SMALL."""
    count = setting.small_files()
    with tmpfs(room_for_small(count, 3.2)) as place:
        content = make_small(place / "source", count)
        return _race("restore-small", f"restore SMALL, {content}, {_WHERE}", place, content, setting)


def large(setting: Setting) -> Row:
    """LARGE."""
    with tmpfs(room_for_large(setting.large_file_bytes, 3.1)) as place:
        content = make_large(place / "source", setting.large_file_bytes)
        return _race("restore-large", f"restore LARGE, {content}, {_WHERE}", place, content, setting)


def _race(key: str, title: str, place: Path, content: Content, setting: Setting) -> Row:
    setting.say(f"{key}: {content}")
    fill(place / "source", place / "device")
    race = Race(place / "target", setting.rounds)
    return Row(key, title, race.run(_contenders(place, content)))


def _contenders(place: Path, content: Content) -> list[Contender]:
    source, device = place / "source", place / "device"

    def restored(folder: Path) -> None:
        if (found := contents(folder)) != content:
            raise NotDoneError(f"restored {found} of {content}")

    return [
        Contender(
            RESTORE, lambda target: transfer("restore", device, target, "--quiet"), "us", check=restored
        ),
        Contender(
            CP,
            lambda target: [programs.CP.path, "-a", source, target / "copy"],
            check=lambda target: restored(target / "copy"),
            missing=programs.CP.missing,
        ),
        _restic(place, source, restored),
    ]


def _restic(place: Path, source: Path, restored: Callable[[Path], None]) -> Contender:
    restic = programs.RESTIC
    environment = {
        "RESTIC_REPOSITORY": os.fspath(place / "repository"),
        "RESTIC_PASSWORD": "benchmark",
        "RESTIC_CACHE_DIR": os.fspath(place / "cache"),
    }
    if not restic.missing:
        for arguments in (["init"], ["backup", "--quiet", "--compression", "auto", "."]):
            _call([restic.path, *arguments], environment, source)

    return Contender(
        RESTIC_RESTORE,
        lambda target: [restic.path, "restore", "--quiet", "latest", "--target", target],
        env=lambda _target: environment,
        check=restored,
        missing=restic.missing,
    )


def _call(command: list[str], environment: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProgramError(f"{command[:2]} ended with {done.returncode}: {done.stderr[-500:]}")
