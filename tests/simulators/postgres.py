"""A real PostgreSQL server on loopback, started and stopped by a context manager; pytest is not needed.

    with postgres() as server:
        ...  # server.url(), server.new_database()

It lives in a temporary directory, is ready when the block is entered, and gone when it is left, files and
all. It refuses to run as root, so root starts it as the user that Debian's package made, or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.simulators.servers import free_port
from tests.tools import require_tool

_USER = "ledger"


@dataclass(frozen=True)
class PostgresServer:
    """Where a running server is and how to get in."""

    port: int
    psql: str
    password: str = "pass/word@:%"
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def url(self, database: str = "postgres", *, user: str = _USER, password: str = "") -> str:
        """The URL of a database; without a password: the superuser's."""
        secret = (password or self.password).replace("%", "%25").replace("@", "%40").replace("/", "%2F")
        return f"postgresql+asyncpg://{user}:{secret.replace(':', '%3A')}@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """The URL of a new, empty database."""
        name = f"database_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def emptied_database(self) -> str:
        """The URL of a database that is always the same one; what a ledger left in it is gone."""
        self.run("DROP SCHEMA IF EXISTS transfer_ledger CASCADE", "emptied")
        return self.url("emptied")

    def run(self, statement: str, database: str = "postgres") -> str:
        """Run SQL as the superuser, and give back what psql prints, bare."""
        command = [self.psql, "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port)]
        command += ["-U", _USER, "-d", database, "-c", statement]
        environment = {**os.environ, "PGPASSWORD": self.password}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server.

    Args:
        durable: wait for the disk at each commit, as in life. Tests kill clients, never the server, and
            lose nothing without it.
    """
    programs = os.path.dirname(os.path.realpath(require_tool("initdb")))
    with _Cluster(programs, _unprivileged_user()) as cluster:
        server = PostgresServer(free_port(), os.path.join(programs, "psql"))
        cluster.make(server.password)
        cluster.start(server.port, durable)
        server.run("CREATE DATABASE emptied")
        yield server


class _Cluster:
    """A server's directory: made, started, stopped and deleted."""

    def __init__(self, programs: str, user: str | None) -> None:
        self._programs = programs
        self._user = user
        self._place = tempfile.mkdtemp(prefix="postgres-")
        self._data = os.path.join(self._place, "data")

    def __enter__(self) -> _Cluster:
        return self

    def __exit__(self, *_error: object) -> None:
        if os.path.exists(os.path.join(self._data, "postmaster.pid")):
            self._run("pg_ctl", "stop", "--wait", "--mode", "immediate", "--pgdata", self._data)
        shutil.rmtree(self._place)

    def make(self, password: str) -> None:
        file = os.path.join(self._place, "password")
        with open(file, "w", encoding="utf-8") as text:
            text.write(password)
        if self._user is not None:
            for path in (self._place, file):
                shutil.chown(path, self._user)
        arguments = ["--pgdata", self._data, "--username", _USER, "--no-sync", "--pwfile", file]
        self._run(
            "initdb", *arguments, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"
        )

    def start(self, port: int, durable: bool) -> None:
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "''"}
        settings |= {"fsync": "on" if durable else "off", "max_connections": 20}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = os.path.join(self._place, "log")
        self._run("pg_ctl", "start", "--wait", "--pgdata", self._data, "--log", log, "--options", options)

    def _run(self, program: str, *arguments: str) -> None:
        # The server inherits its output: to a pipe it would hold this process up until it ends.
        with tempfile.TemporaryFile() as output:
            command = [os.path.join(self._programs, program), *arguments]
            done = subprocess.run(
                command, user=self._user, cwd=self._place, stdout=output, stderr=output, check=False
            )
            if done.returncode != 0:
                output.seek(0)
                raise RuntimeError(f"{program}: {output.read().decode(errors='replace').strip()}")


def _unprivileged_user() -> str | None:
    """Whom the server runs as; None: as this process."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
