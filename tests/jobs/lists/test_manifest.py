"""`transfer manifest`: what it refuses, and that a list is whole or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.golden.make import GOLDEN
from tests.jobs.shipment import transfer
from transfer.errors import TransferError, UsageError
from transfer.jobs.lists.output import NewFile


@pytest.mark.parametrize("form", ["b3sum", "bom", "s3-inventory"])
@pytest.mark.parametrize("damage", ["flipped-byte-in-segment", "seal-of-another-device", "path-climbs-out"])
def test_nothing_is_written_of_a_manifest_that_is_not_whole(tmp_path: Path, form: str, damage: str) -> None:
    output = tmp_path / "output"
    options = ["--bucket", "s3://b-b"] if form == "s3-inventory" else []
    ended = transfer("manifest", GOLDEN / damage, "--format", form, "--output", output, *options)
    assert ended.code == 4, ended.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_damage_that_the_list_has_nothing_of_is_told(tmp_path: Path) -> None:
    ended = transfer("manifest", GOLDEN / "missing-pack", "--format", "bom", "-o", tmp_path / "bom", "--json")
    assert (ended.code, [one["code"] for one in ended.document["defects"]]) == (0, ["pack-missing"])
    assert "its manifest is whole" in ended.stderr


def test_a_device_that_is_not_sealed(tmp_path: Path) -> None:
    device = tmp_path / "device"
    shutil.copytree(GOLDEN / "good", device)
    (device / "SEAL.json").unlink()
    command = ("manifest", device, "--format", "b3sum", "--output", tmp_path / "LIST")
    assert transfer(*command).code == 10
    assert transfer(*command, "--incomplete").code == 3


def test_a_list_on_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from transfer.cli.app import run

    assert run(["manifest", str(GOLDEN / "good"), "--format", "b3sum", "-q"]) == 3
    shown = capfdbinary.readouterr().out
    assert [line[66:] for line in shown.splitlines()][:2] == [b"a.txt", b"big.bin"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--format", "md5"], "--format"),
        (["--format", "b3sum", "--json"], "--output"),
        (["--format", "b3sum", "--bucket", "s3://b-b"], "--bucket"),
        (["--format", "s3-inventory", "--bucket", "s3://b-b"], "--output"),
        (["--format", "b3sum", "--output", "."], "--overwrite"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, list) else "",
)
def test_options_that_make_no_sense(options: list[str], word: str) -> None:
    ended = transfer("manifest", GOLDEN / "good", *options)
    assert (ended.code, word in ended.stderr) == (2, True), ended.stderr


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    with pytest.raises(RuntimeError), NewFile(path) as file:
        file.write(b"x" * 1_000_000)
        assert [name.name for name in tmp_path.iterdir()] == ["file.partial"]
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with NewFile(path) as file:
        file.write(b"new")
        file.finish()
    assert [(name.name, name.read_bytes()) for name in tmp_path.iterdir()] == [("file", b"new")]


@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "over"])
def test_a_name_comes_after_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    steps = []

    def watched(name: str) -> None:
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *told: (steps.append(name), real(*told))[1])

    for name in ("fsync", "link", "rename"):
        watched(name)
    with NewFile(str(tmp_path / "file"), overwrite=overwrite) as file:
        file.write(b"new")
        file.finish()
    assert steps == ["fsync", "rename" if overwrite else "link", "fsync"]


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(UsageError, match="already"), NewFile(str(path)) as file:
        path.write_bytes(b"somebody else's")
        file.finish()
    assert [(name.name, name.read_bytes()) for name in tmp_path.iterdir()] == [("file", b"somebody else's")]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    with NewFile(str(tmp_path / "file")) as file:
        file.write(b"new")
        file.finish()
    assert (tmp_path / "file").read_bytes() == b"new"
    with pytest.raises(UsageError), NewFile(str(tmp_path / "other")) as file:
        (tmp_path / "other").touch()
        file.finish()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="cannot be written"), NewFile(str(tmp_path / "none/file")):
        pass
