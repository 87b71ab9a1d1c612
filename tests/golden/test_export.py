"""The golden device that was filled from a bucket: written as in the repository, and readable for ever."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.golden.export import DEVICE, write_export
from tests.golden.make import EXPORT, GOLDEN, ZSTD_VERSION
from tests.tools import require_tool
from transfer.cli.app import run


def test_it_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_export(tmp_path)
    made = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    kept = {str(p.relative_to(EXPORT)): p.read_bytes() for p in EXPORT.rglob("*") if p.is_file()}
    assert made.keys() == kept.keys(), "run `make golden`"
    differing = [name for name in made if made[name] != kept[name]]
    # Another encoder may choose other bytes for the same content: what holds no frame stays the same.
    with_frames = not (GOLDEN / "README.md").read_text().count(f"zstd {ZSTD_VERSION}")
    framed = (f"{DEVICE}/packs/", f"{DEVICE}/segments/", f"{DEVICE}/SEAL.json")
    assert [name for name in differing if not (with_frames and name.startswith(framed))] == []


@pytest.mark.parametrize("options", [(), ("--deep",)])
def test_it_is_valid(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(EXPORT / DEVICE), "--json", "--no-progress", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["packs"]) == (True, 2)


def test_stock_tools_restore_the_newest_of_each_key(tmp_path: Path) -> None:
    command = [require_tool("dash"), EXPORT / DEVICE / "recover.sh", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"%/first", "a", "a%~1/%/d", "a%~1/b", "a%~1/c/%", "big.bin", "kept"}
    assert (tmp_path / "kept").read_text() == "four"
    assert os.path.getsize(tmp_path / "big.bin") == 131_077
