"""The merged view against a plain model: a dictionary that the runs are written into one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from transfer.core.merge import merge_runs
from transfer.core.records import Directory, Entry, Failed, Removed, Skipped, Symlink

PATHS = [b"a", b"a-b", b"a/", b"a/b", b"b", b"\xff"]
OWNER = {"mode": 0, "mtime_ns": 0, "uid": 0, "gid": 0}
KINDS = {
    "directory": lambda: Directory(path="x/", **OWNER),
    "symlink": lambda: Symlink(path="x", target="y", **OWNER),
    "removed": lambda: Removed(path="x"),
    "failed": lambda: Failed(path="x", reason="vanished"),
    "skipped": lambda: Skipped(path="x", reason="fifo"),
    "listing failed": lambda: Failed(path="x", reason="unreadable"),
}
Run = list[tuple[bytes, Entry]]


def _run(chosen: dict[bytes, str]) -> Run:
    run: Run = []
    for path in sorted(chosen):
        if chosen[path] == "listing failed":  # the one case of two records of a path in a run
            run.append((path, KINDS["directory"]()))
        run.append((path, KINDS[chosen[path]]()))
    return run


RUNS = st.lists(
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from(sorted(KINDS))).map(_run), min_size=1, max_size=4
)


def model(runs: Sequence[Run]) -> Run:
    """FORMAT.md §11, word by word."""
    entries: dict[bytes, Entry] = {}
    troubles: dict[bytes, Entry] = {}
    for run in runs:
        for path in {path for path, _ in run}:
            mine = [record for other, record in run if other == path]
            stored = [record for record in mine if not isinstance(record, Failed | Skipped)]
            if stored:
                entries[path] = stored[-1]
                troubles.pop(path, None)
            if mine[-1] not in stored:
                troubles[path] = mine[-1]
    view: Run = []
    for path in sorted(entries | troubles):
        if path in entries and not isinstance(entries[path], Removed):
            view.append((path, entries[path]))
        if path in troubles:
            view.append((path, troubles[path]))
    return view


@given(RUNS)
def test_the_view_is_that_of_the_model(runs: list[Run]) -> None:
    view = list(merge_runs([iter(run) for run in runs]))
    assert [(path, id(record)) for path, record in view] == [
        (path, id(record)) for path, record in model(runs)
    ]


@given(RUNS)
def test_the_view_is_sorted_and_a_path_comes_twice_at_most(runs: list[Run]) -> None:
    paths = [path for path, _ in merge_runs([iter(run) for run in runs])]
    assert paths == sorted(paths)
    assert all(paths.count(path) <= 2 for path in paths)


def test_it_is_a_stream() -> None:
    def endless() -> Sequence[tuple[bytes, Entry]]:
        return ((b"%09d" % number, KINDS["symlink"]()) for number in range(10**9))  # type: ignore[return-value]

    view = merge_runs([endless(), endless()])  # type: ignore[list-item]
    assert [next(view)[0] for _ in range(3)] == [b"000000000", b"000000001", b"000000002"]


def test_no_runs() -> None:
    assert list(merge_runs([])) == []
