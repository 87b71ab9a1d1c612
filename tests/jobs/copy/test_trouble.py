"""What cannot be copied as it should be: found, recorded, counted, told; and nothing else suffers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.copy.copying import (
    CHUNK,
    Done,
    assert_holds,
    copy,
    copy_here,
    findings,
    merged,
    packs,
    records_of,
    restore,
    unlike,
)
from tests.simulators.trees import large_file
from tests.tools import require_tool
from transfer.jobs.copy import large, reading
from transfer.jobs.copy.pool import WorkerPool
from transfer.jobs.copy.work import Batch
from transfer.jobs.filling.outcome import Outcome

NOBODY = 65_534


def copy_unprivileged(source: Path, device: Path, *options: str) -> Done:
    """Copy as a user who may not read what is not their own: root without the capabilities that allow it."""
    less = "-dac_override,-dac_read_search,-fowner"
    setpriv = [require_tool("setpriv"), f"--bounding-set={less}", f"--inh-caps={less}"]
    return copy(source, device, *options, prefix=setpriv)


def close_to_others(path: Path, mode: int) -> None:
    os.chown(path, NOBODY, NOBODY)
    path.chmod(mode)


def test_what_may_not_be_read_is_told_and_the_rest_is_copied(
    tmp_path: Path, source: Path, device: Path
) -> None:
    (source / "locked").mkdir()
    for name in ("a", "locked/inside", "secret", "z"):
        (source / name).write_bytes(name.encode())
    large_file(os.fsencode(source / "secret large"), 3 * CHUNK, seed=1)
    for name, mode in (("secret", 0o600), ("secret large", 0o600), ("locked", 0o700)):
        close_to_others(source / name, mode)
    trouble = {"locked/": "unreadable", "secret": "unreadable", "secret large": "unreadable"}

    done = copy_unprivileged(source, device)
    assert (done.code, done.problems, done.document["failed"]) == (3, trouble, 3)
    assert "not copied as they should be: 3 failed" in done.stderr
    assert findings(device) == set()
    before = packs(device)

    again = copy_unprivileged(source, device)
    assert (again.code, again.problems, packs(device)) == (3, trouble, before)

    for name, mode in (("secret", 0o644), ("secret large", 0o644), ("locked", 0o755)):
        (source / name).chmod(mode)
    healed = copy_unprivileged(source, device)
    assert (healed.code, healed.problems) == (0, {})
    assert set(merged(device).values()) == {"file", "directory"}
    assert_holds(device, source, tmp_path / "out")


def test_a_file_that_fails_after_it_was_copied_keeps_its_older_copy(
    tmp_path: Path, source: Path, device: Path
) -> None:
    (source / "file").write_bytes(b"old")
    assert copy_unprivileged(source, device).code == 0
    (source / "file").write_bytes(b"new and longer")
    close_to_others(source / "file", 0o600)
    done = copy_unprivileged(source, device)
    assert (done.code, done.problems) == (3, {"file": "unreadable"})
    assert (restore(device, tmp_path / "out") / "file").read_bytes() == b"old"


def test_special_files_are_skipped_and_told(source: Path, device: Path) -> None:
    import socket
    import stat

    os.mkfifo(source / "pipe")
    os.mknod(source / "node", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(source / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 99))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(source / "plug"))
    done = copy(source, device)
    assert done.code == 3
    assert done.problems == {
        "disk": "block-device",
        "node": "character-device",
        "pipe": "fifo",
        "plug": "socket",
    }
    assert done.document["skipped"] == 4
    assert findings(device) == set()
    assert copy(source, device).code == 3
    assert packs(device) == ["00000000.tar.zst"]


def test_a_socket_that_became_a_folder_is_no_trouble_any_more(source: Path, device: Path) -> None:
    os.mkfifo(source / "thing")
    assert copy(source, device).code == 3
    os.unlink(source / "thing")
    (source / "thing").mkdir()
    assert copy(source, device).code == 0
    assert merged(device) == {"thing/": "directory"}
    assert findings(device) == set()


def failing_open(name: str, error: str) -> list[str]:
    """A prefix under which each opening of files with this name fails."""
    strace = [require_tool("strace"), "-f", "-qq", "--output=/dev/null", "--signal=none"]
    return [*strace, f"--trace-path={name}", "--trace=openat", f"--inject=openat:error={error}"]


@pytest.mark.parametrize(
    ("error", "reason"), [("ENOENT", "vanished"), ("EIO", "io-error"), ("EACCES", "unreadable")]
)
def test_a_file_that_cannot_be_opened_is_recorded_with_the_reason(
    source: Path, device: Path, error: str, reason: str
) -> None:
    for name in ("a", "bad", "c"):
        (source / name).write_bytes(name.encode())
    done = copy(source, device, prefix=failing_open("bad", error))
    assert (done.code, done.problems) == (3, {"bad": reason})
    assert records_of(device, 1) == [("a", "file"), ("bad", "failed"), ("c", "file")]
    assert copy(source, device).code == 0
    assert records_of(device, 2) == [("bad", "file")]


@pytest.mark.parametrize("size", [10, 3 * CHUNK])
@pytest.mark.parametrize("between", [0, 60])
def test_the_second_name_of_a_file_is_not_lost_with_the_first(
    tmp_path: Path, source: Path, device: Path, size: int, between: int
) -> None:
    large_file(os.fsencode(source / "first"), size, seed=1)
    os.link(source / "first", source / "second")
    os.link(source / "first", source / "third")
    for number in range(between):  # the second name comes in another batch
        (source / f"g{number:03}").write_bytes(b"x")
    done = copy(source, device, prefix=failing_open("first", "ENOENT"))
    assert (done.code, done.problems) == (3, {"first": "vanished"})
    assert findings(device) == set()
    restored = restore(device, tmp_path / "out")
    wrong = unlike(source, restored, hard_links=False)
    assert [line for line in wrong if "first" not in line] == []


def at_first_batch(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Do something between the walk and the reading: when the first batch is on its way to a worker."""
    pack, done = WorkerPool.pack, []

    async def acting(self: WorkerPool, batch: Batch) -> Outcome:
        if not done:
            done.append(action())
        return await pack(self, batch)

    monkeypatch.setattr(WorkerPool, "pack", acting)


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_outgrows_its_batch_is_copied_in_another_pass(
    tmp_path: Path, source: Path, device: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    for name in ("a", "grows", "z"):
        (source / name).write_bytes(name.encode())
    if linked:
        os.link(source / "grows", source / "h same")
    at_first_batch(monkeypatch, lambda: large_file(os.fsencode(source / "grows"), 5 * CHUNK, seed=1))
    result = copy_here(source, device)
    assert not result.is_partial
    assert result.unchanged == 0
    assert_holds(device, source, tmp_path / "out")


def test_a_file_that_grows_without_end_is_told(
    source: Path, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is small whenever the walk looks, and large whenever it is read."""
    (source / "grows").write_bytes(b"x")
    pack = WorkerPool.pack

    async def growing(self: WorkerPool, batch: Batch) -> Outcome:
        os.truncate(source / "grows", 5 * CHUNK)
        outcome = await pack(self, batch)
        os.truncate(source / "grows", 1)
        return outcome

    monkeypatch.setattr(WorkerPool, "pack", growing)
    result = copy_here(source, device)
    assert [(problem.path, problem.reason) for problem in result.problems] == [(b"grows", "changed")]
    assert result.is_partial
    assert merged(device) == {"grows": "failed"}


def test_a_small_file_that_changes_under_every_reading_is_kept_and_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"0")
    read = reading._read_all
    reads = []

    def changing(descriptor: int, size: int) -> bytes:
        data = read(descriptor, size)
        reads.append(data)
        (tmp_path / "file").write_bytes(b"%d" % len(reads) * (len(reads) + 1))
        return data

    monkeypatch.setattr(reading, "_read_all", changing)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        content = reading.read_small(folder, b"file", 100, follow_links=False, xattrs=False)
    finally:
        os.close(folder)
    assert content is not None
    assert content.changed
    assert len(reads) == reading.ATTEMPTS
    assert content.data == reads[-1]


def test_a_small_file_that_calms_down_is_read_again_and_not_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"before")
    read = reading._read_all
    reads = []

    def changing(descriptor: int, size: int) -> bytes:
        reads.append(read(descriptor, size))
        if len(reads) == 1:
            (tmp_path / "file").write_bytes(b"after, longer")
        return reads[-1]

    monkeypatch.setattr(reading, "_read_all", changing)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        content = reading.read_small(folder, b"file", 100, follow_links=False, xattrs=False)
    finally:
        os.close(folder)
    assert content is not None
    assert (content.data, content.changed) == (b"after, longer", False)


def at_chunk(monkeypatch: pytest.MonkeyPatch, chunks: set[int], action: Callable[[int], object]) -> list[int]:
    """Do something after the n-th chunk was read, counted over all attempts; gives the list of what came."""
    read, seen = large._Passage._read_chunk, []

    def reading_chunk(self: large._Passage, content: memoryview, offset: int) -> None:
        read(self, content, offset)
        seen.append(offset)
        if len(seen) in chunks:
            action(len(seen))

    monkeypatch.setattr(large._Passage, "_read_chunk", reading_chunk)
    return seen


def overwrite(path: Path, number: int) -> None:
    with open(path, "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"changed %d" % number, 2 * CHUNK + 5)
    os.utime(path, ns=(number, number))


CHANGES: dict[str, Callable[[Path, int], object]] = {
    "overwritten": overwrite,
    "longer": lambda path, number: os.truncate(path, 30 * CHUNK + 100 * number),
    "shorter": lambda path, number: os.truncate(path, 5 * CHUNK + 7 - number),
    "emptied": lambda path, number: (os.truncate(path, 0), os.utime(path, ns=(number, number))),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at", [1, 10])
def test_a_large_file_that_changes_once_is_read_again(
    tmp_path: Path,
    source: Path,
    device: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    at: int,
) -> None:
    path = source / "large"
    large_file(os.fsencode(path), 20 * CHUNK + 99, seed=1)
    (source / "z").write_bytes(b"behind")
    at_chunk(monkeypatch, {at}, lambda number: CHANGES[change](path, number))
    result = copy_here(source, device)
    assert not result.is_partial
    assert_holds(device, source, tmp_path / "out")


@pytest.mark.parametrize("change", ["overwritten", "longer", "shorter"])
def test_a_large_file_that_changes_under_every_reading_is_kept_and_marked(
    tmp_path: Path, source: Path, device: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = source / "large"
    large_file(os.fsencode(path), 20 * CHUNK + 99, seed=1)
    (source / "z").write_bytes(b"behind")
    at_chunk(monkeypatch, set(range(1, 100)), lambda number: CHANGES[change](path, number))
    result = copy_here(source, device)
    assert (result.changed, [problem.path for problem in result.problems]) == (1, [b"large"])
    assert findings(device) == set()
    wrong = unlike(source, restore(device, tmp_path / "out"))
    assert all("large" in line for line in wrong)
    monkeypatch.undo()
    assert not copy_here(source, device).is_partial
    assert_holds(device, source, tmp_path / "settled")


@pytest.mark.parametrize("at", [1, 10, 21])
def test_a_large_file_that_cannot_be_read_to_its_end_fails_alone(
    tmp_path: Path, source: Path, device: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    large_file(os.fsencode(source / "large"), 20 * CHUNK + 99, seed=1)
    (source / "z").write_bytes(b"behind")

    def fail(number: int) -> None:
        raise OSError(5, "Input/output error")

    at_chunk(monkeypatch, {at}, fail)
    result = copy_here(source, device)
    assert [(problem.path, problem.reason) for problem in result.problems] == [(b"large", "io-error")]
    assert findings(device) == set()
    assert [kind for _, kind in records_of(device, 1)] == ["failed", "file"]
    monkeypatch.undo()
    assert not copy_here(source, device).is_partial
    assert_holds(device, source, tmp_path / "out")


def test_a_path_beyond_the_formats_limit_is_told(source: Path, device: Path) -> None:
    here = os.open(source, os.O_RDONLY)
    for _ in range(257):  # 257 * 256 bytes are more than 65,535
        os.mkdir(b"d" * 255, dir_fd=here)
        below = os.open(b"d" * 255, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        done = copy(source, device)
        assert done.code == 3
        assert list(done.problems.values()) == ["name-too-long"]
        assert findings(device) == set()
        assert copy(source, device).document["entries"] == 0
    finally:
        import subprocess

        subprocess.run(["rm", "-rf", source], check=True)


def test_many_problems_are_counted_and_the_first_are_listed(source: Path, device: Path) -> None:
    for number in range(1200):
        os.mkfifo(source / f"pipe {number:04}")
    done = copy(source, device)
    assert (done.code, done.document["skipped"], len(done.problems)) == (3, 1200, 1000)
    assert done.stderr.count("warning: skipped") == 20
    assert len(merged(device)) == 1200
