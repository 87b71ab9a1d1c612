"""Several devices of one job: what is newest wins, however they are named; what is missing is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.golden.build import Run, document, folder, metadata, prepare, small
from tests.golden.model import seal
from tests.jobs.copy.copying import Done, run, unlike
from tests.jobs.copy.test_span import copy_all, device_of
from tests.jobs.copy.test_span import fill as fill_source
from tests.jobs.restore.restoring import failures, tree_of
from transfer.core.records import Hardlink
from transfer.core.stream_rules import path_fields

FIRST, SECOND = "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z"


def device(place: Path, ordinal: int, *fills: tuple[str, Callable[[Run], None]], job: str = "job") -> Path:
    """A sealed device whose runs began at these moments."""
    device_id = f"0506070{ordinal}-0102-4304-8506-0d0e0f10111{ordinal}"
    writing = prepare(place, replace(document(device_id), job=job, ordinal=ordinal))
    sequence = 0
    for number, (began, fill) in enumerate(fills, start=1):
        one = Run(writing, number, sequence, began)
        fill(one)
        one.writer.finish()
        sequence = one.writer.sequence
    seal(place)
    return place


def restore(*places: Path | str) -> Done:
    return run("restore", *places, "-q", "--workers", "2")


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Both have `b` and `d/`; the device of ordinal 1 was filled once more after the other one."""

    def one_first(run: Run) -> None:
        run.batch(small(b"a", b"a1"), small(b"b", b"b1"), folder(b"d/", mtime_ns=1), small(b"d/x", b"x1"))

    def two_first(run: Run) -> None:
        run.batch(
            small(b"b", b"of two"), small(b"c", b"of two"), folder(b"d/", mtime_ns=2), small(b"d/y", b"y2")
        )

    def one_again(run: Run) -> None:
        run.batch(small(b"c", b"c3"))

    first = device(tmp_path / "1", 1, (FIRST, one_first), ("2024-01-02T00:00:00Z", one_again))
    return [first, device(tmp_path / "2", 2, (SECOND, two_first))]


def test_the_newest_wins_in_whatever_order_they_are_named(two: list[Path], tmp_path: Path) -> None:
    for number, order in enumerate(itertools.permutations(two)):
        target = tmp_path / f"target {number}"
        target.mkdir()
        done = restore(*order, target)
        assert (done.code, failures(done), done.document["missing_devices"]) == (0, {}, [])
        contents = {path: (target / path).read_bytes() for path in ("a", "b", "c", "d/x", "d/y")}
        assert contents == {"a": b"a1", "b": b"of two", "c": b"c3", "d/x": b"x1", "d/y": b"y2"}
        assert tree_of(target) == ["a", "b", "c", "d", "d/x", "d/y"]
        assert (target / "d").stat().st_mtime_ns == 2
        assert [device["ordinal"] for device in done.document["devices"]] == [1, 2]


def holding(name: bytes, content: bytes) -> Callable[[Run], None]:
    return lambda run: run.batch(small(name, content))


@pytest.mark.parametrize(("began", "newest"), [("2024-01-03T00:00:00Z", b"of two"), (SECOND, b"again")])
def test_when_a_run_began_counts_and_not_its_number(tmp_path: Path, began: str, newest: bytes) -> None:
    runs = [(FIRST, holding(b"a", b"1")), ("2024-01-02T00:00:00Z", holding(b"a", b"again"))]
    first = device(tmp_path / "1", 1, *runs)
    second = device(tmp_path / "2", 2, (began, holding(b"a", b"of two")))
    target = tmp_path / "target"
    target.mkdir()
    assert restore(second, first, target).code == 0
    assert (target / "a").read_bytes() == newest


def test_of_the_same_moment_the_higher_ordinal_counts(tmp_path: Path) -> None:
    devices = [
        device(tmp_path / name.decode(), ordinal, (FIRST, holding(b"a", name)))
        for ordinal, name in ((2, b"two"), (1, b"one"))
    ]
    target = tmp_path / "target"
    target.mkdir()
    assert restore(*devices, target).code == 0
    assert (target / "a").read_bytes() == b"two"


def test_one_after_the_other_gives_the_same_but_for_what_both_have(two: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    assert restore(two[1], target).code == 0
    done = restore(two[0], target)
    assert failures(done).keys() == {"b", "c"}
    assert (target / "d/x").read_bytes() == b"x1"


def test_a_link_has_the_content_that_it_had_on_its_own_device(tmp_path: Path) -> None:
    """Its file is newer on the other device: so the link is a file of its own."""
    inode: dict[str, Any] = {"inode": 7, "volume": 7}

    def one(run: Run) -> None:
        link = Hardlink(**metadata(b"b"), size_bytes=2, **path_fields(b"a", "target"), **inode)
        run.batch(small(b"a", b"a1", **inode), link)

    first = device(tmp_path / "1", 1, (FIRST, one))
    second = device(tmp_path / "2", 2, (SECOND, lambda run: run.batch(small(b"a", b"a2"))))
    target = tmp_path / "target"
    target.mkdir()
    assert restore(first, second, target).code == 0
    assert [(target / name).read_bytes() for name in "ab"] == [b"a2", b"a1"]


def test_ordinals_that_are_missing_are_told(tmp_path: Path) -> None:
    def one(ordinal: int) -> Path:
        name = b"%d" % ordinal
        return device(tmp_path / str(ordinal), ordinal, (FIRST, lambda run: run.batch(small(name, b""))))

    devices = [one(1), one(4)]
    target = tmp_path / "target"
    target.mkdir()
    done = restore(*devices, target)
    assert (done.code, done.document["missing_devices"], tree_of(target)) == (3, [2, 3], ["1", "4"])
    assert "not given: devices 2 to 3" in done.stderr
    alone = restore(devices[1], target)
    assert (alone.code, alone.document["missing_devices"]) == (0, [1, 2, 3])


def test_devices_that_do_not_belong_together_are_refused(tmp_path: Path, two: list[Path]) -> None:
    other = device(tmp_path / "3", 3, (FIRST, lambda run: run.batch(small(b"z", b""))), job="another")
    target = tmp_path / "target"
    target.mkdir()
    for devices, said in (([two[0], other], "of job another"), ([two[0], two[0]], "the same device")):
        done = restore(*devices, target)
        assert (done.code, tree_of(target)) == (2, [])
        assert said in done.stderr


def test_a_head_that_was_written_down_is_expected_of_each(two: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    heads = [device["custody_blake3"] for device in restore(*two, target).document["devices"]]
    expected = [option for head in heads for option in ("--expect-head", head)]
    assert restore(*two, target, *expected).code == 0
    refused = restore(*two, target, *expected[:2])
    assert refused.code == 4
    assert "has no entry that was expected" in refused.stderr
    assert restore(*two, target, "--expect-head", "x").code == 2


def test_a_job_that_took_several_devices_comes_back_as_it_was(tmp_path: Path) -> None:
    """Also the times of folders that lie on several of them; and each path is found where it is."""
    source, target, part = tmp_path / "source", tmp_path / "target", tmp_path / "part"
    for place in (source, target, part):
        place.mkdir()
    fill_source(source)
    devices = [device_of(tmp_path, ordinal) for ordinal in (1, 2, 3, 4)]
    copied = copy_all(source, *devices)
    assert copied.code == 0
    devices = devices[: len(copied.document["devices"])]
    assert all(run("seal", device).code == 0 for device in devices)
    lacking = restore(devices[0], devices[2], part, "--path", "f7", "--path", "f0")
    assert (lacking.code, lacking.document["missing_devices"]) == (3, [2])
    done = restore(*reversed(devices), target)
    assert (done.code, failures(done), done.document["missing_devices"]) == (0, {}, [])
    assert [line for line in unlike(source, target) if "is one file" not in line] == []
    alone = restore(devices[0], part, "--path", "f0")
    assert alone.document["missing_devices"][:1] == [2]
    assert unlike(source / "f0", part / "f0", directory_times=False) == []


def test_one_name_is_not_enough(tmp_path: Path) -> None:
    assert restore(tmp_path).code == 2
