"""The rules of a bucket's records, each broken once, on the golden device that was filled from one; versions
in the merged view against a model.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.golden.build import CHUNK_BYTES
from tests.golden.make import EXPORT
from transfer.core.merge import LaterPaths, merge_runs
from transfer.core.records import AnyRecord, Begin, DeleteMarker, Directory, Failed, File, Header, ObjectFacts
from transfer.core.small_files import judge
from transfer.core.stream_rules import StreamRules
from transfer.core.versions import version_of
from transfer.errors import FormatError
from transfer.formats.segment import read_records

Part = tuple[Header, list[AnyRecord]]
SUMS = {"blake3": "0" * 64, "crc64nvme": "0" * 16, "crc32c": "0" * 8}
STAT = {"mode": 0o644, "mtime_ns": 0, "uid": 0, "gid": 0}


def _read() -> list[Part]:
    parts: list[Part] = []
    for segment in sorted((EXPORT / "device/segments").iterdir()):
        with open(segment, "rb") as file:
            header, *blocks = read_records(file)
        assert isinstance(header, Header)
        parts.append((header, [record for block in blocks if isinstance(block, list) for record in block]))
    return parts


GOOD = _read()


def _follow(parts: list[Part], *, many: bool = False) -> None:
    rules = StreamRules(CHUNK_BYTES)
    for header, records in parts:
        rules.start(header)
        if many:
            for _ in rules.accept_all(records):
                pass
        else:
            for record in records:
                rules.accept(record)
        rules.finish()


@pytest.mark.parametrize("many", [False, True])
def test_the_good_stream_obeys_all_rules(many: bool) -> None:
    _follow(deepcopy(GOOD), many=many)


def _bend(parts: list[Part], kind: type, path: str, **fields: Any) -> None:
    records = parts[0][1]
    for place, record in enumerate(records):
        if type(record) is kind and getattr(record, "path", "") == path:
            facts = {name: fields.pop(name) for name in list(fields) if name not in kind.__struct_fields__}
            changed = replace(record, **fields)
            if facts:
                changed = replace(changed, object=replace(changed.object, **facts))
            records[place] = changed
            return
    raise AssertionError(path)


def _second_with(**fields: Any) -> Callable[[list[Part]], None]:
    def bend(parts: list[Part]) -> None:
        parts[1] = (replace(parts[1][0], **fields), parts[1][1])

    return bend


BROKEN: dict[str, tuple[Callable[[list[Part]], None], str]] = {
    "the tar name of another key": (lambda p: _bend(p, File, "a/b", member="a%~1/c"), "of another key"),
    "a tar name that climbs out": (lambda p: _bend(p, File, "a/b", member="../a/b"), "climbs out"),
    "a tar name from the root": (lambda p: _bend(p, File, "/first", member=""), "climbs out"),
    "an empty component in the tar name": (lambda p: _bend(p, File, "a//d", member=""), "climbs out"),
    "content in a folder": (lambda p: _bend(p, File, "a/c/", member="a%~1/c/"), "the tar name of a folder"),
    "a file among objects": (lambda p: _bend(p, File, "a", object=None), "lacks what an object has"),
    "extended attributes": (lambda p: _bend(p, File, "a", xattrs={"user.a": "YQ=="}), "what none has"),
    "far too much metadata": (
        lambda p: _bend(p, File, "a", tags={f"n{number}": "v" * 8000 for number in range(9)}),
        "metadata of over 65,536 bytes",
    ),
    "a version twice": (lambda p: _bend(p, DeleteMarker, "kept", version_id="v1"), "version 'v1' twice"),
    "a begin that says something else": (lambda p: _bend(p, Begin, "big.bin", etag="x"), "its begin record"),
    "files behind objects of the same run": (
        _second_with(run=1, keys=False),
        "run 1 follows run 1, which is over",
    ),
    "an object among files": (_second_with(keys=False), "is an object, among files"),
    "it continues, and is not over": (_second_with(continues=True, run_complete=False), "is not over"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_found(name: str) -> None:
    bend, why = BROKEN[name]
    parts = deepcopy(GOOD)
    bend(parts)
    with pytest.raises(FormatError, match=why):
        _follow(parts)


def test_a_key_has_a_record_once_but_for_its_versions() -> None:
    parts = deepcopy(GOOD)
    for place, record in enumerate(parts[0][1]):
        if isinstance(record, File) and record.path == "kept" and record.object is not None:
            parts[0][1][place] = replace(record, object=replace(record.object, history=False))
    with pytest.raises(FormatError, match="out of order"):
        _follow(parts)


def test_folders_are_no_objects() -> None:
    parts = deepcopy(GOOD)
    records = parts[0][1]
    place = next(at for at, record in enumerate(records) if isinstance(record, File) and record.path == "a/")
    records[place] = Directory(path="a/", **STAT)
    with pytest.raises(FormatError, match="is no object, among objects"):
        _follow(parts)


@pytest.mark.parametrize(
    ("key", "why"),
    [("k" * 1025, "has 1,025 bytes"), ("\u00e9" * 513, "has 1,026 bytes")],
    ids=["ascii", "two bytes each"],
)
def test_long_keys_are_refused_one_by_one_and_all_at_once(key: str, why: str) -> None:
    parts = deepcopy(GOOD)
    for place, record in enumerate(parts[0][1]):
        if isinstance(record, File) and record.path == "a/c/":
            parts[0][1][place] = replace(record, path=key)
    for many in (False, True):
        with pytest.raises(FormatError, match=why):
            _follow(parts, many=many)


def _object(key: str, **facts: Any) -> File:
    return File(path=key, **STAT, **SUMS, size_bytes=0, offset=512, object=ObjectFacts(**facts))


@pytest.mark.parametrize(
    ("facts", "obeys"),
    [({"etag": "e"}, True), ({"member": "x"}, False), ({"history": True}, False), ({"tags": {}}, True)],
    ids=["plain", "another member", "a version", "no tags"],
)
def test_what_is_judged_all_at_once(facts: dict[str, Any], obeys: bool) -> None:
    files = [_object("a", **facts), _object("b")]
    assert (judge(files, b"", 0, 1024, keys=True) is not None) is obeys
    assert judge(files, b"", 0, 1024) is None  # objects among files
    plain = replace(files[0], object=None)
    assert judge([plain], b"", 0, 1024, keys=True) is None
    assert judge([plain], b"", 0, 1024) is not None


VERSIONS = st.lists(st.integers(0, 9), unique=True, max_size=4).map(sorted)
RUNS = st.lists(st.tuples(st.sampled_from(["history", "plain", "failed"]), VERSIONS), min_size=2, max_size=4)


def _records(kind: str, versions: list[int]) -> list[tuple[bytes, Any]]:
    if kind == "failed":
        return [(b"k", Failed(path="k", reason="changed"))]
    if kind == "plain":
        return [(b"k", _object("k", version_id=f"v{versions[-1]}"))] if versions else []
    made: list[tuple[bytes, Any]] = []
    for number in versions:
        moment = f"2024-01-01T00:00:0{number}Z"
        if number % 3 == 0:
            made.append((b"k", DeleteMarker(path="k", version_id=f"v{number}", last_modified=moment)))
        else:
            made.append((b"k", _object("k", version_id=f"v{number}", last_modified=moment, history=True)))
    return made


@given(RUNS)
def test_versions_of_all_runs_stand_side_by_side_oldest_first(plan: list[tuple[str, list[int]]]) -> None:
    runs = [_records(kind, versions) for kind, versions in plan]
    stored = [run for run in runs if run and not isinstance(run[0][1], Failed)]
    view = [record for _, record in merge_runs([iter(run) for run in runs]) if not isinstance(record, Failed)]
    if not stored:
        assert view == []
    elif version_of(stored[-1][-1][1]) is None:
        assert view == [stored[-1][-1][1]]
    else:
        every = {version_of(record) for run in stored for _, record in run} - {None}
        assert [version_of(record) for record in view] == sorted(every, key=str)
        newest = {version_of(record): record for run in stored for _, record in run}
        assert all(record is newest[version_of(record)] for record in view)


def test_a_version_is_replaced_by_itself_and_by_what_has_no_history_alone() -> None:
    old = _object("k", version_id="v1", history=True)
    with_history = [(b"k", _object("k", version_id="v2", history=True)), (b"m", _object("m"))]
    later = LaterPaths([iter(with_history)])
    assert not later.has(b"k", old)
    assert later.has(b"k", _object("k", version_id="v2", history=True))
    assert later.has(b"k", _object("k"))
    assert later.has(b"k")
    assert not later.has(b"l", old)
    assert later.has(b"m", old)
    assert not later.has(b"n", old)
