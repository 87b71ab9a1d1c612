"""Keeps the memory of large buffers in the process once they were used.

Buffers of a chunk's size come and go all the time. glibc's malloc gives each back to the kernel as soon as it
is freed, and the kernel clears every page of the next one anew; with its thresholds set high the same pages
are used again. What a process holds is bounded by what it ever used at once, which is bounded anyway.

Elsewhere than on glibc this does nothing: see mallopt(3).
"""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_THRESHOLD_BYTES = 1 << 30


def keep_large_blocks() -> None:
    """Called once, before the work begins; from then on freed blocks are used again."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library, or none to be found
        library = ctypes.CDLL(None)
        for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            library.mallopt(option, _THRESHOLD_BYTES)
