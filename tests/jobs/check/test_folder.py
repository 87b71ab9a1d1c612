"""Devices against folders: every difference there is, each told as what it is."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.golden.build import INODE, MTIME_NS, Run, document, metadata
from tests.golden.build import prepare as prepare_by_hand
from tests.golden.model import seal
from tests.jobs.check.checking import check_folder, path_device, read_combined
from tests.jobs.copy.copying import PROFILE, copy, prepared, run
from tests.jobs.copy.test_trouble import close_to_others
from tests.simulators.trees import large_file
from tests.tools import require_tool
from transfer.cli.options import read_filter
from transfer.core.records import Hardlink
from transfer.formats.profile import parse_profile
from transfer.jobs.prepare import prepare


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    (root / "a/b").mkdir(parents=True)
    (root / "empty").mkdir()
    for number in range(40):
        (root / f"a/{number:02}").write_bytes(b"%d" % number * number)
    large_file(os.fsencode(root / "large"), (300 << 10) + 3, seed=1)
    (root / "same size").write_bytes(b"before")
    os.link(root / "large", root / "z link")
    (root / "symlink").symlink_to("a/01")
    (root / os.fsdecode(b"a/\xff")).write_bytes(b"not UTF-8")
    (root / "a/b/line\nbreak").write_bytes(b"odd")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(scope="module")
def device(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = prepared(tmp_path_factory.mktemp("device") / "device")
    assert copy(source, place).code == 3
    assert run("seal", place, "-q").code == 0
    return place


@pytest.fixture
def twin(source: Path, tmp_path: Path) -> Path:
    """The same again, to be changed."""
    twin = tmp_path / "twin"
    shutil.copytree(source, twin, symlinks=True, ignore=shutil.ignore_patterns("pipe"))
    (twin / "z link").unlink()
    os.link(twin / "large", twin / "z link")
    return twin


def test_the_source_itself(device: Path, source: Path) -> None:
    told = check_folder(device, source)
    assert (told.states, told.checked.exit_code) == ({}, 0)
    assert told.checked.not_on_device == 1
    assert told.checked.not_on_device_first[0].path == "pipe"
    assert told.ways["large"] == told.ways["z link"] == told.ways["a/b/line\nbreak"] == "blake3"
    assert (told.ways["symlink"], told.ways["empty/"], told.ways["a/00"]) == ("target", "folder", "empty")
    assert told.checked.entries == len(told.lines) == 49
    files = [path for path in source.rglob("*") if path.is_file() and not path.is_symlink()]
    assert told.checked.bytes == sum(path.stat().st_size for path in files)
    assert list(told.lines) == sorted(told.lines, key=lambda path: told.lines[path].get("path", "a/\udcff"))
    assert told.checked.unlinked == 0


def test_before_it_is_sealed(source: Path, tmp_path: Path) -> None:
    device = prepared(tmp_path / "device")
    copy(source, device)
    told = check_folder(device, source)
    assert told.states == {}
    assert "not sealed" in told.checked.notes[0]


@pytest.mark.parametrize("quick", [False, True], ids=["content", "quick"])
def test_each_change_is_told(device: Path, twin: Path, quick: bool) -> None:
    before = (twin / "same size").stat()
    (twin / "same size").write_bytes(b"after!")
    os.utime(twin / "same size", ns=(before.st_atime_ns, before.st_mtime_ns))
    (twin / "a/05").unlink()
    (twin / "a/06").write_bytes(b"longer than before")
    (twin / "a/07 new").write_bytes(b"new")
    (twin / "a/08").unlink()
    (twin / "a/08").mkdir()
    (twin / "a/09").unlink()
    (twin / "a/09").symlink_to("10")
    (twin / "empty").rmdir()
    (twin / "empty").write_bytes(b"")
    (twin / "symlink").unlink()
    (twin / "symlink").symlink_to("a/02")
    (twin / "z link").unlink()
    shutil.copy2(twin / "large", twin / "z link")
    os.utime(twin / "a/11", ns=(0, 0))
    with socket.socket(socket.AF_UNIX) as server:
        (twin / "a/12").unlink()
        server.bind(os.fspath(twin / "a/12"))
    told = check_folder(device, twin, quick=quick)
    expected = {
        "a/05": "missing", "a/06": "different", "a/07 new": "extra", "a/08": "missing", "a/08/": "extra",
        "a/09": "different", "a/12": "different", "empty": "extra", "empty/": "missing",
        "symlink": "different",
    }  # fmt: skip
    if quick:
        expected["a/11"] = "unproved"
        assert told.ways["same size"] == "size-and-time", "that is what quick cannot see"
    else:
        expected["same size"] = "different"
        assert "same size and time, other content" in told.lines["same size"]["reason"]
    assert told.states == expected
    assert told.checked.exit_code == 3
    assert told.checked.unlinked == 1
    assert (told.lines["a/08"]["reason"], told.lines["empty/"]["reason"]) == (
        "it is a folder there", "it is a file there",
    )  # fmt: skip
    assert told.lines["a/09"]["reason"] == "it is a symbolic link there"

    one_way = check_folder(device, twin, quick=quick, one_way=True)
    assert one_way.states == {path: state for path, state in expected.items() if state != "extra"}


def test_a_link_in_place_of_a_folder_is_not_followed(device: Path, twin: Path, source: Path) -> None:
    shutil.rmtree(twin / "a")
    (twin / "a").symlink_to(source / "a")
    told = check_folder(device, twin)
    inside = {path for path in told.lines if path.startswith("a/") or "path_base64" in told.lines[path]}
    assert {told.lines[path]["state"] for path in inside - {"a/"}} == {"missing"}
    assert told.lines["a/"] == {
        "state": "missing", "path": "a/", "reason": "it is a symbolic link there",
    }  # fmt: skip
    assert told.states["a"] == "extra"
    followed = check_folder(device, twin, follow_links=True)
    assert set(followed.states) == {"symlink"}, "with -L it stands for what it leads to"


def test_what_cannot_be_read_is_not_called_missing(device: Path, twin: Path) -> None:
    for name, mode in (("a/b", 0o700), ("a/03", 0o600)):
        close_to_others(twin / name, mode)
    less = "-dac_override,-dac_read_search,-fowner"
    unprivileged = [require_tool("setpriv"), f"--bounding-set={less}", f"--inh-caps={less}"]
    told = run("check", device, twin, "-q", prefix=unprivileged)
    assert told.code == 3, told.stderr
    states = {one["path"]: one["state"] for one in told.document["first"]}
    assert states == {"a/03": "unproved", "a/b/": "unproved", "a/b/line\nbreak": "unproved"}
    assert "unreadable" in told.stderr


def test_filters_hold_on_both_sides(device: Path, twin: Path) -> None:
    (twin / "a/new").write_bytes(b"new")
    (twin / "other").write_bytes(b"new")
    (twin / "a/05").unlink()
    (twin / "a/06").write_bytes(b"x" * 1000)
    told = check_folder(device, twin, filter=read_filter(include=["/a/0*"]))
    assert set(told.lines) == {"a/", *(f"a/{number:02}" for number in range(10))}
    assert told.states == {"a/05": "missing", "a/06": "different"}
    told = check_folder(device, twin, filter=read_filter(rules=["- /a/**"]))
    assert told.states == {"other": "extra"}
    assert "a/" not in told.lines
    told = check_folder(device, twin, filter=read_filter(min_size="500B"))
    assert told.states == {"a/06": "different"}, "of the right size on one side: not missing on the other"


def test_lists_and_what_is_said(device: Path, twin: Path, tmp_path: Path) -> None:
    (twin / "a/05").unlink()
    (twin / "new\x1b[2J").write_bytes(b"new")
    (twin / "same size").write_bytes(b"after!")
    names = ("combined", "results", "match", "missing-on-dst", "missing-on-src", "differ", "error")
    options = [word for name in names for word in (f"--{name}", os.fspath(tmp_path / name))]
    told = run("check", device, twin, "-q", *options)
    assert (told.code, told.document["missing"], told.document["extra"], told.document["different"]) == (
        3, 1, 1, 1,
    )  # fmt: skip
    combined = read_combined(tmp_path / "combined")
    assert combined["a/05"] == "missing"
    assert combined["same size"] == "different"
    assert combined["a/01"] == "same"
    assert combined["new\\x1b[2J"] == "extra", "no terminal is told to do anything"
    assert combined["a/\\xff"] == combined["a/b/line\\x0abreak"] == "same"
    assert len(combined) == told.document["entries"]
    assert (tmp_path / "missing-on-dst").read_text() == "a/05\n"
    assert (tmp_path / "missing-on-src").read_text() == "new\\x1b[2J\n"
    assert (tmp_path / "differ").read_text() == "same size\n"
    assert (tmp_path / "error").read_bytes() == b""
    assert len((tmp_path / "match").read_text().splitlines()) == told.document["same"]
    assert "\x1b" not in told.stderr
    assert "not the same" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["DEVICE"], 2, "one device or more"),
        (["DEVICE", "nowhere"], 2, "is no folder"),
        (["DEVICE", "DEVICE"], 2, "is a device"),
        (["DEVICE", "DEVICE", "TWIN"], 2, "the same device"),
        (["TWIN", "TWIN"], 10, "no device"),
        (["DEVICE", "TWIN", "--download"], 2, "not for folders"),
        (["DEVICE", "TWIN", "--symlinks", "skip"], 2, "not for folders"),
        (["DEVICE", "s3://bucket", "-L"], 2, "not for buckets"),
        (["DEVICE", "s3://bucket", "--quick", "--download"], 2, "reads no content"),
        (["DEVICE", "TWIN", "--combined", "-"], 2, "standard output"),
        (["DEVICE", "TWIN", "--combined", "/nowhere/at/all"], 2, "cannot write"),
        (["DEVICE", "TWIN", "--signers", "SIGNERS"], 4, "sign"),
    ],
)
def test_what_makes_no_sense(
    device: Path, twin: Path, tmp_path: Path, arguments: list[str], code: int, word: str
) -> None:
    (tmp_path / "signers").write_text("")
    places = {"DEVICE": device, "TWIN": twin, "SIGNERS": tmp_path / "signers"}
    told = run("check", *(places.get(one, one) for one in arguments))
    assert told.code == code, told.stderr
    assert word in told.stderr


def test_newest_of_several_runs(tmp_path: Path) -> None:
    device = path_device(tmp_path / "d", {b"a": b"old", b"b": b"stays"}, {b"a": b"new"})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"new")
    (folder / "b").write_bytes(b"stays")
    assert check_folder(device, folder).states == {}
    (folder / "a").write_bytes(b"old")
    assert check_folder(device, folder).states == {"a": "different"}


def test_several_devices_are_one(tmp_path: Path) -> None:
    """Interleaved, and one path on both: the one of the later run counts."""
    ids = ["01020304-0506-4708-890a-0b0c0d0e0f11", "01020304-0506-4708-890a-0b0c0d0e0f12"]
    first = path_device(tmp_path / "1", {b"a": b"1", b"c": b"1", b"x": b"old"}, device_id=ids[0])
    second = path_device(
        tmp_path / "2", {b"b": b"2"}, {b"d": b"2", b"x": b"new"}, device_id=ids[1], ordinal=2
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in {"a": b"1", "b": b"2", "c": b"1", "d": b"2", "x": b"new"}.items():
        (folder / name).write_bytes(data)
    for devices in ([first, second], [second, first]):
        assert check_folder(devices, folder).states == {}
    assert check_folder(first, folder).states == {"b": "extra", "d": "extra", "x": "different"}
    other = path_device(tmp_path / "3", {b"a": b"1"}, device_id=ids[1], job="another")
    told = run("check", first, other, folder)
    assert told.code == 2
    assert "several jobs" in told.stderr


def test_devices_that_one_copy_filled(tmp_path: Path) -> None:
    """The source is on two of them; each alone says that there is another."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(30):
        large_file(os.fsencode(source / f"{number:02}"), 100 << 10, seed=number)
    devices = []
    for ordinal in (1, 2):
        devices.append(tmp_path / f"device {ordinal}")
        devices[-1].mkdir()
        profile = parse_profile(PROFILE.encode(), "the tests' profile")
        prepare(os.fspath(devices[-1]), profile, "test", ordinal=ordinal, capacity_bytes=4 << 20)
    done = run("copy", source, *devices, "-q", "--workers", "1")
    assert done.code == 0, done.stderr
    for device in devices:
        assert run("seal", device, "-q").code == 0
    told = check_folder(devices, source)
    assert (told.states, told.checked.notes) == ({}, [])
    for device in devices:
        told = check_folder(device, source)
        assert set(told.states.values()) == {"extra"}
        [note] = told.checked.notes
        others = "device 2, and perhaps later ones" if device is devices[0] else "device 1"
        assert note == f"of job test, not given: {others}; what is there alone is not looked for"
        assert check_folder(device, source, one_way=True).states == {}


def test_a_file_that_never_holds_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = path_device(tmp_path / "d", {b"a": b"12345"})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"12345")
    real = os.preadv

    def stirring(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        os.utime(folder / "a")
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", stirring)
    told = check_folder(device, folder)
    assert told.states == {"a": "unproved"}
    assert "written to" in told.lines["a"]["reason"]


def test_names_that_a_restore_escaped(tmp_path: Path) -> None:
    device = path_device(tmp_path / "d", {b"a:b": b"1", b"CON": b"2", b"folder./x": b"3", b"plain": b"4"})
    folder = tmp_path / "folder"
    (folder / "folder%2E").mkdir(parents=True)
    for name, data in {"a%3Ab": b"1", "%43ON": b"2", "folder%2E/x": b"3", "plain": b"4"}.items():
        (folder / name).write_bytes(data)
    assert len(check_folder(device, folder).states) == 7
    assert check_folder(device, folder, escaped_names=True).states == {}
    (folder / "more%3A").write_bytes(b"5")
    (folder / "CON").write_bytes(b"another name of the same")
    told = check_folder(device, folder, escaped_names=True)
    assert set(told.states.values()) == {"extra"}
    assert "more%3A" in told.states


async def test_a_check_that_is_called_off_leaves_nothing_behind(device: Path, source: Path) -> None:
    from tests.jobs.check.checking import check_here
    from transfer.jobs.check.job import FolderPlace

    for turns in (1, 3, 30):
        task = asyncio.create_task(check_here(device, FolderPlace(os.fspath(source))))
        for _ in range(turns):
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.result()
    assert len(asyncio.all_tasks()) == 1


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    device = path_device(tmp_path / "d", {b"a": b"1"})
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    told = run("check", device, folder, "-q")
    assert (told.code, told.document["target"]) == (0, f"{tmp_path}/\\xff")


@pytest.mark.parametrize("target", ["../outside", "/outside", "in/../../outside"])
def test_a_link_that_leads_out_of_the_folder_is_not_gone_after(tmp_path: Path, target: str) -> None:
    """Of a hostile device: whether a file outside is the same one is nobody's business."""
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"precious")
    os.link(tmp_path / "outside", folder / "link")
    os.utime(folder / "link", ns=(MTIME_NS, MTIME_NS))
    device = prepare_by_hand(tmp_path / "d", document())
    hostile = Run(device, 1, 0, "2024-01-01T00:00:00Z")
    hostile.loose(Hardlink(**metadata(b"link"), target=target, size_bytes=8, **INODE))
    hostile.writer.finish()
    seal(tmp_path / "d")
    told = check_folder(tmp_path / "d", folder, quick=True, one_way=True)
    assert told.ways == {"link": "size-and-time"}
    assert told.checked.unlinked == 1
