"""`transfer info` and `transfer ls` on devices in every state of their life."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.golden.make import GOLDEN
from tests.jobs.shipment import copy_to, make_device, transfer, write_profile

SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "folder/empty").mkdir(parents=True)
    (source / "folder/a").write_bytes(b"a" * 100)
    (source / "folder.txt").write_bytes(b"b" * 50)
    (source / "large").write_bytes(os.urandom(1_000_000))
    os.mkfifo(source / "pipe")
    return source


@pytest.fixture
def device(tmp_path: Path, source: Path) -> Path:
    return make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml", **SIZES), seal=False)


def info(device: Path) -> dict[str, Any]:
    ended = transfer("info", device, "--json")
    assert ended.code == 0, ended.stderr
    return ended.document


def ls(device: Path, *options: str) -> list[dict[str, Any]]:
    ended = transfer("ls", device, "--json", *options)
    assert ended.code == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def names(device: Path, *options: str) -> list[str]:
    return [record["path"] for record in ls(device, *options)]


def test_the_states_of_a_device(tmp_path: Path, device: Path, source: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (
        transfer("prepare", empty, "--profile", "folder", "--job", "j", "--capacity", "1GiB", "-q").code == 0
    )
    prepared = info(empty)
    assert (prepared["state"], prepared["packs"], prepared["runs"]) == ("prepared", 0, [])
    assert 0 < prepared["room_bytes"] < 1 << 30
    assert info(device)["state"] == "open"
    for folder in ("packs", "segments"):
        max((device / folder).iterdir()).unlink()
    assert info(device)["state"] == "interrupted"
    copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0
    sealed = info(device)
    assert (sealed["state"], sealed["room_bytes"], sealed["skipped"], sealed["failed"]) == ("sealed", 0, 1, 0)
    assert sealed["sealed"] == json.loads((device / "SEAL.json").read_bytes())["sealed"]


def test_the_sums(device: Path, source: Path) -> None:
    first = info(device)
    assert (first["entries"], first["content_bytes"]) == (5, 1_000_150)
    stored = sum(path.stat().st_size for path in [*device.glob("packs/*"), *device.glob("segments/*")])
    assert first["stored_bytes"] == stored
    assert first["packs"] == len(list(device.glob("packs/*"))) > 1
    (source / "folder/a").write_bytes(b"changed")
    copy_to(device, source)
    second = info(device)
    assert [run["run"] for run in second["runs"]] == [1, 2]
    assert [run["complete"] for run in second["runs"]] == [True, True]
    assert [run["content_bytes"] for run in second["runs"]] == [1_000_150, 7]
    assert {run["source"] for run in second["runs"]} == {str(source)}
    assert second["content_bytes"] == 1_000_157


def test_info_for_people(device: Path) -> None:
    shown = transfer("info", device)
    assert shown.code == 0
    text = shown.stdout
    assert text.startswith(f"{device}: device 1 of job test, open\n")
    assert "5 entries" in text
    assert "RUN" in text
    assert transfer("seal", device, "-q").code == 0
    assert "missed    0 failed, 1 skipped, in all runs together" in transfer("info", device).stdout


def test_ls_is_in_path_order(device: Path) -> None:
    assert names(device) == ["folder.txt", "folder/", "folder/a", "folder/empty/", "large", "pipe"]
    assert [record["kind"] for record in ls(device)] == [
        *("file", "directory", "file", "directory", "file", "skipped"),
    ]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("folder/", ["folder/", "folder/a", "folder/empty/"]),
        ("folder", ["folder.txt", "folder/", "folder/a", "folder/empty/"]),
        ("folder/a", ["folder/a"]),
        ("l", ["large"]),
        ("zzz", []),
        ("", ["folder.txt", "folder/", "folder/a", "folder/empty/", "large", "pipe"]),
    ],
)
def test_prefixes(device: Path, prefix: str, expected: list[str]) -> None:
    assert names(device, "--", prefix) == expected


def test_problems_alone(device: Path) -> None:
    assert [(record["path"], record["reason"]) for record in ls(device, "--problems")] == [("pipe", "fifo")]
    assert transfer("ls", device, "--problems").stdout == "pipe  [skipped: fifo]\n"


def test_later_runs_win_and_what_was_deleted_stays(device: Path, source: Path) -> None:
    (source / "folder.txt").write_bytes(b"later")
    (source / "folder/a").unlink()
    (source / "folder/empty").rmdir()
    (source / "folder/empty").write_bytes(b"a file now")
    copy_to(device, source)
    found = {record["path"]: record for record in ls(device)}
    assert found["folder.txt"]["size_bytes"] == 5
    assert found["folder/a"]["size_bytes"] == 100
    assert found["folder/empty"]["size_bytes"] == 10
    assert "folder/empty/" not in found


def test_ls_of_the_good_golden_device() -> None:
    shown = transfer("ls", GOLDEN / "good", "-l").stdout.splitlines()
    assert shown[0] == f"file       0644  user:group         {4:>15,}  2023-11-14 22:13:20  a.txt"
    assert shown[-1].endswith("\\xff\\xfe.txt")
    assert any(line.endswith("dir/link -> ../a.txt") for line in shown)
    assert any(line.endswith("dir/hard -> a.txt") for line in shown)
    assert "secret.txt  [failed: unreadable]" in shown
    last = ls(GOLDEN / "good")[-1]
    assert (last["path_base64"], "path" in last) == ("//4udHh0", False)


@pytest.mark.parametrize("command", ["info", "ls"])
def test_what_cannot_be_shown(command: str, tmp_path: Path, device: Path) -> None:
    def refused(root: Path, code: int, word: str) -> None:
        ended = transfer(command, root, "--json")
        error = json.loads(ended.stdout.splitlines()[-1])["error"]
        assert (ended.code, error["exit_code"]) == (code, code)
        assert word in error["what"]

    refused(tmp_path / "none", 10, "no device")
    refused(tmp_path, 10, "no device")
    segment = device / "segments/00000001.jsonl.zst"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:10])
    refused(device, 4, "segment 1")
    segment.unlink()
    segment.symlink_to("/dev/zero")
    refused(device, 10, "00000001.jsonl.zst")
    segment.unlink()
    refused(device, 4, "segment 1 is missing")
    (device / "DEVICE.json").write_bytes(b"{}")
    refused(device, 4, "DEVICE.json")


def test_ls_gives_nothing_out_of_order() -> None:
    ended = transfer("ls", GOLDEN / "path-not-sorted", "--json")
    assert (ended.code, "out of order" in ended.stdout.splitlines()[-1]) == (4, True)


def test_ls_says_where_a_damaged_manifest_breaks_off() -> None:
    ended = transfer("ls", GOLDEN / "path-climbs-out", "--json")
    assert ended.code == 4
    *records, error = [json.loads(line) for line in ended.stdout.splitlines()]
    assert "climbs out" in error["error"]["what"]
    assert all(".." not in record["path"].split("/") for record in records)
