"""Versions, delete markers, folders and archived objects: the contract of stores.contract on every store."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable

import pytest

from tests.contract.conftest import Place, set_versioning
from tests.contract.test_store import keys, put, read, upload
from transfer.core.object_metadata import ObjectMetadata
from transfer.errors import ArchivedError, NotFoundError, PreconditionError, StoreError
from transfer.stores.contract import ListedVersion, Store
from transfer.stores.memory import MemoryStore
from transfer.stores.sharded_listing import sharded_objects, sharded_versions

TICK_S = 0.003  # moto orders versions by their times, in milliseconds


async def write(store: Store, key: str, data: bytes, **options: object) -> str:
    """The id of the new version."""
    await asyncio.sleep(TICK_S)
    version_id = (await put(store, key, data, **options)).version_id
    assert version_id
    return version_id


async def remove(store: Store, key: str) -> str:
    """The id of the delete marker."""
    await asyncio.sleep(TICK_S)
    made = await store.delete(key)
    found = next(line.version_id for line in await lines(store, key) if line.is_latest)
    assert made in (found, None)
    return found


async def next_second() -> None:
    """moto lists delete markers behind all versions; where they belong only their times say, in seconds."""
    if "moto" in os.environ.get("PYTEST_CURRENT_TEST", ""):
        await asyncio.sleep(1 - time.time() % 1)


async def lines(store: Store, prefix: str = "", **after: str) -> list[ListedVersion]:
    return [line async for line in store.versions(prefix, **after)]


def ids(found: Iterable[ListedVersion]) -> list[tuple[str, str]]:
    return [(line.key, line.version_id) for line in found]


async def test_a_bucket_keeps_no_versions_unless_told(store: Store) -> None:
    assert await store.versioning() == "off"


async def test_a_bucket_that_keeps_versions_says_so(versioned: Store) -> None:
    assert await versioned.versioning() == "enabled"
    await set_versioning(versioned, "Suspended")
    assert await versioned.versioning() == "suspended"


async def test_versions_are_listed_by_key_and_newest_first(versioned: Store) -> None:
    first = await write(versioned, "b", b"1")
    other = await write(versioned, "a b+c/ä", b"other")
    second = await write(versioned, "b", b"22")
    await next_second()
    marker = await remove(versioned, "b")
    await next_second()
    third = await write(versioned, "b", b"333")
    gone = await write(versioned, "c", b"gone")
    last = await remove(versioned, "c")
    found = await lines(versioned)
    of_b = [("b", third), ("b", marker), ("b", second), ("b", first)]
    assert ids(found) == [("a b+c/ä", other), *of_b, ("c", last), ("c", gone)]
    assert [line.is_latest for line in found] == [True, True, False, False, False, True, False]
    assert [line.is_delete_marker for line in found] == [False, False, True, False, False, True, False]
    assert [line.size_bytes for line in found] == [5, 3, 0, 2, 1, 0, 4]
    assert all(line.last_modified for line in found)
    assert await keys(versioned) == ["a b+c/ä", "b"]
    assert ids(await lines(versioned, "b")) == ids(found)[1:5]
    assert ids(await lines(versioned, start_after="b")) == ids(found)[5:]
    for number, line in enumerate(found):
        rest = await lines(versioned, start_after=line.key, after_version=line.version_id)
        assert ids(rest) == ids(found)[number + 1 :]


async def test_versions_go_on_behind_a_key_that_is_not_there(versioned: Store) -> None:
    for key in ("a", "c"):
        await write(versioned, key, b"")
    assert [line.key for line in await lines(versioned, start_after="b")] == ["c"]


async def test_versions_of_a_bucket_that_keeps_none_are_its_objects(store: Store) -> None:
    await put(store, "key", b"first")
    await put(store, "key", b"second")
    try:
        found = await lines(store)
    except StoreError as error:  # rather than an empty listing
        assert not isinstance(error, NotFoundError)
        return
    assert [(line.key, line.version_id, line.is_latest, line.size_bytes) for line in found] == [
        ("key", "null", True, 6)
    ]


async def test_a_version_is_read_as_it_was(versioned: Store) -> None:
    tags = {"colour": "blue"}
    first = await write(versioned, "key", b"0123456789", metadata=ObjectMetadata(tags=tags, user={"n": "1"}))
    second = await write(versioned, "key", b"second")
    info = await versioned.head("key", version_id=first)
    assert (info.version_id, info.size_bytes, dict(info.metadata.user)) == (first, 10, {"n": "1"})
    assert (await versioned.head("key")).version_id == second
    assert await read(versioned, "key", version_id=first) == b"0123456789"
    ranged = {"offset_bytes": 2, "length_bytes": 3, "if_match": info.etag}
    assert await read(versioned, "key", version_id=first, **ranged) == b"234"
    with pytest.raises(PreconditionError):
        await read(versioned, "key", version_id=second, **ranged)
    assert await versioned.tags("key", version_id=first) == tags
    assert await versioned.tags("key") == {}


async def test_a_range_tells_no_checksum_of_the_whole(store: Store) -> None:
    await put(store, "key", b"0123456789")
    async with store.get("key", offset_bytes=2, length_bytes=3) as body:
        assert (body.info.checksums, body.info.crc64nvme, body.info.crc32c) == ({}, None, None)


async def test_an_upload_in_parts_is_one_version(versioned: Store) -> None:
    await write(versioned, "key", b"before")
    await asyncio.sleep(TICK_S)
    done = await upload(versioned, "key", [b"x" * 5 * 1024 * 1024, b"y"])
    assert done.version_id
    assert (await lines(versioned))[0].version_id == done.version_id
    assert (await versioned.head("key", version_id=done.version_id)).size_bytes == 5 * 1024 * 1024 + 1


async def test_the_size_of_the_first_part_is_told(store: Store) -> None:
    pieces = [b"x" * 6 * 1024 * 1024, b"y" * 5 * 1024 * 1024, b"z"]
    await upload(store, "parts", pieces)
    await put(store, "whole", b"x")
    first = await store.first_part_size("parts")
    assert first == len(pieces[0]) or "rclone" in os.environ["PYTEST_CURRENT_TEST"]
    assert await store.first_part_size("whole") is None
    with pytest.raises(NotFoundError):
        await store.first_part_size("none")


async def test_a_delete_marker_has_nothing_to_read(versioned: Store) -> None:
    kept = await write(versioned, "key", b"kept", metadata=ObjectMetadata(tags={"a": "b"}))
    marker = await remove(versioned, "key")
    for version_id in (None, marker, "11111111-1111-1111-1111-111111111111"):
        with pytest.raises(NotFoundError):
            await versioned.head("key", version_id=version_id)
        with pytest.raises(NotFoundError):
            await read(versioned, "key", version_id=version_id)
        with pytest.raises(NotFoundError):
            await versioned.tags("key", version_id=version_id)
    assert await read(versioned, "key", version_id=kept) == b"kept"
    await versioned.delete("key", version_id=marker)
    await versioned.delete("key", version_id=marker)
    assert await read(versioned, "key") == b"kept"


async def test_a_version_is_removed_alone(versioned: Store) -> None:
    first = await write(versioned, "key", b"first")
    second = await write(versioned, "key", b"second")
    await versioned.delete("key", version_id=second)
    assert await read(versioned, "key") == b"first"
    assert ids(await lines(versioned)) == [("key", first)]


async def test_what_was_there_before_versions_were_kept_is_called_null(store: Store) -> None:
    if isinstance(store, MemoryStore) or await _knows_versions(store):
        await put(store, "key", b"before")
        await set_versioning(store, "Enabled")
        second = await write(store, "key", b"second")
        assert [line.version_id for line in await lines(store)] == [second, "null"]
        assert await read(store, "key", version_id="null") == b"before"
        rest = await lines(store, start_after="key", after_version=second)
        assert ids(rest) == [("key", "null")]


async def _knows_versions(store: Store) -> bool:
    try:
        await set_versioning(store, "Enabled")
    except StoreError:
        return False
    await set_versioning(store, "Suspended")
    return True


async def test_a_version_is_not_given_for_another(store: Store) -> None:
    """A store that knows no versions must not give the object as it is now."""
    await put(store, "key", b"as it is now")
    with pytest.raises(StoreError):
        await store.head("key", version_id="11111111-1111-1111-1111-111111111111")
    with pytest.raises(StoreError):
        await read(store, "key", version_id="11111111-1111-1111-1111-111111111111")


async def test_folders_directly_under_a_prefix(store: Store) -> None:
    for key in ("p/a/1", "p/a/2", "p/b b/1", "p/c", "p/ä+/x/y", "q/z", "top"):
        await put(store, key, b"")
    told = await store.common_prefixes("p/")
    assert (told.prefixes, told.complete) == (("p/a/", "p/b b/", "p/ä+/"), True)
    assert (await store.common_prefixes()).prefixes == ("p/", "q/")
    assert (await store.common_prefixes("p/", start_after="p/a/1")).prefixes == ("p/b b/", "p/ä+/")
    assert (await store.common_prefixes("none/")).prefixes == ()


async def test_a_sharded_listing_is_a_listing(store: Store) -> None:
    wanted = [f"a/{number:02}/{n}" for number in range(12) for n in range(3)]
    wanted += [f"flat-{number * 37 % 101:03}" for number in range(40)] + ["z/ä b", "z/😀"]
    for key in wanted:
        await put(store, key, b"")
    plain = [item async for item in store.list()]
    assert [item.key for item in plain] == sorted(wanted, key=str.encode)
    assert [item async for item in sharded_objects(store, piece=7, connections=3)] == plain
    some = [item async for item in sharded_objects(store, "a/", start_after="a/02/0", end="a/09/1", piece=5)]
    assert some == [item for item in plain if "a/02/0" < item.key <= "a/09/1"]


async def test_sharded_versions_are_versions(versioned: Store) -> None:
    for number in range(36):
        key = f"k/{number * 7 % 12:02}"
        await (remove(versioned, key) if number % 5 == 4 and number > 12 else write(versioned, key, b""))
    plain = await lines(versioned)
    assert [line async for line in sharded_versions(versioned, piece=4, connections=3)] == plain


async def test_an_archived_object_must_be_restored_first(versioned: Store) -> None:
    cold = ObjectMetadata(storage_class="GLACIER")
    version_id = await write(versioned, "cold", b"ice", metadata=cold)
    await write(versioned, "warm", b"water", metadata=ObjectMetadata(storage_class="STANDARD_IA"))
    info = await versioned.head("cold")
    assert (info.archived, info.restoring, info.metadata.storage_class) == (True, False, "GLACIER")
    assert not (await versioned.head("warm")).archived
    assert [item.archived async for item in versioned.list()] == [True, False]
    assert [line.archived for line in await lines(versioned)] == [True, False]
    with pytest.raises(ArchivedError):
        await read(versioned, "cold")
    for _ in range(2):
        await versioned.request_restore("cold", days=2, tier="Bulk", version_id=version_id)
    if not (await versioned.head("cold")).restoring:  # moto's ice melts at once
        assert await read(versioned, "cold") == b"ice"
        assert not (await versioned.head("cold")).archived


async def test_what_is_not_archived_cannot_be_restored(store: Store) -> None:
    await put(store, "warm", b"water")
    with pytest.raises(StoreError) as caught:
        await store.request_restore("warm", days=1)
    assert not isinstance(caught.value, ArchivedError | NotFoundError)


async def test_a_restored_object_is_read_until_it_is_gone() -> None:
    memory = MemoryStore()
    await put(memory, "cold", b"ice", metadata=ObjectMetadata(storage_class="DEEP_ARCHIVE"))
    await memory.request_restore("cold", days=1)
    info = await memory.head("cold")
    assert (info.archived, info.restoring) == (True, True)
    memory.complete_restores()
    info = await memory.head("cold")
    assert (info.archived, info.restoring) == (False, False)
    assert await read(memory, "cold") == b"ice"


async def test_headers_come_back(versioned: Store) -> None:
    metadata = ObjectMetadata(
        content_type="text/x-test",
        content_encoding="x-own",
        content_disposition='attachment; filename="x"',
        content_language="de",
        cache_control="no-store",
        expires="Wed, 21 Oct 2026 07:28:00 GMT",
        website_redirect="/elsewhere",
        storage_class="STANDARD_IA",
        user={"mtime": "1.5"},
    )
    await write(versioned, "key", b"x", metadata=metadata)
    assert (await versioned.head("key")).metadata == metadata


async def test_a_server_without_versions_says_so(place: Place) -> None:
    if place.kind != "rclone":
        pytest.skip("this one keeps versions")
    store = place.store()
    await put(store, "key", b"x")
    with pytest.raises(StoreError, match="does not keep versions"):
        await store.head("key", version_id="some")
    with pytest.raises(StoreError) as caught:
        await lines(store)
    assert place.bucket in caught.value.what
    assert "does not know this request" in caught.value.remedy
    await store.aclose()
