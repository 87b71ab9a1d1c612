"""However an import ends: one line that says why, the right exit code, nothing that hangs; what is left to do
is done by the same command.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.shipment import (
    CHUNK,
    Ended,
    files_of,
    import_command,
    import_to,
    make_device,
    read_report,
    start_import,
    transfer,
    write_profile,
)
from tests.simulators.disks import tmpfs
from tests.simulators.trees import large_file

pytestmark = pytest.mark.usefixtures("no_loose_ends")
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for number in range(30):
        (root / f"small {number}").write_bytes(b"%d" % number)
    for number in range(3):
        large_file(os.fsencode(root / f"z large {number}"), 50 * CHUNK, seed=number)
    return root


@pytest.fixture(scope="module")
def device(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("device")
    return make_device(place / "device", source, write_profile(place / "small.toml", pack_size="64MiB"))


def _one_line(ended: Ended) -> str:
    """The error; there is nothing beside it but a line with the remedy."""
    lines = ended.stderr.splitlines()
    assert len(lines) == 2, ended.stderr
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("  ")
    return lines[0]


def test_a_bucket_that_is_not_there(bucket: Bucket, device: Path, tmp_path: Path) -> None:
    ended = import_to(replace(bucket, name="no-such-bucket"), device, tmp_path / "report")
    assert ended.code == 1
    assert "no-such-bucket" in _one_line(ended)
    assert "to import, create" in ended.stderr
    assert ended.report is not None
    assert (ended.report["state"], ended.report["objects"]) == ("failed", 0)
    assert "no-such-bucket" in ended.report["error"]


def test_a_wrong_secret(bucket: Bucket, device: Path) -> None:
    server = replace(bucket.server, secret_key="wrong")
    ended = import_to(replace(bucket, server=server), device, None)
    assert ended.code == 12
    _one_line(ended)


def test_no_credentials(bucket: Bucket, device: Path) -> None:
    environment = bucket.environment() | {"HOME": "/nonexistent"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment[name] = ""
    ended = transfer(*import_command(bucket, device), environment=environment)
    assert ended.code == 12
    assert "credentials" in _one_line(ended)


def test_an_endpoint_that_nobody_listens_on(bucket: Bucket, device: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        server = replace(bucket.server, endpoint_url=f"http://127.0.0.1:{held.getsockname()[1]}")
        ended = import_to(replace(bucket, server=server), device, None)
    assert ended.code == 1
    assert "no connection" in _one_line(ended)
    assert "--endpoint-url" in ended.stderr


def test_an_endpoint_that_does_not_speak_http(bucket: Bucket, device: Path) -> None:
    with Listener(lambda connection: connection.sendall(b"220 ready\r\n")) as listener:
        ended = import_to(listener.instead_of(bucket), device, None)
    assert ended.code == 1
    _one_line(ended)


def test_an_endpoint_that_is_always_busy(bucket: Bucket, device: Path) -> None:
    answer = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with Listener(lambda connection: connection.sendall(answer)) as listener:
        ended = import_to(listener.instead_of(bucket), device, None)
    assert ended.code == 1
    assert "503" in _one_line(ended)
    assert "busy" in ended.stderr


@pytest.mark.parametrize("where", ["a file", "no right"])
def test_a_report_that_cannot_be_written(bucket: Bucket, device: Path, tmp_path: Path, where: str) -> None:
    place = tmp_path / "place"
    if where == "a file":
        place.write_bytes(b"")
    else:
        place = Path("/proc/report")
    ended = import_to(bucket, device, place)
    assert ended.code == 2
    assert "report directory" in _one_line(ended)
    assert bucket.listed() == set()


def test_no_room_for_the_report(bucket: Bucket, small_profile: Path, tmp_path: Path) -> None:
    """With room, the same command tells of all that is in the bucket."""
    for number in range(300):
        file = tmp_path / "source" / ("long name " * 20) / f"{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    device = make_device(tmp_path / "device", tmp_path / "source", small_profile)
    with tmpfs(64 << 10) as disk:
        report = Path(disk.path, "report")
        ended = import_to(bucket, device, report)
        assert ended.code == 1
        assert "No space left" in _one_line(ended)
        subprocess.run(["mount", "-o", "remount,size=8m", disk.path], check=True)
        again = import_to(bucket, device, report, "--json")
        assert again.code == 0
        assert again.succeeded.keys() == bucket.listed() == files_of(tmp_path / "source").keys()
        assert again.document["already"] == 300


def test_an_old_report_does_not_outlive_the_next_import(bucket: Bucket, device: Path, tmp_path: Path) -> None:
    told = ["--include", "small 1"]
    assert import_to(bucket, device, tmp_path / "report", *told).code == 0
    ended = import_to(replace(bucket, name="no-such-bucket"), device, tmp_path / "report", *told)
    assert ended.report is not None
    assert ended.report["state"] == "failed"
    assert ended.succeeded == {}


@pytest.mark.parametrize("option", [["--symlinks", "follow"], ["--filter", "x"], ["--bwlimit", "fast"]])
def test_a_request_that_makes_no_sense(bucket: Bucket, device: Path, option: list[str]) -> None:
    ended = import_to(bucket, device, None, *option)
    assert ended.code == 2
    assert bucket.listed() == set()


def test_an_error_in_json(bucket: Bucket, tmp_path: Path) -> None:
    ended = import_to(bucket, tmp_path, None, "--json")
    assert ended.code == ended.document["error"]["exit_code"] == 10


@both_makes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted(
    bucket: Bucket, device: Path, source: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """In the middle of parts: they stay at the store, report.json says how far it came, and the same command
    goes on with them.
    """
    report = tmp_path / "report"
    process = start_import(bucket, device, "--report", os.fspath(report), "--bwlimit", "60M")
    _wait_for_an_upload(bucket, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    ended = read_report(Ended(process.returncode, out, err), report)
    assert ended.code == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    parked = bucket.uploads()
    assert f"{len(parked)} uploads in parts stay open at the store" in err
    assert parked
    assert ended.report is not None
    assert ended.report["state"] == "interrupted"
    assert ended.report["objects"] == len(ended.succeeded)
    assert ended.succeeded.keys() <= bucket.listed()  # answers may have been under way
    expected = files_of(source)
    there = bucket.listed()
    assert all(bucket.read(key) == expected[key] for key in there)
    again = import_to(bucket, device, report, "--json")
    assert (again.code, again.failed) == (0, {})
    assert {key: bucket.read(key) for key in bucket.listed()} == expected
    assert again.succeeded.keys() == expected.keys()
    assert again.document["already"] == len(there)
    assert bucket.uploads() == []


@both_makes
def test_given_up(bucket: Bucket, device: Path, tmp_path: Path) -> None:
    """`--abandon` frees what was parked; the import can be taken up again all the same."""
    process = start_import(bucket, device, "--bwlimit", "60M")
    _wait_for_an_upload(bucket, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT_S)
    parked = bucket.uploads()
    assert parked
    told = import_command(bucket, device, "--abandon", "--json")
    ended = transfer(*told, environment=bucket.environment())
    assert (ended.code, ended.document["uploads_aborted"]) == (0, len(parked)), ended.stderr
    assert bucket.uploads() == []
    again = transfer(*told, environment=bucket.environment())
    assert (again.code, again.document["uploads_aborted"]) == (0, 0)
    assert import_to(bucket, device, tmp_path / "report").code == 0
    assert bucket.uploads() == []


def _wait_for_an_upload(bucket: Bucket, process: subprocess.Popen[str]) -> None:
    while not any(key.startswith("z large") for key in bucket.uploads()):  # and not that of the probe
        assert process.poll() is None, process.communicate()[1]


@pytest.mark.parametrize("how", ["dies", "comes back"])
def test_an_endpoint_that_dies_in_the_middle(
    bucket: Bucket,
    device: Path,
    source: Path,
    tmp_path: Path,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy before the server cuts all connections when some data went through, and refuses new ones."""
    monkeypatch.setattr("transfer.stores.patience.wait_s", lambda jittered_s, error: jittered_s / 20)
    refusals = 10**9 if how == "dies" else 20
    with CuttingProxy(bucket, cut_after_bytes=60 * CHUNK, refusals=refusals) as proxy:
        report = tmp_path / "report"
        ended = import_to(proxy.instead_of(bucket), device, report)
        assert ended.report is not None
        if how == "dies":
            assert ended.code == 1
            assert ended.report["state"] == "failed"
            assert len(bucket.listed()) < len(files_of(source))
            proxy.heal()
            ended = import_to(proxy.instead_of(bucket), device, report)
    assert proxy.cuts
    assert (ended.code, ended.failed) == (0, {})
    assert {key: bucket.read(key) for key in bucket.listed()} == files_of(source)
    assert bucket.uploads() == []


class Listener:
    """Answers every connection in the same way, and closes it."""

    def __init__(self, answer: Callable[[socket.socket], object]) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def instead_of(self, bucket: Bucket) -> Bucket:
        port = self._socket.getsockname()[1]
        return replace(bucket, server=replace(bucket.server, endpoint_url=f"http://127.0.0.1:{port}"))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(TIMEOUT_S)
                try:
                    connection.recv(1 << 16)
                    self._answer(connection)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1 << 16):
                        pass
                except OSError:
                    continue

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class CuttingProxy:
    """A TCP proxy that cuts everything off after so many bytes, then refuses so many connections."""

    def __init__(self, bucket: Bucket, cut_after_bytes: int, refusals: int) -> None:
        host, port = bucket.server.endpoint_url.rpartition("/")[2].split(":")
        self._far = host, int(port)
        self._left = cut_after_bytes
        self._refusals = refusals
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._serve)]
        self.cuts = 0

    def instead_of(self, bucket: Bucket) -> Bucket:
        port = self._socket.getsockname()[1]
        return replace(bucket, server=replace(bucket.server, endpoint_url=f"http://127.0.0.1:{port}"))

    def heal(self) -> None:
        """Refuse nobody any more."""
        with self._lock:
            self._refusals = 0

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                refused = bool(self.cuts and self._refusals)
                self._refusals -= refused
            if refused:
                near.close()
            else:
                self._start(self._relay, near)

    def _start(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def _relay(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._far) as far:
            with self._lock:
                self._open |= {near, far}
            back = self._start(self._pump, far, near)
            self._pump(near, far)
            back.join()
            with self._lock:
                self._open -= {near, far}

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(1 << 18):
                self._count(len(data))
                other.sendall(data)
        except OSError:
            pass
        finally:
            _shut(one)
            _shut(other)

    def _count(self, size: int) -> None:
        with self._lock:
            self._left -= size
            if self._left <= 0 and not self.cuts:
                self.cuts = 1
                self._cut()

    def _cut(self) -> None:
        for end in self._open:
            _shut(end)

    def __enter__(self) -> CuttingProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._threads[0].join()
        with self._lock:
            self._cut()
        for thread in self._threads[1:]:
            thread.join()


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
