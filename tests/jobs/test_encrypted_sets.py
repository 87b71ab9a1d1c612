"""Encrypted devices in sets and as twins: each is encrypted for its own recipients, and opens alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.jobs.copy.copying import KIB, MIB, PROFILE, copy, run
from tests.jobs.encrypted import Key, age_key, restore_by_hand
from tests.jobs.shipment import transfer
from tests.simulators.compare import differences


@pytest.fixture
def source(tmp_path: Path) -> Path:
    place = tmp_path / "source"
    for folder in range(4):
        (place / f"f{folder}").mkdir(parents=True)
        for number in range(6):
            (place / f"f{folder}" / f"{number}").write_bytes(os.urandom(60 * KIB))
    (place / "f1" / "large").write_bytes(os.urandom(700 * KIB))
    return place


def prepared(place: Path, name: str, key: Key, ordinal: int, *options: str) -> Path:
    device, profile = place / name, place / "profile.toml"
    device.mkdir()
    profile.write_text(PROFILE.replace('reserve = "1MiB"', 'reserve = "256KiB"'))
    told = ("--profile", profile, "--job", "set", "-r", key.recipient, "--ordinal", str(ordinal), *options)
    ended = transfer("prepare", device, *told)
    assert ended.code == 0, ended.stderr
    return device


def wrong(source: Path, restored: Path) -> list[str]:
    found = differences(os.fsencode(source), os.fsencode(restored), directory_times=False)
    return [line for line in found if "is missing" not in line]


def test_sealed_encrypted_devices_need_not_be_read_to_go_on_behind_them(tmp_path: Path, source: Path) -> None:
    key = age_key(tmp_path)
    first = prepared(tmp_path, "first", key, 1, "--capacity", "1536KiB")
    assert copy(source, first).code == 13
    assert run("seal", first).code == 0
    second = prepared(tmp_path, "second", key, 2)
    done = run("copy", source, first, second, "-q", "--workers", "1")
    assert done.code == 0, done.stderr
    assert done.document["files"] < 25
    assert len(run("seal", second).document["devices"]) == 2
    files = set[str]()
    for number, device in enumerate((first, second)):
        out = restore_by_hand(device, key.path, tmp_path / f"out {number}")
        assert wrong(source, out) == []
        here = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
        assert not files & here
        files |= here
    assert len(files) == 25


def test_twins_for_two_recipients(tmp_path: Path, source: Path) -> None:
    keys = [age_key(tmp_path, f"{name}.key") for name in "ab"]
    pair = [prepared(tmp_path, f"twin {number}", key, 1) for number, key in enumerate(keys)]
    done = run("copy", source, *pair, "-q", "--workers", "1", "--copies", "2")
    assert done.code == 0, done.stderr
    sizes = [[path.stat().st_size for path in sorted((device / "packs").iterdir())] for device in pair]
    assert sizes[0] == sizes[1]
    for device, key in zip(pair, keys, strict=True):
        assert run("verify", device, "--deep", "-i", key.path).document["findings"] == []
        assert run("seal", device).code == 0
        out = restore_by_hand(device, key.path, device.with_name(device.name + " out"))
        assert differences(os.fsencode(source), os.fsencode(out)) == []


def test_an_encrypted_and_a_plain_twin_that_get_full(tmp_path: Path, source: Path) -> None:
    key = age_key(tmp_path)
    locked = prepared(tmp_path, "locked", key, 1, "--capacity", str(3 * MIB // 2))
    plain = tmp_path / "plain"
    plain.mkdir()
    told = ("--profile", tmp_path / "profile.toml", "--job", "set", "--capacity", str(3 * MIB // 2))
    assert transfer("prepare", plain, *told).code == 0
    assert run("copy", source, locked, plain, "-q", "--workers", "1", "--copies", "2").code == 13
    assert run("verify", plain, "--deep").document["findings"] == []
    assert run("verify", locked, "--deep", "-i", key.path).document["findings"] == []
    counts = [len(list((device / "packs").iterdir())) for device in (locked, plain)]
    assert counts[0] == counts[1]
