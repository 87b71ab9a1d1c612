"""copy against its peers: SMALL, LARGE and MIXED in memory, SMALL on the disk with a final sync."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.appliance import copy_contender
from tests.benchmarks.copy_peers import copy_peers
from tests.benchmarks.datasets import Content, contents, make_large, make_mixed, make_small
from tests.benchmarks.places import on_disk, tmpfs
from tests.benchmarks.race import Race
from tests.benchmarks.results import Row
from tests.benchmarks.setting import Setting, room_for_large, room_for_small

_IN_MEMORY = "source and target on tmpfs"
_ON_DISK = "source and target on the disk, source in the page cache, final sync of all data counted"


def small(setting: Setting) -> Row:
    """SMALL, in memory."""
    count = setting.small_files()
    with tmpfs(room_for_small(count, 1.2)) as place:
        content = make_small(place / "source", count)
        return _race("copy-small", f"copy SMALL, {content}, {_IN_MEMORY}", place, content, setting)


def small_on_disk(setting: Setting) -> Row:
    """SMALL, on the disk."""
    count = setting.small_files()
    with on_disk(setting.disk, room_for_small(count, 1.2)) as place:
        content = make_small(place / "source", count)
        title = f"copy SMALL, {content}, {_ON_DISK}"
        return _race("copy-small-disk", title, place, content, setting, sync=True)


def large(setting: Setting) -> Row:
    """LARGE, in memory."""
    with tmpfs(room_for_large(setting.large_file_bytes, 1.1)) as place:
        content = make_large(place / "source", setting.large_file_bytes)
        return _race("copy-large", f"copy LARGE, {content}, {_IN_MEMORY}", place, content, setting)


def mixed(setting: Setting) -> Row:
    """MIXED, in memory."""
    original = contents(setting.mixed)
    # No file fills its last page.
    room = original.size_bytes + original.files * 4096
    with tmpfs(3 * room + room_for_small(0, 0)) as place:
        content = make_mixed(place / "source", setting.mixed, setting.scale)
        title = f"copy MIXED, a real tree of {content}, {_IN_MEMORY}"
        return _race("copy-mixed", title, place, content, setting)


def _race(
    key: str, title: str, place: Path, content: Content, setting: Setting, *, sync: bool = False
) -> Row:
    setting.say(f"{key}: {content}")
    source, scratch = place / "source", place / "scratch"
    scratch.mkdir()
    contenders = [copy_contender(source, content), *copy_peers(source, content, scratch)]
    return Row(key, title, Race(place / "target", setting.rounds, sync=sync).run(contenders))
