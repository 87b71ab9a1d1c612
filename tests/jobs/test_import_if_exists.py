"""`--if-exists`: what becomes of an entry whose key has an object already, whoever put it there and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.attempts import ALL, Site, check_complete, new_site
from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.shipment import files_of, import_to, read_rows
from tests.jobs.watched_store import WatchedStore
from transfer.errors import PreconditionError
from transfer.jobs.import_.options import IfExists
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import ObjectInfo
from transfer.stores.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("no_loose_ends")
SAME, SKIP, OVERWRITE, FAIL = IfExists
# Of each kind: small, large in one request and in parts, hard links, a folder's marker, a symbolic link.
KEYS = [
    "a/small 5",
    "a/b/one part",
    "z/large",
    "z/link to small",
    "z/link to large",
    "empty/inner/",
    "symlink.rclonelink",
]
_WRITES = ("put", "copy", "create_upload", "put_part", "complete_upload")


class NoSums(MemoryStore):
    """Tells no checksums, as rclone's server; the ETag is the MD5 of the whole."""

    async def head(self, key: str) -> ObjectInfo:
        return replace(await super().head(key), crc64nvme=None, crc32c=None)


class Opaque(NoSums):
    """And the ETags are no digests, as those of encrypted objects: they change with each writing."""

    def _keep(self, key: str, data: bytes, etag: str, *told: Any, **named: Any) -> Any:
        self._kept = getattr(self, "_kept", 0) + 1
        return super()._keep(key, data, f"opaque {self._kept}", *told, **named)


@pytest.fixture
def site(varied_device: Path, tmp_path: Path) -> Site:
    return new_site(varied_device, tmp_path / "site")


async def put(store: MemoryStore, key: str, body: bytes) -> None:
    """As another program would."""
    await store.put(key, [body], checksums=checksums_of([body]))


def same(body: bytes) -> bytes:
    return body


def longer(body: bytes) -> bytes:
    return body + b"more"


def changed(body: bytes) -> bytes:
    return bytes(255 - byte for byte in body) or b"not empty"


@pytest.mark.parametrize("make", [MemoryStore, NoSums])
@pytest.mark.parametrize("other", [same, longer, changed])
@pytest.mark.parametrize("policy", IfExists)
async def test_each_policy_on_what_is_there(
    site: Site, undisturbed: Site, policy: IfExists, other: Callable[[bytes], bytes], make: type[MemoryStore]
) -> None:
    site.store = make(limits=ALL.limits)
    site.options = replace(ALL, if_exists=policy)
    expected = await _content(undisturbed)
    before = {key: other(expected[key]) for key in KEYS}
    for key, body in before.items():
        await put(site.store, key, body)
    imported = await site.attempt()
    counts = policy is OVERWRITE or (policy is SAME and other is same)
    await _check_policy(site, policy, counts, imported, expected, before)
    imported, watched = await site.watched()
    assert watched.named(*_WRITES) == [], "the second attempt changes something"
    # What is the same may be what an earlier attempt sent at its last moment, so it counts from now on.
    await _check_policy(site, policy, counts or other is same, imported, expected, before)


async def _content(site: Site) -> dict[str, bytes]:
    from tests.jobs.memory_import import objects_in

    return await objects_in(site.store)


async def _check_policy(
    site: Site,
    policy: IfExists,
    counts: bool,
    imported: Any,
    expected: dict[str, bytes],
    before: dict[str, bytes],
) -> None:
    failed, skipped = read_rows(site.report / "failure.csv"), read_rows(site.report / "skipped.csv")
    states = {key: state for _, _, state, key, *_ in site.entries()}
    if counts:
        assert (failed, skipped) == ({}, {})
        assert imported.objects == expected
        assert set(states.values()) == {"done"}
    else:
        assert imported.objects == expected | before
        listed, rest, state = (skipped, failed, "skipped") if policy is SKIP else (failed, skipped, "failed")
        assert (listed.keys(), rest) == (before.keys(), {})
        assert {key for key in states if states[key] == state} == before.keys()
        assert all("object of this key" in row["error"] for row in listed.values())
    assert imported.outcome.failed == len(failed)
    assert imported.outcome.skipped == len(skipped)
    assert await site.left() == site.begun() == []
    assert read_rows(site.report / "success.csv").keys() == expected.keys() - failed.keys() - skipped.keys()


async def test_what_cannot_be_compared_counts_as_another(site: Site, undisturbed: Site) -> None:
    site.store = Opaque(limits=ALL.limits)
    expected = await _content(undisturbed)
    for key in KEYS:
        await put(site.store, key, expected[key])
    imported = await site.attempt()
    assert imported.failed.keys() == {key for key in KEYS if "link to" not in key}  # links are read back
    assert imported.objects == expected


@pytest.mark.parametrize("make", [MemoryStore, NoSums])
@pytest.mark.parametrize("other", [longer, changed])
@pytest.mark.parametrize("policy", IfExists)
async def test_what_somebody_changed_after_it_was_imported(
    site: Site, undisturbed: Site, policy: IfExists, other: Callable[[bytes], bytes], make: type[MemoryStore]
) -> None:
    site.store = make(limits=ALL.limits)
    assert (await site.attempt()).failed == {}
    expected = await _content(undisturbed)
    before = {key: other(expected[key]) for key in KEYS}
    for key, body in before.items():
        await put(site.store, key, body)
    site.options = replace(ALL, if_exists=policy)
    imported = await site.attempt()
    await _check_policy(site, policy, policy is OVERWRITE, imported, expected, before)


async def test_an_etag_that_changed_and_no_checksum(site: Site, undisturbed: Site) -> None:
    """Nobody can say whether it is what was imported: so it is not said."""
    site.store = Opaque(limits=ALL.limits)
    assert (await site.attempt()).failed == {}
    expected = await _content(undisturbed)
    for key in KEYS:
        await put(site.store, key, changed(expected[key]))
    assert (await site.attempt()).failed.keys() == set(KEYS)


@pytest.mark.parametrize("policy", IfExists)
async def test_what_was_written_again_as_it_was_still_counts(
    site: Site, undisturbed: Site, policy: IfExists
) -> None:
    """By another program, in one request each: other ETags, the same content."""
    await site.attempt()
    expected = await _content(undisturbed)
    for key in KEYS:
        await put(site.store, key, expected[key])
    site.options = replace(ALL, if_exists=policy)
    imported, watched = await site.watched()
    assert (imported.failed, imported.outcome.skipped, imported.objects) == ({}, 0, expected)
    recorded = {row[3]: row[6] for row in site.entries()}
    assert recorded == await site.etags(), "the next attempt would compare all of it again"
    assert {call.key for call in watched.named(*_WRITES)} <= ({"z/large"} if policy is OVERWRITE else set())


class Racing(WatchedStore):
    """Another writer puts an object there at the last moment."""

    def race(self, bodies: dict[str, bytes]) -> None:
        self.bodies = bodies

    async def _strike_at(self, number: int) -> None:
        call = self.calls[number - 1]
        if call.name in ("put", "complete_upload") and call.key in self.bodies:
            await put(self.store, call.key, self.bodies.pop(call.key))  # type: ignore[arg-type]


RACED = [key for key in KEYS if "link to" not in key]  # copies have no precondition


@pytest.mark.parametrize("other", [same, longer, changed])
@pytest.mark.parametrize("policy", IfExists)
async def test_an_object_that_appears_behind_the_listing(
    site: Site, undisturbed: Site, policy: IfExists, other: Callable[[bytes], bytes]
) -> None:
    """If-None-Match: 412. The same content counts as ours, a lost answer looks just like it."""
    site.options = replace(ALL, if_exists=policy)
    expected = await _content(undisturbed)
    before = {key: other(expected[key]) for key in RACED}
    racing = Racing(site.store)
    racing.race(dict(before))
    imported = await site.attempt(racing)
    assert imported.error is None
    assert racing.bodies == {}, "a race was not run"
    if policy is OVERWRITE or other is same:
        await check_complete(site, undisturbed) if policy is OVERWRITE else None
        assert (imported.failed, imported.outcome.skipped) == ({}, 0)
        assert imported.objects == expected
    else:
        assert imported.objects == expected | before
        assert imported.failed.keys() == (set() if policy is SKIP else set(RACED))
        assert imported.outcome.skipped == (len(RACED) if policy is SKIP else 0)
    assert await site.left() == site.begun() == []


@pytest.mark.parametrize("conflicts", [1, 2, 99])
async def test_another_writer_at_work_at_the_same_time(site: Site, undisturbed: Site, conflicts: int) -> None:
    """409: nothing is there yet, or not any more. It is tried again, but not for ever."""
    left = dict.fromkeys(["a/small 5", "z/large"], conflicts)

    class Busy(WatchedStore):
        async def _strike_at(self, number: int) -> None:
            call = self.calls[number - 1]
            if call.name in ("put", "complete_upload") and left.get(call.key):
                left[call.key] -= 1
                raise PreconditionError("conflict", status=409, code="ConditionalRequestConflict")

    imported = await site.attempt(Busy(site.store))
    assert imported.error is None
    assert imported.failed.keys() == {"z/large"} | ({"a/small 5"} if conflicts == 99 else set())
    assert all("give the command again" in reason for reason in imported.failed.values())
    left.clear()
    assert (await site.attempt()).failed == {}
    await check_complete(site, undisturbed)


async def test_a_bucket_with_many_other_keys_costs_few_lists(site: Site, undisturbed: Site) -> None:
    """Pages of a thousand: those where keys of ours may be, and not all that lie between them."""

    class Paged(WatchedStore):
        pages = 0

        async def _iterate(self, name: str, *told: Any) -> Any:
            given = 0
            async for item in super()._iterate(name, *told):
                if name == "list" and given % 1000 == 0:
                    self.pages += 1
                given += 1
                yield item

    for folder in ("a/c", "b", "m", "zz"):
        for number in range(5000):
            await put(site.store, f"{folder}/{number:05}", b"")
    watched = Paged(site.store)
    imported = await site.attempt(watched)
    assert (imported.error, imported.failed) == (None, {})
    # An object in parts is looked at once it is complete; nothing else is.
    assert sorted(call.key for call in watched.named("head")) == ["large", "z/large"]
    assert watched.pages <= 20
    expected = await _content(undisturbed)
    assert {key: imported.objects[key] for key in expected} == expected


@both_makes
@pytest.mark.parametrize(
    ("policy", "code", "there"),
    [
        (None, 3, {"a/small 5": False, "a/small 7": False}),
        ("same", 3, {"a/small 5": False, "a/small 7": False}),
        ("skip", 0, {"a/small 5": False, "a/small 7": False}),
        ("fail", 3, {"a/small 5": False, "a/small 7": False}),
        ("overwrite", 0, {"a/small 5": True, "a/small 7": True}),
    ],
)
def test_on_a_real_server(
    bucket: Bucket,
    varied_device: Path,
    varied_source: Path,
    tmp_path: Path,
    policy: str | None,
    code: int,
    there: dict[str, bool],
) -> None:
    """Two objects are others (one of the same size), one is the same; neither server tells CRCs."""
    source = files_of(varied_source)
    before = {"a/small 5": b"xxxxx", "a/small 7": b"longer than that", "a/small 9": source["a/small 9"]}
    for key, body in before.items():
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body)
    told = ["--symlinks", "skip", *(["--if-exists", policy] if policy else [])]
    ended = import_to(bucket, varied_device, tmp_path / "report", *told)
    assert ended.code == code, ended.stderr
    for key, is_ours in there.items():
        assert bucket.read(key) == (source if is_ours else before)[key]
    refused = {"a/small 5", "a/small 7"} | ({"a/small 9"} if policy == "fail" else set())
    assert ended.failed.keys() == (refused if code else set())
    skipped = read_rows(tmp_path / "report/skipped.csv")
    assert skipped.keys() == (before.keys() if policy == "skip" else set())
    rest = source.keys() - before.keys()
    assert {key: bucket.read(key) for key in rest} == {key: source[key] for key in rest}


def test_a_policy_that_there_is_not(bucket: Bucket, varied_device: Path) -> None:
    ended = import_to(bucket, varied_device, None, "--if-exists", "ask")
    assert ended.code == 2
    assert "--if-exists" in ended.stderr
    assert bucket.listed() == set()
