"""`--bag`: the Library of Congress's own reader takes what comes for a valid bag."""

from __future__ import annotations

import os
from pathlib import Path

import bagit  # type: ignore[import-untyped]
import pytest

from tests.jobs.copy.copying import CHUNK, copy, prepared, run
from tests.jobs.restore.restoring import failures, restore, tree_of
from tests.simulators.trees import large_file, small_files


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    small_files(os.fsencode(source), 30, seed=5)
    large_file(os.fsencode(source / "large"), 20 * CHUNK + 5, seed=6)
    (source / "holes").write_bytes(b"")
    os.truncate(source / "holes", 100_000)
    os.link(source / "large", source / "one more name")
    (source / "symbolic").symlink_to("large")
    (source / os.fsdecode(b"\xff.txt")).write_bytes(b"not UTF-8")
    (source / "empty folder").mkdir()
    place = prepared(tmp_path_factory.mktemp("device") / "device")
    assert copy(source, place).code == 0
    assert run("seal", place).code == 0
    return place


def test_a_bag_is_valid_whether_made_at_once_or_in_two_goes(device: Path, tmp_path: Path) -> None:
    target = tmp_path / "bag"
    target.mkdir()
    part = restore(device, target, "--bag", "--include", "large")
    assert part.code == 0
    bagit.Bag(str(target)).validate()
    more = ["--bag-info", "Source-Organization: North", "--exclude", "/?.txt"]
    done = restore(device, target, "--bag", *more)
    assert (done.code, failures(done)) == (3, {"symbolic": "a bag holds no symbolic links"})
    bag = bagit.Bag(str(target))
    bag.validate()
    assert bag.info["Source-Organization"] == "North"
    files = [path for path in tree_of(target / "data") if (target / "data" / path).is_file()]
    assert done.document["bag"]["files"] == len(files) == len(bag.payload_entries())
    assert {"one more name", "holes"} <= set(files)
    (target / "data/large").write_bytes(b"changed")
    assert not bagit.Bag(str(target)).is_valid()


def test_a_name_that_no_manifest_can_hold_becomes_another(device: Path, tmp_path: Path) -> None:
    done = restore(device, tmp_path, "--bag", "--include", "/?.txt")
    assert done.code == 0
    assert tree_of(tmp_path / "data") == ["%FF.txt", ".transfer-names.jsonl"]
    assert "data/%25FF.txt" in (tmp_path / "manifest-sha256.txt").read_text()
    assert "not all readers of bags undo" in done.stderr


def test_what_belongs_to_no_bag_is_refused(device: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"")
    done = restore(device, tmp_path, "--bag")
    assert done.code == 2
    assert "holds mine" in done.stderr
    assert tree_of(tmp_path) == ["mine"]
    assert restore(device, tmp_path, "--bag-info", "a: b").code == 2


def test_a_folder_that_is_a_link_is_no_payload(device: Path, tmp_path: Path) -> None:
    bag, beside = tmp_path / "bag", tmp_path / "beside"
    bag.mkdir()
    beside.mkdir()
    (bag / "data").symlink_to(beside)
    assert restore(device, bag, "--bag").code == 2
    assert tree_of(beside) == []
