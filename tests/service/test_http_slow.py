"""Clients that are slow, silent, too many, or do not speak HTTP: each is answered or cut off, in time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from tests.service.servers import JOB_IDS, Serving, serving

HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


async def talk(there: Serving, sent: bytes) -> bytes:
    """What comes back until the connection is closed."""
    async with connected(there) as (reader, writer):
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), 20)


@asynccontextmanager
async def connected(there: Serving) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"G", HEAD, HEAD + b"X-Long: " + b"x" * 100])
async def test_a_head_that_never_ends_is_cut_off(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, head_timeout_s=0.3) as there:
        assert await talk(there, sent) == b""


async def test_a_head_that_trickles_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, head_timeout_s=0.5) as there, connected(there) as (reader, writer):
        ended = asyncio.ensure_future(reader.read())
        writer.write(HEAD)
        sent = 0
        while not ended.done():
            writer.write(b"X: y\r\n")
            sent += 1
            await asyncio.wait([ended], timeout=0.05)
        assert ended.result() == b""
        assert 2 < sent < 100


async def test_a_second_head_has_no_more_time_than_the_first(tmp_path: Path) -> None:
    async with serving(tmp_path, head_timeout_s=0.3) as there:
        answer = await talk(there, HEAD + b"\r\n" + HEAD)
        assert answer.count(b"HTTP/1.1 200 OK") == 1


async def test_a_body_that_never_comes_is_a_408(tmp_path: Path) -> None:
    async with serving(tmp_path, body_timeout_s=0.3) as there:
        head = f"POST /v1/jobs/{JOB_IDS[0]}/pause HTTP/1.1\r\nHost: x\r\n"
        head += f"Authorization: Bearer {there.operate}\r\n"
        answer = await talk(
            there, f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{".encode()
        )
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        assert there.supervisor.asked == []


async def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, stall_timeout_s=0.3) as there:
        path = tmp_path / "success.csv"
        with path.open("wb") as file:
            file.truncate(1 << 30)
        there.supervisor.files[JOB_IDS[0], "success.csv"] = str(path)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", there.port))
            client.sendall(
                f"GET /v1/jobs/{JOB_IDS[0]}/report/success.csv HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {there.operate}\r\n\r\n".encode()
            )
            # Its first bytes: from here on nobody reads.
            await asyncio.to_thread(client.recv, 1)
            (connection,) = there.service.server.open
            await asyncio.wait_for(connection.ended.wait(), 20)


async def test_too_many_connections_are_told_so_and_far_too_many_closed(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, serving(tmp_path, connections=2) as there:
        held = [await stack.enter_async_context(connected(there)) for _ in range(2)]
        for reader, writer in held:
            writer.write(HEAD + b"\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        answer = await talk(there, HEAD + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"urn:transfer:problem:unavailable" in answer
        assert b"Retry-After: 10" in answer
        # Accepted in the order in which they were opened: these two before the last.
        silent = [await stack.enter_async_context(connected(there)) for _ in range(2)]
        assert await talk(there, b"") == b""
        for _, writer in (*held[1:], *silent):
            writer.close()
        held[0][1].write(HEAD + b"Connection: close\r\n\r\n")
        assert b"HTTP/1.1 200 OK" in await held[0][0].read()
        for connection in list(there.service.server.open):
            await connection.ended.wait()
        assert (await there.ask("/healthz", token=None))[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"hello\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    ],
    ids=range(10),
)
async def test_what_is_no_http_is_a_problem_too(
    tmp_path: Path, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as there:
        answer = await talk(there, sent)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert b"application/problem+json" in head
        assert b"aiohttp" not in answer.lower()
        assert msgspec.json.decode(body)["status"] == 400
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"OPTIONS *", b"404"),
        (b"GET http://elsewhere/healthz", b"200"),
        (b"GET http://elsewhere/v1/jobs", b"401"),
        (b"GET healthz", b"40"),
        (b"GET ?x", b"40"),
        (b"CONNECT x:1", b"40"),
        (b"GET /v1/jobs#fragment", b"401"),
        (b"GET /./healthz", b"404"),
        (b"GET /%00", b"404"),
        (b"TRACE /healthz", b"405"),
        (b"GET /\xff", b"40"),
        (b"GET /v1/\xff", b"40"),
        (b"GET /healthz?\xff=\xff", b"400"),
        (b"GET /v1/openapi.json?\xff=\xff", b"4"),
        (b"GET /v1/openapi.json?%ff=%ff", b"422"),
        (b"GET /v1/openapi.json?%ed%a0%80", b"422"),
        (b"GET /v1/openapi.json?limit=%00", b"422"),
        (b"BREW /healthz", b"4"),
    ],
)
async def test_strange_targets(
    tmp_path: Path, target: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as there:
        answer = await talk(there, target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.split(b" ")[1].startswith(status), answer
        assert "Traceback" not in caplog.text


async def test_an_upgrade_is_passed_over(tmp_path: Path) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    async with serving(tmp_path, head_timeout_s=0.3) as there:
        answer = await talk(there, HEAD + upgrade + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async with serving(tmp_path, head_timeout_s=0.5) as there:
        answer = await talk(there, (HEAD + b"\r\n") * 50)
        assert answer.count(b"HTTP/1.1 200 ") == 50
