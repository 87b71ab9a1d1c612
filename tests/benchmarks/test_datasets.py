"""datasets: as large as told, the same again, one the beginning of the other."""

from __future__ import annotations

import statistics
from pathlib import Path

import zstandard

from tests.benchmarks.datasets import (
    MIB,
    SMALL_FILES,
    Content,
    contents,
    make_large,
    make_mixed,
    make_small,
    small_sizes,
)
from tests.simulators.compare import differences


def test_small_is_100_000_files_around_3_kib_and_570_mib() -> None:
    sizes = list(small_sizes(SMALL_FILES))
    assert len(sizes) == 100_000
    assert abs(sum(sizes) / MIB - 570) < 5
    assert abs(statistics.median(sizes) - 3072) < 50
    assert max(sizes) <= MIB


def test_small_is_the_same_again(tmp_path: Path) -> None:
    told = {make_small(tmp_path / name, 450) for name in ("a", "b")}
    assert told == {contents(tmp_path / "a")}
    assert differences(bytes(tmp_path / "a"), bytes(tmp_path / "b")) == []
    assert [len(list(folder.iterdir())) for folder in sorted((tmp_path / "a").iterdir())] == [200, 200, 50]


def test_fewer_files_are_the_beginning_of_more(tmp_path: Path) -> None:
    make_small(tmp_path / "few", 30)
    make_small(tmp_path / "many", 60)
    for path in (tmp_path / "few").rglob("*.dat"):
        assert path.read_bytes() == (tmp_path / "many" / path.relative_to(tmp_path / "few")).read_bytes()


def test_every_second_file_of_small_compresses(tmp_path: Path) -> None:
    make_small(tmp_path / "a", 400)
    files = [path.read_bytes() for path in sorted((tmp_path / "a").rglob("*.dat"))]
    text, noise = b"".join(files[::2]), b"".join(files[1::2])
    assert len(zstandard.compress(text, 1)) < len(text) / 2
    assert len(zstandard.compress(noise, 1)) > len(noise) * 0.99


def test_large_is_four_different_files_that_do_not_compress(tmp_path: Path) -> None:
    assert make_large(tmp_path / "a", MIB) == contents(tmp_path / "a") == Content(4, 4 * MIB)
    files = [path.read_bytes() for path in (tmp_path / "a").iterdir()]
    assert len(set(files)) == 4
    assert len(zstandard.compress(b"".join(files))) > 4 * MIB


def test_mixed_is_a_copy_of_the_tree_with_its_links(tmp_path: Path) -> None:
    original = tmp_path / "original"
    make_small(original, 450)
    (original / "link").symlink_to("folder-00000")
    assert make_mixed(tmp_path / "all", original, 1) == contents(original)
    assert (tmp_path / "all/link").readlink() == Path("folder-00000")
    some = make_mixed(tmp_path / "some", original, 0.3)
    assert some.files == 200
    assert some == contents(tmp_path / "some")
