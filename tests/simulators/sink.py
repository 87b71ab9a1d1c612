"""An S3 server that takes everything and keeps nothing, for measuring what clients cost.

It speaks as much S3 as uploads need, says that it checks CRC64NVME (it rejects the probe's wrong sum, as it
rejects every part of the probe), has no object whoever asks, and throws bodies away as they come.
`with sink_s3() as server` runs it in a process of its own; it holds nothing but the headers of one request a
connection.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.simulators.servers import S3Server

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_EXPECT = re.compile(rb"(?i)\r\nexpect: *100-continue")
_ETAG = b'ETag: "sink"\r\n'
_BEGUN = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
_DONE = b'<CompleteMultipartUploadResult><ETag>"sink-1"</ETag></CompleteMultipartUploadResult>'
_EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
_WRONG = b"<Error><Code>BadDigest</Code><Message>the probe is always wrong</Message></Error>"


@contextmanager
def sink_s3() -> Iterator[S3Server]:
    """A running sink; it takes any bucket and any key."""
    command = [sys.executable, "-m", "tests.simulators.sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield S3Server(process.stdout.readline().strip())
        finally:
            process.terminate()


class _Connection(asyncio.BufferedProtocol):
    """One connection: headers into a buffer, bodies over and over into the same one."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(1 << 20))
        self._head = b""
        self._body_left = 0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        taken = min(nbytes, self._body_left)
        self._body_left -= taken
        if self._answer and not self._body_left:
            self._finish()
        if taken < nbytes:
            self._head += bytes(self._buffer[taken:nbytes])
            self._take_heads()

    def _take_heads(self) -> None:
        while not self._answer and (end := self._head.find(b"\r\n\r\n")) >= 0:
            head, rest = self._head[: end + 2], self._head[end + 4 :]
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if _EXPECT.search(head):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._answer = _answer(head)
            self._body_left = max(0, size - len(rest))
            self._head = rest[size:]
            if not self._body_left:
                self._finish()

    def _finish(self) -> None:
        self._transport.write(self._answer)
        self._answer = b""


def _answer(head: bytes) -> bytes:
    method, target, _ = head.split(b" ", 2)
    if method == b"POST":
        return _response(b"200 OK", _BEGUN if b"uploads" in target else _DONE)
    if method == b"PUT" and b"/.transfer-probe" in target:
        return _response(b"400 Bad Request", _WRONG)
    if method == b"GET":
        return _response(b"200 OK", _EMPTY)
    if method == b"HEAD":
        return _response(b"404 Not Found", b"")
    return _response(b"204 No Content" if method == b"DELETE" else b"200 OK", b"")


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, _ETAG, len(body), body)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
