"""What every worker process does around its work."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import IO

from transfer.device.allocation import keep_large_blocks
from transfer.device.garbage import collecting_rarely


@contextlib.contextmanager
def pipes() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The streams that messages come in on and answers go out on; that the agent is gone is no error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the agent decides what an interrupt means
    incoming = os.fdopen(os.dup(0), "rb", buffering=0)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    keep_large_blocks()
    os.dup2(2, 1)  # nothing may print into the stream
    gone = contextlib.suppress(BrokenPipeError)  # nobody to tell
    with incoming, outgoing, collecting_rarely(), gone:
        yield incoming, outgoing
