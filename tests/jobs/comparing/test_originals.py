"""Which content a hard link stands for, of manifests too that no writer of ours would make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from transfer.core.merge import PathRecord
from transfer.core.records import File, Hardlink
from transfer.device.manifest import Manifest
from transfer.device.path_table import PathTable
from transfer.jobs.comparing.originals import Content, Originals

STAT: dict[str, Any] = {"mode": 0o644, "mtime_ns": 0, "uid": 0, "gid": 0}


@dataclass
class Told:
    """A manifest of these runs."""

    records: dict[int, list[File | Hardlink]]

    @property
    def runs(self) -> list[int]:
        return sorted(self.records)

    def run_records(self, run: int) -> Iterator[PathRecord]:
        return ((record.path_bytes, record) for record in self.records[run])


def file(path: str, word: str, inode: int | None = None) -> File:
    return File(
        path=path, size_bytes=1, blake3=word, crc64nvme="", crc32c="", inode=inode, volume=inode, **STAT
    )


def link(path: str, target: str) -> Hardlink:
    return Hardlink(path=path, target=target, size_bytes=1, inode=1, volume=1, **STAT)


def content(records: dict[int, list[File | Hardlink]], path: str) -> str | None:
    with PathTable() as table:
        originals = Originals(table)
        originals.find(cast(Manifest, Told(records)))
        found: Content | None = originals.of(path.encode())
        return found.blake3 if found else None


def test_of_one_run() -> None:
    assert content({1: [file("a", "one", 1), link("b", "a")]}, "b") == "one"


def test_of_an_older_run_where_it_had_one_name() -> None:
    assert content({1: [file("a", "one")], 2: [link("b", "a")]}, "b") == "one"


def test_of_the_version_that_it_was_made_for() -> None:
    first: list[File | Hardlink] = [file("a", "one", 1), link("b", "a")]
    assert content({1: first, 2: [file("a", "two", 1)]}, "b") == "one"
    assert content({1: first, 2: [file("a", "two", 1), link("b", "a")]}, "b") == "two"
    assert content({1: first, 2: [file("c", "three", 1), link("d", "a")]}, "d") == "one"


def test_of_nothing() -> None:
    assert content({1: [link("b", "a")]}, "b") is None
    assert content({1: [link("b", "a")], 2: [file("a", "late", 1)]}, "b") is None
    assert content({1: [file("a", "one", 1)]}, "b") is None
