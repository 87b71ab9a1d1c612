"""Bags as the Library of Congress's own reader sees them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import bagit as loc  # type: ignore[import-untyped]
import pytest

from transfer.errors import FormatError, UsageError
from transfer.jobs.restore.bag import BagFiles, BagTotals, PayloadFile

TODAY = date(2026, 3, 4)
PAYLOAD = {
    b"a": b"content",
    b"folder/b c": b"",
    "folder/\u00e9\u4e2d".encode(): b"x" * 70_000,
    b"folder/line\nfeed": b"y",
    b"carriage\rreturn": b"z",
}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def restored(folder: Path, payload: dict[bytes, bytes]) -> list[PayloadFile]:
    files = []
    for path, content in payload.items():
        place = folder / "data" / os.fsdecode(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        digests = {name: hashlib.new(name, content).hexdigest() for name in ("sha256", "sha512")}
        files.append(PayloadFile(path, len(content), digests))
    return files


@pytest.mark.parametrize("algorithms", [["sha256"], ["sha256", "sha512"]], ids="+".join)
def test_a_bag_is_valid(root: int, tmp_path: Path, algorithms: list[str]) -> None:
    files = BagFiles(root, algorithms=algorithms)
    files.begin()
    totals = files.finish(restored(tmp_path, PAYLOAD), [("Contact-Name", "\u00c9. Somebody")], TODAY)
    assert totals == BagTotals(files=5, bytes=70_009, misread=2)
    assert sorted(os.listdir(tmp_path)) == sorted([*files.names, "data"])
    bag = loc.Bag(os.fspath(tmp_path))
    assert bag.validate()
    assert bag.version_info == (1, 0)
    assert sorted(bag.algorithms) == algorithms
    assert bag.info == {
        "Contact-Name": "\u00c9. Somebody",
        "Bagging-Date": "2026-03-04",
        "Payload-Oxum": "70009.5",
    }


@pytest.mark.parametrize("name", ["data/a", "bag-info.txt", "manifest-sha256.txt", "bagit.txt"])
def test_every_change_is_seen(root: int, tmp_path: Path, name: str) -> None:
    BagFiles(root).finish(restored(tmp_path, PAYLOAD), [("Note", "content")], TODAY)
    place = tmp_path / name
    place.write_bytes(
        place.read_bytes().replace(b"content", b"CONTENT").replace(b"  data/a\n", b"  data/b\n")
    )
    if name == "bagit.txt":
        place.write_bytes(b"BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n")
    with pytest.raises(loc.BagError):
        loc.Bag(os.fspath(tmp_path)).validate()


def test_percent_as_the_standard_has_it(root: int, tmp_path: Path) -> None:
    totals = BagFiles(root).finish(restored(tmp_path, {b"100%": b"a"}), [], TODAY)
    assert totals.misread == 1
    assert (tmp_path / "manifest-sha256.txt").read_text().endswith("  data/100%25\n")


@pytest.mark.parametrize("character", " \t\v\f\x1c\x1f%\x85\xa0\u2003\u2028\u3000a\u200b\ufeff", ids=ascii)
def test_what_the_reader_does_not_find_is_counted(root: int, tmp_path: Path, character: str) -> None:
    """In a name, and at its end; what is not counted is found."""
    payload = {f"a{character}b".encode(): b"", f"a/{character}".encode(): b""}
    misread = 0
    for path in payload:
        place = tmp_path / os.fsdecode(path).replace("/", "-")
        place.mkdir()
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        totals = BagFiles(descriptor).finish(restored(place, {path: b""}), [], TODAY)
        os.close(descriptor)
        assert loc.Bag(os.fspath(place)).is_valid() == (totals.misread == 0)
        misread += totals.misread
    assert bool(misread) == (character not in "a\u200b\ufeff")


def test_an_unfinished_bag_is_none(root: int, tmp_path: Path) -> None:
    payload = restored(tmp_path, PAYLOAD)
    files = BagFiles(root)
    files.finish(payload, [], TODAY)
    files.begin()
    with pytest.raises(loc.BagError):
        loc.Bag(os.fspath(tmp_path))
    with pytest.raises(FormatError):
        files.finish([*payload, PayloadFile(b"\xff", 0, payload[0].digests)], [], TODAY)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".partial")]
    (tmp_path / ".transfer-bag-bag-info.txt.partial").write_text("left by a kill")
    (tmp_path / ".transfer-bag-manifest-sha256.txt.partial").symlink_to(tmp_path / "data" / "a")
    files.finish(payload, [], TODAY)
    assert loc.Bag(os.fspath(tmp_path)).validate()
    assert (tmp_path / "data" / "a").read_bytes() == b"content"
    assert sorted(os.listdir(tmp_path)) == sorted([*files.names, "data"])


def test_an_empty_bag(root: int, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert BagFiles(root).finish([], [], TODAY) == BagTotals()
    assert loc.Bag(os.fspath(tmp_path)).validate()


def test_algorithms_are_checked(root: int) -> None:
    with pytest.raises(UsageError, match="md5"):
        BagFiles(root, algorithms=["md5"])
