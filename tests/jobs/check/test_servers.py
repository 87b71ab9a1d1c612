"""`transfer check` against real servers, and how it ends when somebody stops it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.golden.build import CHUNK_BYTES, Run, document, metadata, prepare, sums
from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.check.checking import check_bucket, read_combined, read_results
from tests.jobs.encrypted import age_key, make_encrypted
from tests.jobs.shipment import files_of, import_to, transfer
from tests.simulators.servers import program
from transfer.core.records import File

pytestmark = pytest.mark.usefixtures("no_loose_ends")
LINKS = ("--symlinks", "rclone")


@pytest.fixture
def filled(bucket: Bucket, varied_device: Path) -> Bucket:
    """A bucket with the device in it, under a prefix, and somebody else's object beside it."""
    assert import_to(bucket, varied_device, None, *LINKS, prefix="survey").code == 0
    bucket.client.put_object(Bucket=bucket.name, Key="other", Body=b"theirs")
    return bucket


@both_makes
def test_behind_an_import(filled: Bucket, varied_device: Path, varied_source: Path, tmp_path: Path) -> None:
    combined, results = tmp_path / "combined", tmp_path / "results"
    lists = ("--combined", combined, "--results", results)
    ended = check_bucket(filled, varied_device, *LINKS, "--download", *lists, "--json", prefix="survey")
    assert (ended.code, ended.stderr) == (0, "")
    expected = {*files_of(varied_source), "symlink", "a/", "a/b/", "z/", "empty/", "empty/inner/"}
    assert read_combined(combined) == dict.fromkeys(expected, "same")
    assert read_results(results.read_bytes()).keys() == expected
    assert ended.document["same"] == len(expected)
    ways = ended.document["same_by"]
    assert ways["folder"] == 4
    if filled.make == "rclone":
        assert ways.keys() == {"download", "empty", "folder"}

    filled.client.put_object(Bucket=filled.name, Key="survey/a/small 5", Body=b"xxxxx")  # of the same size
    filled.client.delete_object(Bucket=filled.name, Key="survey/large")
    filled.client.put_object(Bucket=filled.name, Key="survey/a/new", Body=b"new")
    ended = check_bucket(filled, varied_device, *LINKS, "--download", *lists, prefix="survey")
    assert ended.code == 3
    differences = {path: state for path, state in read_combined(combined).items() if state != "same"}
    assert differences == {"a/new": "extra", "a/small 5": "different", "large": "missing"}
    assert "a/small 5" in ended.stderr
    assert "are NOT the same" in ended.stdout
    ended = check_bucket(
        filled, varied_device, *LINKS, "--download-all", "--one-way", "--json", prefix="survey"
    )
    assert (ended.document["missing"], ended.document["different"], ended.document["extra"]) == (1, 1, 0)
    assert "crc64nvme" not in ended.document["same_by"]


@both_makes
def test_the_same_differences_as_rclone(
    filled: Bucket, varied_device: Path, varied_source: Path, tmp_path: Path
) -> None:
    """rclone compares the source itself with the bucket; folders and links are no matter for it."""
    filled.client.put_object(Bucket=filled.name, Key="survey/a/small 5", Body=b"xxxxx")
    filled.client.delete_object(Bucket=filled.name, Key="survey/large")
    filled.client.put_object(Bucket=filled.name, Key="survey/zz", Body=b"new")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    filters = ("--exclude", "empty/**", "--exclude", "symlink*")
    check_bucket(filled, varied_device, *filters, "--download", "--combined", ours, prefix="survey")
    place = f"there:{filled.name}/survey"
    filled.rclone("check", "--download", *filters, "--combined", os.fspath(theirs),
                  os.fspath(varied_source), place)  # fmt: skip
    told = {path: state for path, state in read_combined(ours).items() if not path.endswith("/")}
    assert told == read_combined(theirs)
    assert set(told.values()) == {"same", "different", "missing", "extra"}


def test_without_a_checksum_it_says_so(filled: Bucket, varied_device: Path) -> None:
    ended = check_bucket(filled, varied_device, *LINKS, "--json", prefix="survey")
    assert (ended.code, ended.document["different"], ended.document["missing"]) == (3, 0, 0)
    assert ended.document["unproved"] > 0
    assert "--download" in ended.stderr


def test_of_an_encrypted_device(
    bucket: Bucket, varied_source: Path, small_profile: Path, tmp_path: Path
) -> None:
    key = age_key(tmp_path)
    device = make_encrypted(tmp_path / "device", varied_source, small_profile, key)
    opens = ("--identity", key.path)
    assert import_to(bucket, device, None, *LINKS, "--identity", os.fspath(key.path)).code == 0
    assert check_bucket(bucket, device, *LINKS, "--download").code == 12
    ended = check_bucket(bucket, device, *LINKS, "--download", *opens)
    assert (ended.code, ended.stderr) == (0, "")


def test_no_bucket_and_no_right(bucket: Bucket, varied_device: Path) -> None:
    from dataclasses import replace

    ended = check_bucket(replace(bucket, name="there-is-none"), varied_device)
    assert ended.code == 1
    assert "there-is-none" in ended.stderr


def stopped(arguments: list[str | Path], how: signal.Signals, environment: dict[str, str]) -> int:
    """A check that is stopped when it is at work."""
    process = subprocess.Popen(
        [program("transfer"), "check", *map(os.fspath, arguments)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "check" in process.stderr.readline()  # the first line of its progress
    process.send_signal(how)
    code = process.wait(timeout=30)
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    return code


def test_stopped_at_a_bucket(filled: Bucket, varied_device: Path) -> None:
    place = [f"s3://{filled.name}/survey", "--endpoint-url", filled.server.endpoint_url]
    slowly = ["--download", "--bwlimit", "20k"]
    assert stopped([varied_device, *place, *slowly], signal.SIGTERM, filled.environment()) == 130


def test_stopped_at_a_folder(tmp_path: Path) -> None:
    """While it reads a file that takes minutes."""
    folder, size = tmp_path / "folder", 1 << 40
    folder.mkdir()
    with (folder / "a").open("wb") as file:
        file.truncate(size)
    device = prepare(tmp_path / "device", document())
    run = Run(device, 1, 0, "2024-01-01T00:00:00Z")
    run.batch(File(**metadata(b"a"), **sums(b"") | {"size_bytes": size}, chunks=size // CHUNK_BYTES))
    run.writer.finish()
    assert stopped([tmp_path / "device", folder], signal.SIGINT, {}) == 130


@both_makes
def test_of_what_was_exported(bucket: Bucket, small_profile: Path, tmp_path: Path) -> None:
    """Against the bucket that it came from, and against another prefix that is not the same."""
    keys = ["a", "b/c", "b/d", "large", "%41"] + ["a/b", "a//", "e/", "../up"] * (bucket.make == "moto")
    bodies = {key: bytes(3 << 20) if key == "large" else key.encode() * (key != "e/") for key in keys}
    for key, body in bodies.items():
        bucket.client.put_object(Bucket=bucket.name, Key=f"from/{key}", Body=body)
    bucket.client.put_object(Bucket=bucket.name, Key="frompage", Body=b"beside it")
    device = tmp_path / "device"
    device.mkdir()
    assert transfer("prepare", device, "--profile", small_profile, "--job", "test", "-q").code == 0
    place = (f"s3://{bucket.name}/from", device, "--endpoint-url", bucket.server.endpoint_url, "-q")
    done = transfer("export", *place, environment=bucket.environment())
    assert done.code == 0, done.stderr
    assert transfer("seal", device, "-q").code == 0
    results = tmp_path / "results"
    ended = check_bucket(bucket, device, "--results", results, prefix="from")
    assert (ended.code, ended.stderr) == (0, "")
    told = read_results(results.read_bytes())
    assert told.keys() == set(keys)
    assert {line["how"] for line in told.values()} <= {"etag", "empty", "crc64nvme", "crc32c", "checksum"}
    ended = check_bucket(bucket, device, "--download-all", prefix="from")
    assert ended.code == 0, ended.stderr
    bucket.client.put_object(Bucket=bucket.name, Key="from/b/c", Body=b"C/B")
    ended = check_bucket(bucket, device, "--results", results, prefix="from")
    assert ended.code == 3
    states = {path: line["state"] for path, line in read_results(results.read_bytes()).items()}
    assert states.pop("b/c") in ("different", "unproved"), "its ETag is another: nothing proves it"
    assert set(states.values()) == {"same"}
    assert check_bucket(bucket, device, "--download", prefix="from").code == 3
    assert check_bucket(bucket, device, prefix="nowhere").code == 3


@pytest.mark.parametrize("bucket", ["moto"], indirect=True)
def test_all_the_way_round(bucket: Bucket, small_profile: Path, tmp_path: Path) -> None:
    """bucket -> device -> folder -> device -> bucket: each leg is checked, by the keys of the first."""
    keys = ["a", "a/b", "a//", "e/", "x/y", "%41", "/up"]
    for key in keys:
        bucket.client.put_object(Bucket=bucket.name, Key=f"from/{key}", Body=key.encode() * (key != "e/"))
    endpoint = ("--endpoint-url", bucket.server.endpoint_url, "-q")
    for name in ("first", "second", "folder"):
        (tmp_path / name).mkdir()

    def done(*words: str | Path) -> None:
        ended = transfer(*words, environment=bucket.environment())
        assert ended.code == 0, ended.stderr

    first, second, folder = (tmp_path / name for name in ("first", "second", "folder"))
    for device in (first, second):
        done("prepare", device, "--profile", small_profile, "--job", "test", "-q")
    done("export", f"s3://{bucket.name}/from", first, *endpoint)
    done("seal", first, "-q")
    done("restore", first, folder, "-q")
    done("check", first, folder, "-q")
    done("copy", folder, second, "-q")
    done("seal", second, "-q")
    done("check", second, folder, "-q")
    done("import", second, f"s3://{bucket.name}/to", "--objects", *endpoint)
    results = tmp_path / "results"
    ended = check_bucket(bucket, second, "--objects", "--download", "--results", results, prefix="to")
    assert ended.code == 0, ended.stderr
    told = read_results(results.read_bytes())
    assert len(told) == len(keys), told
    assert check_bucket(bucket, first, prefix="to").code == 0
    assert check_bucket(bucket, second, prefix="to").code == 3
    bucket.client.delete_object(Bucket=bucket.name, Key="to/a/b")
    bucket.client.put_object(Bucket=bucket.name, Key="to/more", Body=b"")
    ended = check_bucket(bucket, second, "--objects", "--download", "--json", prefix="to")
    assert (ended.document["missing"], ended.document["extra"]) == (1, 1)
    ended = check_bucket(bucket, first, "--objects", prefix="to")
    assert (ended.code, "leave --objects out" in ended.stderr) == (2, True)
