"""A device that was filled from a bucket becomes a folder: names that a folder takes, and a list that tells
of each object.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.golden.build import Run, small
from tests.golden.export import DEVICE, item, version
from tests.jobs.restore.restoring import failures, made_device, restore, tree_of
from transfer.core.names import unescape
from transfer.core.records import DeleteMarker, Failed
from transfer.core.stream_rules import path_fields
from transfer.formats.object_lines import OBJECTS_NAME, ObjectLine, decode_object_lines

GOLDEN = Path(__file__).parents[3] / "manifests/golden-export" / DEVICE


@pytest.fixture
def target(tmp_path: Path) -> Path:
    place = tmp_path / "target"
    place.mkdir()
    return place


def listed(target: Path) -> dict[str, ObjectLine]:
    with (target / OBJECTS_NAME).open("rb") as file:
        return {line.path: line for line in decode_object_lines(file)}


def test_the_golden_one_comes_as_files_and_a_list(target: Path) -> None:
    done = restore(GOLDEN, target)
    assert (done.code, set(failures(done))) == (3, {"changing", "frozen"})
    files = {path for path in tree_of(target) if (target / path).is_file()} - {OBJECTS_NAME}
    assert files == {"%/first", "a", "a%~1/%/d", "a%~1/b", "a%~1/c/%", "big.bin", "kept"}
    lines = listed(target)
    assert lines.keys() == files | {"a%~1/"}
    assert all(unescape(path.encode()) == line.key.encode() for path, line in lines.items())
    assert (lines["a"].object.content_type, lines["a"].object.tags) == ("text/plain", {"project": "north"})
    assert (target / "a").stat().st_mtime == 1704067200
    assert (target / "a%~1").stat().st_mode & 0o777 == 0o755
    before = (target / OBJECTS_NAME).read_bytes()
    again = restore(GOLDEN, target)
    assert (again.document["bytes"], (target / OBJECTS_NAME).read_bytes()) == (0, before)


def test_of_versions_the_newest_comes_and_of_deleted_keys_none(tmp_path: Path, target: Path) -> None:
    def marker(key: bytes, number: int) -> DeleteMarker:
        moment = f"2024-01-0{number}T00:00:00.500Z"
        return DeleteMarker(**path_fields(key), version_id=f"v{number}", last_modified=moment)

    def first(run: Run) -> None:
        run.batch(version(b"a", 1, b"1"), version(b"a", 3, b"three"), version(b"b", 1, b"1"))
        run.loose(marker(b"b", 2))
        run.batch(version(b"c", 1, b"1"))
        run.loose(marker(b"c", 2))
        run.batch(version(b"c", 3, b"three"), version(b"d", 1, b"1"))

    def second(run: Run) -> None:
        run.batch(version(b"d", 2, b"two"))

    place = tmp_path / "device"
    source = filled(place, first, second)
    done = restore(source, target)
    assert (done.code, failures(done)) == (0, {})
    assert tree_of(target) == [OBJECTS_NAME, "a", "c", "d"]
    contents = {name: (target / name).read_bytes() for name in "acd"}
    assert contents == {"a": b"three", "c": b"three", "d": b"two"}
    assert {path: line.object.version_id for path, line in listed(target).items()} == {
        "a": "v3",
        "c": "v3",
        "d": "v2",
    }


def filled(place: Path, *fills: object) -> Path:
    """A sealed device of objects."""
    from tests.golden.build import document, prepare
    from tests.golden.model import seal

    device = prepare(place, document())
    sequence = 0
    for number, fill in enumerate(fills, start=1):
        run = Run(device, number, sequence, f"2024-01-0{number}T00:00:00Z", keys=True)
        fill(run)  # type: ignore[operator]
        run.writer.finish()
        sequence = run.writer.sequence
    seal(place)
    return place


def test_keys_that_would_lead_elsewhere_lead_nowhere(tmp_path: Path) -> None:
    from tests.jobs.restore.restoring import nothing_outside
    from transfer.core.names import FileAncestors

    keys = sorted(
        [b"..", b"../precious/file", b"/etc", b"./x", b".transfer-objects.jsonl", b"a/../../b", b"//"]
    )
    ancestors = FileAncestors()

    def fill(run: Run) -> None:
        run.batch(*[item(key, b"evil", member=ancestors.member_name(key)) for key in keys])

    source = filled(tmp_path / "device", fill)
    with nothing_outside(tmp_path / "place") as target:
        done = restore(source, target)
        assert (done.code, failures(done)) == (0, {})
        assert {line.key.encode() for line in listed(target).values()} == set(keys)
        assert all((target / path).read_bytes() == b"evil" for path in listed(target))


def test_a_part_of_a_device_adds_to_the_list(target: Path) -> None:
    assert restore(GOLDEN, target, "--path", "big.bin").code == 0
    assert restore(GOLDEN, target, "--path", "a/").code == 0
    assert listed(target).keys() == {"big.bin", "a", "a%~1/", "a%~1/%/d", "a%~1/b", "a%~1/c/%"}


def test_a_filter_takes_keys_that_end_in_a_slash_as_it_takes_others(tmp_path: Path, target: Path) -> None:
    keys = [b"folder/", b"small/010", b"small/020", b"trail/", b"wanted/"]
    contents = {b"folder/": b"", b"wanted/": b""}

    def fill(run: Run) -> None:
        members = {b"trail/": "trail/%"}
        run.batch(*[item(key, contents.get(key, b"x"), member=members.get(key, "")) for key in keys])
        run.loose(Failed(**path_fields(b"z/"), reason="unreadable"))

    source = filled(tmp_path / "device", fill)
    rules = ("--include", "small/01*", "--include", "wanted/**")
    planned = restore(source, target, "--dry-run", *rules)
    done = restore(source, target, *rules)
    assert (done.code, failures(done)) == (0, {})
    assert tree_of(target) == [OBJECTS_NAME, "small", "small/010", "wanted"]
    assert planned.document["entries"] == done.document["entries"] == 2
    assert (planned.document["dry_run"], done.document["dry_run"]) == (True, False)


def test_what_is_no_list_is_left_and_told(target: Path) -> None:
    (target / OBJECTS_NAME).write_bytes(b"somebody's")
    done = restore(GOLDEN, target)
    assert "no list of objects" in failures(done)[OBJECTS_NAME]
    assert (target / OBJECTS_NAME).read_bytes() == b"somebody's"
    (target / OBJECTS_NAME).unlink()
    (target / OBJECTS_NAME).symlink_to("elsewhere")
    assert OBJECTS_NAME in failures(restore(GOLDEN, target))


def test_an_object_that_could_not_be_written_is_not_listed(target: Path) -> None:
    (target / "a").write_bytes(b"another")
    assert "a" in failures(restore(GOLDEN, target))
    assert "a" not in listed(target)
    (target / OBJECTS_NAME).unlink()
    shutil.rmtree(target / "a%~1")
    (target / "a%~1").write_bytes(b"in the way, which whoever writes finds out")
    assert "a%~1/b" in failures(restore(GOLDEN, target))
    assert "a%~1/b" not in listed(target)
    (target / OBJECTS_NAME).unlink()
    assert restore(GOLDEN, target, "--no-object-file").code == 3
    assert not (target / OBJECTS_NAME).exists()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("posix", {"A", "a", "b:c", "CON", "d."}),
        ("windows", {"A", "a%~1", "b%3Ac", "%43ON", "d%2E"}),
        ("macos", {"A", "a%~1", "b:c", "CON", "d."}),
    ],
)
def test_names_can_be_asked_for(tmp_path: Path, target: Path, names: str, found: set[str]) -> None:
    files = [small(name, name) for name in (b"A", b"CON", b"a", b"b:c", b"d.")]
    source = made_device(tmp_path / "device", lambda run: run.batch(*files))
    assert restore(source, target, "--names", names).code == 0
    lists = {".transfer-names.jsonl"} if names != "posix" else set()
    assert set(tree_of(target)) == found | lists
    assert {(target / name).read_bytes() for name in found} == {b"A", b"CON", b"a", b"b:c", b"d."}
    again = restore(source, target, "--names", names)
    assert (again.document["bytes"], again.document["already"]) == (0, 5)


def test_a_dry_run_counts_objects_as_the_restore_does(target: Path) -> None:
    planned = restore(GOLDEN, target, "--dry-run")
    done = restore(GOLDEN, target)
    assert (planned.document["entries"], planned.document["bytes"]) == (
        done.document["entries"],
        done.document["bytes"],
    )
