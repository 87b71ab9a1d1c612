"""The sink that imports go to, and what it can take at most: it must not be what is measured.

`measured_sink` starts it and knows its process, so that its processor time can be told for each run.
`ceiling` sends it prepared requests from a process that does nothing else.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.simulators.servers import S3Server
from tests.simulators.sink import sink_s3

MIB = 1 << 20
_CONNECTIONS = 2
_BIG_BYTES, _BIG_REQUESTS = 64 * MIB, 12
_SMALL_BYTES, _SMALL_REQUESTS, _AT_ONCE = 3 << 10, 10_000, 20


@dataclass(frozen=True)
class MeasuredSink:
    """A running server and the process it is."""

    server: S3Server
    pid: int


@contextmanager
def measured_sink() -> Iterator[MeasuredSink]:
    """A sink that is gone when the block is left, by an error too."""
    with measured(sink_s3()) as sink:
        yield sink


@contextmanager
def measured(running: AbstractContextManager[S3Server]) -> Iterator[MeasuredSink]:
    """A server that is gone when the block is left, by an error too."""
    before = _children()
    with running as server:
        (pid,) = _children() - before
        try:
            yield MeasuredSink(server, pid)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def ceiling(server: S3Server) -> tuple[float, float]:
    """Bytes a second in large requests, and small requests a second, that the sink takes."""
    command = [sys.executable, "-m", "tests.benchmarks.sink_load", server.endpoint_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    big, small = map(float, done.stdout.split())
    return big, small


def _children() -> set[int]:
    return {
        int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()
    }


def _send(address: tuple[str, int], body_bytes: int, requests: int, at_once: int) -> float:
    """Seconds that all requests take over some connections, `at_once` of them before answers are awaited."""
    head = f"PUT /bucket/key HTTP/1.1\r\nHost: sink\r\nContent-Length: {body_bytes}\r\n\r\n".encode()
    block = (head + bytes(body_bytes)) * at_once
    times = requests // at_once // _CONNECTIONS

    def send() -> None:
        with socket.create_connection(address) as connection:
            for _ in range(times):
                connection.sendall(block)
                answers = b""
                while answers.count(b"\r\n\r\n") < at_once:
                    answers += connection.recv(1 << 16)

    threads = [threading.Thread(target=send) for _ in range(_CONNECTIONS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def _main() -> None:
    place = urlsplit(sys.argv[1])
    address = (str(place.hostname), int(place.port or 80))
    big_s = _send(address, _BIG_BYTES, _BIG_REQUESTS, 1)
    small_s = _send(address, _SMALL_BYTES, _SMALL_REQUESTS, _AT_ONCE)
    print(_BIG_BYTES * _BIG_REQUESTS / big_s, _SMALL_REQUESTS / small_s)


if __name__ == "__main__":
    _main()
