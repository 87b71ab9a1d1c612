"""The report directory: whole at every moment, whoever kills the process or fills the disk; and its lists."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.jobs.shipment import make_device, transfer
from tests.simulators.disks import tmpfs
from tests.simulators.kills import FSYNC, UNLINK, WRITE, failing_at, killed_at
from transfer.core.filters import MAX_RULES, Filter, RuleFile
from transfer.core.samples import Sample
from transfer.errors import TransferError, UsageError
from transfer.formats.report import CustodyEvent, ImportReport, Reason, ReportedEntry
from transfer.jobs.import_ import report_lists
from transfer.jobs.import_.report_files import ReportFiles

HEAD = b"bucket,key,size,checksum,error\n"


def report(objects: int = 0, failures: int = 0, **fields: object) -> ImportReport:
    told = {
        "state": "complete",
        "device_id": "d",
        "job": "j",
        "ordinal": 1,
        "seal_blake3": "",
        "bucket": "b",
        "prefix": "",
        "endpoint": "",
        "started": "2026-01-01T00:00:00Z",
        "finished": "",
        "elapsed_s": 1.0,
        "verified_by": "CRC64NVME",
        "objects": objects,
        "bytes": 0,
        "failures": failures,
        "superseded": 0,
        "folders_implied": 0,
        "symlinks_skipped": 0,
        "findings": [],
        "uploads_left": [],
    }
    return msgspec.convert(told | fields, ImportReport)


def read(directory: Path) -> ImportReport:
    return msgspec.json.decode((directory / "report.json").read_bytes(), type=ImportReport)


def keys(directory: Path, name: str) -> list[str]:
    text = (directory / name).read_text(encoding="utf-8")
    return [row["key"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix != ".partial"}


def test_a_whole_report(tmp_path: Path) -> None:
    files = ReportFiles(os.fspath(tmp_path / "new/report"))
    files.success("b", "one", 1, "1" * 64)
    files.failure("b", "two", 2, "2" * 64, "s3://b/two was lost")
    files.failure("b", "three", 3, "3" * 64, "s3://b/three was lost")
    files.skipped("b", "four", 4, "", "a reason")
    files.finish(report(1, 2, samples=[Sample(0, 0, 0)], custody=[CustodyEvent("sealed", "2026")]))
    directory = tmp_path / "new/report"
    assert contents(directory).keys() == {
        "report.json",
        "report.html",
        "success.csv",
        "failure.csv",
        "skipped.csv",
    }
    assert (directory / "success.csv").read_bytes() == HEAD + b"b,one,1," + b"1" * 64 + b",\n"
    assert (directory / "skipped.csv").read_bytes() == HEAD + b"b,four,4,,a reason\n"
    assert keys(directory, "failure.csv") == ["two", "three"]
    done = read(directory)
    assert done.state == "complete"
    assert done.written
    entries = [
        ReportedEntry("two", 2, "s3://b/two was lost"),
        ReportedEntry("three", 3, "s3://b/three was lost"),
    ]
    assert done.failure_examples == entries
    assert done.failure_reasons == [Reason("the object was lost", 2, 5, entries)]
    assert done.skipped_reasons == [Reason("a reason", 1, 4, [ReportedEntry("four", 4, "a reason")])]
    assert b"the object was lost" in (directory / "report.html").read_bytes()


def test_while_it_runs_everything_handed_over_is_there(tmp_path: Path) -> None:
    files = ReportFiles(os.fspath(tmp_path))
    files.success("b", "one", 1, "")
    files.update(report(1))
    assert read(tmp_path).state == "running"
    assert keys(tmp_path, "success.csv") == ["one"]
    assert b"Still running" in (tmp_path / "report.html").read_bytes()
    files.failure("b", "two", 1, "", "lost")
    files.repair(b"two")
    assert keys(tmp_path, "failure.csv") == ["two"]  # at once
    assert b"\n/two\n" in (tmp_path / "repair.txt").read_bytes()
    files.success("b", "three", 1, "")
    files.update(report(2, 1))
    assert keys(tmp_path, "success.csv") == ["one", "three"]
    files.finish(report(2, 1))
    assert [name for name in os.listdir(tmp_path) if name.endswith(".partial")] == []


def test_an_old_report_stays_until_the_first_update(tmp_path: Path) -> None:
    old = ReportFiles(os.fspath(tmp_path))
    old.success("b", "one", 1, "")
    old.repair(b"two")
    old.finish(report(1))
    (tmp_path / "repair-2.txt").write_bytes(b"/three\n")
    (tmp_path / "repair-me.txt").write_bytes(b"not ours\n")
    before = contents(tmp_path)
    ReportFiles(os.fspath(tmp_path)).success("b", "lost with its process", 1, "")
    new = ReportFiles(os.fspath(tmp_path))
    new.success("b", "one", 1, "")
    new.failure("b", "two", 1, "", "lost")
    assert contents(tmp_path) == before
    new.update(report(1, 1))
    assert read(tmp_path).state == "running"
    assert keys(tmp_path, "success.csv") == ["one"]
    assert keys(tmp_path, "failure.csv") == ["two"]
    assert [name for name in contents(tmp_path) if name.startswith("repair")] == ["repair-me.txt"]


# An older report is there; this makes the next one. Lines stand out by their keys.
DRIVER = """
import sys
import msgspec
from transfer.errors import TransferError
from transfer.formats.report import ImportReport
from transfer.jobs.import_.report_files import ReportFiles
directory, told = sys.argv[1:]
def report(objects):
    return msgspec.structs.replace(msgspec.json.decode(told, type=ImportReport), objects=objects)
def step(work):
    try:
        work()
    except TransferError as error:
        problems.append(error)
problems = []
try:
    files = ReportFiles(directory)
except TransferError:
    sys.exit(3)
for key in ("old 1", "old 2"):
    files.success("b", key, 1, "")
step(lambda: files.update(report(2)))
files.success("b", "new 1", 1, "")
step(lambda: files.failure("b", "bad", 1, "", "lost"))
step(lambda: files.repair(b"bad"))
step(lambda: files.update(report(3)))
files.success("b", "new 2", 1, "")
try:
    files.finish(report(4))
except TransferError:
    sys.exit(3)
sys.exit(4 if problems else 0)
"""


def driver(directory: Path) -> list[str]:
    told = msgspec.json.encode(report()).decode()
    return [sys.executable, "-c", DRIVER, os.fspath(directory), told]


def with_old_report(directory: Path) -> dict[str, bytes]:
    files = ReportFiles(os.fspath(directory))
    for key in ("old 1", "old 2"):
        files.success("b", key, 1, "")
    files.repair(b"old 3")
    files.finish(report(2, job="older"))
    return contents(directory)


def check(directory: Path, old: dict[str, bytes]) -> str:
    """What holds at every moment; says which report is there."""
    here = contents(directory)
    told = read(directory)
    assert here["report.html"].endswith(b"</html>\n")
    listed = keys(directory, "success.csv")
    assert listed == ["old 1", "old 2", "new 1", "new 2"][: len(listed)]
    assert len(listed) >= told.objects or "not complete" in told.error
    for name in here:
        assert here[name].endswith(b"\n")
    if told.job == "older":
        page = here.pop("report.html")
        assert page == old["report.html"] or b"Still running" in page
        assert here == {name: data for name, data in old.items() if name != "report.html"}
        return "old"
    if told.state == "complete" and not told.error:
        assert told.objects == len(listed) == 4
        assert here["repair.txt"].endswith(b"\n/bad\n")
    return told.state


def nth_of(command: list[str], calls: tuple[str, ...], directory: Path, limit: int = 60) -> list[str]:
    """Kill a driver at the 1st, 2nd, ... of these calls until none is left; what was found each time."""
    found = []
    for nth in range(1, limit):
        for path in directory.iterdir():
            path.unlink()
        old = with_old_report(directory)
        ended = subprocess.run(killed_at(command, calls, nth), check=False, timeout=60)
        found.append(check(directory, old))
        if ended.returncode != -signal.SIGKILL:
            assert ended.returncode == 0
            assert found[-1] == "complete"
            return found
    raise AssertionError("it never ended")


@pytest.mark.parametrize("calls", [("rename",), ("write",), FSYNC, UNLINK], ids=lambda calls: calls[0])
def test_killed_at_every_call(tmp_path: Path, calls: tuple[str, ...]) -> None:
    found = nth_of(driver(tmp_path), calls, tmp_path)
    assert sorted(found, key=["old", "running", "complete"].index) == found  # never back
    assert set(found) == {"old", "running", "complete"} - ({"old"} if calls == UNLINK else set())


@pytest.mark.parametrize(("calls", "error"), [(("rename",), "EIO"), (WRITE, "ENOSPC"), (FSYNC, "EIO")])
def test_any_call_may_fail_once(tmp_path: Path, calls: tuple[str, ...], error: str) -> None:
    """What fails on the way is told and mended later; what fails at the end is told."""
    codes = []
    for nth in range(1, 60):
        for path in tmp_path.iterdir():
            path.unlink()
        old = with_old_report(tmp_path)
        ended = subprocess.run(
            failing_at(driver(tmp_path), calls, nth, error), check=False, capture_output=True, timeout=60
        )
        assert b"Traceback" not in ended.stderr, ended.stderr
        codes.append(ended.returncode)
        state = check(tmp_path, old)
        if ended.returncode != 3:
            assert state == "complete"
            assert keys(tmp_path, "failure.csv") == ["bad"]
        if ended.returncode == 0:
            break
    assert codes[-1] == 0
    assert 4 in codes
    assert 3 in codes


def test_a_full_disk_loses_nothing_and_tells_nothing_twice() -> None:
    with tmpfs(1 << 20) as disk:
        directory = Path(disk.path, "report")
        files = ReportFiles(os.fspath(directory))
        files.update(report())
        ballast = os.open(os.path.join(disk.path, "ballast"), os.O_WRONLY | os.O_CREAT)
        with pytest.raises(OSError, match="No space"):
            while True:
                os.write(ballast, bytes(4096))
        taken = []
        with pytest.raises(TransferError, match=f"{directory} cannot be written: No space"):
            for number in range(10_000):
                files.success("b", f"entry {number}", 1, "0" * 64)
                taken.append(f"entry {number}")
        assert 500 < len(taken) < 5000  # what waits is bounded
        with pytest.raises(TransferError, match="No space"):
            files.update(report(len(taken)))
        assert read(directory).objects == 0
        os.ftruncate(ballast, 0)
        os.close(ballast)
        files.update(report(len(taken)))
        files.finish(report(len(taken)))
        assert keys(directory, "success.csv") == taken
        assert read(directory).error == ""


def test_lists_that_are_not_complete_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "success.csv.partial").symlink_to("/dev/full")
    with pytest.raises(UsageError, match="No space"):
        ReportFiles(os.fspath(tmp_path))
    (tmp_path / "success.csv.partial").unlink()
    files = ReportFiles(os.fspath(tmp_path))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, files._success._file or -1)
    os.close(full)
    files.success("b", "one", 1, "")
    with pytest.raises(TransferError, match="No space"):
        files.finish(report(1, error="told before"))
    done = read(tmp_path)
    assert done.error == "told before; the lists beside this report are not complete: No space left on device"


@pytest.mark.parametrize("place", ["/proc/report", "a file"])
def test_where_no_report_can_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").write_bytes(b"")
    with pytest.raises(UsageError, match="report directory"):
        ReportFiles(os.fspath(tmp_path / place))


NAMES = [
    b"plain",
    b"star*[x]{a,b}?",
    b"end ",
    b"#x",
    b"back\\slash",
    b"new\nline",
    b"\xff\xfe",
    b"+ x",
    "é".encode(),
]


def test_what_is_to_be_repaired_is_copied_and_nothing_else(small_profile: Path, tmp_path: Path) -> None:
    """The list, given to the command it is meant for."""
    source = os.fsencode(tmp_path / "source")
    for folder in (b"", b"deep/", b"deep/er folder/"):
        os.makedirs(os.path.join(source, folder), exist_ok=True)
        for name in NAMES:
            for wanted in (name, name + b".not"):
                Path(os.fsdecode(os.path.join(source, folder + wanted))).write_bytes(b"x")
    os.makedirs(os.path.join(source, b"deep/none/empty"))
    os.makedirs(os.path.join(source, b"other/empty"))
    lost = [folder + name for folder in (b"", b"deep/er folder/") for name in NAMES] + [b"deep/none/empty/"]
    files = ReportFiles(os.fspath(tmp_path / "report"))
    for path in sorted(lost):
        files.repair(path)
        files.repair(path)
    files.repair_note("segments/00000003.jsonl.zst is lost\n/other/**\r\x1b[2J" + "x" * 5000)
    files.finish(report())
    listed = (tmp_path / "report/repair.txt").read_bytes()
    assert listed.splitlines().count(b"/plain") == 1
    assert all(line.startswith((b"#", b"/")) for line in listed.splitlines())
    device = make_device(tmp_path / "device", tmp_path / "empty source", small_profile, runs=0, seal=False)
    again = transfer(
        "copy", tmp_path / "source", device, "-q", "--include-from", tmp_path / "report/repair.txt"
    )
    assert again.code == 0, again.stderr
    entries = [json.loads(line) for line in transfer("ls", device, "--json").stdout.splitlines()]
    assert {path_of(entry) for entry in entries if entry["kind"] != "directory"} == {
        path for path in lost if not path.endswith(b"/")
    }
    assert {path_of(entry) for entry in entries if entry["kind"] == "directory"} == {
        b"deep/",
        b"deep/er folder/",
        b"deep/none/",
        b"deep/none/empty/",
    }


def path_of(entry: dict[str, str]) -> bytes:
    import base64

    return base64.b64decode(entry["path_base64"]) if entry.get("path_base64") else entry["path"].encode()


def test_a_long_list_goes_on_in_files_that_a_command_takes(tmp_path: Path) -> None:
    files = ReportFiles(os.fspath(tmp_path))
    files.update(report())
    paths = [b"file %d" % number for number in range(MAX_RULES + 5)]
    for path in paths:
        files.repair(path)
    files.repair(b"a/b/c/")
    files.repair_note("the end")
    files.finish(report())
    assert read(tmp_path).repair_files == 2
    texts = [(tmp_path / name).read_text() for name in ("repair.txt", "repair-2.txt")]
    filters = [Filter.parse(include_from=[RuleFile("list", text)]) for text in texts]
    assert [sum(rules.accepts_file(path) for path in paths[::1000]) for rules in filters] == [10, 1]
    assert all(any(rules.accepts_file(path) for rules in filters) for path in paths[-10:])
    assert filters[1].may_descend(b"a/b/c/")
    assert filters[1].may_descend(b"a/")
    assert "goes on in repair-2.txt" in texts[0].splitlines()[-2]
    assert "--include-from repair-2.txt" in texts[1]


def test_a_list_of_long_names_stays_within_what_a_command_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_lists, "_MOST_REPAIR_BYTES", 2000)
    files = ReportFiles(os.fspath(tmp_path))
    for number in range(60):
        files.repair(b"a/b/%d/" % number * 3)
    files.finish(report())
    sizes = [path.stat().st_size for path in tmp_path.glob("repair*.txt")]
    assert len(sizes) > 2
    assert max(sizes) < 2000 + 300  # and a comment
    for path in tmp_path.glob("repair-*.txt"):
        first = next(line for line in path.read_text().splitlines() if line[0] != "#")
        assert first == "/a/"  # each stands by itself


def test_folders_too_deep_for_a_list_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_lists, "_MOST_REPAIR_BYTES", 2000)
    files = ReportFiles(os.fspath(tmp_path))
    files.repair(b"before")
    files.repair(b"a/" * 100)
    files.finish(report())
    assert b"# too long for a pattern" in (tmp_path / "repair-2.txt").read_bytes()


def test_a_name_too_long_for_a_pattern_is_told(tmp_path: Path) -> None:
    files = ReportFiles(os.fspath(tmp_path))
    name = b"/".join([b"n" * 255] * 20)
    files.repair(name)
    files.repair(b"x/" * 32_000)
    files.finish(report())
    last = (tmp_path / "repair.txt").read_bytes().splitlines()[-2:]
    assert last[0] == b"# too long for a pattern, copy it by other means: " + name
    assert last[1].endswith(b"x/" * 32_000)


def test_reasons_are_bounded(tmp_path: Path) -> None:
    files = ReportFiles(os.fspath(tmp_path))
    for number in range(300):
        files.failure("b", "k" * 5000, number, "", f"reason {number}" + "!" * 5000)
        files.skipped("b", f"link {number}", 0, "", f"symbolic link to \n{number}: a bucket has none")
    files.finish(report(0, 300))
    done = read(tmp_path)
    assert len(done.failure_examples) == 100
    assert done.failure_reasons[0].reason == "other reasons"
    assert sum(reason.entries for reason in done.failure_reasons) == 300
    assert sum(reason.bytes for reason in done.failure_reasons) == sum(range(300))
    assert len(done.failure_reasons) == 51
    assert [reason.reason for reason in done.skipped_reasons] == ["symbolic link: a bucket has none"]
    assert (tmp_path / "report.json").stat().st_size < 1 << 20
    assert len(keys(tmp_path, "failure.csv")) == 300
