"""Devices with several runs: the newest version of each path, hard links to the version that they mean."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.jobs.buckets import Bucket, both_makes
from tests.jobs.memory_import import KIB, OPTIONS, SIZES, run_import
from tests.jobs.shipment import copy_to, files_of, import_to, make_device, transfer, write_profile
from tests.simulators.trees import large_file
from transfer.core.filters import Filter
from transfer.core.object_keys import LINK_SUFFIX
from transfer.jobs.import_.options import Symlinks
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import PutResult
from transfer.stores.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("no_loose_ends")
Change = Callable[[Path], object]
LARGE = 200 * KIB + 1


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    return root


def _device(tmp_path: Path, source: Path, changes: Sequence[Change]) -> Path:
    """Copies the source after each change."""
    profile = write_profile(tmp_path / "tiny.toml", **SIZES)
    device = make_device(tmp_path / "device", source, profile, runs=0, seal=False)
    for number, change in enumerate(changes):
        change(source)
        for path in source.rglob("*"):  # every change is seen, however fast it comes
            if path.is_file() and not path.is_symlink() and path.stat().st_mtime > 10**9:
                os.utime(path, ns=(number, 10**8 + number))
        copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0
    return device


def _write(name: str, content: bytes) -> Change:
    def change(source: Path) -> None:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    return change


def _link(target: str, *names: str) -> Change:
    def change(source: Path) -> None:
        for name in names:
            os.link(source / target, source / name)

    return change


def _large(name: str, seed: int) -> Change:
    def change(source: Path) -> None:
        (source / name).unlink(missing_ok=True)
        large_file(os.fsencode(source / name), LARGE, seed)

    return change


def _remove(name: str) -> Change:
    return lambda source: (source / name).unlink()


def _all(*changes: Change) -> Change:
    def change(source: Path) -> None:
        for step in changes:
            step(source)

    return change


def test_only_the_newest_version_is_sent(source: Path, tmp_path: Path) -> None:
    first = _all(_write("a", b"old"), _write("b", b"same"), _large("large", 1), _write("dir/x", b"x"))
    second = _all(_write("a", b"new"), _large("large", 2), _write("c", b"added"))
    imported = run_import(_device(tmp_path, source, [first, second]))
    assert (imported.error, imported.failed) == (None, {})
    assert imported.objects == files_of(source)
    assert imported.outcome.superseded == 2


def test_what_became_of_another_type_is_not_sent(source: Path, tmp_path: Path) -> None:
    first = _all(_write("file", b"was a file"), _write("folder/inside", b"was in a folder"))
    second = _all(
        _remove("file"),
        _write("file/inside", b"in a folder now"),
        lambda source: shutil.rmtree(source / "folder"),
        _write("folder", b"a file now"),
    )
    imported = run_import(_device(tmp_path, source, [first, second]))
    assert (imported.error, imported.failed) == (None, {})
    assert imported.objects == files_of(source)


def test_a_file_that_went_stays(source: Path, tmp_path: Path) -> None:
    device = _device(tmp_path, source, [_write("a", b"a"), _all(_remove("a"), _write("b", b"b"))])
    assert run_import(device).objects == {"a": b"a", "b": b"b"}


@pytest.mark.parametrize("make", [_write("x", b"old"), _large("x", 1)], ids=["small", "large"])
@pytest.mark.parametrize("remake", [_write("x", b"new"), _large("x", 2)], ids=["small", "large"])
def test_links_to_a_version_that_was_replaced(
    source: Path, tmp_path: Path, make: Change, remake: Change
) -> None:
    """x is replaced, its links were removed at the source: on the device they have the old content."""
    first = _all(make, _link("x", "y", "z"))
    device = _device(tmp_path, source, [first, _all(_remove("y"), _remove("z"), remake)])
    old = (source / "x").read_bytes()
    imported = run_import(device)
    make(source)
    assert (imported.error, imported.failed) == (None, {})
    expected = (source / "x").read_bytes()
    assert imported.objects == {"x": old, "y": expected, "z": expected}
    assert old != expected
    assert imported.outcome.objects == 3


def test_a_link_that_came_later(source: Path, tmp_path: Path) -> None:
    """The file had one name when it was copied, so its record tells of no other."""
    device = _device(tmp_path, source, [_write("a", b"content"), _link("a", "b")])
    imported = run_import(device)
    assert (imported.failed, imported.objects) == ({}, {"a": b"content", "b": b"content"})


def test_a_link_whose_file_is_filtered(source: Path, tmp_path: Path) -> None:
    first = _all(_write("a", b"1"), _link("a", "b", "c", "d"), _write("e", b"e"))
    device = _device(tmp_path, source, [first])
    options = replace(OPTIONS, filter=Filter.parse(exclude=["/a", "/c"]))
    imported = run_import(device, options)
    assert (imported.failed, imported.objects) == ({}, {"b": b"1", "d": b"1", "e": b"e"})


def test_a_link_whose_file_failed(source: Path, tmp_path: Path) -> None:
    first = _all(_write("a\x01", b"1"), _link("a\x01", "b"))
    imported = run_import(_device(tmp_path, source, [first]))
    assert imported.objects == {}
    assert imported.failed["b"].startswith(r"hard link to a\x01: the key has the character U+0001")


def test_a_link_is_copied_from_what_was_written_or_not_at_all(source: Path, tmp_path: Path) -> None:
    """Somebody else writes to the file's key just before the copy."""

    class Shared(MemoryStore):
        async def copy(self, source_key: str, key: str, *, if_match: str | None = None) -> PutResult:
            other = b"another content"
            await self.put(source_key, [other], checksums=checksums_of([other]))
            return await super().copy(source_key, key, if_match=if_match)

    device = _device(tmp_path, source, [_all(_write("a", b"1"), _link("a", "b"))])
    imported = run_import(device, store=Shared())
    assert imported.objects == {"a": b"another content"}
    assert imported.failed.keys() == {"b"}


def test_a_link_that_looks_like_a_symbolic_one(source: Path, tmp_path: Path) -> None:
    name = "s" + LINK_SUFFIX
    first = _all(_write(name, b"a file"), lambda source: (source / "s").symlink_to("nowhere"))
    device = _device(tmp_path, source, [first])
    imported = run_import(device, replace(OPTIONS, symlinks=Symlinks.RCLONE))
    assert imported.objects == {name: b"a file"}
    assert imported.failed == {name: "a file of the device has the same key"}


@both_makes
def test_on_real_servers(bucket: Bucket, source: Path, tmp_path: Path) -> None:
    first = _all(_large("x", 1), _link("x", "y", "z"), _write("a", b"old"))
    device = _device(tmp_path, source, [first, _all(_remove("y"), _large("x", 2), _write("a", b"new"))])
    ended = import_to(bucket, device, tmp_path / "report")
    assert (ended.code, ended.failed) == (0, {})
    assert ended.report is not None
    assert ended.report["superseded"] == 1  # x went as z
    large_file(os.fsencode(tmp_path / "y"), LARGE, 1)
    expected = files_of(source) | {"y": (tmp_path / "y").read_bytes()}
    assert {key: bucket.read(key) for key in bucket.listed()} == expected


NAMES = st.sampled_from(["a", "b", "c", "d/a", "d/b"])
STEPS = st.lists(st.tuples(NAMES, st.one_of(st.none(), NAMES, st.integers(1, 3))), min_size=1, max_size=6)


@settings(max_examples=12, deadline=None)
@given(runs=st.lists(STEPS, min_size=1, max_size=3))
def test_any_history_ends_in_what_stock_tools_restore(
    runs: list[list[tuple[str, str | int | None]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Files, links and removals at random over several runs; the oracle is the device's own recover.sh."""
    tmp_path = tmp_path_factory.mktemp("history")
    source = tmp_path / "source"
    source.mkdir()

    def play(steps: list[tuple[str, str | int | None]]) -> Change:
        return _all(*(_step(name, what) for name, what in steps))

    device = _device(tmp_path, source, [play(steps) for steps in runs])
    restored = tmp_path / "restored"
    restored.mkdir()
    done = os.spawnvp(os.P_WAIT, "sh", ["sh", str(device / "recover.sh"), str(restored)])
    assert done == 0
    imported = run_import(device)
    assert (imported.error, imported.failed, imported.codes) == (None, {}, set())
    assert {k: v for k, v in imported.objects.items() if not k.endswith("/")} == files_of(restored)


def _step(name: str, what: str | int | None) -> Change:
    """Nothing: removed. A name: a link to it. A number: new content."""

    def change(source: Path) -> None:
        path = source / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(what, str) and (what == name or not (source / what).exists()):
            return
        path.unlink(missing_ok=True)
        if isinstance(what, str):
            os.link(source / what, path)
        elif what is not None:
            path.write_bytes(b"%d" % what * (70 * KIB if what == 3 else 10))

    return change
