"""Real processes, killed (SIGKILL) at random moments until one comes to its end, against real servers.

What the bucket had when a process was killed is never written again: rclone's server keeps files, whose
change times tell; moto's keeps versions.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.jobs.buckets import Bucket, make_bucket
from tests.jobs.shipment import CHUNK, files_of, import_command, make_device, read_rows, write_profile
from tests.simulators.kills import Event, run_and_kill
from tests.simulators.servers import moto_s3, program, rclone_s3
from tests.simulators.trees import large_file
from transfer.stores.s3_probe import PROBE_KEY

ENTRIES = 64
LARGE_BYTES = 70 * CHUNK  # parts of 32 MiB


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for number in range(60):
        (root / f"small {number:02}").write_bytes(b"%d" % number)
    for name in ("m large", "z large"):
        large_file(os.fsencode(root / name), LARGE_BYTES, seed=len(name))
    os.link(root / "m large", root / "zz link")
    os.link(root / "small 07", root / "zz small link")
    return root


@pytest.fixture(scope="module")
def device(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("device")
    return make_device(place / "device", source, write_profile(place / "small.toml", pack_size="32MiB"))


@pytest.fixture(params=["rclone", "moto"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    served = tmp_path / "served"
    served.mkdir()
    with rclone_s3(served) if request.param == "rclone" else moto_s3() as server:
        bucket = make_bucket(server, "killed", request.param)
        if request.param == "moto":
            bucket.client.put_bucket_versioning(
                Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
            )
        yield bucket


def written(bucket: Bucket, place: Path) -> dict[str, Any]:
    """Of each object something that changes when it is written again."""
    if bucket.make == "rclone":
        files: Iterator[Path] = (place / "served" / bucket.name).iterdir()
        files = (file for file in files if not file.name.startswith(".rclone_temp_"))
        return {file.name: (file.stat().st_ino, file.stat().st_ctime_ns) for file in files}
    pages = bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name)
    return dict(Counter(item["Key"] for page in pages for item in page.get("Versions", [])))


def parts_arrived(bucket: Bucket) -> int:
    """How many parts the store has of uploads that are open."""
    count = 0
    try:
        listing = bucket.client.list_multipart_uploads(Bucket=bucket.name)
        for one in listing.get("Uploads", []):
            told = {"Bucket": bucket.name, "Key": one["Key"], "UploadId": one["UploadId"]}
            count += len(bucket.client.list_parts(**told).get("Parts", []))
    except ClientError as error:  # also what rclone's server says where there is none
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
    return count


def moment(bucket: Bucket, round_: int, chance: random.Random, objects: int) -> Event:
    """In turns: some objects more, a part more; or an upload that was just begun."""
    more, parts = objects + chance.randint(1, 1 + (ENTRIES - objects) // 3), parts_arrived(bucket)
    begun = set(bucket.uploads())
    events: list[Event] = [
        lambda _: len(bucket.listed()) >= more,
        lambda _: parts_arrived(bucket) > parts,
        lambda _: any("large" in key and key not in begun for key in bucket.uploads()),
    ]
    return events[round_ % 3]


def unnamed(ledger: Path) -> set[str]:
    """The keys of uploads whose ids were not recorded."""
    if not ledger.exists():
        return set()
    with closing(sqlite3.connect(ledger)) as opened:
        return {key for (key,) in opened.execute("SELECT key FROM uploads WHERE upload_id = ''")}


@pytest.mark.parametrize("seed", range(1))
def test_killed_again_and_again(
    bucket: Bucket, device: Path, source: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    ledger, report = tmp_path / "ledger", tmp_path / "report"
    command = import_command(
        bucket, device, "--ledger", os.fspath(ledger), "--report", os.fspath(report), "--bwlimit", "80M"
    )
    before: dict[str, Any] = {}
    left = {PROBE_KEY}
    kills = parked = 0
    for round_ in range(40):
        outcome = run_and_kill(
            [program("transfer"), *command],
            moment(bucket, round_, chance, len(before)),
            env={**os.environ, **bucket.environment()},
        )
        now = written(bucket, tmp_path)
        assert {key: now.get(key) for key in before} == before, "what was there was written again"
        if not outcome.killed:
            break
        before = now
        kills += 1
        if bucket.make == "moto":  # it dates every upload to 2010: such a one seems to be somebody else's
            left |= unnamed(ledger)
        parked += parts_arrived(bucket) > 0
    assert outcome.returncode == 0, outcome.stderr
    assert kills >= 2
    # rclone's server gives an upload up when its client dies inside a part: there it is a matter of chance.
    assert parked >= 1 or bucket.make == "rclone"
    expected = files_of(source)
    assert {key: bucket.read(key) for key in bucket.listed()} == expected
    # Of the probe, which begins an upload to see what the store does, a kill may leave that one.
    assert set(bucket.uploads()) <= left
    assert read_rows(report / "success.csv").keys() == expected.keys()
    with closing(sqlite3.connect(ledger)) as opened:
        assert opened.execute("SELECT count(*) FROM uploads").fetchone() == (0,)
        assert opened.execute("SELECT phase FROM jobs").fetchall() == [("complete",)]
        assert dict(opened.execute("SELECT state, count(*) FROM objects GROUP BY 1")) == {
            "done": len(expected)
        }
    if bucket.make == "moto":
        assert set(now.values()) == {1}, "an object was written twice"
