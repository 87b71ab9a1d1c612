"""`transfer serve` as a process: devices come, it is killed, stopped, started again; nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.buckets import make_bucket
from tests.jobs.shipment import files_of, make_device, transfer, write_profile
from tests.service.processes import TIMEOUT_S, Place, Running, running
from tests.simulators.servers import S3Server, rclone_s3

MIB = 1 << 20
SMALL, PART_BYTES = 30, 32 * MIB

pytestmark = pytest.mark.xdist_group("serve-process")


@pytest.fixture(scope="module")
def disk_and_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, S3Server]]:
    """rclone's server, and the folder where its buckets are folders."""
    disk = tmp_path_factory.mktemp("s3")
    with rclone_s3(disk) as server:
        yield disk, server


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site: `source`, and a sealed `device` of small files, then one of three parts."""
    site = tmp_path_factory.mktemp("full")
    (site / "source").mkdir()
    for number in range(SMALL):
        (site / f"source/{number:03}").write_bytes(os.urandom(50_000))
    with (site / "source/large").open("wb") as file:
        for _ in range(80):
            file.write(os.urandom(MIB))
    make_device(site / "device", site / "source", write_profile(site / "small.toml"))
    return site


@pytest.fixture
def place(tmp_path: Path, disk_and_server: tuple[Path, S3Server]) -> Place:
    """A dock without devices, an empty bucket, no state."""
    (tmp_path / "dock").mkdir()
    bucket = make_bucket(disk_and_server[1], f"serve-{os.urandom(4).hex()}", "rclone")
    return Place(tmp_path / "dock", tmp_path / "state", bucket)


def dock_it(device: Path, place: Place, name: str = "one") -> Path:
    """Bring a copy of a device to the dock, as a carrier does: it appears as a whole."""
    aside = place.dock.parent / name
    shutil.copytree(device, aside)
    aside.rename(place.dock / name)
    return place.dock / name


def in_bucket(place: Place, disk: Path) -> dict[str, bytes]:
    """What the server has on its disk."""
    return files_of(disk / place.bucket.name)


def acknowledged(place: Place) -> set[str]:
    """The keys that the ledger of a dead service has as done."""
    with sqlite3.connect(place.state / "ledger.sqlite") as ledger:
        found = {key for (key,) in ledger.execute("SELECT key FROM objects WHERE state = 'done'")}
    ledger.close()
    return found


def stamps(place: Place, disk: Path, keys: set[str]) -> dict[str, tuple[int, int]]:
    """What changes on the server's disk whenever an object is written again."""
    found = {key: (disk / place.bucket.name / key).stat() for key in keys}
    return {key: (one.st_ino, one.st_ctime_ns) for key, one in found.items()}


def is_in_the_middle(view: dict[str, Any]) -> bool:
    """All small files are over, and a part of the large one."""
    progress = view["progress"]
    return progress is not None and progress["bytes_imported"] >= SMALL * 50_000 + PART_BYTES


def test_a_device_is_dropped_in_and_imported(
    place: Place, pristine: Path, site: Path, disk_and_server: tuple[Path, S3Server]
) -> None:
    with running(place) as service:
        assert service.ask("/healthz") == (200, {"status": "ok"})
        dock_it(pristine, place)
        view = service.job_in("complete", "failed", "quarantined")
        assert view["phase"] == "complete", view
        wanted = files_of(site / "source")
        assert in_bucket(place, disk_and_server[0]) == wanted
        assert view["counters"]["objects"] == len(wanted)
        _, devices = service.ask("/v1/devices")
        assert [(one["folder"], one["state"]) for one in devices["items"]] == [("one", "accepted")]
        status, page = service.ask(f"/v1/jobs/{view['job_id']}/successes?limit=1000")
        assert (status, {entry["key"] for entry in page["items"]}) == (200, set(wanted))
        status, report = service.ask(f"/v1/jobs/{view['job_id']}/report")
        assert (status, report["state"], report["objects"]) == (200, "complete", len(wanted))
        assert service.ask("/readyz") == (200, {"ready": True, "problems": []})
        assert b'transfer_jobs{phase="complete"} 1.0' in service.ask("/metrics")[1]
        assert service.stop() == 0
    lines = place.logged()
    assert {line.get("job_id") for line in lines} >= {view["job_id"]}
    assert service.token not in place.log.read_text()
    assert place.bucket.server.secret_key not in place.log.read_text()


def test_killed_in_the_middle_it_goes_on(
    place: Place, full: Path, disk_and_server: tuple[Path, S3Server]
) -> None:
    disk = disk_and_server[0]
    dock_it(full / "device", place)
    with running(place, "--imports", "1", "--bwlimit", "12M") as service:
        service.job_when(is_in_the_middle)
        service.process.kill()
        service.process.wait(TIMEOUT_S)
    done = acknowledged(place)
    before = stamps(place, disk, done)
    assert len(done) == SMALL
    # rclone's server gives an upload up whose part was cut off.
    assert place.bucket.uploads() in ([], ["large"])
    with running(place) as service:
        view = service.job_in("complete", "failed", "quarantined")
        assert view["phase"] == "complete", view
        assert service.stop() == 0
    assert in_bucket(place, disk) == files_of(full / "source")
    assert stamps(place, disk, done) == before
    assert place.bucket.uploads() == []


def test_a_stop_parks_and_the_next_start_goes_on(
    place: Place, full: Path, disk_and_server: tuple[Path, S3Server]
) -> None:
    disk = disk_and_server[0]
    dock_it(full / "device", place)
    with running(place, "--imports", "1", "--bwlimit", "12M") as service:
        view = service.job_when(is_in_the_middle)
        assert service.stop() == 0
    assert [line["event"] for line in place.logged()][-1] == "stopped"
    done = acknowledged(place)
    before = stamps(place, disk, done)
    assert len(done) == SMALL
    assert place.bucket.uploads() in ([], ["large"])
    with running(place) as service:
        assert service.job_in("complete")["job_id"] == view["job_id"]
        assert service.stop(signal.SIGINT) == 0
    assert in_bucket(place, disk) == files_of(full / "source")
    assert stamps(place, disk, done) == before
    assert place.bucket.uploads() == []


def test_people_pause_resume_and_cancel(place: Place, full: Path) -> None:
    dock_it(full / "device", place)
    with running(place, "--imports", "1", "--bwlimit", "12M") as service:
        job = service.job_when(is_in_the_middle)["job_id"]
        status, view = service.ask(f"/v1/jobs/{job}/pause", "POST")
        assert (status, view["paused"]) == (200, True)
        status, problem = service.ask(f"/v1/jobs/{job}/pause", "POST")
        assert (status, problem["title"]) == (409, "This is not possible as things stand")
        assert service.ask(f"/v1/jobs/{job}/resume", "POST")[0] == 200
        service.job_when(lambda view: view["progress"] is not None)
        status, view = service.ask(f"/v1/jobs/{job}/cancel", "POST")
        assert (status, view["phase"]) == (200, "cancelled")
        assert place.bucket.uploads() == []
        assert service.stop() == 0


def test_a_second_signal_ends_at_once(place: Place) -> None:
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with running(place) as service, stalled_request(service):
            service.process.send_signal(number)
            wait_until_stopping(service)
            assert service.stop(number) == code


def test_a_stalled_request_holds_up_the_end_no_longer_than_its_time(place: Place) -> None:
    with running(place) as service, stalled_request(service), event_stream(service):
        assert service.stop() == 0


class stalled_request:
    """A request whose body does not come."""

    def __init__(self, service: Running) -> None:
        host, _, port = service.host.partition(":")
        self._socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self._socket.sendall(
            b"POST /v1/jobs/00000000-0000-5000-8000-000000000000/pause HTTP/1.1\r\nHost: x\r\n"
            b"Expect: 100-continue\r\nContent-Length: 2\r\n"
            b"Authorization: Bearer " + service.token.encode() + b"\r\n\r\n"
        )
        # It waits for the body from here on.
        assert self._socket.recv(100).startswith(b"HTTP/1.1 100 ")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._socket.close()


class event_stream:
    """A stream of events that is open."""

    def __init__(self, service: Running) -> None:
        host, _, port = service.host.partition(":")
        self._socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        request = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n\r\n"
        self._socket.sendall(request.encode())
        assert self._socket.recv(100).startswith(b"HTTP/1.1 200 ")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._socket.close()


def wait_until_stopping(service: Running) -> None:
    """Until readyz says so, or nobody answers any more."""
    while True:
        try:
            if service.ask("/readyz")[0] == 503:
                return
        except OSError:
            return


def test_two_services_on_one_dock(place: Place, tmp_path: Path) -> None:
    with running(place) as service:
        other = Place(place.dock, tmp_path / "other", place.bucket)
        code, error = other.refused()
        assert (code, error["type"]) == (11, "LockedError")
        assert str(place.dock) in error["what"]
        (tmp_path / "dock-2").mkdir()
        same_ledger = Place(tmp_path / "dock-2", tmp_path / "third", place.bucket)
        code, error = same_ledger.refused("--ledger", str(place.state / "ledger.sqlite"))
        assert (code, error["type"]) == (11, "LockedError")
        assert "ledger" in error["what"]
        assert service.stop() == 0
    with running(place) as service:
        assert service.stop() == 0


def test_without_a_dock(place: Place) -> None:
    place.dock.rmdir()
    code, error = place.refused()
    assert (code, error["type"]) == (10, "DeviceError")
    assert str(place.dock) in error["what"]


def test_a_bucket_that_does_not_exist_is_a_reason_that_is_shown(place: Place, pristine: Path) -> None:
    dock_it(pristine, place)
    with running(place, "--bucket", "s3://no-such-bucket/x") as service:
        view = service.job_when(lambda view: bool(view["error"] or view["waiting"]))
        assert "no-such-bucket" in view["error"] + str(view["waiting"])
        assert service.stop() == 0


def test_an_address_in_use(place: Place) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, error = place.refused("--port", str(port))
    assert (code, error["what"]) == (1, f"127.0.0.1 port {port} is in use by another program")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--host", "0.0.0.0"], 2, "would show tokens to the network"),
        (["--tls-cert", "x"], 2, "belong together"),
        (["--tls-cert", "/dev/null", "--tls-key", "/dev/null"], 2, "cannot be used"),
        (["--bucket", "archive"], 2, "is not an S3 address"),
        (["--bucket", "s3://a"], 2, "is not a bucket name"),
        (["--verify", "never"], 2, "--verify 'never' is not possible"),
        (["--if-exists", "perhaps"], 2, "--if-exists 'perhaps' is not possible"),
        (["--symlinks", "perhaps"], 2, "--symlinks 'perhaps' is not possible"),
        (["--settle", "long"], 2, "--settle: 'long' is not a duration"),
        (["--imports", "0"], 2, "--imports"),
        (["--port", "70000"], 2, "--port"),
        (["--state", "/dev/null/state"], 2, "cannot be made"),
    ],
)
def test_wrong_options(place: Place, arguments: list[str], code: int, text: str) -> None:
    ended = transfer(*place.command(*arguments)[1:], environment=place.bucket.environment())
    assert ended.code == code, ended.stderr
    assert text in ended.document["error"]["what"]


def test_addresses_that_are_none(place: Place) -> None:
    code, error = place.refused("--host", "203.0.113.7", "--insecure-http")
    assert (code, error["type"]) == (1, "TransferError")
    assert "cannot listen on 203.0.113.7" in error["what"]
    code, error = place.refused("--ledger", "mysql://x/y")
    assert (code, error["type"]) == (2, "UsageError")
    assert "no ledger that is known" in error["what"]


def test_a_bad_tokens_file_keeps_it_from_starting(place: Place) -> None:
    place.token("read")
    file = place.state / "tokens.json"
    file.chmod(0o640)
    code, error = place.refused()
    assert (code, error["type"]) == (12, "AccessError")
    file.chmod(0o600)
    file.write_text("{}")
    code, error = place.refused()
    assert (code, error["type"]) == (2, "UsageError")


def test_tls(place: Place, tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    with place.start("--tls-cert", certificate, "--tls-key", key, "--host", "0.0.0.0") as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["listening"]
            assert url.startswith("https://0.0.0.0:")
            port = int(url.rpartition(":")[2])
            context = ssl.create_default_context(cafile=certificate)
            with (
                socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
            ):
                secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert secure.recv(100).startswith(b"HTTP/1.1 200 ")
            with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as plain:
                plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"200 OK" not in plain.recv(1000)
            process.terminate()
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()
    assert all(line["level"] in ("info", "warning") for line in place.logged())
