"""The encrypted golden device: written as it is in the repository, and readable for ever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.golden.encrypted import DEVICE, IDENTITY, write_encrypted
from tests.golden.make import ENCRYPTED, GOLDEN, ZSTD_VERSION
from tests.simulators.compare import differences
from tests.tools import require_tool
from transfer.cli.app import run


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """As its owner keeps it."""
    path = tmp_path / "identity"
    shutil.copy(ENCRYPTED / IDENTITY, path)
    path.chmod(0o600)
    return path


def test_it_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_encrypted(tmp_path)
    made = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    kept = {str(p.relative_to(ENCRYPTED)): p.read_bytes() for p in ENCRYPTED.rglob("*") if p.is_file()}
    assert made.keys() == kept.keys(), "run `make golden`"
    with_frames = not (GOLDEN / "README.md").read_text().count(f"zstd {ZSTD_VERSION}")
    differing = [name for name in made if made[name] != kept[name]]
    # Another encoder may choose other bytes for the same content: what holds no frame stays the same.
    framed = (f"{DEVICE}/packs/", f"{DEVICE}/segments/", f"{DEVICE}/SEAL.json")
    assert [name for name in differing if not (with_frames and name.startswith(framed))] == [], (
        "run `make golden`"
    )


@pytest.mark.parametrize("options", [(), ("--identity",), ("--identity", "--deep")])
def test_it_is_valid(options: tuple[str, ...], identity: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [
        word
        for option in options
        for word in ([option, str(identity)] if option == "--identity" else [option])
    ]
    assert run(["verify", str(ENCRYPTED / DEVICE), "--json", "--no-progress", *told]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["packs"], document["is_locked"]) == (True, 4, not options)


def test_it_lists_what_the_good_one_lists(identity: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ls", str(GOLDEN / "good"), "--json"]) == 0
    expected = capsys.readouterr().out
    assert run(["ls", str(ENCRYPTED / DEVICE), "--json", "--identity", str(identity)]) == 0
    assert capsys.readouterr().out == expected


def test_stock_tools_restore_what_they_restore_of_the_good_one(tmp_path: Path, identity: Path) -> None:
    trees = []
    for device, options in ((GOLDEN / "good", []), (ENCRYPTED / DEVICE, ["--identity", identity])):
        to = tmp_path / f"to {device.name}"
        to.mkdir()
        command = [require_tool("dash"), device / "recover.sh", *options, to]
        subprocess.run(command, check=True, capture_output=True)
        trees.append(os.fsencode(to))
    assert differences(*trees, xattrs=True) == []
    assert len(list((tmp_path / "to device").rglob("*"))) > 10
