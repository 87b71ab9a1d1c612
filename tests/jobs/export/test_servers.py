"""`transfer export` as a person gives it, with its worker processes, from real servers."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.copy.copying import findings, recover, run, transfer_command
from tests.jobs.copy.test_span import device_of
from tests.jobs.export.exporting import entries, new_device, objects, troubles
from tests.simulators.kills import bytes_exist, files_exist, run_and_kill
from transfer.core.names import escape
from transfer.core.records import DeleteMarker, File

LARGE = bytes(range(256)) * 3000


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return new_device(tmp_path / "device")


def place_of(bucket: Bucket, prefix: str = "") -> list[str]:
    """Where a bucket is, as arguments."""
    return [f"s3://{bucket.name}/{prefix}", "--endpoint-url", bucket.server.endpoint_url]


@pytest.fixture
def signed_in(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name, value in bucket.environment().items():
        monkeypatch.setenv(name, value)
    return bucket


@both_makes
def test_the_whole_way(signed_in: Bucket, device: Path, tmp_path: Path):
    bucket, client = signed_in, signed_in.client
    contents = {f"dir {n % 5}/ob ject+{n}": b"%d" % n * n for n in range(60)} | {
        "large": LARGE,
        "a%20b": b"%",
    }
    for key, content in contents.items():
        client.put_object(
            Bucket=bucket.name,
            Key=f"p/{key}",
            Body=content,
            ContentType="text/x-test",
            Metadata={"who": "me"},
        )
    first, *at = place_of(bucket, "p")
    done = run("export", first, device, "-q", "--workers", "2", *at)
    assert (done.code, done.document["files"], done.document["problems"]) == (0, 62, [])
    assert {key: record.size_bytes for key, record in objects(device).items()} == {
        key: len(content) for key, content in contents.items()
    }
    facts = objects(device)["large"].object
    assert facts is not None
    assert (facts.content_type, facts.user["who"]) == ("text/x-test", "me")
    done = run("export", first, device, "-q", "--workers", "1", *at)
    assert (done.code, done.document["files"], done.document["unchanged"]) == (0, 0, 62)
    assert findings(device) == set()
    assert recover(device, tmp_path / "out")[0] == 0
    for key, content in contents.items():
        assert (tmp_path / "out" / escape(key.encode()).decode()).read_bytes() == content


@pytest.mark.parametrize("bucket", ["moto"], indirect=True)
@pytest.mark.xdist_group("import-moto")
def test_versions_tags_and_archives_of_a_real_server(signed_in: Bucket, device: Path):
    bucket, client = signed_in, signed_in.client
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    made = []
    for body in (b"one", b"two"):
        told = client.put_object(Bucket=bucket.name, Key="k", Body=body, Tagging="colour=blue&empty=")
        made.append(told["VersionId"])
    client.delete_object(Bucket=bucket.name, Key="k")
    client.put_object(Bucket=bucket.name, Key="cold", Body=b"cold", StorageClass="GLACIER")
    first, *at = place_of(bucket)
    dry = run("export", first, device, "-q", "--versions", "all", "--dry-run", *at)
    assert (dry.code, dry.document["left_files"], dry.document["skipped"]) == (3, 2, 1)
    done = run("export", first, device, "-q", "--versions", "all", "--tags", "always", *at)
    assert (done.code, done.problems) == (3, {"cold": "archived"})
    kept = [record for record in entries(device) if record.path == "k"]
    assert [type(record) for record in kept] == [File, File, DeleteMarker]
    facts = [record.object for record in kept if isinstance(record, File) and record.object]
    assert [fact.version_id for fact in facts] == made
    assert facts[0].tags == {"colour": "blue", "empty": ""}
    done = run("export", first, device, "-q", "--versions", "all", "--restore-archived", "2:bulk", *at)
    assert "requested" in done.document["problems"][0]["detail"]
    head = client.head_object(Bucket=bucket.name, Key="cold")
    assert "ongoing-request" in head["Restore"]
    assert findings(device) == set()


@pytest.mark.parametrize("bytes_there", [100_000, 700_000], ids=["small", "large"])
def test_kill_9_costs_a_pack_at_most(signed_in: Bucket, device: Path, bytes_there: int):
    bucket = signed_in
    contents = {f"a/{n:03}": os.urandom(6000) for n in range(100)} | {"b/large": os.urandom(800_000)}
    for key, content in contents.items():
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=content)
    first, *at = place_of(bucket)
    slow = ("--bwlimit", "1M")
    command = transfer_command("export", first, device, "-q", "--workers", "1", *slow, *at)
    killed = run_and_kill(command, bytes_exist(f"{device}/packs/*", bytes_there))
    assert killed.killed
    before = set(objects(device))
    done = run("export", first, device, "-q", "--workers", "1", *at)
    assert (done.code, done.document["run"]) == (0, 1)
    assert done.document["files"] <= 101 - len(before) + 1
    assert set(objects(device)) == set(contents)
    assert findings(device) == set()


def test_kill_9_again_and_again_over_several_devices(
    signed_in: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bucket, noise = signed_in, random.Random(1)
    contents = {f"a/{n:03}": noise.randbytes(40_000) for n in range(40)}
    contents |= {f"a/{n:03}.large": noise.randbytes(500_000) for n in (10, 30)}
    for key, content in contents.items():
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=content)
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3)]
    first, *at = place_of(bucket)
    command = ["export", first, *devices, "-q", "--workers", "1", *at]
    kills = 0
    for _ in range(20):
        have = sum(len(list((device / "segments").iterdir())) for device in devices)
        event = files_exist(f"{tmp_path}/device */segments/*.zst", have + 3)
        outcome = run_and_kill(transfer_command(*command, "--bwlimit", "4M"), event)
        if not outcome.killed:
            break
        kills += 1
    assert (outcome.returncode, kills > 0) == (0, True)
    again = run(*command)
    assert (again.code, again.document["files"], len(again.document["unused"])) == (0, 0, 1)
    held = [objects(device) for device in devices]
    assert sorted(key for part in held for key in part) == sorted(contents)
    assert [bool(part) for part in held] == [True, True, False]
    assert findings(devices[0]) == findings(devices[1]) == set()


def test_a_missing_bucket_is_one_clear_error(signed_in: Bucket, device: Path):
    _, *at = place_of(signed_in)
    done = run("export", "s3://no-such-bucket-here", device, "-q", *at)
    assert (done.code, troubles(device)) == (1, {})
    assert "no-such-bucket-here" in done.stderr


def test_a_range_is_of_whole_keys_and_nothing_found_is_said(signed_in: Bucket, device: Path):
    first, *at = place_of(signed_in, "p")
    done = run("export", first, device, "-q", "--workers", "1", "--begin", "small/020", *at)
    assert (done.code, "p/small/020" in done.stderr) == (2, True)
    done = run("export", first, device, "--workers", "1", *at)
    assert (done.code, "nothing to take" in done.stderr) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--begin", "b", "--end", "a"],
        ["--keys", "x", "--inventory", "y"],
        ["--keys", "/no/such/file"],
        ["--inventory", "/no/such/file"],
        ["--versions", "some"],
        ["--versions", "all", "--as-of", "2026-01-01"],
        ["--versions", "all"],
        ["--as-of", "yesterday"],
        ["--as-of", "2999-01-01"],
        ["--tags", "perhaps"],
        ["--restore-archived", "0"],
        ["--restore-archived", "3:soon"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused(signed_in: Bucket, device: Path, wrong: list[str]):
    first, *at = place_of(signed_in)
    done = run("export", first, device, "-q", "--workers", "1", *wrong, *at)
    assert (done.code, list((device / "packs").iterdir())) == (2, [])
