"""What was copied comes back, entry by entry: as the source has it, and as recover.sh and tar restore it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.golden.build import OWNER, small
from tests.jobs.copy.copying import CHUNK, copy, packs, prepared, recover, run, unlike
from tests.jobs.encrypted import age_key, make_encrypted
from tests.jobs.restore.restoring import failures, made_device, restore, tree_of
from tests.jobs.shipment import write_profile
from tests.simulators.trees import large_file, nasty_tree
from transfer.device.manifest import open_regular


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("nasty") / "source"
    source.mkdir()
    nasty_tree(os.fsencode(source), chunk_size_bytes=CHUNK)
    return source


@pytest.fixture(scope="module")
def nasty_device(nasty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    device = prepared(tmp_path_factory.mktemp("device") / "device")
    assert copy(nasty, device, "--xattrs").code == 0
    assert run("seal", device).code == 0
    return device


@pytest.fixture
def target(tmp_path: Path) -> Path:
    place = tmp_path / "target"
    place.mkdir()
    return place


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packs that were opened, in order."""
    names: list[str] = []

    def note(path: str) -> BinaryIO:
        names.append(os.path.basename(path))
        return open_regular(path)

    monkeypatch.setattr("transfer.jobs.restore.packs.open_regular", note)
    return names


def test_a_nasty_tree_comes_back_as_it_was(nasty: Path, nasty_device: Path, target: Path) -> None:
    done = restore(nasty_device, target)
    assert (done.code, failures(done), done.document["notes"]) == (0, {}, [])
    assert unlike(nasty, target, xattrs=True) == []
    assert len(packs(nasty_device)) > 2


def test_holes_stay_holes_and_other_files_get_their_room(
    nasty: Path, nasty_device: Path, target: Path, tmp_path: Path
) -> None:
    assert restore(nasty_device, target, "--include", "/sparse/**").code == 0
    assert (target / "sparse/hole of 64 MiB").stat().st_blocks * 512 < 1 << 20
    source, device, full = tmp_path / "source", prepared(tmp_path / "device"), tmp_path / "full"
    source.mkdir()
    full.mkdir()
    (source / "zeros").write_bytes(bytes(5 * CHUNK))
    assert copy(source, device).code == 0
    assert restore(device, full, "--incomplete").code == 0
    assert (full / "zeros").stat().st_blocks * 512 >= 5 * CHUNK


def test_again_costs_nothing_and_changes_nothing(
    nasty: Path, nasty_device: Path, target: Path, opened: list[str]
) -> None:
    first = restore(nasty_device, target).document
    inodes = {path: os.lstat(target / path).st_ino for path in tree_of(target) if len(path) < 3000}
    assert opened == packs(nasty_device)
    opened.clear()
    again = restore(nasty_device, target)
    assert (again.code, failures(again), again.document["bytes"], opened) == (0, {}, 0, [])
    assert again.document["already"] > 0.5 * first["entries"]
    assert inodes == {path: os.lstat(target / path).st_ino for path in inodes}
    assert unlike(nasty, target, xattrs=True) == []


def test_an_encrypted_device_comes_back_the_same(nasty: Path, tmp_path: Path, target: Path) -> None:
    key = age_key(tmp_path)
    device = make_encrypted(tmp_path / "device", nasty, write_profile(tmp_path / "p.toml"), key)
    assert restore(device, target).code == 12
    assert tree_of(target) == []
    assert restore(device, target, "--identity", os.fspath(key.path)).code == 0
    assert unlike(nasty, target, xattrs=True) == []


def test_several_runs_give_the_newest_of_everything(tmp_path: Path, target: Path) -> None:
    source, device = tmp_path / "source", prepared(tmp_path / "device")
    source.mkdir()
    for name in ("file to folder", "file to link", "changes", "stays"):
        (source / name).write_bytes(b"first " + name.encode())
    os.link(source / "stays", source / "stays too")
    for name in ("folder to file", "folder to link"):
        (source / name / "deep").mkdir(parents=True)
        (source / name / "deep/inside").write_bytes(b"inside")
    large_file(os.fsencode(source / "large"), 20 * CHUNK + 7, seed=1)
    assert copy(source, device).code == 0
    for name in ("folder to file", "folder to link"):
        shutil.rmtree(source / name)
    for name in ("file to folder", "file to link"):
        (source / name).unlink()
    (source / "file to folder/new").mkdir(parents=True)
    (source / "file to folder/new/file").write_bytes(b"new")
    (source / "folder to file").write_bytes(b"a file by now")
    (source / "file to link").symlink_to("changes")
    (source / "folder to link").symlink_to("/etc")
    (source / "changes").write_bytes(b"second, and longer")
    large_file(os.fsencode(source / "large"), 30 * CHUNK + 7, seed=2)
    assert copy(source, device).code == 0
    assert run("seal", device).code == 0
    done = restore(device, target)
    assert (done.code, failures(done)) == (0, {})
    assert unlike(source, target) == []


def test_the_device_s_own_script_restores_the_same(nasty: Path, nasty_device: Path, target: Path) -> None:
    assert restore(nasty_device, target).code == 0
    code, said = recover(nasty_device, target.parent / "by tar")
    assert code == 0, said
    assert unlike(target.parent / "by tar", target) == []


def test_a_link_whose_file_is_filtered_out_has_the_content(nasty_device: Path, target: Path) -> None:
    done = restore(nasty_device, target, "--include", "/links/other/hard 3", "--include", "/links/hard 2")
    assert (done.code, failures(done)) == (0, {})
    assert tree_of(target) == ["links", "links/hard 2", "links/other", "links/other/hard 3"]
    assert (target / "links/hard 2").read_bytes() == b"one file, three names"
    assert (target / "links/hard 2").samefile(target / "links/other/hard 3")


def test_packs_without_anything_wanted_are_not_opened(
    tmp_path: Path, target: Path, opened: list[str]
) -> None:
    source, device = tmp_path / "source", prepared(tmp_path / "device")
    source.mkdir()
    for number in range(20):
        (source / f"{number:02}").write_bytes(os.urandom(CHUNK - 512))
    large_file(os.fsencode(source / "large"), 20 * CHUNK, seed=1)
    assert copy(source, device).code == 0
    assert run("seal", device).code == 0
    done = restore(device, target, "--include", "/00")
    assert (done.code, tree_of(target), opened) == (0, ["00"], packs(device)[:1])
    opened.clear()
    assert restore(device, target, "--include", "/large").code == 0
    assert 0 < len(opened) < len(packs(device))
    assert packs(device)[0] not in opened


def test_who_is_not_root_lends_nobody_his_rights(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = target.parent / "device"
    data = small(b"a", b"x", mode=0o6755)
    made_device(inside, lambda run: run.batch(data, small(b"b", b"y", mode=0o600)))
    me = os.getuid()
    if me == 0:
        assert restore(inside, target).code == 0
        status = (target / "a").stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o6755, OWNER["uid"], OWNER["gid"])
        (target / "a").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    done = restore(inside, target)
    status = (target / "a").stat()
    assert (status.st_mode & 0o7777, status.st_uid) == (0o755, me)
    assert done.code == 3
    assert [note["path"] for note in done.document["notes"]] == ["a"]
    assert "set-user-id" in done.document["notes"][0]["error"]


def test_a_dry_run_says_the_same_and_writes_nothing(nasty_device: Path, target: Path) -> None:
    told = restore(nasty_device, target, "--dry-run")
    assert (told.code, tree_of(target)) == (0, [])
    done = restore(nasty_device, target)
    assert (told.document["entries"], told.document["refusals"]) == (done.document["entries"], 0)
    assert restore(nasty_device, target, "--dry-run").document["bytes"] == 0
