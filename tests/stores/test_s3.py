"""What S3 answers when things go wrong, on a server that does so as planned."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.simulators.faults import Fault, Trouble
from tests.simulators.strict_s3 import StrictServer, _page, _version_line
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.s3_limits import S3Limits
from transfer.core.sigv4 import Credentials
from transfer.core.sizes import MIB
from transfer.errors import (
    AccessError,
    BusyError,
    NotFoundError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
)
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import Capabilities, ChecksumKind, ListedVersion, Part, Store
from transfer.stores.http import HttpOptions, HttpTransport
from transfer.stores.s3 import S3Store
from transfer.stores.s3_answers import listed_versions
from transfer.stores.xml import Element, parse

MakeStore = Callable[..., S3Store]
SUMS = checksums_of([b"x"])


async def one_part(store: Store, key: str = "key") -> tuple[str, list[Part]]:
    upload_id = (await store.create_upload(key)).upload_id
    return upload_id, [await store.put_part(key, upload_id, 1, [b"x"], checksums=SUMS)]


async def test_crc64nvme_is_found_and_sent(server: StrictServer, store: S3Store) -> None:
    assert await store.probe() == Capabilities(ChecksumKind.CRC64NVME, full_object=True, if_none_match=None)
    assert (await store.put("key", [b"x"], checksums=SUMS)).verified_by is ChecksumKind.CRC64NVME
    info = await store.head("key")
    assert (info.crc64nvme, info.crc32c) == (SUMS.crc64nvme, SUMS.crc32c)


@pytest.mark.parametrize(
    ("understands", "kind", "full"),
    [(("crc32c",), ChecksumKind.CRC32C, True), ((), ChecksumKind.MD5, False)],
)
async def test_what_the_endpoint_does_not_know_is_not_sent(
    server: StrictServer, store: S3Store, understands: tuple[str, ...], kind: ChecksumKind, full: bool
) -> None:
    server.understands = understands
    assert await store.probe() == Capabilities(kind, full, None)
    upload_id, parts = await one_part(store)
    await store.complete_upload("key", upload_id, parts, checksums=SUMS)
    assert (await store.put("other", [b"x"], checksums=SUMS)).verified_by is kind


async def test_probing_happens_once_for_all_who_ask(server: StrictServer, store: S3Store) -> None:
    await asyncio.gather(*(store.probe() for _ in range(5)))
    assert sum("uploads" in request for request in server.requests) == 1


@pytest.mark.parametrize(
    ("trouble", "error", "words"),
    [
        (Trouble.SLOW_DOWN, BusyError, "SlowDown"),
        (Trouble.INTERNAL_ERROR, StoreError, "InternalError"),
        (Trouble.RESET_BEFORE, StoreUnreachableError, "cut off"),
        (Trouble.OK_WITH_ERROR, StoreError, "InternalError"),
        (Trouble.HALF_ANSWER, StoreUnreachableError, "cut off"),
        (Trouble.HUGE_XML, StoreError, "more than"),
        (Trouble.ENTITY_BOMB, StoreError, "document type"),
        (Trouble.STUCK_LISTING, StoreError, "does not go on"),
        (Trouble.GARBAGE, StoreError, "not one of S3"),
    ],
)
async def test_troubles_are_told_as_errors(
    server: StrictServer, store: S3Store, trouble: Trouble, error: type[StoreError], words: str
) -> None:
    await store.put("key", [b"x"], checksums=SUMS)
    # aiohttp itself sends an idempotent request once more where the connection is cut before the answer.
    times = 2 if trouble is Trouble.RESET_BEFORE else 1
    server.faults += [Fault("GET", "list-type=2", trouble)] * times
    with pytest.raises(error, match=words) as caught:
        await anext(store.list())
    assert server.endpoint_url in caught.value.what


async def test_a_store_that_ignores_ranges_is_found_out(server: StrictServer, store: S3Store) -> None:
    await store.put("key", [b"12345"], checksums=checksums_of([b"12345"]))
    server.faults.append(Fault("GET", "key", Trouble.DEAF))
    with pytest.raises(StoreError, match="ranges"):
        async with store.get("key", offset_bytes=2):
            pass


async def test_a_store_that_ignores_if_match_is_found_out(server: StrictServer, store: S3Store) -> None:
    await store.put("key", [b"12345"], checksums=checksums_of([b"12345"]))
    server.faults.append(Fault("GET", "key", Trouble.DEAF))
    with pytest.raises(PreconditionError):
        async with store.get("key", if_match="0" * 32):
            pass


async def test_slow_down_says_for_how_long(server: StrictServer, store: S3Store) -> None:
    server.faults.append(Fault("HEAD", "key", Trouble.SLOW_DOWN))
    with pytest.raises(BusyError) as caught:
        await store.head("key")
    assert caught.value.retry_after_s == 7


async def test_a_completion_answered_200_with_an_error_is_an_error(
    server: StrictServer, store: S3Store
) -> None:
    upload_id, parts = await one_part(store)
    server.faults.append(Fault("POST", "uploadId", Trouble.OK_WITH_ERROR))
    with pytest.raises(StoreError, match="InternalError"):
        await store.complete_upload("key", upload_id, parts, checksums=SUMS)
    await store.complete_upload("key", upload_id, parts, checksums=SUMS)


async def test_a_completion_whose_answer_was_lost_is_found_done(server: StrictServer, store: S3Store) -> None:
    upload_id, parts = await one_part(store)
    server.faults.append(Fault("POST", "uploadId", Trouble.RESET_AFTER))
    with pytest.raises(StoreUnreachableError):
        await store.complete_upload("key", upload_id, parts, checksums=SUMS)
    done = await store.complete_upload("key", upload_id, parts, checksums=SUMS)
    assert done.etag == (await store.head("key")).etag


async def test_another_object_in_its_place_is_not_taken_for_it(server: StrictServer, store: S3Store) -> None:
    upload_id, parts = await one_part(store)
    await store.abort_upload("key", upload_id)
    await store.put("key", [b"y"], checksums=checksums_of([b"y"]))
    with pytest.raises(NotFoundError, match="NoSuchUpload"):
        await store.complete_upload("key", upload_id, parts, checksums=SUMS)


async def test_if_none_match_is_learned_from_a_412(
    server: StrictServer, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_there_yet(key: str) -> None:
        raise NotFoundError("another writer comes first")

    await store.put("key", [b"x"], checksums=SUMS)
    with monkeypatch.context() as patch, pytest.raises(PreconditionError, match="PreconditionFailed"):
        patch.setattr(store, "head", nothing_there_yet)
        await store.put("key", [b"y"], checksums=checksums_of([b"y"]), if_none_match=True)
    assert (await store.probe()).if_none_match is True
    server.requests.clear()
    with pytest.raises(PreconditionError):
        await store.put("key", [b"y"], checksums=checksums_of([b"y"]), if_none_match=True)
    assert server.requests == ["PUT /test-bucket/key"]


async def test_large_copies_go_in_parts_with_all_metadata(
    server: StrictServer, make_store: MakeStore
) -> None:
    store = make_store(limits=S3Limits(single_copy_max_bytes=6 * MIB, part_max_bytes=5 * MIB))
    data = os.urandom(12 * MIB)
    metadata = ObjectMetadata(content_type="text/x", user={"mtime": "1.5"}, tags={"k": "v w"})
    await store.put("from", [data], checksums=checksums_of([data]), metadata=metadata)
    await store.copy("from", "to")
    info = await store.head("to")
    assert info.crc64nvme == checksums_of([data]).crc64nvme
    assert (info.metadata.content_type, dict(info.metadata.user)) == ("text/x", {"mtime": "1.5"})
    assert await store.tags("to") == {"k": "v w"}
    assert sum("partNumber" in request and "/to?" in request for request in server.requests) == 3


async def test_a_copy_that_fails_in_the_middle_leaves_no_upload(
    server: StrictServer, make_store: MakeStore
) -> None:
    store = make_store(limits=S3Limits(single_copy_max_bytes=MIB, part_max_bytes=5 * MIB))
    data = os.urandom(11 * MIB)
    await store.put("from", [data], checksums=checksums_of([data]))
    server.faults.append(Fault("PUT", "partNumber=2", Trouble.INTERNAL_ERROR))
    with pytest.raises(StoreError, match="InternalError"):
        await store.copy("from", "to")
    assert [found async for found in store.list_uploads()] == []
    with pytest.raises(NotFoundError):
        await store.head("to")


class Renewable:
    """Credentials whose token runs out."""

    def __init__(self, server: StrictServer) -> None:
        self._server = server
        self.token = "old"
        self.renewals = 0

    async def current(self) -> Credentials:
        return Credentials(self._server.access_key, self._server.secret_key, self.token)

    async def renew(self) -> bool:
        self.renewals += 1
        before, self.token = self.token, "new"
        return before != self.token


async def test_expired_credentials_are_renewed_and_the_request_sent_again(
    server: StrictServer, make_store: MakeStore
) -> None:
    server.accepted_token = "new"
    source = Renewable(server)
    store = make_store(source)
    await store.put("key", [b"x"], checksums=SUMS)
    assert source.renewals == 1
    assert await store.head("key")
    server.accepted_token = "newer"
    with pytest.raises(AccessError, match="sign in again"):
        await store.put("key", [b"x"], checksums=SUMS)


async def test_a_wrong_clock_is_called_one(server: StrictServer, make_store: MakeStore) -> None:
    store = make_store(now=lambda: datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(AccessError, match="clock"):
        await store.probe()


async def test_another_region_is_named(server: StrictServer, store: S3Store) -> None:
    server.region = "eu-central-1"
    with pytest.raises(StoreError, match="--region eu-central-1"):
        await store.probe()


async def test_a_body_is_sent_with_its_length_and_signed_where_nothing_else_guards_it(
    server: StrictServer, make_store: MakeStore
) -> None:
    store = make_store()
    connection = store._connection
    connection.endpoint = replace(connection.endpoint, loopback=False)
    assert connection.endpoint.signs_payload
    body = [b"a" * MIB, memoryview(b"b" * 10)]
    await store.put("key", body, checksums=checksums_of(body))
    await store.put("empty", [], checksums=checksums_of([]))
    assert (await store.head("key")).size_bytes == MIB + 10


async def test_an_error_of_the_callers_own_is_not_taken_for_the_networks(
    server: StrictServer, store: S3Store
) -> None:
    await store.put("key", [b"x"], checksums=SUMS)
    with pytest.raises(OSError, match="No space left"):
        async with store.get("key"):
            raise OSError(28, "No space left on device")


async def test_a_listing_out_of_order_is_an_error(server: StrictServer, store: S3Store, monkeypatch) -> None:
    for key in ("a", "b", "c"):
        await store.put(key, [b""], checksums=checksums_of([]))
    monkeypatch.setattr(
        "transfer.stores.memory_history.sorted", lambda keys, key: sorted(keys, reverse=True), raising=False
    )
    with pytest.raises(StoreError, match="out of order, at 'b'"):
        [_ async for _ in store.list()]


def version(key: str, version_id: str = "v1", *, marker: bool = False, at: int = 0) -> ListedVersion:
    return ListedVersion(
        key, version_id, False, marker, 0, "", datetime(2026, 1, 1, 0, 0, at, tzinfo=UTC), None
    )


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        ([version("b"), version("a")], "a"),
        ([version("a"), version("b"), version("a", "v2")], "a"),
        ([version("a"), version("a")], "a"),
        ([version("a"), version("a", "v2"), version("a")], "a"),
        ([version("￮"), version("😀"), version("￮", "v2")], "￮"),
    ],
    ids=["keys", "key-again", "version-again", "version-later-again", "other-order"],
)
async def test_versions_out_of_order_are_an_error(
    server: StrictServer, store: S3Store, lines: list[ListedVersion], at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.store, "versions", lambda *args, **named: _each(lines))
    with pytest.raises(StoreError, match=f"out of order, at '{at}'"):
        [_ async for _ in store.versions()]


async def test_versions_outside_of_the_prefix_are_an_error(
    server: StrictServer, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.store, "versions", lambda *args, **named: _each([version("b")]))
    with pytest.raises(StoreError, match="out of order"):
        [_ async for _ in store.versions("a")]


async def _each(lines: list[ListedVersion]) -> AsyncIterator[ListedVersion]:
    for line in lines:
        yield line


def test_delete_markers_that_stand_apart_are_put_where_they_belong() -> None:
    versions = [version("a", "v9", at=9), version("a", "v5", at=5), version("c", "v2", at=2)]
    markers = [version("a", "m7", marker=True, at=7), version("b", "m1", marker=True, at=1),
               version("c", "m0", marker=True, at=0)]  # fmt: skip
    ordered = [versions[0], markers[0], versions[1], markers[1], versions[2], markers[2]]

    def page(lines: list[ListedVersion]) -> Element:
        return parse(f"<R>{''.join(map(_version_line, lines))}</R>".encode())

    for told in (ordered, versions + markers):
        assert [line.version_id for line in listed_versions(page(told))] == [
            line.version_id for line in ordered
        ]


async def test_another_document_is_no_empty_listing(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not know `?versions` may answer with a listing of objects."""

    async def objects(*_: object) -> object:
        return _page("ListBucketResult", [], more=False)

    monkeypatch.setattr("tests.simulators.strict_s3._versions", objects)
    with pytest.raises(StoreError, match="it is ListBucketResult, not ListVersionsResult"):
        [_ async for _ in store.versions()]
    monkeypatch.setattr("tests.simulators.strict_s3._bucket", objects)
    with pytest.raises(StoreError, match="it is ListBucketResult, not VersioningConfiguration"):
        await store.versioning()


async def test_tags_are_not_taken_from_another_document(server: StrictServer, store: S3Store) -> None:
    await store.put("key", [b"x"], checksums=SUMS)
    server.faults.append(Fault("GET", "tagging", Trouble.STUCK_LISTING))
    with pytest.raises(StoreError, match="no tags"):
        await store.tags("key")


async def test_uploads_of_odd_keys_are_listed_over_many_pages(server: StrictServer, store: S3Store) -> None:
    wanted = [f"a b+%/{number:03} ä" for number in range(520)]
    for key in wanted:
        await server.store.create_upload(key)
    assert [found.key async for found in store.list_uploads()] == wanted


async def test_versions_of_odd_keys_are_listed_over_many_pages(server: StrictServer, store: S3Store) -> None:
    server.store.mode = "enabled"
    for number in range(300):
        await server.store.put(f"a b+%/{number // 3:03} ä", [], checksums=checksums_of([]))
    wanted = [line async for line in server.store.versions()]
    assert [line async for line in store.versions()] == wanted


async def test_a_peer_that_takes_nothing_is_given_up() -> None:
    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    stop = asyncio.Event()
    listener = await asyncio.start_server(stuck, "127.0.0.1", 0, limit=1024)
    port = listener.sockets[0].getsockname()[1]
    transport = HttpTransport(HttpOptions(stall_timeout_s=0.05))
    body = [bytes(64 * MIB)]
    with pytest.raises(StoreUnreachableError, match="timed out"):
        async with await transport.request("PUT", f"http://127.0.0.1:{port}/x", {}, body):
            pass
    with pytest.raises(StoreUnreachableError, match="timed out"):
        async with await transport.request("GET", f"http://127.0.0.1:{port}/x", {}):
            pass
    stop.set()
    await transport.aclose()
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("PUT", [b"ab", b"c"], "3"), ("PUT", [], "0"), ("POST", [], "0"), ("GET", [], None), ("HEAD", [], None)],
)
async def test_headers_go_out_as_they_stand_and_no_others(
    method: str, body: list[bytes], length: str | None
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    heads: list[str] = []
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    transport = HttpTransport(HttpOptions())
    sent = {"host": f"127.0.0.1:{port}", "x-amz-meta-a": "1"}
    async with await transport.request(
        method, f"http://127.0.0.1:{port}/a%20b?c=%2F", sent, body
    ) as response:
        assert response.status == 200
    first, *lines = heads[0].strip().split("\r\n")
    assert first == f"{method} /a%20b?c=%2F HTTP/1.1"
    named = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert named == sent | ({"content-length": length} if length else {})
    await transport.aclose()
    listener.close()
    await listener.wait_closed()
