"""An S3 server with one bucket that gives a folder's files as objects, from memory: for measuring what
downloads cost their clients.

It answers listings (ListObjectsV2 with prefix, delimiter and start-after), HEAD and GET with ranges and
If-Match, with the checksum that Amazon S3 has of every new object; everything else it has not heard of. Small
objects are held with their headers, large ones go from the page cache to the socket. Keys have to be plain
ASCII: nothing is escaped. `with stocked_s3(folder) as server` runs it in a process of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import subprocess
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote

from awscrt.checksums import crc64nvme

from tests.simulators.servers import S3Server

BUCKET = "bucket"
_PAGE = 1000
_HELD_BYTES = 1 << 20
_RANGE = re.compile(rb"(?i)\r\nrange: *bytes=(\d+)-(\d*)")
_IF_MATCH = re.compile(rb'(?i)\r\nif-match: *"?([^"\r]*)')
_DATE = b"Last-Modified: Tue, 02 Jan 2024 03:04:05 GMT\r\n"
_NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code></Error>"
_LISTED_DATE = "2024-01-02T03:04:05.000Z"


@contextmanager
def stocked_s3(folder: Path) -> Iterator[S3Server]:
    """A running server whose bucket `bucket` has the files of a folder."""
    command = [sys.executable, "-m", "tests.simulators.stocked", os.fspath(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield S3Server(process.stdout.readline().strip())
        finally:
            process.terminate()


@dataclass(frozen=True)
class _Object:
    path: str
    size_bytes: int
    etag: bytes
    headers: bytes
    held: bytes | None
    listed: str


class _Stock:
    """All objects of the bucket, by key."""

    def __init__(self, folder: Path) -> None:
        paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
        objects = {os.path.relpath(path, folder): path for path in paths}
        self.keys = sorted(objects)
        self.objects = {key: _stocked(key, objects[key]) for key in self.keys}

    def page(self, query: dict[str, list[str]]) -> bytes:
        """One page of ListObjectsV2."""
        told = {name: values[0] for name, values in query.items()}
        prefix, delimiter = told.get("prefix", ""), told.get("delimiter", "")
        most = min(int(told.get("max-keys", _PAGE)), _PAGE)
        after = told.get("continuation-token") or told.get("start-after", "")
        at = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after) if after else 0)
        lines, last = [], ""
        while len(lines) < most and at < len(self.keys) and (key := self.keys[at]).startswith(prefix):
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                lines.append(self.objects[key].listed)
                last, at = key, at + 1
            else:
                last = key[: cut + 1]
                lines.append(f"<CommonPrefixes><Prefix>{last}</Prefix></CommonPrefixes>")
                last += "\U0010ffff"
                at = bisect_left(self.keys, last)
        more = at < len(self.keys) and self.keys[at].startswith(prefix)
        token = f"<NextContinuationToken>{last}</NextContinuationToken>" if more else ""
        head = f"<Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><KeyCount>{len(lines)}</KeyCount>"
        head += f"<MaxKeys>{most}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        return f"<ListBucketResult>{head}{''.join(lines)}</ListBucketResult>".encode()


def _stocked(key: str, path: str) -> _Object:
    content = Path(path).read_bytes()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    etag = digest if len(content) <= _HELD_BYTES else f"{digest}-{len(content) // (64 << 20) + 1}"
    crc = base64.b64encode(crc64nvme(content).to_bytes(8, "big"))
    headers = b'ETag: "%b"\r\n%bAccept-Ranges: bytes\r\nContent-Type: application/octet-stream\r\n' % (
        etag.encode(),
        _DATE,
    )
    headers += b"x-amz-checksum-crc64nvme: %b\r\nx-amz-checksum-type: FULL_OBJECT\r\n" % crc
    listed = (
        f"<Contents><Key>{key}</Key><LastModified>{_LISTED_DATE}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
        f"<Size>{len(content)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )
    held = content if len(content) <= _HELD_BYTES else None
    return _Object(path, len(content), etag.encode(), headers, held, listed)


class _Connection(asyncio.Protocol):
    """One connection; requests are answered one after the other, none of them has a body."""

    def __init__(self, stock: _Stock) -> None:
        self._stock = stock
        self._pending = b""
        self._sending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sending is not None:
            self._sending.cancel()

    def data_received(self, data: bytes) -> None:
        self._pending += data
        self._answer_all()

    def _answer_all(self) -> None:
        while self._sending is None and (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head, self._pending = self._pending[: end + 2], self._pending[end + 4 :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        method, target, _ = head.split(b" ", 2)
        path, _, query = unquote(target.decode()).partition("?")
        _, _, key = path.lstrip("/").partition("/")
        if method == b"GET" and not key:
            self._send(b"200 OK", self._listing(query))
        elif method in (b"GET", b"HEAD") and key in self._stock.objects and not query.startswith("tagging"):
            self._give(self._stock.objects[key], head, with_body=method == b"GET")
        elif method == b"HEAD" and not key:
            self._send(b"200 OK", b"")
        elif method in (b"GET", b"HEAD"):
            self._send(
                b"404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>" if method == b"GET" else b""
            )
        else:
            self._send(b"403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>")

    def _listing(self, query: str) -> bytes:
        told = parse_qs(query, keep_blank_values=True)
        if "versioning" in told:
            return b"<VersioningConfiguration/>"
        if "location" in told:
            return b"<LocationConstraint/>"
        return self._stock.page(told)

    def _send(self, status: bytes, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    def _give(self, item: _Object, head: bytes, *, with_body: bool) -> None:
        wanted = _IF_MATCH.search(head)
        if wanted and wanted[1] != item.etag:
            self._send(b"412 Precondition Failed", b"")
            return
        asked = _RANGE.search(head)
        if asked and int(asked[1]) >= item.size_bytes:
            self._send(b"416 Range Not Satisfiable", b"")
            return
        first = int(asked[1]) if asked else 0
        last = min(int(asked[2]) if asked and asked[2] else item.size_bytes - 1, item.size_bytes - 1)
        size = last - first + 1
        status = b"206 Partial Content" if asked else b"200 OK"
        place = b"Content-Range: bytes %d-%d/%d\r\n" % (first, last, item.size_bytes) if asked else b""
        start = b"HTTP/1.1 %b\r\n%b%bContent-Length: %d\r\n\r\n" % (status, item.headers, place, size)
        if item.held is not None or not with_body:
            self._transport.write(start + (item.held[first : last + 1] if item.held and with_body else b""))
            return
        self._transport.write(start)
        self._sending = asyncio.ensure_future(self._send_file(item.path, first, size))

    async def _send_file(self, path: str, first: int, size: int) -> None:
        try:
            with open(path, "rb") as file:
                await asyncio.get_running_loop().sendfile(self._transport, file, first, size)
        except (ConnectionError, RuntimeError):  # the client has what it wanted
            self._transport.abort()
            return
        self._sending = None
        self._answer_all()


async def _serve(folder: Path) -> None:
    stock = _Stock(folder)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(stock), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
