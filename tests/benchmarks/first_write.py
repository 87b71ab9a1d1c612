"""Sees, from outside, when a program first writes into a file that it made in a folder: inotify(7).

with FirstWrite(folder) as event:
    ...start it...
    event.wait(deadline_s)
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_MODIFY, _IN_CREATE = 0x2, 0x100
_HEAD = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class FirstWrite:
    """Watches a folder from its construction on; what was there before does not count."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = _checked(_LIBC.inotify_init1(os.O_CLOEXEC))
        _checked(_LIBC.inotify_add_watch(self._descriptor, os.fsencode(folder), _IN_MODIFY | _IN_CREATE))
        self._made: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def wait(self, timeout_s: float) -> float:
        """The time by `time.perf_counter` when it came.

        Raises:
            TimeoutError: it did not come in time.
        """
        deadline = time.perf_counter() + timeout_s
        while (left := deadline - time.perf_counter()) > 0:
            if select.select([self._descriptor], [], [], left)[0] and self._has_come():
                return time.perf_counter()
        raise TimeoutError(f"nothing was written within {timeout_s:g} s")

    def _has_come(self) -> bool:
        events = os.read(self._descriptor, 1 << 16)
        while events:
            _watch, mask, _cookie, length = _HEAD.unpack_from(events)
            name = events[_HEAD.size : _HEAD.size + length].rstrip(b"\0")
            events = events[_HEAD.size + length :]
            if mask & _IN_CREATE:
                self._made.add(name)
            elif mask & _IN_MODIFY and name in self._made:
                return True
        return False


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    return result
