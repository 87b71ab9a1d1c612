"""Lists of a device that was exported from a server with versions: read back by b3sum and by an export."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.jobs.buckets import Bucket
from tests.jobs.shipment import Ended, transfer, write_profile
from tests.tools import require_tool
from transfer.jobs.export.inventory_files import _local_report

pytestmark = pytest.mark.xdist_group("import-moto")
KEYS = ("p/a", "p/a", "p/a/b", "p/a//c", "p/d/", "p/d/e", "p/ü \\x", "p/gone")


@pytest.mark.parametrize("bucket", ["moto"], ids=["moto"], indirect=True)
def test_lists_of_an_exported_device(bucket: Bucket, tmp_path: Path) -> None:
    client = bucket.client
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    for number, key in enumerate(KEYS):
        body = b"" if key.endswith("/") else b"%d" % number
        client.put_object(Bucket=bucket.name, Key=key, Body=body)
    client.delete_object(Bucket=bucket.name, Key="p/gone")
    profile = write_profile(tmp_path / "p.toml")
    device = exported(bucket, tmp_path / "device", profile)

    listed = tmp_path / "LIST"
    assert transfer("manifest", device, "--format", "b3sum", "-o", listed, "-q").code == 0
    restored = tmp_path / "restored"
    restored.mkdir()
    assert transfer("restore", device, restored, "-q").code == 0
    checked = subprocess.run(
        [require_tool("b3sum"), "--check", listed], cwd=restored, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout.count(": OK")) == (0, 5), checked.stdout + checked.stderr

    report = tmp_path / "report"
    assert transfer("manifest", device, "--format", "s3-inventory", "-o", report, "-q").code == 0
    assert json.loads((report / "manifest.json").read_bytes())["sourceBucket"] == bucket.name
    rows = list(_local_report(os.fspath(report / "manifest.json")).rows(bucket.name))
    assert [row.key for row in rows if not row.is_latest] == ["p/a", "p/gone"]
    assert [row.key for row in rows if row.is_delete_marker] == ["p/gone"]
    again = exported(bucket, tmp_path / "again", profile, "--inventory", os.fspath(report / "manifest.json"))
    assert records(again) == records(device)
    assert len(records(device)) == len(KEYS) + 1


def exported(bucket: Bucket, device: Path, profile: Path, *options: str) -> Path:
    device.mkdir()
    assert transfer("prepare", device, "--profile", profile, "--job", "j", "-q").code == 0
    ended = export(bucket, device, *options)
    assert ended.code == 0, ended.stderr
    assert transfer("seal", device, "-q").code == 0
    return device


def export(bucket: Bucket, device: Path, *options: str) -> Ended:
    source = (f"s3://{bucket.name}/p", device, "--versions", "all")
    endpoint = ("--endpoint-url", bucket.server.endpoint_url)
    return transfer("export", *source, *endpoint, "-q", *options, environment=bucket.environment())


def records(device: Path) -> list[tuple[str, str, str]]:
    """Kind, path and version of every entry."""
    lines = map(json.loads, transfer("ls", device, "--json").stdout.splitlines())
    return [(one["kind"], one["path"], one.get("version_id") or one["object"]["version_id"]) for one in lines]
