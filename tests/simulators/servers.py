"""Real S3 servers on loopback, started and stopped by context managers; pytest is not needed.

    with rclone_s3(directory) as server:
        ...  # server.endpoint_url, server.access_key, server.secret_key

Each picks a free port, is ready when the block is entered and gone, process and port, when it is left.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class S3Server:
    """Where a running server is and how to get in."""

    endpoint_url: str
    access_key: str = "ACCESSKEYFORTESTS"
    secret_key: str = "secret/for+tests"


def program(name: str) -> str:
    """The path of a program that came with this Python environment."""
    return os.path.join(sysconfig.get_path("scripts"), name)


@contextmanager
def rclone_s3(directory: str | os.PathLike[str]) -> Iterator[S3Server]:
    """rclone's S3 server over a directory; its folders are the buckets. It checks signatures.

    It remembers directories for minutes: make buckets before it starts, or by requests to it.
    """
    port = free_port()
    server = S3Server(f"http://127.0.0.1:{port}")
    command = [
        program("rclone"), "serve", "s3", os.fspath(directory),
        "--config", os.devnull,
        "--no-unicode-normalization",  # without it two names that look alike become one object
        "--addr", f"127.0.0.1:{port}",
        "--auth-key", f"{server.access_key},{server.secret_key}",
    ]  # fmt: skip
    with _running(command, port):
        yield server


@contextmanager
def moto_s3() -> Iterator[S3Server]:
    """moto's S3 server, in memory. It does not check signatures; buckets are made by requests to it."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port):
        yield S3Server(f"http://127.0.0.1:{port}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_until_it_listens(process, port)
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it listened")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # another process: there is no event to wait for
    raise RuntimeError(f"{process.args!r} did not listen within {READY_TIMEOUT_S:.0f} s")
