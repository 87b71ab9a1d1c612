"""A large file held against the object of its key, where the store tells no CRC: by the MD5s of the ETag.

An ETag is the MD5 of the object, or `MD5 of the parts' MD5s`-`number of parts` (S3 API, "Object": ETag). The
second kind is known only for the parts that this file would be sent in.
"""

from __future__ import annotations

import asyncio
import hashlib
import re

from transfer.core.parts import PartPlan
from transfer.core.records import Chunk
from transfer.jobs.import_.budget import Hold

_WHOLE = re.compile(r"[0-9a-f]{32}")
_PARTS = re.compile(r"[0-9a-f]{32}-([0-9]{1,5})")


def is_comparable(etag: str, plan: PartPlan) -> bool:
    """Whether the content tells the ETag."""
    parts = _PARTS.fullmatch(etag)
    return bool(_WHOLE.fullmatch(etag)) or (parts is not None and int(parts[1]) == plan.part_count)


class Comparison:
    """One large file; chunks come in order and are taken by a thread, one after the other.

    Args:
        etag: of the object; one that `is_comparable`.
        plan: how the file would be cut.
        tasks: where the work runs.
    """

    def __init__(self, etag: str, plan: PartPlan, tasks: asyncio.TaskGroup) -> None:
        self.damage = ""
        self._etag = etag
        self._part_size_bytes = plan.part_size_bytes if "-" in etag else plan.size_bytes
        self._tasks = tasks
        self._last: asyncio.Task[None] | None = None
        self._part = hashlib.md5(usedforsecurity=False)
        self._part_bytes = 0
        self._joined = b""

    def add(self, chunk: Chunk, content: bytes, hold: Hold) -> None:
        """Take the next chunk, verified. Its share of `hold` is let go of when it was taken."""
        self._last = self._tasks.create_task(self._take(self._last, content))
        self._last.add_done_callback(lambda _: hold.let_go())

    def fail(self, damage: str) -> None:
        """The file cannot be compared: a chunk of it is damaged."""
        self.damage = self.damage or damage

    async def is_same(self) -> bool:
        """Whether the object is this file; to be asked when all chunks were given."""
        if self._last is not None:
            await self._last
        if "-" not in self._etag:
            return self._part.hexdigest() == self._etag
        joined = self._joined + (self._part.digest() if self._part_bytes else b"")
        whole = hashlib.md5(joined, usedforsecurity=False).hexdigest()
        return whole == self._etag.partition("-")[0]

    async def _take(self, before: asyncio.Task[None] | None, content: bytes) -> None:
        if before is not None:
            await before
        await asyncio.to_thread(self._part.update, content)
        self._part_bytes += len(content)
        if "-" in self._etag and self._part_bytes >= self._part_size_bytes:  # parts are whole chunks
            self._joined += self._part.digest()
            self._part, self._part_bytes = hashlib.md5(usedforsecurity=False), 0
