"""Files of a report, sent as they are on the disk at that moment: a list may still grow.

Guarantees: the length told is the length sent; a client that does not read holds up nothing but itself; only
regular files that the supervisor names are ever opened, and no symbolic link is followed.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO, Final

from aiohttp import web

from transfer.service.http.answers import common_headers
from transfer.service.http.problems import Refusal

_BLOCK_BYTES: Final = 256 * 1024
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "json": "application/json",
        "html": "text/html; charset=utf-8",
        "csv": "text/csv; charset=utf-8",
        "txt": "text/plain; charset=utf-8",
    }
)
# The report for people has its style and drawings within, and no script.
_HTML_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
)


async def file_answer(request: web.BaseRequest, path: str, name: str) -> web.StreamResponse:
    """Send a file.

    Args:
        request: to be answered.
        path: of the file.
        name: what it is called; its suffix gives the type.

    Raises:
        Refusal: 404; there is none.
    """
    file = await asyncio.to_thread(_open, path)
    try:
        size = os.fstat(file.fileno()).st_size
        response = web.StreamResponse(headers=_headers(name))
        response.content_length = size
        await response.prepare(request)
        if request.method != "HEAD":
            await _send(response, file, size)
        return response
    finally:
        await asyncio.to_thread(file.close)


async def _send(response: web.StreamResponse, file: BinaryIO, size_bytes: int) -> None:
    while size_bytes:
        block = await asyncio.to_thread(file.read, min(_BLOCK_BYTES, size_bytes))
        if not block:  # it was cut short: the connection ends before the length that was told
            raise ConnectionError("a file of a report became shorter while it was sent")
        size_bytes -= len(block)
        await response.write(block)


def _open(path: str) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise Refusal(404, "the job has no such report yet") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refusal(404, "the job has no such report yet")
    return open(descriptor, "rb")


def _headers(name: str) -> dict[str, str]:
    kind = name.rpartition(".")[2]
    headers = common_headers() | {
        "Content-Type": MEDIA_TYPES[kind],
        "Content-Disposition": f'inline; filename="{name}"',
    }
    if kind == "html":
        headers["Content-Security-Policy"] = _HTML_POLICY
    return headers
