"""The transport for downloads, against a server that answers as each test says, byte for byte."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.errors import StoreUnreachableError
from transfer.stores.download import DownloadTransport
from transfer.stores.download_answer import AnswerReader, ProtocolError
from transfer.stores.http import HttpOptions
from transfer.stores.open import open_store
from transfer.stores.pacing import SLICE_BYTES, Pace
from transfer.stores.read_into import read_into

OK = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: 5\r\n\r\nhello'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)
UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


@asynccontextmanager
async def answering(
    *answers: bytes, close: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, one a request, over all connections; what it was asked."""
    left, asked = list(answers), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                asked.append(head + await reader.readexactly(int(length or 0)))
                if not left:
                    break
                writer.write(left.pop(0))
                await writer.drain()
                if close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


@asynccontextmanager
async def transport(**options: float) -> AsyncIterator[DownloadTransport]:
    made = DownloadTransport(HttpOptions(**options))
    try:
        yield made
    finally:
        await made.aclose()


async def get(client: DownloadTransport, url: str, method: str = "GET") -> bytes:
    async with await client.request(method, f"{url}/a%20b?c=d", {"host": "h"}) as response:
        return b"".join([piece async for piece in client.stream(response)])


async def test_requests_are_sent_as_they_are_on_one_connection():
    async with answering(OK, CHUNKED, OK) as (url, asked), transport() as client:
        assert [await get(client, url) for _ in range(3)] == [b"hello"] * 3
        assert asked == [b"GET /a%20b?c=d HTTP/1.1\r\nhost: h\r\n\r\n"] * 3


async def test_a_short_body_goes_with_its_length():
    async with answering(OK) as (url, asked), transport() as client:
        async with await client.request("POST", url, {"host": "h"}, [b"ab", memoryview(b"c")]) as response:
            assert await client.read(response, 10) == b"hello"
        assert asked == [b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc"]


async def test_a_head_has_no_body_though_it_tells_a_length():
    async with answering(OK[:-5], OK) as (url, _), transport() as client:
        async with await client.request("HEAD", url, {"host": "h"}) as response:
            assert response.headers.get("content-length") == "5"
            assert [piece async for piece in client.stream(response)] == []
        assert await get(client, url) == b"hello"


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure():
    async with answering(OK, OK, UNTIL_END, close=True) as (url, _), transport() as client:
        assert [await get(client, url) for _ in range(3)] == [b"hello"] * 3


async def test_an_answer_that_is_not_read_to_its_end_costs_only_its_connection():
    async with answering(OK, OK) as (url, _), transport() as client:
        async with await client.request("GET", url, {"host": "h"}) as response:
            assert response.status == 200
        assert await get(client, url) == b"hello"


async def test_a_long_answer_waits_until_it_is_taken():
    body = bytes(8 << 20)
    head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with answering(head + body) as (url, _), transport() as client:
        async with await client.request("GET", url, {"host": "h"}) as response:
            await asyncio.sleep(0.05)
            size = 0
            async for piece in client.stream(response):
                size += len(piece)
        assert size == len(body)


@pytest.mark.parametrize(
    "answer",
    [
        OK[:-1],
        CHUNKED[:-2],
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n bad: header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    ],
    ids=[
        "cut",
        "chunk",
        "empty",
        "head",
        "ssh",
        "lengths",
        "negative",
        "both",
        "more",
        "hex",
        "long",
        "field",
        "endless",
    ],
)
async def test_an_answer_that_is_broken_is_an_error_never_content(answer: bytes):
    async with answering(answer, close=True) as (url, _), transport() as client:
        with pytest.raises(StoreUnreachableError, match="cut off"):
            await get(client, url)


async def test_who_gives_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("transfer.stores.download._LOOK_EVERY_S", 0.02)
    async with answering(OK[:-1]) as (url, _), transport(stall_timeout_s=0.05) as client:
        with pytest.raises(StoreUnreachableError, match="timed out"):
            await get(client, url)


async def test_nobody_there():
    async with transport() as client:
        with pytest.raises(StoreUnreachableError, match="no connection"):
            await get(client, "http://127.0.0.1:1")


async def test_no_more_connections_than_allowed():
    async with answering(*[OK] * 20) as (url, _), transport(max_connections=2) as client:
        assert await asyncio.gather(*(get(client, url) for _ in range(20))) == [b"hello"] * 20
        assert len(client._all) <= 2


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([OK, CHUNKED]), st.lists(st.integers(0, 120), max_size=8))
def test_it_does_not_matter_in_which_pieces_an_answer_comes(answer: bytes, cuts: Sequence[int]):
    reader = AnswerReader(has_body=True)
    places = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    for start, end in pairwise(places):
        assert not reader.is_done
        reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n" + answer[start:end] if not start else answer[start:end])
    assert reader.is_done and reader.keeps
    assert b"".join(iter(reader.take, b"")) == b"hello"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 80))
def test_hostile_bytes_are_refused_or_wait_for_more(junk: bytes, at: int):
    reader = AnswerReader(has_body=True)
    for data in (CHUNKED[:at] + junk, junk):
        try:
            reader.feed(data)
        except ProtocolError:
            return


LONG = bytes(range(256)) * 8192  # 2 MiB
RANGE = {"host": "h", "range": f"bytes=0-{len(LONG) - 1}"}


def long_answer(body: bytes = LONG, told: int = len(LONG)) -> bytes:
    return b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\n\r\n" % told + body


async def get_long(client: DownloadTransport, url: str) -> bytes:
    place = memoryview(bytearray(len(LONG)))
    async with await client.request("GET", url, RANGE) as response:
        done = 0
        while done < len(place) and (count := await response.receive_into(place[done:])):
            done += count
        assert done == len(place) and not await response.receive_into(memoryview(bytearray(1)))
    return bytes(place)


async def test_long_ranges_are_received_into_memory_on_one_kept_connection():
    chunked = (
        b"HTTP/1.1 206 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(LONG) + LONG + b"\r\n0\r\n\r\n"
    )
    async with answering(long_answer(), chunked, long_answer()) as (url, asked), transport() as client:
        assert [await get_long(client, url) for _ in range(3)] == [LONG] * 3
        assert len(asked) == 3 and len(client._all) == 1


async def test_a_long_answer_that_breaks_off_gives_what_came_and_then_an_error():
    async with answering(long_answer(LONG[:-5]), close=True) as (url, _), transport() as client:
        place = memoryview(bytearray(len(LONG)))
        async with await client.request("GET", url, RANGE) as response:
            assert await response.receive_into(place) == len(LONG) - 5
            assert place[:-5] == LONG[:-5]
            with pytest.raises(StoreUnreachableError, match="cut off"):
                await response.receive_into(place[-5:])
        assert not client._all


async def test_a_store_goes_on_with_a_range_where_it_broke_off():
    size, cut = len(LONG), len(LONG) - 9

    def part(start: int, stop: int) -> bytes:
        head = f'HTTP/1.1 206 OK\r\nETag: "e"\r\nContent-Range: bytes {start}-{size - 1}/{size}\r\n'
        return f"{head}Content-Length: {size - start}\r\n\r\n".encode() + LONG[start:stop]

    answers = [part(0, cut), part(cut, size)]
    async with answering(*answers, close=True) as (url, asked):
        store = await open_store("bucket", endpoint_url=url, no_sign_request=True, only_reads=True)
        place = memoryview(bytearray(size))
        async with store.get("k", length_bytes=size, if_match="e") as body:
            assert await read_into(body, place) == size
        await store.aclose()
    assert place == LONG
    assert f"range: bytes={cut}-{size - 1}\r\n".encode() in asked[1]
    assert b'if-match: "e"\r\n' in asked[1] and b"authorization" not in asked[1].lower()


async def test_a_kept_long_connection_that_was_closed_meanwhile_is_no_failure():
    async with answering(long_answer(), long_answer(), close=True) as (url, _), transport() as client:
        assert [await get_long(client, url) for _ in range(2)] == [LONG] * 2


async def test_a_long_answer_that_stalls_is_given_up():
    async with answering(long_answer(b"")) as (url, _), transport(stall_timeout_s=0.1) as client:
        with pytest.raises(StoreUnreachableError, match="timed out"):
            await get_long(client, url)


async def test_who_is_cancelled_waits_until_the_thread_has_let_go_of_the_memory():
    async with answering(long_answer(LONG[:9])) as (url, _), transport() as client:
        task = asyncio.create_task(get_long(client, url))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        assert not client._all


async def test_long_ranges_keep_to_the_pace():
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    pace = Pace(lambda: 1e12, sleep=sleep)
    made = DownloadTransport(HttpOptions(), received=pace)
    async with answering(long_answer()) as (url, _):
        place = memoryview(bytearray(len(LONG)))
        async with await made.request("GET", url, RANGE) as response:
            assert 0 < await response.receive_into(place) <= SLICE_BYTES
        await made.aclose()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own for 127.0.0.1, with its key, in one file."""
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", place / "key", "-out", place / "cert"),
        ],
        check=True,
        capture_output=True,
    )
    both = place / "both.pem"
    both.write_bytes((place / "key").read_bytes() + (place / "cert").read_bytes())
    return both


async def test_short_and_long_answers_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with answering(OK, long_answer(), long_answer(), tls=context) as (url, _):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with transport() as client:
            assert await get(client, url) == b"hello"
            assert [await get_long(client, url) for _ in range(2)] == [LONG] * 2
            assert len(client._all) == 2


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with answering(OK, long_answer(), tls=context) as (url, _), transport() as client:
        for ask in (get, get_long):
            with pytest.raises(StoreUnreachableError, match="no trusted connection") as caught:
                await ask(client, url)
            assert caught.value.code == "TlsError"
