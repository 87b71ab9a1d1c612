"""After any crash the same command ends as if there had been none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.ship.docking import TRANSFER, assert_docked, content, tracking
from tests.jobs.ship.dying import DeadError, Death, as_options
from tests.jobs.shipment import transfer
from tests.simulators.disks import Disk
from tests.simulators.kills import RENAME, UNLINK, bytes_exist, killed_at, run_and_kill
from transfer.jobs.ship.job import Shipment
from transfer.jobs.ship.options import ShipOptions


@pytest.mark.parametrize(
    ("way", "options"),
    [
        ("copy", ()),
        ("copy", ("--fault", "bitflip:9", "--fault", "lose-pack:1", "--fault", "swap-device", "--seed", "1")),
        ("rename", ("--move",)),
        ("across", ("--move",)),
    ],
)
def test_dead_at_any_call_the_same_command_ends_as_if_nothing_had_been(
    way: str, options: tuple[str, ...], small: Path, tmp_path: Path, elsewhere: Disk
) -> None:
    calm = tmp_path / "calm"
    calm.mkdir()
    drill = [option for option in options if option != "--move"]
    assert transfer("ship", small, calm, *drill).code == 0
    expected, died, nth = content(calm / "survey"), 0, 0
    while died == nth:
        nth += 1
        place = Path(elsewhere.path) if way == "across" else tmp_path
        device = Path(shutil.copytree(small, tmp_path / f"ssd {nth}"))
        dock = place / f"dock {nth}"
        dock.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            Death(nth, patch)
            try:
                Shipment(str(device), str(dock), as_options(options)).run()
            except DeadError:
                died += 1
        if (dock / "survey").exists():
            assert content(dock / "survey") == expected
        elif way == "copy":
            assert content(device) == content(small)
        ended = transfer("ship", device, dock, *options)
        assert ended.code == 0, (nth, ended.stderr)
        assert content(dock / "survey") == expected, nth
        assert tracking(dock).state == "docked"
        assert [path.name for path in dock.iterdir() if path.name not in ("survey", ".tracking")] == []
        assert device.exists() == (way == "copy"), nth
        shutil.rmtree(dock)
        shutil.rmtree(device, ignore_errors=True)
    assert died > 10


def test_a_disk_that_is_mounted_elsewhere_meanwhile_goes_on(device: Path, dock: Path, pristine: Path) -> None:
    rename = os.rename

    def die_at_last(old: str, new: str) -> None:
        if old == f"{device}/DEVICE.json":
            raise DeadError
        rename(old, new)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(DeadError):
        patch.setattr(os, "rename", die_at_last)
        Shipment(str(device), str(dock), ShipOptions(move=True)).run()
    assert list(content(device)) == ["DEVICE.json"]
    moved = device.rename(device.with_name("mounted elsewhere"))
    ended = transfer("ship", "--move", moved, dock)
    assert ended.code == 0, ended.stderr
    assert_docked(dock, pristine)
    assert not moved.exists()


def test_nothing_of_the_original_goes_before_the_docked_one_is_durable(
    device: Path, elsewhere: Disk, pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []

    def noting(name: str) -> Callable[..., Any]:
        call = getattr(os, name)

        def noted(*arguments: Any) -> Any:
            what = arguments[-1]
            calls.append((name, os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else str(what)))
            return call(*arguments)

        return noted

    for name in ("rename", "fsync", "unlink"):
        monkeypatch.setattr(os, name, noting(name))
    assert transfer("ship", "--move", device, elsewhere.path).code == 0
    named = calls.index(("rename", f"{elsewhere.path}/survey"))
    removed = next(
        n for n, (name, path) in enumerate(calls) if name == "unlink" and path.startswith(f"{device}/")
    )
    assert ("fsync", elsewhere.path) in calls[named:removed]
    for file in content(pristine):
        synced = calls.index(
            ("fsync", f"{elsewhere.path}/.arriving-{tracking(Path(elsewhere.path)).device_id}/{file}.partial")
        )
        assert synced < named


@pytest.mark.parametrize(
    ("options", "kill"),
    [
        ((), ("at", RENAME, 2)),
        ((), ("at", ("fsync",), 5)),
        ((), ("at", ("copy_file_range", "sendfile"), 3)),
        (("--fault", "bitflip:3", "--seed", "1"), ("at", ("pwrite64",), 2)),
        (("--move",), ("at", RENAME, 9)),
        (("--move",), ("at", UNLINK, 1)),
        ((), ("when", ".arriving-*/packs/*.zst", 150_000)),
    ],
)
def test_killed_it_goes_on(
    options: tuple[str, ...],
    kill: tuple[str, Any, int],
    device: Path,
    dock: Path,
    pristine: Path,
    tmp_path: Path,
) -> None:
    how, what, number = kill
    command = [*TRANSFER, "ship", str(device), str(dock), *options, "-q"]
    if how == "at":
        ended = subprocess.run(killed_at(command, what, number), capture_output=True, check=False)
        assert ended.returncode == -signal.SIGKILL
    else:
        assert run_and_kill(command, bytes_exist(f"{dock}/{what}", number)).killed
    if "--fault" in options:
        calm = tmp_path / "calm"
        calm.mkdir()
        assert transfer("ship", device, calm, *options).code == 0
        assert transfer("ship", device, dock, *options).code == 0
        assert content(dock / "survey") == content(calm / "survey") != content(pristine)
        return
    ended_again = transfer("ship", device, dock, *options)
    assert ended_again.code == 0, ended_again.stderr
    assert_docked(dock, pristine)
