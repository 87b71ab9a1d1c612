"""The custody log on real disks: appended durably, one whole line at a time, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from tests.simulators.disks import tmpfs
from tests.simulators.kills import FSYNC, WRITE, failing_at, killed_at, run_and_kill
from tests.tools import require_tool
from transfer.device.custody import append_entry, read_log
from transfer.device.layout import Layout
from transfer.errors import DeviceError, DeviceFullError, FormatError, IntegrityError, UsageError
from transfer.formats.custody import MAX_LOG_BYTES, Head

APPENDING = """
import sys
from transfer.device.custody import append_entry
from transfer.device.layout import Layout
for number in range(int(sys.argv[2])):
    print(append_entry(Layout(sys.argv[1]), "received", who=f"who {number}").blake3, flush=True)
"""


@pytest.fixture
def device(tmp_path: Path) -> Layout:
    """Of a device a log needs no more than the bytes of DEVICE.json."""
    (tmp_path / "DEVICE.json").write_bytes(b"{}\n")
    return Layout(str(tmp_path))


def log_of(device: Layout) -> Path:
    return Path(device.root, "CUSTODY.jsonl")


def appending(device: Layout, count: int) -> list[str]:
    """A command that appends so many entries, and prints each head when it is durable."""
    return [sys.executable, "-c", APPENDING, device.root, str(count)]


def test_entries_follow_one_another(device: Layout) -> None:
    assert read_log(device).entries == ()
    times = iter(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"])
    first = append_entry(device, "prepared", who="Ann", now=lambda: next(times))
    Path(device.root, "SEAL.json").write_bytes(b"seal")
    second = append_entry(device, "sealed", who="", note="a note", now=lambda: next(times))
    third = append_entry(device, "erased", who="Ann", seal_blake3="5e" * 32, now=lambda: next(times))
    lines = log_of(device).read_bytes().splitlines(keepends=True)
    assert [first, second, third] == [Head(n, blake3(line).hexdigest()) for n, line in enumerate(lines)]
    log = read_log(device)
    assert log.head == third
    assert [(e.event, e.who, e.note, e.time[8:10]) for e in log.entries] == [
        ("prepared", "Ann", "", "01"),
        ("sealed", "", "a note", "02"),
        ("erased", "Ann", "", "03"),
    ]
    assert [e.seal_blake3 for e in log.entries] == ["", blake3(b"seal").hexdigest(), "5e" * 32]
    assert {e.host for e in log.entries} == {socket.gethostname()}
    assert oct(log_of(device).stat().st_mode & 0o777) == "0o644"


@pytest.mark.parametrize("torn", [b"{", b'{"format":"transfer-custody","format_version":1', b"\0" * 4096])
def test_an_unfinished_entry_is_cut_off_by_the_next_which_says_so(device: Layout, torn: bytes) -> None:
    append_entry(device, "prepared", who="")
    before = log_of(device).read_bytes()
    log_of(device).write_bytes(before + torn)
    assert read_log(device).torn_bytes == len(torn)
    append_entry(device, "copied", who="", note="mine")
    assert log_of(device).read_bytes().startswith(before + b'{"format":')
    log = read_log(device)
    assert log.torn_bytes == 0
    assert log.entries[1].note == f"mine (an unfinished entry of {len(torn)} bytes was removed)"


def test_nothing_is_added_to_a_broken_log(device: Layout) -> None:
    for number in range(3):
        append_entry(device, "received", who=f"{number}")
    lines = log_of(device).read_bytes().splitlines(keepends=True)
    for content, kind in ((b"".join(lines[::2]), IntegrityError), (b"".join(lines) + b"{}\n", FormatError)):
        log_of(device).write_bytes(content)
        with pytest.raises(kind):
            append_entry(device, "received", who="")
        assert log_of(device).read_bytes() == content


def test_words_that_do_not_fit_write_nothing(device: Layout) -> None:
    with pytest.raises(UsageError):
        append_entry(device, "received", who="two\nlines")
    assert not log_of(device).exists()


def test_a_signature_that_does_not_fit_writes_nothing(device: Layout) -> None:
    class Chatty:
        def sign(self, message: bytes, namespace: str) -> bytes:
            return b"-" * 70_000

    with pytest.raises(UsageError, match="is too long"):
        append_entry(device, "received", who="", signer=Chatty())
    assert not log_of(device).exists()


def test_a_full_log_takes_no_more(device: Layout) -> None:
    append_entry(device, "received", who="x" * 256, note="y" * 900)
    line = log_of(device).read_bytes()
    content = bytearray(line)
    while len(content) + 2 * len(line) < MAX_LOG_BYTES:  # a chain without its program: quicker by far
        fields = json.loads(line) | {"number": json.loads(line)["number"] + 1}
        fields["previous"] = blake3(line).hexdigest()
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        content += line
    log_of(device).write_bytes(content)
    with pytest.raises(DeviceError, match="is full"):
        for _ in range(3):
            append_entry(device, "received", who="x" * 256, note="y" * 900)
    assert log_of(device).stat().st_size <= MAX_LOG_BYTES
    assert read_log(device).torn_bytes == 0


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
def test_what_is_no_file_is_neither_read_nor_written(device: Layout, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "elsewhere"
    match kind:
        case "link":
            target.write_bytes(b"")
            log_of(device).symlink_to(target)
        case "dangling":
            log_of(device).symlink_to(target)
        case "pipe":
            os.mkfifo(log_of(device))
        case "folder":
            log_of(device).mkdir()
    with pytest.raises(DeviceError, match="is not a regular file"):
        read_log(device)
    with pytest.raises(DeviceError, match="is not a regular file"):
        append_entry(device, "received", who="")
    assert not target.exists() or target.read_bytes() == b""
    assert target.exists() == (kind == "link")


@pytest.mark.parametrize("bytes_on_disk", [1, 900, 5000])
def test_a_kill_leaves_whole_entries_and_those_that_were_told(device: Layout, bytes_on_disk: int) -> None:
    """From outside, while it appends as fast as it can."""
    ended = run_and_kill(
        appending(device, 5000),
        lambda _: log_of(device).exists() and log_of(device).stat().st_size >= bytes_on_disk,
    )
    assert ended.killed
    told = ended.stdout.decode().split()
    log = read_log(device)
    assert log.digests[: len(told)] == tuple(told)
    assert len(log.entries) - len(told) <= 1
    append_entry(device, "verified", who="")
    assert len(read_log(device).entries) == len(log.entries) + 1


@pytest.mark.parametrize(("calls", "nth", "there"), [(WRITE, 1, 0), (FSYNC, 1, 1)])
def test_killed_at_a_call(device: Layout, calls: tuple[str, ...], nth: int, there: int) -> None:
    """At the write nothing is there; at the fsync an entry that nobody was told of, which is a whole one."""
    ended = subprocess.run(killed_at(appending(device, 1), calls, nth), capture_output=True, check=False)
    assert ended.returncode == -9
    assert ended.stdout == b""
    log = read_log(device)
    assert (len(log.entries), log.torn_bytes) == (there, 0)
    append_entry(device, "verified", who="")
    assert len(read_log(device).entries) == there + 1


def test_an_fsync_that_fails_is_not_passed_over(device: Layout) -> None:
    command = failing_at(appending(device, 1), FSYNC, 1, "EIO")
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    assert ended.returncode == 1
    assert "DeviceError" in ended.stderr
    assert ended.stdout == ""


def test_file_and_name_are_synced_before_it_returns(device: Layout) -> None:
    trace = Path(device.root, "trace")
    command = [require_tool("strace"), "-f", "-y", "-e", "trace=write,pwrite64,fsync", "-o", str(trace)]
    subprocess.run([*command, *appending(device, 2)], check=True, capture_output=True)
    root, log = os.path.realpath(device.root), os.path.realpath(log_of(device))
    calls = []
    for line in trace.read_text().splitlines():
        call = line.split(maxsplit=1)[1]
        if call.startswith(("write(1<", "write(1,")):
            calls += ["told"] * (calls[-1] != "told")
        elif f"<{log}>" in call or f"<{root}>)" in call:
            calls.append(f"{call.split('(')[0]} {'log' if f'<{log}>' in call else 'root'}")
    assert calls == ["pwrite64 log", "fsync log", "fsync root", "told", "pwrite64 log", "fsync log", "told"]


def test_a_full_disk_leaves_the_log_as_it_was() -> None:
    with tmpfs(1 << 20) as disk:
        device = Layout(disk.path)
        Path(disk.path, "DEVICE.json").write_bytes(b"{}\n")
        for _ in range(20):
            append_entry(device, "received", who="x" * 200)
        ballast = Path(disk.path, "ballast")
        with pytest.raises(OSError, match="No space"), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises(DeviceFullError):
            for _ in range(20):  # the last block has room for some
                append_entry(device, "received", who="x" * 200)
        log = read_log(device)
        assert log.torn_bytes == 0
        ballast.unlink()
        append_entry(device, "received", who="there is room again")
        assert read_log(device).entries[-1].number == len(log.entries)
