"""trees: deterministic, and really as nasty as they claim."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import zstandard

from tests.simulators.compare import differences
from tests.simulators.trees import MIB, NAMES, large_file, make_long_path, nasty_tree, small_files

KIB64 = 65536


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nasty")
    nasty_tree(bytes(root), chunk_size_bytes=KIB64, special_files=True)
    return root


def test_made_twice_it_is_equal(tree: Path, tmp_path: Path) -> None:
    nasty_tree(bytes(tmp_path), chunk_size_bytes=KIB64, special_files=True)
    assert differences(bytes(tree), bytes(tmp_path), xattrs=True) == []


def test_names_that_are_no_utf8_and_names_that_differ_in_normalisation_only_are_there(tree: Path) -> None:
    names = os.listdir(bytes(tree / "names"))
    assert set(NAMES) < set(names)
    assert {"caf\u00e9".encode(), "cafe\u0301".encode()} < set(names)
    assert any(b"\xff" in name for name in names)
    assert max(map(len, names)) == 255


def test_order_by_plain_names_is_not_order_by_paths(tree: Path) -> None:
    names = os.listdir(bytes(tree / "sort_traps"))
    as_paths = [
        name + b"/" if os.path.isdir(bytes(tree / "sort_traps") + b"/" + name) else name for name in names
    ]
    assert [path.rstrip(b"/") for path in sorted(as_paths)] != sorted(names)


def test_times_reach_beyond_both_ends_of_32_bits(tree: Path) -> None:
    times = [entry.lstat().st_mtime_ns for entry in (tree / "mtimes").iterdir()]
    assert min(times) < -(10**18)
    assert max(times) > 7 * 10**18
    assert any(time % 1000 for time in times)


def test_types_and_modes(tree: Path) -> None:
    special = {stat.S_IFMT(entry.lstat().st_mode) for entry in (tree / "special_files").iterdir()}
    assert special >= {stat.S_IFIFO, stat.S_IFSOCK}
    modes = {stat.S_IMODE(entry.lstat().st_mode) for entry in (tree / "modes").iterdir()}
    assert modes >= {0o444, 0o600, 0o755, 0o4755, 0o1777, 0o555}
    assert (tree / "links/hard 1").stat().st_nlink == 3
    assert (tree / "links/long").readlink().parts[0] == "long"
    assert len(os.readlink(tree / "links/long")) > 1000
    hole = (tree / "sparse/hole of 64 MiB").stat()
    assert hole.st_size > 64 * MIB
    assert hole.st_blocks * 512 < MIB


def test_sizes_stand_on_both_sides_of_the_chunk(tree: Path) -> None:
    sizes = {int(entry.name): entry.stat().st_size for entry in (tree / "sizes").iterdir()}
    assert all(name == size for name, size in sizes.items())
    assert sizes.keys() >= {0, 1, 511, 512, 513, MIB - 1, MIB, MIB + 1, KIB64 - 1, KIB64, KIB64 + 1, 163_843}


@pytest.mark.parametrize("length", [202, 203, 256, 402, 403, 4000, 4095, 4096, 5000])
def test_long_path_has_the_asked_length_and_can_be_walked_to(tmp_path: Path, length: int) -> None:
    path = make_long_path(bytes(tmp_path), length)
    assert len(path) == length
    assert max(map(len, path.split(b"/"))) <= 255
    found = [
        os.path.relpath(folder, bytes(tmp_path)) + b"/" + name
        for folder, _, files, _ in os.fwalk(bytes(tmp_path))
        for name in files
    ]
    assert found == [path]


def test_small_files_are_as_many_as_asked_and_half_compressible(tmp_path: Path) -> None:
    total = small_files(bytes(tmp_path), 450, seed=1)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    contents = [path.read_bytes() for path in files]
    assert len(files) == 450
    assert sum(map(len, contents)) == total
    assert sorted(len(os.listdir(folder)) for folder in tmp_path.iterdir()) == [50, 200, 200]
    assert 1500 < sorted(map(len, contents))[225] < 6000
    even, odd = (b"".join(contents[start::2]) for start in (0, 1))
    assert len(zstandard.compress(even)) < len(even) * 0.6
    assert len(zstandard.compress(odd)) > len(odd) * 0.99


def test_small_files_follow_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        (tmp_path / name).mkdir()
        small_files(bytes(tmp_path / name), 20, seed)
    assert differences(bytes(tmp_path / "a"), bytes(tmp_path / "b")) == []
    assert len(differences(bytes(tmp_path / "a"), bytes(tmp_path / "c"))) >= 20


def test_large_file_is_deterministic_and_does_not_compress(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "longer", "other seed")]
    for path, size, seed in zip(
        paths, (9 * MIB + 1, 9 * MIB + 1, 10 * MIB, 9 * MIB + 1), (3, 3, 3, 4), strict=True
    ):
        large_file(bytes(path), size, seed)
    same, again, longer, other = (path.read_bytes() for path in paths)
    assert len(same) == 9 * MIB + 1
    assert same == again == longer[: len(same)] != other
    assert len(zstandard.compress(same)) > len(same)
    blocks = [same[at : at + 4096] for at in range(0, len(same), 4096)]
    assert len(set(blocks)) == len(blocks)
