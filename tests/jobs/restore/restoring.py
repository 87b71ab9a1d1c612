"""What the tests of restore share: hostile devices, a directory with something precious beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.golden.build import Run, document, metadata, prepare
from tests.golden.model import seal
from tests.jobs.copy.copying import Done, run
from tests.simulators.compare import differences
from transfer.core.records import Symlink
from transfer.core.stream_rules import path_fields


def restore(device: Path, to: Path, *options: str) -> Done:
    """Run restore, in this process."""
    return run("restore", device, to, "-q", "--workers", "2", *options)


def failures(done: Done) -> dict[str, str]:
    """Why, by path, of what was not restored."""
    return {failure["path"]: failure["error"] for failure in done.document["failures"]}


def tree_of(folder: Path) -> list[str]:
    """All paths below, symbolic links not followed."""
    return sorted(
        os.path.relpath(os.path.join(at, name), folder) for at, f, n in os.walk(folder) for name in f + n
    )


@contextmanager
def nothing_outside(place: Path) -> Iterator[Path]:
    """A directory to restore into, and a look at all beside it: nothing there may change."""
    beside, before = place / "precious", place / "before"
    for copy in (beside, before):
        copy.mkdir(parents=True)
        (copy / "file").write_bytes(b"precious")
        (copy / "folder").mkdir()
        for path in (copy / "file", copy / "folder", copy):
            os.utime(path, ns=(10**18, 10**18))
    target = place / "target"
    target.mkdir()
    yield target
    assert differences(os.fsencode(before), os.fsencode(beside)) == []
    assert beside.stat().st_mtime_ns == 10**18
    assert sorted(path.name for path in place.iterdir()) == ["before", "precious", "target"]


def made_device(place: Path, *fills: Callable[[Run], None]) -> Path:
    """A sealed device, its runs filled with whatever records."""
    device = prepare(place, document())
    sequence = 0
    for number, fill in enumerate(fills, start=1):
        writing = Run(device, number, sequence, f"2024-01-0{number}T00:00:00Z")
        fill(writing)
        writing.writer.finish()
        sequence = writing.writer.sequence
    seal(place)
    return place


def symlink(path: bytes, target: bytes, **more: Any) -> Symlink:
    return Symlink(**metadata(path, mode=0o777, **more), **path_fields(target, "target"))
