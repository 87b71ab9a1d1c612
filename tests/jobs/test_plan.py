"""`transfer plan` of folders: what it counts is what copy records, what it names is what does not arrive."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.buckets import Bucket
from tests.jobs.encrypted import age_key, make_encrypted
from tests.jobs.shipment import import_to, make_device, transfer, write_profile

SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
LONG = "x" * 250


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with everything that has a rule of its own, names that no bucket takes included."""
    source = tmp_path / "source"
    (source / "folder/empty").mkdir(parents=True)
    (source / "folder/a").write_bytes(b"a" * 5000)
    (source / "folder.txt").write_bytes(b"")
    (source / "large").write_bytes(os.urandom(300_000))
    os.link(source / "folder/a", source / "folder/also a")
    os.symlink("folder/a", source / "link")
    os.mkfifo(source / "pipe")
    (source / "bell\a").write_bytes(b"1")
    (source / "dots..").write_bytes(b"22")
    (source / os.fsdecode(b"\xff\xfe")).write_bytes(b"333")
    deep = source / LONG / LONG / LONG / LONG
    deep.mkdir(parents=True)
    (deep / LONG).write_bytes(b"4444")
    return source


def plan(source: Path | str, *options: str | Path) -> dict[str, Any]:
    ended = transfer("plan", source, "--json", "-q", *options)
    assert ended.code in (0, 3), ended.stderr
    document = ended.document
    assert (ended.code == 3) == bool(document["not_arriving"])
    return document


def paths_of(refusals: list[dict[str, Any]], by: str) -> list[str]:
    return [one.get("path") or one["path_base64"] for one in refusals if one["by"] == by]


def test_the_counts_are_those_of_a_copy(tmp_path: Path, source: Path) -> None:
    counts = plan(source, "--profile", "folder")["counts"]
    assert counts["bytes"] == 5000 + 300_000 + 1 + 2 + 3 + 4
    assert counts["restored_bytes"] == counts["bytes"] + 5000
    assert counts["largest_bytes"] == 300_000
    assert (counts["files"], counts["hardlinks"], counts["symlinks"], counts["folders"]) == (7, 1, 1, 6)
    device = make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml", **SIZES))
    held = transfer("info", device, "--json").document
    assert (held["entries"], held["content_bytes"]) == (counts["entries"], counts["bytes"])


def test_what_it_refuses_is_what_the_import_fails_at(tmp_path: Path, source: Path, bucket: Bucket) -> None:
    found = plan(source, "--profile", "folder", "--bucket", f"s3://{bucket.name}/some/prefix")
    assert found["refused"]["bucket"] == 3
    assert found["refused"]["symlink"] == found["refused"]["skipped"] == 1
    assert found["not_arriving"] == 5
    device = make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml", **SIZES))
    ended = import_to(bucket, device, tmp_path / "report", prefix="some/prefix")
    assert ended.code == 3
    told = {one.get("path", "\\xff\\xfe") for one in found["refused_first"]}
    assert {key.removeprefix("some/prefix/") for key in ended.failed} == told


def test_a_longer_prefix_refuses_more(source: Path) -> None:
    for name in source.iterdir():
        if name.name.startswith(("x", "b")) or not name.name.isprintable():
            os.rename(name, source.parent / f"aside-{len(list(source.parent.iterdir()))}")
    short = plan(source, "--profile", "folder", "--symlinks", "skip")
    assert short["refused"] == {"skipped": 1, "windows": 1}
    prefix = "s3://bucket/" + "p" * 1018
    found = plan(source, "--profile", "folder", "--symlinks", "skip", "--bucket", prefix)
    assert paths_of(found["refused_first"], "bucket") == [
        *("dots..", "folder.txt", "folder/a", "folder/also a", "folder/empty/"),
    ]
    linked = plan(source, "--profile", "folder", "--symlinks", "rclone", "--bucket", "s3://b-b/" + "p" * 1010)
    assert paths_of(linked["refused_first"], "bucket") == ["link"]


def test_names_that_other_systems_cannot_hold(source: Path) -> None:
    found = plan(source, "--profile", "folder")
    assert sorted(paths_of(found["renamed_first"], "windows")) == ["//4=", "bell\a", "dots.."]
    assert paths_of(found["renamed_first"], "macos") == ["//4="]


def test_every_refusal_is_in_the_list(tmp_path: Path, source: Path) -> None:
    names = [f"bad{number:04}\x01" for number in range(1200)]
    (source / "many").mkdir()
    for name in names:
        (source / "many" / name).touch()
    listed = tmp_path / "refused.jsonl"
    found = plan(source, "--profile", "folder", "--refused-list", listed)
    lines = [json.loads(line) for line in listed.read_bytes().splitlines()]
    assert len(lines) == sum(found["refused"].values())
    assert {f"many/{name}" for name in names} <= set(paths_of(lines, "bucket"))
    assert len(found["refused_first"]) == 1000
    again = transfer("plan", source, "--profile", "folder", "--refused-list", listed)
    assert (again.code, "--overwrite" in again.stderr) == (2, True)
    assert transfer("plan", source, "--profile", "folder", "--refused-list", listed, "--overwrite").code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refused.jsonl", "source"]


def test_nothing_is_listed_where_the_source_fails(tmp_path: Path) -> None:
    ended = transfer("plan", tmp_path / "none", "--profile", "folder", "--refused-list", tmp_path / "list")
    assert (ended.code, "does not exist" in ended.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_devices_that_are_needed(source: Path, tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "p.toml", **SIZES)
    for number in range(5):
        (source / f"more{number}").write_bytes(bytes(500_000))
    told = plan(source, "--profile", profile, "--capacity", "65MiB")
    assert told["device_bytes"] == 1 << 20
    assert [fill["last_path"] for fill in told["fills"]] == ["more0", "more2", "\\xff\\xfe"]
    assert told["devices"] == 3
    assert sum(fill["bytes"] for fill in told["fills"]) == told["counts"]["bytes"]
    shown = transfer("plan", source, "--profile", profile, "--capacity", "65MiB", "--copies", "2").stdout
    assert "3 x 2 copies = 6, each with room for 1.00 MiB" in shown


def test_devices_are_not_counted_where_nobody_knows_their_size(source: Path) -> None:
    found = plan(source, "--profile", "folder")
    assert (found["devices"], found["device_bytes"]) == (None, None)
    assert "--capacity SIZE counts them" in transfer("plan", source, "--profile", "folder").stdout
    refused = transfer("plan", source, "--profile", "folder", "--capacity", "65MiB")
    assert (refused.code, "too small" in refused.stderr) == (2, True)


def test_a_file_that_no_device_holds_is_named(source: Path, tmp_path: Path) -> None:
    with open(source / "vast", "wb") as file:
        file.truncate(1 << 30)
    profile = write_profile(tmp_path / "p.toml", **SIZES)
    found = plan(source, "--profile", profile, "--capacity", "165MiB")
    assert paths_of(found["refused_first"], "device") == ["vast"]
    assert found["counts"]["largest_bytes"] == 300_000
    assert (
        "vast: 1,073,741,824 bytes; no device"
        in transfer("plan", source, "--profile", profile, "--capacity", "165MiB").stderr
    )


def test_a_hard_link_brings_its_content_to_one_more_device(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "c", "e"):
        (source / name).write_bytes(bytes(700_000))
    os.link(source / "a", source / "b")
    os.link(source / "a", source / "d")
    profile = write_profile(tmp_path / "p.toml", **SIZES)
    found = plan(source, "--profile", profile, "--capacity", "65MiB")
    assert [(fill["entries"], fill["bytes"]) for fill in found["fills"]] == [
        *((2, 700_000), (1, 700_000), (1, 700_000), (1, 700_000)),
    ]
    counts = found["counts"]
    assert (counts["files"], counts["hardlinks"], counts["bytes"]) == (3, 2, 2_100_000)


@pytest.mark.parametrize("encrypted", [False, True], ids=["open", "encrypted"])
def test_a_device_never_takes_more_than_planned(tmp_path: Path, encrypted: bool) -> None:
    """Of content that cannot be compressed, in files that are all overhead and in one of many chunks."""
    source = tmp_path / "source"
    for number in range(600):
        path = source / os.urandom(1).hex() / os.urandom(12).hex()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number))
    (source / "large").write_bytes(os.urandom(3_000_000))
    profile = write_profile(tmp_path / "p.toml", **SIZES)
    planned = plan(source, "--profile", profile, "--capacity", "1GiB")["fills"][0]["stored_bytes"]
    keys = tmp_path / "key"
    assert transfer("keys", "generate", "--identity", keys).code == 0
    options = ["--recipient", f"{keys}.pub"] if encrypted else []
    device = tmp_path / "device"
    device.mkdir()
    assert transfer("prepare", device, "--profile", profile, "--job", "j", "-q", *options).code == 0
    assert transfer("copy", source, device, "-q").code == 0
    stored = sum(path.stat().st_size for path in [*device.glob("packs/*"), *device.glob("segments/*")])
    assert 0.9 * planned < stored <= planned


def test_encryption_is_planned_for(tmp_path: Path) -> None:
    """In chunks so large that nothing else is worth speaking of."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/large").write_bytes(os.urandom(20_000_000))
    profile = write_profile(tmp_path / "p.toml", pack_size="64MiB", chunk_size="8MiB")
    found = plan(tmp_path / "source", "--profile", profile, "--capacity", "1GiB")
    device = make_encrypted(tmp_path / "device", tmp_path / "source", profile, age_key(tmp_path))
    stored = sum(path.stat().st_size for path in [*device.glob("packs/*"), *device.glob("segments/*")])
    assert 0 <= found["fills"][0]["stored_bytes"] - stored < 8000


def test_as_many_devices_as_planned_are_enough(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for folder in "abc":
        (source / folder).mkdir(parents=True)
        for number in range(60):
            (source / folder / f"{number}").write_bytes(os.urandom(100 * number))
        (source / folder / "large").write_bytes(os.urandom(700_000))
    profile = write_profile(tmp_path / "p.toml", **SIZES)
    options = ("--profile", profile, "--capacity", "65MiB")
    found = plan(source, *options)
    assert found["devices"] == 3
    devices = [tmp_path / f"device{number}" for number in range(found["devices"])]
    for number, device in enumerate(devices, start=1):
        device.mkdir()
        assert transfer("prepare", device, *options, "--job", "j", "--ordinal", str(number), "-q").code == 0
    ended = transfer("copy", source, *devices, "-q")
    assert ended.code == 0, ended.stderr
    told = [transfer("ls", device).stdout.splitlines() for device in devices]
    assert all(told)
    assert len({path for paths in told for path in paths}) == found["counts"]["entries"]


def test_filters_and_links_as_in_copy(source: Path) -> None:
    found = plan(source, "--profile", "folder", "--include", "/folder/**", "--exclude", "also*")
    assert found["counts"]["bytes"] == 5000
    followed = plan(source, "--profile", "folder", "-L")
    assert (followed["counts"]["symlinks"], "symlink" in followed["refused"]) == (0, False)


def test_what_cannot_be_read_is_told(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, *_, **__: not path.endswith(b"/large"))
    found = plan(source, "--profile", "folder")
    assert paths_of(found["refused_first"], "failed") == ["large"]
    assert found["counts"]["bytes"] == 5010


def test_a_sample_says_how_far_it_can_be_compressed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(4):
        (source / f"{number}").write_bytes(bytes(900_000))
    profile = write_profile(tmp_path / "p.toml", **SIZES)
    found = plan(source, "--profile", profile, "--capacity", "65MiB", "--sample")
    assert (found["devices"], found["likely_devices"]) == (4, 1)
    assert found["sample"]["stored_bytes"] < 0.01 * found["sample"]["bytes"]
    assert plan(source, "--profile", profile, "--capacity", "65MiB")["sample"] is None
    assert "came to 0 % of their size" in transfer("plan", source, "--profile", profile, "--sample").stdout
    assert transfer("plan", "s3://bucket", "--profile", profile, "--sample").code == 2


def test_the_carrier_against_the_wire(source: Path) -> None:
    options = (
        "--profile",
        "usb-hdd-16tb",
        "--uplink",
        "10Mbit",
        "--utilization",
        "50",
        "--carrier-days",
        "3.5",
    )
    times = plan(source, *options, "--source-rate", "1MB/s", "--file-cost-ms", "20")["schedule"]
    assert times["wire_s"] == pytest.approx(8 * 305_010 / 5_000_000)
    assert (times["carrier_days"], times["write_bytes_s"], times["file_cost_s"]) == (3.5, 1_000_000, 0.02)
    assert times["fill_s"] == pytest.approx(0.3 + 6 * 0.02 + 7 * 0.02)
    shown = transfer("plan", source, *options).stdout
    assert "10 Mbit/s, 50 % of it counted on" in shown
    assert "the wire is" in shown


def test_an_empty_source(tmp_path: Path) -> None:
    found = plan(tmp_path, "--profile", "usb-ssd-4tb", "--uplink", "1Gbit")
    assert (found["devices"], found["counts"]["entries"], found["sizes"], found["fills"]) == (0, 0, [], [])
    assert (
        "nothing to carry"
        in transfer("plan", tmp_path, "--profile", "usb-ssd-4tb", "--uplink", "1Gbit").stdout
    )


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--uplink", "100M"], "--uplink"),
        (["--bucket", "bucket"], "s3://"),
        (["--begin", "a"], "--begin"),
        (["--versions", "all"], "--versions"),
        (["--symlinks", "no"], "--symlinks"),
        (["--utilization", "0"], "--utilization"),
        (["--source-rate", "0"], "--source-rate"),
        (["--profile", "floppy"], "floppy"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_options_that_make_no_sense(tmp_path: Path, options: list[str], word: str) -> None:
    ended = transfer("plan", tmp_path, "--profile", "folder", *options)
    assert (ended.code, word in ended.stderr) == (2, True), ended.stderr
