"""export against s5cmd and rclone, from a server that answers out of memory.

Ours fills a device: it checks what comes against the bucket's checksums, hashes, compresses, and writes a
manifest. The peers write files. Each work says what the server was kept busy with.
"""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import programs
from tests.benchmarks.appliance import PROFILE, prepare, run, transfer
from tests.benchmarks.datasets import Content, contents, make_large, make_small
from tests.benchmarks.places import tmpfs
from tests.benchmarks.race import Contender, NotDoneError, Race
from tests.benchmarks.results import Row
from tests.benchmarks.setting import Setting, room_for_large, room_for_small
from tests.benchmarks.sink_load import MeasuredSink, measured
from tests.benchmarks.targets import EXPORT, RCLONE, S5CMD
from tests.benchmarks.work_import import SMALL_SHARE, import_env, rclone_remote
from tests.simulators.stocked import BUCKET, stocked_s3


def small(setting: Setting) -> Row:
    """The first 20,000 files of SMALL."""
    count = setting.small_files(SMALL_SHARE)
    with tmpfs(room_for_small(count, 1.2)) as place:
        content = make_small(place / "source", count)
        return _race("export-small", f"export SMALL's first {content}", place, content, setting)


def large(setting: Setting) -> Row:
    """LARGE."""
    with tmpfs(room_for_large(setting.large_file_bytes, 1.1)) as place:
        content = make_large(place / "source", setting.large_file_bytes)
        return _race("export-large", f"export LARGE, {content}", place, content, setting)


def _race(key: str, title: str, place: Path, content: Content, setting: Setting) -> Row:
    setting.say(f"{key}: {content}")
    with measured(stocked_s3(place / "source")) as server:
        race = Race(place / "target", setting.rounds, server_pid=server.pid)
        entries = race.run(_contenders(content, server, place / "state"))
    note = "the server gives small objects from its memory and large ones from the page cache (sendfile)"
    return Row(key, f"{title}, from a server in memory; target on tmpfs", entries, [note])


def _contenders(content: Content, running: MeasuredSink, state: Path) -> list[Contender]:
    server = running.server
    state.mkdir()
    environment = import_env(server, state)

    def filled(target: Path) -> None:
        held = run("info", target)["content_bytes"]
        if held != content.size_bytes:
            raise NotDoneError(f"the device holds {held} of {content.size_bytes} bytes")

    def copied(target: Path) -> None:
        if (found := contents(target)) != content:
            raise NotDoneError(f"the copy has {found}, the bucket {content}")

    endpoint = ["--endpoint-url", server.endpoint_url]
    s5cmd = [programs.S5CMD.path, *endpoint, "--log", "error", "cp", f"s3://{BUCKET}/*"]
    return [
        Contender(
            EXPORT,
            lambda target: transfer("export", f"s3://{BUCKET}", target, *endpoint, "--quiet"),
            "us",
            env=lambda _target: environment,
            prepare=lambda target: prepare(target, PROFILE),
            check=filled,
        ),
        Contender(
            S5CMD,
            lambda target: [*s5cmd, f"{target}/"],
            env=lambda _target: environment,
            check=copied,
            missing=programs.S5CMD.missing,
        ),
        Contender(
            RCLONE,
            lambda target: [programs.RCLONE.path, "copy", f"sink:{BUCKET}", target],
            env=lambda _target: {**environment, **rclone_remote(server)},
            check=copied,
            missing=programs.RCLONE.missing,
        ),
    ]
