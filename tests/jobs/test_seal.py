"""`transfer seal`: what the seal lists, and when it is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from blake3 import blake3

from tests.golden.model import Tampered
from tests.jobs.shipment import copy_to, make_device, transfer, write_profile
from transfer.device.layout import Layout
from transfer.device.lock import locked


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four packs of content, and something that is not copied."""
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    for number in range(3):
        (source / f"folder/{number}").write_bytes(os.urandom(60_000))
    (source / "large").write_bytes(os.urandom(900_000))
    os.mkfifo(source / "pipe")
    return source


@pytest.fixture
def device(tmp_path: Path, source: Path) -> Path:
    """A device with the source on it, not sealed."""
    sizes = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
    return make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml", **sizes), seal=False)


def interrupt(device: Path) -> None:
    """Take the last pack and its segment away, as if the copy had been stopped before them."""
    for folder in ("packs", "segments"):
        max((device / folder).iterdir()).unlink()


def refused(device: Path, code: int, word: str, *options: str) -> None:
    ended = transfer("seal", device, "--json", *options)
    assert (ended.code, ended.document["error"]["exit_code"]) == (code, code)
    assert word in ended.document["error"]["what"]
    assert "Traceback" not in ended.stderr


def test_the_seal_lists_everything(device: Path) -> None:
    ended = transfer("seal", device, "--json")
    assert ended.code == 0
    text = (device / "SEAL.json").read_bytes()
    seal = json.loads(text)
    assert ended.document["seal_blake3"] == blake3(text).hexdigest()
    assert ended.document["totals"] == seal["totals"]
    listed = {"": seal["files"], "packs/": seal["packs"], "segments/": seal["segments"]}
    for folder, files in listed.items():
        for file in files:
            data = (device / folder / file["name"]).read_bytes()
            assert (file["size_bytes"], file["blake3"]) == (len(data), blake3(data).hexdigest())
    for folder in ("packs", "segments"):
        assert [file["name"] for file in seal[folder]] == sorted(os.listdir(device / folder))
    assert len(seal["packs"]) > 2
    assert [file["name"] for file in seal["files"]] == ["DEVICE.json", "RECOVERY.txt", "recover.sh"]
    stored = sum(file["size_bytes"] for file in seal["packs"] + seal["segments"])
    assert seal["totals"] == {
        "entries": 5,
        "content_bytes": 3 * 60_000 + 900_000,
        "stored_bytes": stored,
        "failed": 0,
        "skipped": 1,
    }
    identity = json.loads((device / "DEVICE.json").read_bytes())
    assert [seal[name] == identity[name] for name in ("device_id", "job", "ordinal")] == [True] * 3
    assert (seal["complete"], seal["generation"]) == (True, 1)
    assert not (device / "RESERVE").exists()
    assert not list(device.glob("**/*.partial"))


def test_what_it_says_to_people(device: Path) -> None:
    ended = transfer("seal", device)
    assert ended.code == 0
    first, second, third, fourth = ended.stdout.splitlines()
    assert first.startswith(f"sealed {device}: ")
    assert "5 entries" in first
    assert blake3((device / "SEAL.json").read_bytes()).hexdigest() in second
    assert blake3((device / "CUSTODY.jsonl").read_bytes().splitlines(keepends=True)[-1]).hexdigest() in third
    assert "1 skipped" in fourth


def test_a_dry_run_writes_nothing(device: Path) -> None:
    (device / "packs/00000099.tar.zst.partial").write_bytes(b"left")
    before = {path: path.stat().st_mtime_ns for path in device.rglob("*") if path.name != "LOCK"}
    ended = transfer("seal", device, "--dry-run", "--json")
    assert (ended.code, ended.document["sealed"]) == (0, False)
    assert {path: path.stat().st_mtime_ns for path in device.rglob("*") if path.name != "LOCK"} == before
    assert "would seal" in transfer("seal", device, "--dry-run").stdout


def test_sealing_deletes_what_was_never_committed(device: Path) -> None:
    left = [device / "packs/00000099.tar.zst", device / "packs/00000100.tar.zst.partial"]
    for path in left:
        path.write_bytes(b"left")
    assert transfer("seal", device).code == 0
    assert not any(path.exists() for path in left)
    assert transfer("verify", device, "--deep", "--no-progress").code == 0


def test_a_sealed_device_takes_nothing_more(device: Path, source: Path) -> None:
    assert transfer("seal", device).code == 0
    refused(device, 10, "is sealed")
    assert transfer("copy", source, device, "-q").code == 10


def test_an_incomplete_device_is_sealed_only_on_demand(device: Path, source: Path) -> None:
    interrupt(device)
    refused(device, 10, "did not end")
    assert not (device / "SEAL.json").exists()
    ended = transfer("seal", device, "--incomplete", "--json")
    assert (ended.code, ended.document["complete"]) == (0, False)
    ended = transfer("verify", device, "--json", "--no-progress")
    assert ended.code == 4
    assert [finding["code"] for finding in ended.document["findings"]] == ["incomplete"]


def test_after_the_copy_was_finished_it_is_sealed(device: Path, source: Path) -> None:
    interrupt(device)
    copy_to(device, source)
    assert transfer("seal", device).code == 0
    assert transfer("verify", device, "--deep", "--no-progress").code == 0


def test_damage_that_shows_is_not_sealed(device: Path) -> None:
    pack = device / "packs/00000001.tar.zst"
    whole = pack.read_bytes()
    pack.write_bytes(whole[:-1])
    refused(device, 4, "00000001.tar.zst")
    pack.unlink()
    refused(device, 10, "00000001.tar.zst")
    pack.write_bytes(whole)
    segment = device / "segments/00000001.jsonl.zst"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    refused(device, 4, "segment 1")
    segment.unlink()
    refused(device, 4, "segment 1 is missing")
    segment.write_bytes(whole)
    (device / "recover.sh").unlink()
    refused(device, 10, "recover.sh")
    assert not (device / "SEAL.json").exists()


def test_no_device(tmp_path: Path) -> None:
    refused(tmp_path / "none", 10, "no device")
    refused(tmp_path, 10, "no device")


def test_while_a_copy_is_at_work(device: Path) -> None:
    with locked(Layout(str(device)), "copy"):
        refused(device, 11, "in use by transfer copy")


def test_an_empty_device(tmp_path: Path) -> None:
    device = tmp_path / "empty"
    device.mkdir()
    assert transfer("prepare", device, "--profile", "folder", "--job", "j", "-q").code == 0
    assert transfer("seal", device, "-q").code == 0
    assert transfer("verify", device, "--deep", "--no-progress").code == 0
    assert json.loads((device / "SEAL.json").read_bytes())["packs"] == []


def test_several_runs_are_counted_together(device: Path, source: Path) -> None:
    (source / "folder/0").write_bytes(b"changed")
    copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0
    totals = json.loads((device / "SEAL.json").read_bytes())["totals"]
    assert totals["content_bytes"] == 3 * 60_000 + 900_000 + len(b"changed")
    assert {part.header["run"] for part in Tampered(device).parts} == {1, 2}
