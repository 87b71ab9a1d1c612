"""From a bucket to a device and into another bucket, on real servers, seen by a client that is not ours."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.buckets import Bucket, both_makes, make_bucket
from tests.jobs.shipment import CHUNK, Ended, import_to, transfer, write_profile

LARGE = os.urandom(100) * (3 * CHUNK // 100 + 7)
HEADERS = {
    "ContentType": "text/x-thing; charset=utf-8",
    "CacheControl": "max-age=60",
    "ContentDisposition": 'attachment; filename="x.txt"',
    "ContentLanguage": "de",
}
KEYS = {
    "a": b"an object",
    "a b/\u00fc+%20": b"a name",
    "empty": b"",
    "large": LARGE,
    "z/deep/er": b"z",
}
ODD_KEYS = {"/first": b"1", "a/": b"", "a//d": b"d", "a/b": b"below an object", "a/c/": b"content"}
"""Not for a server that keeps objects as files."""


def export(bucket: Bucket, device: Path, *arguments: str, prefix: str = "") -> Ended:
    ended = transfer(
        "export",
        f"s3://{bucket.name}/{prefix}",
        device,
        "--endpoint-url",
        bucket.server.endpoint_url,
        "--no-progress",
        *arguments,
        environment=bucket.environment(),
    )
    assert ended.code == 0, ended.stderr
    return ended


def prepared(place: Path, name: str = "device") -> Path:
    device = place / name
    device.mkdir()
    profile = write_profile(place / f"{name}.toml")
    assert transfer("prepare", device, "--profile", profile, "--job", "trip", "-q").code == 0
    return device


def sealed(device: Path) -> Path:
    assert transfer("seal", device, "-q").code == 0
    verified = transfer("verify", device, "--deep", "--no-progress")
    assert verified.code == 0, verified.stderr
    return device


@pytest.fixture
def other(bucket: Bucket) -> Bucket:
    """A second bucket on the same server."""
    return make_bucket(bucket.server, f"{bucket.name}-other", bucket.make)


def described(bucket: Bucket, key: str) -> dict[str, Any]:
    """What a client sees of an object, but for what every write makes anew."""
    head = bucket.head(key)
    told = ("ContentLength", "ContentType", "ContentEncoding", "CacheControl", "Metadata", "StorageClass")
    more = ("ContentDisposition", "ContentLanguage", "WebsiteRedirectLocation")
    return {name: head.get(name) for name in (*told, *more)}


def tags_of(bucket: Bucket, key: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = bucket.client.get_object_tagging(Bucket=bucket.name, Key=key)["TagSet"]
    return sorted(found, key=lambda tag: tag["Key"])


def history(bucket: Bucket) -> dict[str, tuple[list[tuple[bytes, dict[str, str]]], int, bool]]:
    """Content and metadata of all versions of each key, oldest first; how many delete markers there are, and
    whether one is the newest. Where between versions they stand this server does not list.
    """
    client, found = bucket.client, {}
    pages = list(client.get_paginator("list_object_versions").paginate(Bucket=bucket.name))
    versions = [one for page in pages for one in page.get("Versions", [])]
    markers = [one for page in pages for one in page.get("DeleteMarkers", [])]
    for key in {one["Key"] for one in versions}:
        bodies = []
        for one in versions:
            if one["Key"] == key:
                answer = client.get_object(Bucket=bucket.name, Key=key, VersionId=one["VersionId"])
                bodies.append((answer["Body"].read(), answer["Metadata"]))
        mine = [one["IsLatest"] for one in markers if one["Key"] == key]
        found[key] = bodies[::-1], len(mine), any(mine)
    return found


@both_makes
def test_from_bucket_to_bucket(tmp_path: Path, bucket: Bucket, other: Bucket) -> None:
    is_real = bucket.make == "moto"
    objects = KEYS | (ODD_KEYS if is_real else {})
    for key, body in objects.items():
        more: dict[str, Any] = HEADERS | {"Metadata": {"mtime": "1700000000.5", "note": "kept"}}
        if is_real and key != "empty":
            more |= {"Tagging": "project=north&x=%3D%20%2B", "StorageClass": "STANDARD_IA"}
            more |= {"WebsiteRedirectLocation": "/elsewhere", "ContentEncoding": "x-none"}
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body, **more)
    device = prepared(tmp_path)
    export(bucket, device)
    sealed(device)
    report = tmp_path / "report"
    for already in (0, len(objects)):
        ended = import_to(other, device, report, "--ledger", str(tmp_path / f"ledger {already}"))
        assert ended.code == 0, ended.stderr
        assert ended.report is not None
        assert (ended.report["objects"], ended.report["already"]) == (len(objects), already)
        assert other.listed() == bucket.listed() == objects.keys()
    for key, body in objects.items():
        assert other.read(key) == body
        assert described(other, key) == described(bucket, key)
        if is_real:
            assert tags_of(other, key) == tags_of(bucket, key)


@pytest.mark.xdist_group("import-moto")
@pytest.mark.parametrize("bucket", ["moto"], indirect=True)
def test_versions_from_bucket_to_bucket(tmp_path: Path, bucket: Bucket, other: Bucket) -> None:
    for one in (bucket, other):
        one.client.put_bucket_versioning(Bucket=one.name, VersioningConfiguration={"Status": "Enabled"})
    rounds: list[dict[str, bytes | None]] = [
        {"a": b"0", "b/c": b"0", "d": b"0"},
        {"a": LARGE, "b/c": LARGE, "d": None},
        {"a": None, "b/c": b"2", "d": b"1"},
    ]
    for number, bodies in enumerate(rounds):
        for key, body in bodies.items():
            where = {"Bucket": bucket.name, "Key": key}
            if body is None:
                bucket.client.delete_object(**where)
            else:
                bucket.client.put_object(**where, Body=body, Metadata={"number": str(number)})
        if number < 2:
            time.sleep(1.1)  # the server lists versions and markers apart, each with its second
    device = prepared(tmp_path)
    export(bucket, device, "--versions", "all")
    sealed(device)
    for _ in range(2):
        ended = import_to(other, device, tmp_path / "report")
        assert ended.code == 0, ended.stderr
        assert history(other) == history(bucket)
    plain = make_bucket(bucket.server, f"{bucket.name}-plain", bucket.make)
    ended = import_to(plain, device, tmp_path / "report")
    assert ended.code == 0
    assert "6 older versions were left out, and 1 keys that were deleted last" in ended.stdout
    assert plain.listed() == {"b/c", "d"}


@pytest.mark.xdist_group("import-moto")
@pytest.mark.parametrize("bucket", ["moto"], indirect=True)
def test_bucket_folder_device_bucket(tmp_path: Path, bucket: Bucket, other: Bucket) -> None:
    """Out of the bucket, into a folder, onto a device, and back: the same objects."""
    objects = KEYS | ODD_KEYS
    for key, body in objects.items():
        more: dict[str, Any] = HEADERS | {"Metadata": {"note": "kept"}, "Tagging": "project=north"}
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body, **more)
    device, folder, again = prepared(tmp_path), tmp_path / "folder", prepared(tmp_path, "again")
    folder.mkdir()
    export(bucket, device)
    assert transfer("restore", sealed(device), folder, "-q").code == 0
    assert transfer("copy", folder, again, "-q").code == 0
    ended = import_to(other, sealed(again), tmp_path / "report", "--objects")
    assert ended.code == 0, ended.stderr
    assert other.listed() == objects.keys()
    for key, body in objects.items():
        assert other.read(key) == body
        assert described(other, key) == described(bucket, key)
        assert tags_of(other, key) == tags_of(bucket, key)
