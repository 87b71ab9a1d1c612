"""What is in the directory already: left, replaced, counted or told, as asked; and never half replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.golden.build import MTIME_NS, Run, folder, small
from tests.jobs.restore.restoring import failures, made_device, restore, symlink, tree_of

DAY_NS = 86_400 * 10**9


@pytest.fixture
def device(tmp_path: Path) -> Path:
    def fill(run: Run) -> None:
        run.batch(small(b"a", b"new"), small(b"b", b"new"), symlink(b"c", b"new"), folder(b"d/"))
        run.batch(small(b"d/e", b"new"))

    return made_device(tmp_path / "device", fill)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """`a` is older than the device's, `b` younger, `c` another link, `d/e` the same by size and time."""
    place = tmp_path / "target"
    (place / "d").mkdir(parents=True)
    for name, text, age in (("a", b"older", -DAY_NS), ("b", b"younger", DAY_NS), ("d/e", b"old", 0)):
        (place / name).write_bytes(text)
        os.utime(place / name, ns=(0, MTIME_NS + age))
    (place / "c").symlink_to("old")
    return place


@pytest.mark.parametrize(
    ("policy", "contents", "failed", "skipped"),
    [
        ("same", [b"older", b"younger", b"old"], {"a", "b", "c"}, 0),
        ("skip", [b"older", b"younger", b"old"], set(), 3),
        ("overwrite", [b"new", b"new", b"old"], set(), 0),
        ("newer", [b"new", b"younger", b"old"], set(), 2),
        ("fail", [b"older", b"younger", b"old"], {"a", "b", "c", "d/e"}, 0),
    ],
)
def test_what_is_there(
    device: Path, target: Path, policy: str, contents: list[bytes], failed: set[str], skipped: int
) -> None:
    done = restore(device, target, "--if-exists", policy)
    assert [(target / name).read_bytes() for name in ("a", "b", "d/e")] == contents
    assert failures(done).keys() == failed
    assert done.document["skipped"] == skipped
    assert done.code == (3 if failed else 0)
    assert os.readlink(target / "c") == ("new" if policy == "overwrite" else "old")
    assert [path for path in tree_of(target) if "partial" in path] == []


def test_a_folder_in_the_way_goes_only_when_it_is_empty_and_was_asked_for(
    device: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    (target / "a").mkdir(parents=True)
    (target / "b/kept").mkdir(parents=True)
    done = restore(device, target)
    assert failures(done).keys() == {"a", "b"}
    assert "a folder has its path already" in failures(done)["a"]
    done = restore(device, target, "--if-exists", "overwrite")
    assert failures(done).keys() == {"b"}
    assert (target / "a").read_bytes() == b"new"
    assert tree_of(target) == ["a", "b", "b/kept", "c", "d", "d/e"]


def test_a_file_in_the_way_of_a_folder_goes_only_when_that_was_asked_for(
    device: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "d").write_bytes(b"a file")
    done = restore(device, target)
    assert failures(done).keys() == {"d/", "d/e"}
    assert (target / "d").read_bytes() == b"a file"
    assert restore(device, target, "--if-exists", "overwrite").code == 0
    assert (target / "d/e").read_bytes() == b"new"
