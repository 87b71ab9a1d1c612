"""`--path`: what was named comes, and no more of the device is read than that needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.jobs.copy.copying import CHUNK, copy, packs, prepared, run, unlike
from tests.jobs.restore.restoring import failures, restore, tree_of
from tests.simulators.trees import large_file
from transfer.core.records import File, Header
from transfer.device import manifest
from transfer.formats.segment import encode_line, encode_segment, read_records


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty folders of twenty files, a large file, a link from the last folder to a file of the first."""
    place = tmp_path_factory.mktemp("source")
    for number in range(20):
        (place / f"{number:02}/empty").mkdir(parents=True)
        for name in range(20):
            (place / f"{number:02}/{name:02}").write_bytes(os.urandom(20_000))
    large_file(os.fsencode(place / "10-large"), 20 * CHUNK + 7, seed=1)
    os.link(place / "01/05", place / "19/link")
    return place


@pytest.fixture(scope="module")
def device(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = prepared(tmp_path_factory.mktemp("device") / "device")
    assert copy(source, place).code == 0
    assert run("seal", place).code == 0
    assert len(packs(place)) > 10
    return place


@pytest.fixture
def target(tmp_path: Path) -> Path:
    place = tmp_path / "target"
    place.mkdir()
    return place


@contextmanager
def files_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The packs that were opened, and the segments of which more than the header was read."""
    seen: set[str] = set()
    really_open, really_read = manifest.open_regular, read_records

    def opened(path: str):  # type: ignore[no-untyped-def]
        seen.add(os.path.basename(path))
        return really_open(path)

    def read(stream):  # type: ignore[no-untyped-def]
        seen.add(os.path.basename(os.readlink(f"/proc/self/fd/{stream.fileno()}")))
        return really_read(stream)

    monkeypatch.setattr("transfer.jobs.restore.packs.open_regular", opened)
    monkeypatch.setattr("transfer.device.frame_stream.read_records", read)
    monkeypatch.setattr("transfer.device.manifest.read_records", read)
    yield seen


def test_a_file_comes_with_its_folder_and_nothing_else_is_read(
    source: Path, device: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files_read(monkeypatch) as seen:
        done = restore(device, target, "--path", "07/03")
    assert (done.code, failures(done), tree_of(target)) == (0, {}, ["07", "07/03"])
    assert (target / "07/03").read_bytes() == (source / "07/03").read_bytes()
    assert (target / "07").stat().st_mtime_ns == (source / "07").stat().st_mtime_ns
    assert len([name for name in seen if "tar" in name]) == 1
    assert len([name for name in seen if "jsonl" in name]) <= 2


def test_a_folder_comes_with_all_that_is_in_it(source: Path, device: Path, target: Path) -> None:
    for spelled in ("03/", "04"):
        assert restore(device, target, "--path", spelled).code == 0
    assert {path.name for path in target.iterdir()} == {"03", "04"}
    assert unlike(source / "03", target / "03") == unlike(source / "04", target / "04") == []


def test_a_large_file_that_runs_over_several_packs(
    source: Path, device: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files_read(monkeypatch) as seen:
        assert restore(device, target, "--path", "10-large").code == 0
    assert tree_of(target) == ["10-large"]
    assert (target / "10-large").read_bytes() == (source / "10-large").read_bytes()
    assert len([name for name in seen if "tar" in name]) < 0.5 * len(packs(device))


def test_a_link_brings_the_content_of_a_file_that_was_not_named(
    source: Path, device: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files_read(monkeypatch) as seen:
        assert restore(device, target, "--path", "19/link", "--path", "19/00").code == 0
    assert tree_of(target) == ["19", "19/00", "19/link"]
    assert (target / "19/link").read_bytes() == (source / "01/05").read_bytes()
    assert len([name for name in seen if "tar" in name]) <= 3


def test_a_filter_narrows_what_was_named(device: Path, target: Path) -> None:
    assert restore(device, target, "--path", "05", "--include", "*1").code == 0
    assert tree_of(target) == ["05", "05/01", "05/11"]


def test_a_path_that_no_device_has_is_told(device: Path, target: Path) -> None:
    done = restore(device, target, "--path", "05/00", "--path", "5/00", "--path", "05/0")
    assert (done.code, failures(done)) == (
        3,
        {"5/00": "no device has it", "05/0": "no device has it"},
    )
    assert tree_of(target) == ["05", "05/00"]
    assert restore(device, target, "--path", "/").code == 2


def test_a_segment_that_is_needed_is_held_against_the_seal(
    device: Path, target: Path, tmp_path: Path
) -> None:
    """One that is whole in itself, and another than was sealed."""
    changed = tmp_path / "device"
    shutil.copytree(device, changed)
    last = sorted((changed / "segments").iterdir())[-1]
    with last.open("rb") as file:
        header, *blocks = read_records(file)
    assert isinstance(header, Header)
    lines = [
        encode_line(replace(record, mtime_ns=7) if isinstance(record, File) else record)
        for block in blocks
        for record in block  # type: ignore[union-attr]
    ]
    last.write_bytes(encode_segment(header, lines, len(lines)))
    assert restore(changed, target, "--path", "00/01").code == 0
    done = restore(changed, target, "--path", "19/19")
    assert done.code == 4
    assert "segment-altered" in str(done.document["findings"])
    assert "19/19" not in tree_of(target)
