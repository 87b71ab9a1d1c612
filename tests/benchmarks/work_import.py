"""import against s5cmd and rclone, into a server that throws bodies away.

Ours reads a device: it decompresses, checks every chunk and records in a fresh ledger. The peers send the
original files. Each work says what the sink can take at most, and how busy it was with each of them.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.benchmarks import programs
from tests.benchmarks.appliance import fill, transfer
from tests.benchmarks.datasets import Content, make_large, make_small
from tests.benchmarks.places import tmpfs
from tests.benchmarks.race import Contender, NotDoneError, Race
from tests.benchmarks.results import Row
from tests.benchmarks.setting import Setting, room_for_large, room_for_small
from tests.benchmarks.sink_load import MeasuredSink, ceiling, measured_sink
from tests.benchmarks.targets import IMPORT, RCLONE, S5CMD
from tests.simulators.servers import S3Server

_MIB = 1 << 20
SMALL_SHARE = 0.2  # the first 20,000 of 100,000


def small(setting: Setting) -> Row:
    """The first 20,000 files of SMALL."""
    count = setting.small_files(SMALL_SHARE)
    with tmpfs(room_for_small(count, 1)) as place:
        content = make_small(place / "source", count)
        return _race("import-small", f"import SMALL's first {content}", place, content, setting)


def large(setting: Setting) -> Row:
    """LARGE."""
    with tmpfs(room_for_large(setting.large_file_bytes, 1.1)) as place:
        content = make_large(place / "source", setting.large_file_bytes)
        return _race("import-large", f"import LARGE, {content}", place, content, setting)


def import_command(device: Path, server: S3Server) -> list[str | Path]:
    """`transfer import` of a device into the sink."""
    endpoint = ["--endpoint-url", server.endpoint_url]
    return transfer("import", device, "s3://bucket/t", *endpoint, "--quiet")


def import_env(server: S3Server, state: Path) -> dict[str, str]:
    """Keys for the server and nothing of this user's, and a state directory for the ledger."""
    return {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_STATE_HOME": os.fspath(state),
    }


def _race(key: str, title: str, place: Path, content: Content, setting: Setting) -> Row:
    source, device = place / "source", place / "device"
    fill(source, device)
    with measured_sink() as sink:
        most_bytes_s, most_requests_s = ceiling(sink.server)
        setting.say(f"{key}: {content}; the sink takes {most_bytes_s / _MIB:,.0f} MiB/s")
        race = Race(place / "target", setting.rounds, server_pid=sink.pid)
        entries = race.run(_contenders(source, device, content, sink))
    note = (
        f"the sink alone, with prepared requests over 2 connections, took {most_bytes_s / _MIB:,.0f} MiB/s "
        f"in large ones and {most_requests_s:,.0f} small ones a second"
    )
    return Row(key, f"{title}, into a sink; source, device and ledger on tmpfs", entries, [note])


def _contenders(source: Path, device: Path, content: Content, sink: MeasuredSink) -> list[Contender]:
    server = sink.server
    sent = _Sent(content.size_bytes)

    def check(_target: Path) -> None:
        sent.check()

    def prepare(_target: Path) -> None:
        sent.begin()

    def env(target: Path) -> dict[str, str]:
        return import_env(server, target)

    s5cmd = [programs.S5CMD.path, "--endpoint-url", server.endpoint_url, "--log", "error", "cp"]
    # It cannot ask the sink what is there: neither before nor after, as its multi-thread copy always does;
    # without that it sends the parts of a file four at a time all the same.
    rclone = [programs.RCLONE.path, "copy", "--no-check-dest", "--s3-no-check-bucket", "--s3-no-head"]
    rclone += ["--multi-thread-streams", "0"]
    return [
        Contender(
            IMPORT, lambda _target: import_command(device, server), "us", env, prepare=prepare, check=check
        ),
        Contender(
            S5CMD,
            lambda _target: [*s5cmd, f"{source}/", "s3://bucket/s/"],
            env=env,
            prepare=prepare,
            check=check,
            missing=programs.S5CMD.missing,
        ),
        Contender(
            RCLONE,
            lambda _target: [*rclone, source, "sink:bucket/r"],
            env=lambda target: {**env(target), **rclone_remote(server)},
            prepare=prepare,
            check=check,
            missing=programs.RCLONE.missing,
        ),
    ]


def rclone_remote(server: S3Server) -> dict[str, str]:
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": server.endpoint_url,
        "REGION": "us-east-1",
        "ACCESS_KEY_ID": server.access_key,
        "SECRET_ACCESS_KEY": server.secret_key,
    }
    return {"RCLONE_CONFIG": os.devnull} | {f"RCLONE_CONFIG_SINK_{key}": text for key, text in remote.items()}


class _Sent:
    """Whether as many bytes went over the loopback interface as the content has.

    The sink counts nothing, and others may use the interface too: this finds programs that send nothing.
    """

    def __init__(self, least_bytes: int) -> None:
        self._least_bytes = least_bytes
        self._before = 0

    def begin(self) -> None:
        self._before = _loopback_bytes()

    def check(self) -> None:
        sent = _loopback_bytes() - self._before
        if sent < self._least_bytes:
            raise NotDoneError(f"{sent} bytes were sent, the files have {self._least_bytes}")


def _loopback_bytes() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()
    (loopback,) = [line for line in lines if line.strip().startswith("lo:")]
    return int(loopback.partition(":")[2].split()[0])
