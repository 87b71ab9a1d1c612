"""`transfer plan` of buckets: what an export would want, by its listing alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.shipment import Ended, transfer
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.object_selection import Selection
from transfer.core.progress import Progress
from transfer.device.profiles import load_profile
from transfer.jobs.export.options import ExportOptions
from transfer.jobs.plan.job import plan_store
from transfer.jobs.plan.options import PlanOptions
from transfer.jobs.plan.outcome import Planned
from transfer.stores.checksums import checksums_of
from transfer.stores.memory import MemoryStore

OBJECTS = {
    "a/b": 10,
    "a": 5000,
    "a//c": 1,
    "a/../d": 2,
    "data/": 0,
    "data/x:y": 3,
    "data/\x01": 4,
    "données/é": 30,
    "other/z": 100_000,
}


async def put(store: MemoryStore, key: str, size: int, storage_class: str | None = None) -> None:
    data = bytes(size)
    metadata = ObjectMetadata(storage_class=storage_class)
    await store.put(key, [data], checksums=checksums_of([data]), metadata=metadata)


async def planned(
    store: MemoryStore,
    selection: Selection | None = None,
    *,
    history: bool = False,
    seen: list[Progress] | None = None,
    **options: Any,
) -> Planned:
    chosen = ExportOptions(selection=selection or Selection(), history=history)
    asked = PlanOptions(load_profile("usb-ssd-4tb"), **options)
    return await plan_store("s3://memory", store, chosen, asked, [].append if seen is None else seen.append)


async def test_what_a_bucket_holds() -> None:
    store = MemoryStore()
    for key, size in OBJECTS.items():
        await put(store, key, size)
    found = await planned(store)
    counts = found.counts
    assert (counts.entries, counts.files, counts.folders) == (len(OBJECTS), len(OBJECTS), 0)
    assert counts.bytes == counts.restored_bytes == sum(OBJECTS.values())
    assert {one.path for one in found.refused_first if one.by == "bucket"} == {"a/../d", "data/\x01"}
    renamed = {by: {one.path for one in found.renamed_first if one.by == by} for by in ("folder", "windows")}
    assert renamed["folder"] == {"a//c", "a/../d", "a/b"}
    assert renamed["windows"] == {"data/x:y", "data/\x01"}
    assert found.devices == 1
    assert found.exit_code == 3


async def test_a_part_of_a_bucket() -> None:
    store = MemoryStore()
    for key, size in OBJECTS.items():
        await put(store, key, size)
    assert (await planned(store, Selection("data/"))).counts.bytes == 7
    assert (await planned(store, Selection("", "a/b", "donnees"))).counts.files == 4
    assert (await planned(store, Selection("data/"), prefix="p" * 1022)).refused["bucket"] == 2


async def test_objects_that_have_to_be_restored_first() -> None:
    store = MemoryStore()
    for number, kind in enumerate((None, "STANDARD_IA", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR")):
        await put(store, f"{number}", 7, kind)
    found = await planned(store)
    assert [(one.path, one.reason) for one in found.refused_first] == [
        *(("2", "in GLACIER"), ("3", "in DEEP_ARCHIVE")),
    ]
    assert (found.refused, found.counts.bytes) == ({"archived": 2}, 21)


async def test_all_versions() -> None:
    store = MemoryStore(versioning="enabled")
    for size in (10, 20, 30):
        await put(store, "a", size)
    await put(store, "b", 1)
    await store.delete("b")
    assert (await planned(store)).counts.bytes == 30
    counts = (await planned(store, history=True)).counts
    assert (counts.bytes, counts.files, counts.delete_markers, counts.entries) == (61, 4, 1, 5)


async def test_progress_and_memory_stay_small_with_many_objects() -> None:
    store = MemoryStore()
    for number in range(5000):
        await put(store, f"{number:05}\x02", 1)
    seen: list[Progress] = []
    found = await planned(store, seen=seen)
    assert found.refused == {"bucket": 5000, "windows": 5000}
    assert len(found.refused_first) == len(found.renamed_first) == 1000
    assert [progress.files_done for progress in seen] == [2000, 4000, 5000]


@both_makes
def test_on_real_servers(bucket: Bucket, tmp_path: Path) -> None:
    client = bucket.client
    for key, size in {"p/a": 10, "p/b/c": 20, "q": 40}.items():
        client.put_object(Bucket=bucket.name, Key=key, Body=bytes(size))

    def run(place: str, *options: str) -> Ended:
        command = ["plan", place, "--profile", "folder", "--endpoint-url", bucket.server.endpoint_url]
        return transfer(*command, "--json", "-q", *options, environment=bucket.environment())

    assert run(f"s3://{bucket.name}").document["counts"]["bytes"] == 70
    part = run(f"s3://{bucket.name}/p", "--exclude", "b/**", "--uplink", "1Gbit")
    assert (part.code, part.document["counts"]["bytes"]) == (0, 10)
    assert part.document["source"] == f"s3://{bucket.name}/p"
    named = tmp_path / "keys"
    named.write_text("p/b/c\nq\nnot-there\n")
    of_keys = run(f"s3://{bucket.name}", "--keys", os.fspath(named)).document
    assert (of_keys["counts"]["bytes"], of_keys["refused"]) == (60, {"failed": 1})
    report = tmp_path / "report.csv"
    report.write_text(f'"{bucket.name}","p/a"\n"{bucket.name}","q"\n')
    assert run(f"s3://{bucket.name}", "--inventory", os.fspath(report)).document["counts"]["bytes"] == 50
    missing = run("s3://there-is-no-such-bucket")
    assert json.loads(missing.stdout)["error"]["exit_code"] == missing.code == 1


def test_versions_are_current_or_all() -> None:
    ended = transfer("plan", "s3://bucket", "--profile", "folder", "--versions", "some")
    assert (ended.code, "--versions" in ended.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--begin", "--end"])
def test_keys_that_are_none(option: str) -> None:
    ended = transfer("plan", "s3://bucket", "--profile", "folder", option, "\udcff")
    assert (ended.code, option in ended.stderr) == (2, True)


@pytest.mark.parametrize("place", ["s3://", "s3://b/" + "\udcff", "s3:///x"])
def test_addresses_that_are_none(place: str) -> None:
    assert transfer("plan", place, "--profile", "folder").code == 2
