"""The service as a process of its own, asked over HTTP as anybody would."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.jobs.buckets import Bucket
from tests.jobs.shipment import transfer
from tests.simulators.servers import program

TIMEOUT_S = 60.0


@dataclass
class Place:
    """Where a service keeps its things."""

    dock: Path
    state: Path
    bucket: Bucket

    def command(self, *arguments: str) -> list[str]:
        """The command that serves it; on any free port."""
        return [
            program("transfer"), "serve", "--json",
            "--dock", str(self.dock),
            "--state", str(self.state),
            "--bucket", f"s3://{self.bucket.name}/",
            "--endpoint-url", self.bucket.server.endpoint_url,
            "--port", "0", "--settle", "0.2s", "--workers", "2",
            *arguments,
        ]  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it; its log goes to a file."""
        self.state.mkdir(exist_ok=True)
        with self.log.open("a") as log:
            return subprocess.Popen(
                self.command(*arguments),
                env={**os.environ, **self.bucket.environment()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def refused(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code and error of a service that cannot start."""
        with self.start(*arguments) as process:
            try:
                output, _ = process.communicate(timeout=TIMEOUT_S)
            finally:
                process.kill()
        assert "Traceback" not in self.log.read_text()
        return process.returncode, json.loads(output)["error"]

    @property
    def log(self) -> Path:
        """All that it has said on stderr."""
        return self.state / "log.jsonl"

    def logged(self) -> list[dict[str, Any]]:
        """Its log; every line has to be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def token(self, role: str) -> str:
        """A new token."""
        ended = transfer(
            "tokens", "add", f"{role}-{os.urandom(4).hex()}", "--role", role, "--state", self.state
        )
        assert ended.code == 0, ended.stderr
        return ended.stdout.strip()


@dataclass
class Running:
    """A service that runs."""

    place: Place
    process: subprocess.Popen[str]
    host: str
    token: str

    def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        """Status and JSON of an answer."""
        with self._asked(path, method) as answer:
            body = answer.read()
            is_json = answer.headers.get_content_type().endswith("json")
            return answer.status, json.loads(body) if is_json else body

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the stream of events tells, until its end."""
        with self._asked("/v1/events", "GET") as answer:
            assert answer.status == 200
            name = ""
            while line := answer.readline().decode():
                field, _, value = line.rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)

    def job_when(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first state of a job that is as wanted."""
        seen = []
        for name, view in self.events():
            if name == "job":
                seen.append(view)
                if is_so(view):
                    return view
        raise AssertionError(f"the stream ended before; {seen[-3:]}")

    def job_in(self, *phases: str) -> dict[str, Any]:
        """The job when it is in one of these phases."""
        return self.job_when(lambda view: view["phase"] in phases)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    @contextmanager
    def _asked(self, path: str, method: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {self.token}"})
            with connection.getresponse() as answer:
                yield answer
        finally:
            connection.close()


@contextmanager
def running(place: Place, *arguments: str) -> Iterator[Running]:
    """A service, from its first word to its end or that of the block; then it is killed."""
    token = place.token("operate")
    with place.start(*arguments) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, place.log.read_text()
            yield Running(place, process, json.loads(line)["listening"].partition("://")[2], token)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
