"""`transfer certify` against real servers: what a command says, writes, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3

from tests.jobs.attempts import fill_source
from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.certify.certifying import Issuer, certify, files_beside, lines_of
from tests.jobs.encrypted import age_key, make_encrypted
from tests.jobs.shipment import Ended, files_of, import_to, transfer
from tests.simulators.servers import program
from tests.ssh_tools import accepts, make_key

pytestmark = pytest.mark.usefixtures("no_loose_ends")
LINKS = ["--symlinks", "rclone"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "papers").mkdir()
    return tmp_path / "papers" / "c.json"


@pytest.fixture
def filled(bucket: Bucket, varied_device: Path) -> Bucket:
    """A bucket with the device in it, under a prefix, and somebody else's object beside and inside."""
    assert import_to(bucket, varied_device, None, *LINKS, prefix="survey").code == 0
    for key in ("other", "survey/zz more"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"theirs")
    return bucket


def issue(bucket: Bucket, device: Path, issuer: Issuer, path: Path, *options: str) -> Ended:
    told = ["--sign-key", str(issuer.key), "--output", str(path), *options]
    return certify(bucket, *told, *LINKS, device, prefix="survey")


@both_makes
def test_from_import_to_months_later(
    filled: Bucket, varied_device: Path, varied_source: Path, issuer: Issuer, path: Path
) -> None:
    ended = issue(filled, varied_device, issuer, path, "--download", "--json")
    assert ended.code == 0, ended.stderr
    told = ended.document
    source = files_of(varied_source, "survey/")
    assert {line["key"] for line in lines_of(path)} == source.keys() | {
        "survey/empty/inner/", "survey/symlink.rclonelink",
    }  # fmt: skip
    assert {line["key"]: line["blake3"] for line in lines_of(path) if line["key"] in source} == {
        key: blake3(body).hexdigest() for key, body in source.items()
    }
    certificate = json.loads(path.read_bytes())
    assert told["certificate"] == str(path)
    assert (told["complete"], told["evidence"]) == (True, certificate["evidence"])
    assert told["blake3"] == blake3(path.read_bytes()).hexdigest()
    assert (certificate["bucket"], certificate["prefix"]) == (filled.name, "survey/")
    assert certificate["endpoint"] == filled.server.endpoint_url
    # rclone's server lists the folder's marker without its slash.
    assert certificate["other_objects"] == (2 if filled.make == "rclone" else 1)
    signature = path.with_name("c.json.sig").read_bytes()
    assert accepts(issuer.signers, issuer.key.name, path.read_bytes(), signature, "transfer-certificate")

    options = ["--check", str(path), "--signers", str(issuer.signers)]
    ended = certify(filled, *options, "--json", prefix="survey")
    assert (ended.code, ended.document["wrong"], ended.stderr) == (0, {}, "")
    assert ended.document["signed_by"]["principal"] == issuer.key.name
    filled.client.put_object(Bucket=filled.name, Key="survey/a/small 5", Body=b"xxxxx")  # of the same size
    filled.client.delete_object(Bucket=filled.name, Key="survey/large")
    ended = certify(filled, *options, "--json", prefix="survey")
    assert (ended.code, ended.document["wrong"]) == (4, {"different": 1, "missing": 1})
    assert {one["key"]: one["state"] for one in ended.document["first"]} == {
        "survey/a/small 5": "different", "survey/large": "missing",
    }  # fmt: skip
    ended = certify(filled, *options, prefix="survey")
    assert ended.code == 4
    assert "survey/large" in ended.stderr
    assert "2 objects are not what was certified" in ended.stderr


@both_makes
@pytest.mark.parametrize("change", ["same size", "longer", "deleted"])
def test_what_was_changed_after_the_import(
    filled: Bucket, varied_device: Path, issuer: Issuer, path: Path, change: str
) -> None:
    key = "survey/a/small 5"
    if change == "deleted":
        filled.client.delete_object(Bucket=filled.name, Key=key)
    else:
        body = b"xxxxx" if change == "same size" else b"longer than before"
        filled.client.put_object(Bucket=filled.name, Key=key, Body=body)
    ended = issue(filled, varied_device, issuer, path, "--download", "--json")
    state = "missing" if change == "deleted" else "different"
    assert (ended.code, ended.document["states"]) == (3 if change == "deleted" else 4, {state: 1})
    assert ended.document["certificate"] is None
    assert "no certificate was written" in ended.stderr
    assert files_beside(path) == set()
    ended = issue(filled, varied_device, issuer, path, "--download", "--allow-partial")
    assert ended.code == (3 if change == "deleted" else 4)
    assert "IN PART" in ended.stdout
    certificate = json.loads(path.read_bytes())
    assert (certificate["complete"], certificate["not_certified"]) == (False, 1)
    assert [one["path"] for one in certificate["not_certified_first"]] == ["a/small 5"]


def test_without_checksums_and_download_nothing_is_certified(
    filled: Bucket, varied_device: Path, issuer: Issuer, path: Path
) -> None:
    """rclone's server tells ETags alone; those are not taken for evidence."""
    ended = issue(filled, varied_device, issuer, path)
    assert ended.code == 3
    assert "--download" in ended.stderr
    assert "unproved" in ended.stderr
    assert files_beside(path) == set()


def test_a_dry_run_writes_nothing(filled: Bucket, varied_device: Path, path: Path) -> None:
    told = [*LINKS, "--dry-run", varied_device]
    ended = certify(filled, *told, "--download", prefix="survey")
    assert (ended.code, ended.stderr) == (0, "")
    assert "would certify" in ended.stdout
    filled.client.delete_object(Bucket=filled.name, Key="survey/a/small 5")
    ended = certify(filled, *told, "--download", "--output", path, "--json", prefix="survey")
    assert (ended.code, ended.document["states"]) == (3, {"missing": 1})
    assert ended.document["certificate"] is None
    assert files_beside(path) == set()


def test_an_encrypted_device(
    bucket: Bucket, tmp_path: Path, small_profile: Path, issuer: Issuer, path: Path
) -> None:
    key = age_key(tmp_path)
    (tmp_path / "source").mkdir()
    source = fill_source(tmp_path / "source")
    device = make_encrypted(tmp_path / "device", source, small_profile, key)
    identity = ["--identity", str(key.path)]
    assert import_to(bucket, device, None, *LINKS, *identity, prefix="survey").code == 0
    locked = issue(bucket, device, issuer, path, "--download")
    assert locked.code == 12
    ended = issue(bucket, device, issuer, path, "--download", *identity)
    assert ended.code == 0, ended.stderr
    assert len(lines_of(path)) == len(files_of(source)) + 2
    job_key = (device / "keys/job.age").read_bytes()
    ended = transfer("erase", device, "--certificate", path, "--json")
    assert ended.code == 0, ended.stderr
    record = ended.document["record"]
    assert record["encrypted"]
    assert [(part["files"], part["bytes"]) for part in record["parts"] if part["part"] == "keys"] == [
        (1, len(job_key))
    ]
    assert "every copy of the key" in " ".join(record["limits"])
    ended = certify(bucket, "--check", path, "--signers", issuer.signers, prefix="survey")
    assert ended.code == 0, "neither device nor identity is needed"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["DEVICE"], 2, "--sign-key and --output"),
        (["DEVICE", "--output", "PATH"], 2, "--sign-key and --output"),
        (["DEVICE", "--sign-key", "KEY"], 2, "--sign-key and --output"),
        (["DEVICE", "--sign-key", "NONE", "--output", "PATH"], 2, "signing key"),
        (["NONE", "--sign-key", "KEY", "--output", "PATH"], 10, "no device"),
        (["--check", "NONE"], 2, "cannot be read"),
        (["DEVICE", "--check", "NONE"], 2, "--check takes"),
        (["--check", "NONE", "--sign-key", "KEY"], 2, "--check takes"),
        (["--check", "NONE", "--allow-partial"], 2, "--check takes"),
    ],
)
def test_what_makes_no_sense(
    bucket: Bucket, varied_device: Path, issuer: Issuer, path: Path,
    arguments: list[str], code: int, word: str,
) -> None:  # fmt: skip
    named = {"DEVICE": varied_device, "PATH": path, "KEY": issuer.key, "NONE": path.parent / "none"}
    ended = certify(bucket, *[named.get(word, word) for word in arguments], "--json")
    assert ended.code == code
    assert word in ended.document["error"]["what"]
    assert files_beside(path) == set()


def test_a_certificate_of_another_place_and_strangers_keys(
    filled: Bucket, varied_device: Path, issuer: Issuer, path: Path, tmp_path: Path
) -> None:
    assert issue(filled, varied_device, issuer, path, "--download").code == 0
    ended = certify(filled, "--check", path, prefix="elsewhere")
    assert ended.code == 2
    assert f"s3://{filled.name}/survey/" in ended.stderr
    ended = certify(filled, "--check", path, prefix="survey")
    assert ended.code == 0
    assert "--signers" in ended.stderr
    os.truncate(path, os.path.getsize(path) - 1)
    ended = certify(filled, "--check", path, prefix="survey")
    assert ended.code == 4


def test_only_of_a_device_that_was_signed(
    filled: Bucket, varied_device: Path, issuer: Issuer, path: Path, tmp_path: Path
) -> None:
    signers = ["--signers", str(issuer.signers)]
    ended = issue(filled, varied_device, issuer, path, "--download", *signers)
    assert ended.code == 4
    assert "signature-missing" in ended.stderr
    device = shutil.copytree(varied_device, tmp_path / "device")
    assert transfer("seal", device, "--sign-key", issuer.key, "-q").code == 0
    ended = issue(filled, device, issuer, path, "--download", *signers)
    assert ended.code == 0, ended.stderr
    signed = json.loads(path.read_bytes())["seal_signed_by"]
    assert signed["principal"] == issuer.key.name
    assert signed["key"].startswith("SHA256:")


def test_the_passphrase_of_the_signing_key(
    filled: Bucket, varied_device: Path, path: Path, tmp_path: Path
) -> None:
    key = make_key(tmp_path, passphrase="not told to anyone")
    secret = tmp_path / "secret"
    secret.write_text("not told to anyone\n")
    secret.chmod(0o600)
    told = ["--sign-key", str(key), "--passphrase-file", str(secret), "--output", str(path), "--download"]
    ended = certify(filled, *told, *LINKS, varied_device, prefix="survey")
    assert ended.code == 0, ended.stderr
    assert "not told to anyone" not in ended.stdout + ended.stderr + path.read_text()


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_stopped_in_the_middle(
    filled: Bucket, varied_device: Path, issuer: Issuer, path: Path, how: signal.Signals, code: int
) -> None:
    """It leaves no certificate; what it leaves at most is in nobody's way."""
    place = [f"s3://{filled.name}/survey", "--endpoint-url", filled.server.endpoint_url]
    told = ["--sign-key", str(issuer.key), "--output", str(path), "--download", "--bwlimit", "20k"]
    process = subprocess.Popen(
        [program("transfer"), "certify", str(varied_device), *place, *told, *LINKS],
        env={**os.environ, **filled.environment()},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "certify" in process.stderr.readline()  # the first line of its progress
    process.send_signal(how)
    assert process.wait() == code
    process.stderr.close()
    assert files_beside(path) <= {"c.json.entries.jsonl.zst.partial"}
    assert how == signal.SIGKILL or files_beside(path) == set()
    assert issue(filled, varied_device, issuer, path, "--download").code == 0


def test_the_device_is_not_written_to(
    filled: Bucket, varied_device: Path, issuer: Issuer, path: Path
) -> None:
    before = {place: place.stat().st_mtime_ns for place in varied_device.rglob("*")}
    assert issue(filled, varied_device, issuer, path, "--download").code == 0
    assert {place: place.stat().st_mtime_ns for place in varied_device.rglob("*")} == before
