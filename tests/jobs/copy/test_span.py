"""A source that goes over several devices of a job: each entry whole on one of them, each device good by
itself.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    CHUNK,
    KIB,
    MIB,
    PROFILE,
    Done,
    findings,
    merged,
    recover,
    run,
    transfer_command,
    unlike,
)
from tests.jobs.memory_import import import_to_memory
from tests.jobs.shipment import files_of
from tests.simulators.kills import files_exist, run_and_kill
from tests.simulators.trees import large_file
from transfer.formats.profile import parse_profile
from transfer.jobs.prepare import prepare

CAPACITY = 2 * MIB


def device_of(place: Path, ordinal: int, *, capacity: int | None = CAPACITY, name: str = "") -> Path:
    root = place / (name or f"device {ordinal}")
    root.mkdir()
    profile = PROFILE.replace('reserve = "1MiB"', 'reserve = "256KiB"')
    prepare(
        os.fspath(root),
        parse_profile(profile.encode(), "the tests' profile"),
        "set",
        ordinal=ordinal,
        capacity_bytes=capacity,
    )
    return root


def copy_all(source: Path, *devices: Path | str) -> Done:
    return run("copy", source, *devices, "-q", "--workers", "1")


def fill(source: Path) -> None:
    """About 4.5 MiB in folders, small files and some of several chunks."""
    for folder in range(8):
        (source / f"f{folder}").mkdir()
        for number in range(6):
            (source / f"f{folder}" / f"{number}").write_bytes(os.urandom(60 * KIB))
        if folder % 3 == 0:
            large_file(os.fsencode(source / f"f{folder}" / "large"), 9 * CHUNK + 7, seed=folder)


@pytest.fixture
def filled(source: Path) -> Path:
    fill(source)
    return source


def assert_set_holds(source: Path, devices: list[Path], place: Path) -> None:
    """Each device is valid and restores by itself; together they have every entry, files exactly once."""
    seen = Counter[str]()
    out = place / "together"
    out.mkdir()
    for device in devices:
        assert findings(device) == set()
        found = merged(device)
        seen.update(path for path, kind in found.items() if kind == "file")
        alone = place / f"out {device.name}"
        code, said = recover(device, alone)
        assert code == 0, said
        wrong = unlike(source, alone, directory_times=False)
        assert [line for line in wrong if "is missing" not in line and "is one file" not in line] == []
        if not (device / "SEAL.json").exists():
            assert run("seal", device).code == 0
        assert run("restore", device, out).code == 0
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert seen == Counter(files)
    assert [line for line in unlike(source, out, directory_times=False) if "is one file" not in line] == []


def test_one_command_fills_one_device_after_the_other(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    done = copy_all(filled, *devices)
    assert done.code == 0, done.stderr
    states = [(one["ordinal"], one["state"]) for one in done.document["devices"]]
    assert states[-1] == (len(states), "complete")
    assert states[:-1] == [(number, "full") for number in range(1, len(states))]
    assert 2 < len(states) <= 4
    assert done.document["files"] == sum(len(files) for _, _, files in os.walk(filled))
    again = copy_all(filled, *devices[: len(states)])
    assert (again.code, again.document["entries"]) == (0, 0)
    assert_set_holds(filled, devices[: len(states)], tmp_path)


def test_devices_are_added_on_other_days_without_the_earlier_ones(tmp_path: Path, filled: Path) -> None:
    devices, code = list[Path](), 13
    while code == 13:
        devices.append(device_of(tmp_path, len(devices) + 1))
        done = copy_all(filled, devices[-1])
        code = done.code
        assert run("seal", devices[-1]).code == 0
    assert code == 0
    assert len(devices) > 2
    assert_set_holds(filled, devices, tmp_path)


def test_the_earlier_devices_tell_where_the_set_stands_when_the_host_does_not_know(
    tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    for count in range(1, 5):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state {count}"))
        done = copy_all(filled, *devices[:count])
        if done.code == 0:
            break
        assert done.code == 13
        assert run("seal", devices[count - 1]).code == 0
    assert done.code == 0
    assert_set_holds(filled, devices[:count], tmp_path)


def test_killed_again_and_again(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    command = transfer_command("copy", filled, *devices, "--workers", "1", "-q", "--bwlimit", "20M")
    kills = 0
    for _ in range(30):
        have = sum(len(list((device / "segments").iterdir())) for device in devices)
        pattern = f"{tmp_path}/device */segments/*.zst"
        outcome = run_and_kill(command, files_exist(pattern, have + 6))
        if not outcome.killed:
            break
        kills += 1
    assert outcome.returncode == 0
    assert kills
    used = [device for device in devices if list((device / "packs").iterdir())]
    assert_set_holds(filled, used, tmp_path)


def test_the_seal_of_the_last_device_lists_all_of_them(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    used = devices[: len(copy_all(filled, *devices).document["devices"])]
    told = [run("seal", device).document for device in used]
    assert [document["devices"] for document in told[:-1]] == [[] for _ in used[1:]]
    assert told[-1]["devices"] == [
        {"ordinal": number, "device_id": document["device_id"]}
        | ({"seal_blake3": document["seal_blake3"]} if number < len(used) else {})
        for number, document in enumerate(told, 1)
    ]


def test_what_changed_in_the_part_of_a_full_device(tmp_path: Path, filled: Path) -> None:
    """It goes there if there is room, else to an empty device; never is it taken for copied."""
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    used = devices[: len(copy_all(filled, *devices[:3]).document["devices"])]
    new = [filled / "f0" / "new", filled / "f2" / "new"]
    for path in new:
        large_file(os.fsencode(path), 8 * CHUNK, seed=5)
    done = copy_all(filled, *used)
    assert (done.code, done.document["left_files"] > 0) == (13, True)
    again = copy_all(filled, *used)
    assert (again.code, again.document["left_files"]) == (13, done.document["left_files"])
    assert copy_all(filled, *devices).code == 0
    assert copy_all(filled, *devices).document["entries"] == 0
    assert_set_holds(filled, devices, tmp_path)


def test_a_lost_device_is_made_again(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3)]
    assert copy_all(filled, *devices).code == 0
    before = merged(devices[1])
    replacement = device_of(tmp_path, 2, name="replacement")
    assert copy_all(filled, replacement).code == 0
    assert merged(replacement) == before
    assert run("seal", replacement).document["complete"] is True


def test_what_is_new_goes_to_an_empty_device_behind_sealed_ones(tmp_path: Path, filled: Path) -> None:
    first, second = (device_of(tmp_path, ordinal, capacity=None) for ordinal in (1, 2))
    assert copy_all(filled, first).code == 0
    assert run("seal", first).code == 0
    (filled / "f3" / "new").write_bytes(b"new")
    done = copy_all(filled, first, second)
    assert (done.code, done.document["files"]) == (0, 1), done.stderr
    assert merged(second) == {"f3/": "directory", "f3/new": "file"}


def test_a_device_that_is_missing_or_has_the_wrong_number(tmp_path: Path, filled: Path) -> None:
    first, second = (device_of(tmp_path, ordinal) for ordinal in (1, 2))
    command = transfer_command("copy", filled, first, "--workers", "1", "-q", "--bwlimit", "4M")
    assert run_and_kill(command, files_exist(f"{first}/segments/*.zst", 1)).killed
    done = copy_all(filled, second)
    assert (done.code, "device 1 of the job has not ended" in done.stderr) == (2, True)
    assert copy_all(filled, first).code == 13
    assert run("seal", first).code == 0
    assert copy_all(filled, first).code == 10
    other = device_of(tmp_path, 1, name="another first")
    assert copy_all(filled, first, other).code == 2


def test_a_dry_run_tells_how_many_devices_are_needed(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    done = run("copy", filled, *devices, "-q", "--dry-run")
    assert (done.code, done.document["needed"], done.document["full"]) == (0, 3, False)
    assert run("copy", filled, *devices[:2], "-q", "--dry-run").document["full"]
    assert not any(list((device / "packs").iterdir()) for device in devices)


def test_a_dry_run_tells_what_the_copy_does(tmp_path: Path, filled: Path) -> None:
    """Also what is larger than every device, which the room for the rest does not depend on."""
    large_file(os.fsencode(filled / "huge"), CAPACITY, seed=1)
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    dry = run("copy", filled, *devices, "-q", "--dry-run")
    done = copy_all(filled, *devices)
    assert [(one.code, one.problems) for one in (dry, done)] == [(3, {"huge": "too-large"})] * 2
    told, made = dry.document, done.document
    assert (told["full"], told["needed"]) == (False, len(made["devices"]))
    assert (told["left_files"], told["left_bytes"]) == (made["files"], made["bytes"])
    assert made["unused"] == [os.fspath(devices[3])]
    again = copy_all(filled, *devices)
    assert [one["run"] for one in again.document["devices"]] == [1, 1, 1]


async def test_each_device_is_imported_alone_and_the_rest_is_told(tmp_path: Path, filled: Path) -> None:
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3)]
    assert len((await asyncio.to_thread(copy_all, filled, *devices)).document["devices"]) == 3
    for device in devices:
        assert (await asyncio.to_thread(run, "seal", device)).code == 0
    objects, missing = dict[str, bytes](), list[tuple[int, ...]]()
    for device in (devices[2], devices[0], devices[1]):
        done = await import_to_memory(device, ledger=tmp_path / "ledger")
        assert (done.error, done.failed) == (None, {})
        assert not objects.keys() & done.objects.keys()
        objects |= done.objects
        missing.append(done.outcome.devices.missing)
    assert objects == files_of(filled)
    assert missing == [(1, 2), (2,), ()]


def test_a_host_that_cannot_remember_says_so(
    tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no folder").write_bytes(b"")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "no folder"))
    device = device_of(tmp_path, 1, capacity=None)
    done = copy_all(filled, device)
    assert (done.code, "cannot be kept" in done.stderr) == (0, True)
    assert run("seal", device).code == 0
