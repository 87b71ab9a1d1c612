"""The contract of stores.contract, on every store. What a store cannot do, its capabilities say."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from tests.contract.conftest import Place
from tests.simulators.servers import free_port
from transfer.core.object_metadata import ObjectMetadata
from transfer.errors import (
    AccessError,
    ChecksumRejectedError,
    NotFoundError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
)
from transfer.stores.checksums import checksums_of, combine
from transfer.stores.contract import Buffers, ChecksumKind, Checksums, Part, PutResult, Store

MIB = 1024 * 1024
PART = 5 * MIB
WRONG = Checksums(1, 2)
ODD_KEYS = [
    "plain.txt",
    "a b/c  d",
    " leading and trailing ",
    "plus+plus",
    "percent%2Fnot a slash",
    "100%",
    "tilde~!*'()",
    "query?x=1&y=2#fragment",
    "quote\"<&>'",
    "ümlaut/日本語/😀",
    "a:b;c,d@e=f$g",
    "back\\slash",
    "dots/x./.x/..x",
    "k" * 200,
    "new/line-sorted-after-dash",
    "new-line",
]


async def put(store: Store, key: str, data: bytes, **options: object) -> PutResult:
    return await store.put(key, [data], checksums=checksums_of([data]), **options)


async def read(store: Store, key: str, **options: object) -> bytes:
    async with store.get(key, **options) as body:
        return b"".join([piece async for piece in body])


async def keys(store: Store, prefix: str = "", start_after: str = "") -> list[str]:
    return [item.key async for item in store.list(prefix, start_after=start_after)]


async def upload(
    store: Store, key: str, pieces: list[bytes], order: list[int] | None = None, **options: bool
) -> PutResult:
    """An upload of these pieces as parts 1, 2, ..., sent in the given order of indices."""
    upload_id = (await store.create_upload(key)).upload_id
    parts = {}
    for index in order or range(len(pieces)):
        sums = checksums_of([pieces[index]])
        parts[index] = await store.put_part(key, upload_id, index + 1, [pieces[index]], checksums=sums)
    ordered = [parts[index] for index in range(len(pieces))]
    return await store.complete_upload(key, upload_id, ordered, checksums=whole(ordered), **options)


def whole(parts: list[Part]) -> Checksums:
    return combine((part.checksums, part.size_bytes) for part in parts)


@pytest.mark.parametrize("size", [0, 1, 4096, 700_001])
async def test_an_object_comes_back_as_it_was_put(store: Store, size: int) -> None:
    data = os.urandom(size)
    result = await put(store, "some/key", data)
    info = await store.head("some/key")
    assert await read(store, "some/key") == data
    assert (info.size_bytes, info.etag) == (size, result.etag) == (size, hashlib.md5(data).hexdigest())
    assert info.last_modified is not None


async def test_buffers_are_laid_end_to_end(store: Store) -> None:
    data = os.urandom(3 * MIB)
    body: Buffers = [b"", data[:7], memoryview(data)[7:MIB], memoryview(data)[MIB:]]
    await store.put("key", body, checksums=checksums_of([data]))
    assert await read(store, "key") == data


async def test_a_second_put_replaces_the_first(store: Store) -> None:
    await put(store, "key", b"first")
    await put(store, "key", b"second, longer")
    assert await read(store, "key") == b"second, longer"


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_come_back_exactly(store: Store, key: str) -> None:
    await put(store, key, b"content of " + key.encode())
    assert await keys(store) == [key]
    assert await read(store, key) == b"content of " + key.encode()
    await store.delete(key)
    assert await keys(store) == []


async def test_metadata_comes_back(store: Store) -> None:
    user = {
        "mtime": "1700000000.123456789",
        "title": "Grüße aus 日本 😀",
        "spaces": "  kept  as they are ",
        "looks-encoded": "=?UTF-8?B?w7w=?=",
        "long": "ä" * 200,
    }
    metadata = ObjectMetadata(
        content_type="text/x-test", content_disposition='attachment; filename="x"', user=user
    )
    await put(store, "single", b"x", metadata=metadata)
    upload_id = (await store.create_upload("parts", metadata=metadata)).upload_id
    part = await store.put_part("parts", upload_id, 1, [b"x"], checksums=checksums_of([b"x"]))
    await store.complete_upload("parts", upload_id, [part], checksums=checksums_of([b"x"]))
    for key in ("single", "parts"):
        told = (await store.head(key)).metadata
        assert (told.content_type, dict(told.user)) == ("text/x-test", user)


async def test_parts_make_up_an_object(store: Store) -> None:
    pieces = [os.urandom(PART), os.urandom(PART), os.urandom(1234)]
    await upload(store, "big", pieces)
    assert await read(store, "big") == b"".join(pieces)
    assert (await store.head("big")).size_bytes == 2 * PART + 1234


async def test_parts_may_come_out_of_order(store: Store) -> None:
    pieces = [os.urandom(PART), os.urandom(PART), b"last"]
    await upload(store, "big", pieces, order=[2, 0, 1])
    assert await read(store, "big") == b"".join(pieces)


async def test_a_part_sent_again_counts_once(store: Store) -> None:
    pieces = [os.urandom(PART), b"last"]
    await upload(store, "big", pieces, order=[0, 0, 1, 1])
    assert await read(store, "big") == b"".join(pieces)


async def test_uploads_of_one_key_do_not_mix(store: Store) -> None:
    first, second = [os.urandom(PART), b"first"], [os.urandom(PART), b"second"]
    await asyncio.gather(upload(store, "key", first), upload(store, "key", second))
    assert await read(store, "key") in {b"".join(first), b"".join(second)}


async def test_an_upload_is_invisible_until_completed_and_gone_when_aborted(store: Store) -> None:
    upload_id = (await store.create_upload("key")).upload_id
    await store.put_part("key", upload_id, 1, [b"x"], checksums=checksums_of([b"x"]))
    assert await keys(store) == []
    assert [(found.key, found.upload_id) async for found in store.list_uploads()] == [("key", upload_id)]
    await store.abort_upload("key", upload_id)
    await store.abort_upload("key", upload_id)
    assert [found async for found in store.list_uploads()] == []
    assert await keys(store) == []


async def test_an_aborted_upload_takes_no_more_parts(store: Store) -> None:
    upload_id = (await store.create_upload("key")).upload_id
    await store.abort_upload("key", upload_id)
    with pytest.raises(NotFoundError):
        await store.put_part("key", upload_id, 1, [b"x"], checksums=checksums_of([b"x"]))
    with pytest.raises(NotFoundError):
        [_ async for _ in store.list_parts("key", upload_id)]


async def test_an_upload_is_resumed_from_the_list_of_its_parts(store: Store) -> None:
    pieces = [os.urandom(PART), os.urandom(PART), b"last"]
    upload_id = (await store.create_upload("key")).upload_id
    for number in (1, 2):
        piece = pieces[number - 1]
        await store.put_part("key", upload_id, number, [piece], checksums=checksums_of([piece]))
    listed = [part async for part in store.list_parts("key", upload_id)]
    assert [(part.number, part.size_bytes) for part in listed] == [(1, PART), (2, PART)]
    assert [part.etag for part in listed] == [hashlib.md5(piece).hexdigest() for piece in pieces[:2]]
    listed.append(await store.put_part("key", upload_id, 3, [b"last"], checksums=checksums_of([b"last"])))
    await store.complete_upload("key", upload_id, listed, checksums=checksums_of(pieces))
    assert await read(store, "key") == b"".join(pieces)


async def test_completing_twice_is_completing_once(store: Store) -> None:
    upload_id = (await store.create_upload("key")).upload_id
    sums = checksums_of([b"whole"])
    part = await store.put_part("key", upload_id, 1, [b"whole"], checksums=sums)
    await store.complete_upload("key", upload_id, [part], checksums=sums)
    again = await store.complete_upload("key", upload_id, [part], checksums=sums)
    assert again.etag == (await store.head("key")).etag


async def test_an_upload_that_never_was_cannot_be_completed(store: Store) -> None:
    upload_id = (await store.create_upload("key")).upload_id
    sums = checksums_of([b"x"])
    part = await store.put_part("key", upload_id, 1, [b"x"], checksums=sums)
    await store.abort_upload("key", upload_id)
    await put(store, "key", b"y")
    with pytest.raises(NotFoundError):
        await store.complete_upload("key", upload_id, [part], checksums=sums)
    assert await read(store, "key") == b"y"


async def test_listing_is_in_the_order_of_utf8_bytes_over_many_pages(store: Store) -> None:
    wanted = [f"many/{number:04}" for number in range(1010)] + ["many/a b", "many/￮", "many/😀", "other"]
    places = asyncio.Semaphore(16)

    async def put_one(key: str) -> None:
        async with places:
            await put(store, key, b"")

    await asyncio.gather(*map(put_one, wanted))
    ordered = sorted(wanted, key=str.encode)
    assert await keys(store) == ordered
    assert await keys(store, "many/") == ordered[:-1]
    assert await keys(store, "many/", "many/1004") == ordered[1005:-1]
    assert await keys(store, "none/") == []


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, 1, slice(0, 1)), (0, None, slice(0, None)), (5, 10, slice(5, 15)), (999, None, slice(999, None)),
     (990, 500, slice(990, None))],
)  # fmt: skip
async def test_ranges(store: Store, offset: int, length: int | None, expected: slice) -> None:
    data = os.urandom(1000)
    await put(store, "key", data)
    async with store.get("key", offset_bytes=offset, length_bytes=length) as body:
        assert body.info.size_bytes == 1000
        assert b"".join([piece async for piece in body]) == data[expected]


async def test_a_range_beyond_the_end_is_an_error(store: Store) -> None:
    await put(store, "key", b"12345")
    with pytest.raises(StoreError):
        await read(store, "key", offset_bytes=5)


async def test_reading_is_pinned_to_an_etag(store: Store) -> None:
    first = await put(store, "key", b"first")
    assert await read(store, "key", if_match=first.etag) == b"first"
    await put(store, "key", b"second")
    with pytest.raises(PreconditionError):
        await read(store, "key", if_match=first.etag)


async def test_what_is_missing_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError):
        await store.head("none")
    with pytest.raises(NotFoundError):
        await read(store, "none")
    with pytest.raises(NotFoundError):
        await store.copy("none", "key")
    await store.delete("none")


async def test_copy_takes_bytes_and_metadata_along(store: Store) -> None:
    metadata = ObjectMetadata(content_type="text/x-copied", user={"mtime": "12.5"})
    source = await put(store, "from/ä b+c", b"copied", metadata=metadata)
    await store.copy("from/ä b+c", "to/key", if_match=source.etag)
    info = await store.head("to/key")
    assert await read(store, "to/key") == b"copied"
    assert (info.metadata.content_type, dict(info.metadata.user)) == ("text/x-copied", {"mtime": "12.5"})
    with pytest.raises(PreconditionError):
        await store.copy("from/ä b+c", "to/other", if_match="0" * 32)


async def test_tags(store: Store) -> None:
    tags = {"project": "Müll + Co / 1=2", "empty": ""}
    await put(store, "key", b"not XML", metadata=ObjectMetadata(tags=tags))
    assert await store.tags("key") == tags
    await put(store, "without", b"")
    assert await store.tags("without") == {}


async def test_probing_leaves_nothing_behind(store: Store) -> None:
    capabilities = await store.probe()
    assert await store.probe() is capabilities
    assert await keys(store) == []
    assert [found async for found in store.list_uploads()] == []


async def test_bytes_that_are_not_those_of_the_checksum_are_refused(store: Store) -> None:
    """Where the store checks CRCs. Where not, nothing here can know: the CRC comes from the caller."""
    if (await store.probe()).checksum not in {ChecksumKind.CRC64NVME, ChecksumKind.CRC32C}:
        pytest.skip("this store checks no CRC")
    with pytest.raises(ChecksumRejectedError) as caught:
        await store.put("key", [b"x"], checksums=WRONG)
    assert caught.value.exit_code == 4
    upload_id = (await store.create_upload("key")).upload_id
    with pytest.raises(ChecksumRejectedError):
        await store.put_part("key", upload_id, 1, [b"x"], checksums=WRONG)
    part = await store.put_part("key", upload_id, 1, [b"x"], checksums=checksums_of([b"x"]))
    with pytest.raises(ChecksumRejectedError):
        await store.complete_upload("key", upload_id, [part], checksums=WRONG)
    assert await keys(store) == []


async def test_what_is_there_is_not_overwritten_if_so_wanted(store: Store) -> None:
    await put(store, "key", b"first", if_none_match=True)
    with pytest.raises(PreconditionError):
        await put(store, "key", b"second", if_none_match=True)
    with pytest.raises(PreconditionError):
        await upload(store, "key", [b"third"], if_none_match=True)
    assert await read(store, "key") == b"first"
    await upload(store, "new", [b"new"], if_none_match=True)
    assert await read(store, "new") == b"new"


async def test_a_bucket_that_is_not_there_is_named(place: Place) -> None:
    store = place.store(bucket="no-such-bucket")
    for call in (store.probe(), store.head("key"), anext(store.list())):
        with pytest.raises(NotFoundError) as caught:
            await call
        assert "no-such-bucket" in str(caught.value)
        assert place.endpoint_url in str(caught.value)
    await store.aclose()


@pytest.mark.parametrize("changed", [{"secret_key": "wrong"}, {"access_key": "WRONG"}])
async def test_wrong_keys_are_an_access_error(place: Place, changed: dict[str, str]) -> None:
    if place.kind == "moto":
        pytest.skip("moto lets everybody in")
    store = place.store(**changed)
    for call in (store.probe(), anext(store.list()), store.head("key")):
        with pytest.raises(AccessError) as caught:
            await call
        assert caught.value.exit_code == 12
        assert caught.value.remedy
    await store.aclose()


async def test_nobody_listening_is_unreachable(place: Place) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    store = place.store(endpoint_url=url)
    with pytest.raises(StoreUnreachableError) as caught:
        await store.probe()
    assert url in caught.value.what
    assert "--endpoint-url" in caught.value.remedy
    await store.aclose()
