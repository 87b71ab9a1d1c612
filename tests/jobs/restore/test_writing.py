"""Files on their way: what is not right gets no name, what came meanwhile stays, what others write stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from tests.golden.build import metadata
from tests.jobs.restore.restoring import tree_of
from transfer.core.records import Hardlink
from transfer.formats.frames import FrameCompressor
from transfer.jobs.restore.copied_links import write_copy
from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.lanes import Lane
from transfer.jobs.restore.lists import write_names
from transfer.jobs.restore.outcome import Outcome
from transfer.jobs.restore.partial import Partial
from transfer.jobs.restore.small import SmallBatch, SmallFile, SmallWriter, Written
from transfer.jobs.restore.tree import ObstacleError, PartialNames, Tree

CONTENTS = (b"one", b"another", b"")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def write(root: int, policy: IfExists, *, wrong: int = -1, spoil: bool = False) -> Written:
    """Write the files 0, 1 and 2 into the folder f, the record of one of them being of other content."""
    files, offset = [], 0
    for number, content in enumerate(CONTENTS):
        digest = blake3(b"x" if number == wrong else content).hexdigest()
        name = str(number).encode()
        files.append(SmallFile(name, offset, len(content), digest, 0o640, 10**9 * number, 0, 0))
        offset += len(content)
    stored = bytearray(FrameCompressor(1).compress(b"".join(CONTENTS)))
    stored[-1] ^= spoil
    tree = Tree(root, makes=True)
    writer = SmallWriter(tree, PartialNames("abcdef", 1), policy, sets_owner=False, sums=False)
    try:
        return writer.write(SmallBatch(offset, [(b"f/", files)]), bytes(stored))
    finally:
        tree.close()


def test_content_that_is_not_the_record_s_gets_no_name(root: int, tmp_path: Path) -> None:
    written = write(root, IfExists.OVERWRITE, wrong=1)
    assert [(one.number, one.what, one.is_damage) for one in written.failures] == [
        (1, ["BLAKE3 differs"], True)
    ]
    assert (written.files, tree_of(tmp_path)) == (2, ["f", "f/0", "f/2"])


def test_a_frame_that_does_not_open_costs_its_files(root: int, tmp_path: Path) -> None:
    written = write(root, IfExists.OVERWRITE, spoil=True)
    assert [one.number for one in written.failures] == [0, 1, 2]
    assert tree_of(tmp_path) == []


@pytest.mark.parametrize("policy", list(IfExists))
def test_what_came_since_it_was_planned_is_treated_as_asked(
    root: int, tmp_path: Path, policy: IfExists
) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f/0").write_bytes(b"theirs")
    written = write(root, policy)
    replaced = policy is IfExists.OVERWRITE
    assert (tmp_path / "f/0").read_bytes() == (b"one" if replaced else b"theirs")
    assert [one.number for one in written.failures] == ([] if replaced else [0])
    assert tree_of(tmp_path) == ["f", "f/0", "f/1", "f/2"]


def test_rights_and_times_are_the_record_s(root: int, tmp_path: Path) -> None:
    write(root, IfExists.SAME)
    status = (tmp_path / "f/1").stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o640, 10**9)


def test_only_what_other_jobs_left_is_tidied_away(root: int, tmp_path: Path) -> None:
    names = [PartialNames(mark, writer).new() for mark in ("abcdef", "123456") for writer in (1, 2)]
    (tmp_path / "f").mkdir()
    for name in names:
        (tmp_path / "f" / os.fsdecode(name)).write_bytes(b"")
    tree = Tree(root, tidies=PartialNames("abcdef", 254))
    tree.folder(b"f/")
    tree.close()
    assert sorted(map(os.fsencode, os.listdir(tmp_path / "f"))) == sorted(names[:2])


def test_a_lane_keeps_the_order_and_ends_with_the_first_error() -> None:
    done: list[int] = []

    def step(number: int) -> None:
        done.append(number)
        if number == 50:
            raise ValueError(number)

    lane = Lane("test", 2)
    with pytest.raises(ValueError, match="50"):
        for number in range(100):
            lane.hand(lambda number=number: step(number))  # type: ignore[misc]
        lane.end()
    lane.stop()
    assert done == list(range(51))


@pytest.mark.parametrize("content", [b"another", b"content.", b"conten"])
def test_a_copy_in_place_of_a_link_of_what_changed_gets_no_name(
    root: int, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "file").write_bytes(content)
    fields = metadata(b"link", mode=0o600)
    record = Hardlink(**fields, size_bytes=7, target="file", inode=1, volume=1)
    digest = blake3(b"content").hexdigest()
    with pytest.raises(ObstacleError, match="was changed"):
        write_copy(root, b"file", Partial(root, b"aside"), record, digest, b"link", owner=False)
    assert tree_of(tmp_path) == ["file"]


def test_names_that_are_not_utf_8_are_listed_without_loss(root: int, tmp_path: Path) -> None:
    renamed = iter([(b"\xff", b"\xff%~1"), (b"a", b"a%~1")])
    write_names(renamed, root, PartialNames("abcdef", 1), Outcome(lambda progress: None))
    assert (tmp_path / ".transfer-names.jsonl").read_text().splitlines()[1:] == [
        '{"path_base64":"/yV+MQ==","name_base64":"/w=="}',
        '{"path":"a%~1","name":"a"}',
    ]
