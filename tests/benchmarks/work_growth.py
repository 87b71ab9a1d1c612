"""Growth: time and peak memory of copy, verify and import as files or bytes become more; each once.

Memory is looked at while these run, so the times are a little longer than those of other works.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.benchmarks.appliance import prepare, run, transfer
from tests.benchmarks.datasets import MIB, make_small, make_tiny
from tests.benchmarks.places import GIB, tmpfs
from tests.benchmarks.processes import measure
from tests.benchmarks.programs import CP
from tests.benchmarks.results import Entry, Row
from tests.benchmarks.setting import Setting, room_for_small
from tests.benchmarks.sink_load import measured_sink
from tests.benchmarks.targets import COPY, IMPORT, VERIFY
from tests.benchmarks.work_import import import_command, import_env
from tests.simulators.trees import large_file

_MILLION = 1_000_000
# A file of a few bytes takes a page; its inode and name take kernel memory beside.
_TINY_FILE_BYTES = 6 << 10


def memory(setting: Setting) -> Row:
    """A million files of a few bytes in one folder, the worst case of a walk that sorts."""
    count = max(1, round(_MILLION * setting.scale))
    with tmpfs(count * _TINY_FILE_BYTES + room_for_small(0, 0)) as place:
        setting.say(f"memory: {count:,} files in one folder")
        make_tiny(place / "source", count)
        entries = _all_three(place, "", [])
    return Row("memory", f"peak memory, {count:,} files of a few bytes in one folder", entries)


def files(setting: Setting) -> Row:
    """SMALL with 10,000, 100,000 and 1,000,000 files."""
    entries: list[Entry] = []
    for times in (0.1, 1, 10):
        count = setting.small_files(times)
        with tmpfs(room_for_small(count, 0.7)) as place:
            setting.say(f"growth-files: {count:,} files")
            make_small(place / "source", count)
            entries += _all_three(place, f", {count:,} files", [])
    return Row("growth-files", "growth with the number of files (SMALL)", entries)


def size(setting: Setting) -> Row:
    """1, 4 and 16 GiB.

    All files of the source are links to one file of random bytes, and copy follows them: it reads and stores
    every byte, and the source needs room for one file alone. cp is beside it: a virtual machine may get its
    memory from its host as it is touched, and then the bytes themselves become slower as they become more.
    """
    entries: list[Entry] = []
    one = max(1, round(GIB * setting.scale) // MIB) * MIB
    for count in (1, 4, 16):
        with tmpfs(round(one * (count + 1) * 1.01) + room_for_small(0, 0)) as place:
            setting.say(f"growth-bytes: {count} x {one / GIB:.3g} GiB")
            (place / "source").mkdir()
            large_file(os.fsencode(place / "content"), one, seed=1)
            for number in range(count):
                (place / "source" / f"{number:02d}").symlink_to("../content")
            suffix = f", {count * one / GIB:.3g} GiB"
            entries.append(_cp(place, suffix))
            entries += _all_three(place, suffix, ["--copy-links"])
    return Row("growth-bytes", "growth with the number of bytes (random)", entries)


def _cp(place: Path, suffix: str) -> Entry:
    """What the machine takes to read and write so many bytes."""
    copy = place / "copy"
    measured = measure([CP.path, "-RL", place / "source", copy])
    shutil.rmtree(copy)
    return Entry(f"cp -RL{suffix}", "peer", [measured.cost])


def _all_three(place: Path, suffix: str, copy_options: list[str]) -> list[Entry]:
    """An entry for each verb on `place`/source, all with the memory watched."""
    device = place / "device"
    device.mkdir()
    prepare(device)
    entries = [_entry(COPY + suffix, transfer("copy", place / "source", device, "--quiet", *copy_options))]
    run("seal", device)
    entries.append(_entry(VERIFY + suffix, transfer("verify", device, "--quiet")))
    with measured_sink() as sink:
        env = import_env(sink.server, place / "state")
        command = import_command(device, sink.server)
        entries.append(_entry(IMPORT + suffix, command, env, sink.pid))
    return entries


def _entry(
    name: str, command: list[str | Path], env: dict[str, str] | None = None, server_pid: int | None = None
) -> Entry:
    measured = measure(command, env, watch_memory=True, server_pid=server_pid)
    return Entry(name, "us", [measured.cost], measured.peak_bytes)
