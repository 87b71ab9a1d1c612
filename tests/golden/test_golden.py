"""The golden devices: written as they are in the repository, and found out exactly as their README says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.golden.build import LARGE, LONG_NAME, MTIME_NS, content
from tests.golden.damage import Damage
from tests.golden.make import DAMAGES, GOLDEN, SIGNERS, ZSTD_VERSION, write_golden
from tests.golden.signatures import signatures
from tests.tools import require_tool
from transfer.cli.app import run
from transfer.jobs.verify.findings import CODES

BY_NAME = {damage.name: damage for damage in DAMAGES}
MIB = 1 << 20


def findings(device: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and document of `transfer verify --json`."""
    code = run(["verify", str(device), "--json", "--no-progress", *options])
    shown = capsys.readouterr()
    assert shown.err == ""
    return code, json.loads(shown.out)


def test_the_devices_are_written_byte_for_byte(tmp_path: Path) -> None:
    write_golden(tmp_path)
    made = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    kept = {str(p.relative_to(GOLDEN)): p.read_bytes() for p in GOLDEN.rglob("*") if p.is_file()}
    assert made.keys() == kept.keys(), "run `make golden`"
    written_with = re.search(r"zstd (\d+\.\d+\.\d+)", (GOLDEN / "README.md").read_text())
    assert written_with is not None
    if written_with[1] == ZSTD_VERSION:
        assert [name for name in made if made[name] != kept[name]] == [], "run `make golden`"
    else:  # another encoder may choose other bytes for the same content: what is in no frame stays the same
        fixed = [name for name in made if name.endswith(("DEVICE.json", "RECOVERY.txt", "recover.sh"))]
        assert [name for name in fixed if made[name] != kept[name]] == [], "run `make golden`"


def test_they_are_small_and_all_there() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {"README.md", SIGNERS, "good", *BY_NAME}
    assert len(BY_NAME) == len(DAMAGES)
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 3 * MIB


@pytest.mark.parametrize("options", [(), ("--deep",)])
def test_the_good_device_is_valid(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, document = findings(GOLDEN / "good", capsys, *options)
    assert (code, document["valid"], document["findings"]) == (0, True, [])
    assert (document["packs"], document["segments"], document["is_deep"]) == (4, 4, bool(options))


def test_stock_tools_restore_the_good_device(tmp_path: Path) -> None:
    """FORMAT.md §2: cat, zstd and tar alone."""
    packs = b"".join(path.read_bytes() for path in sorted((GOLDEN / "good/packs").iterdir()))
    opened = subprocess.run([require_tool("zstd"), "-dqc"], input=packs, capture_output=True, check=True)
    command = [require_tool("tar"), "-xi", "--no-same-owner", "-C", tmp_path]
    subprocess.run(command, input=opened.stdout, capture_output=True, check=True)
    root = os.fsencode(tmp_path)
    found = {path: (tmp_path / os.fsdecode(path)).read_bytes() for path in _files(root)}
    assert found == {
        b"a.txt": b"two\n",
        b"big.bin": LARGE.data,
        b"dir/empty": b"a file by now\n",
        b"dir/empty.txt": b"",
        b"dir/hard": b"one\n",
        LONG_NAME: content("long", 700),
        b"xattrs.txt": b"x" * 512,
        b"\xff\xfe.txt": b"not UTF-8\n",
    }
    assert os.readlink(tmp_path / "dir/link") == "../a.txt"
    assert os.lstat(tmp_path / "big.bin").st_mtime_ns == MTIME_NS


def _files(root: bytes) -> set[bytes]:
    paths = {os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names}
    return {os.path.relpath(path, root) for path in paths if not os.path.islink(path)}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_damage_is_found_and_nothing_else(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    damage = BY_NAME[name]
    signers = ("--signers", str(GOLDEN / SIGNERS)) if damage in signatures.damages else ()
    for expected, options in ((damage.fast, ()), (damage.deep, ("--deep",))):
        code, document = findings(GOLDEN / name, capsys, *options, *signers)
        assert {finding["code"] for finding in document["findings"]} == expected
        assert (code, document["valid"]) == ((4, False) if expected else (0, True))


def test_the_deep_look_finds_every_damage() -> None:
    assert [damage.name for damage in DAMAGES if not damage.deep] == []
    assert [damage.name for damage in DAMAGES if not damage.fast <= damage.deep] == []
    assert {code for damage in DAMAGES for code in damage.deep} == CODES.keys() - {"unreadable"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_info_and_ls_end_well_on_all(damage: Damage, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["info"], ["info", "--json"], ["ls", "-l"], ["ls", "--json"], ["ls", "--problems"]):
        code = run([command[0], str(GOLDEN / damage.name), *command[1:]])
        shown = capsys.readouterr()
        assert code in (0, 4)
        assert "internal error" not in shown.err
        assert shown.err.startswith("error: ") == (code == 4)
        if "--json" in command:
            documents = [json.loads(line) for line in shown.out.splitlines()]
            assert ("error" in documents[-1]) == (code == 4)


_GREEDY = """
import contextlib, io, resource, sys
from tests.tools import require_tool
from transfer.cli.app import run
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def look(device):
    for command in (["verify", "--deep"], ["ls"]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run([*command, str(device), "--json"])
root, good, *others = sys.argv[1:]
look(root + "/" + good)
before = peak()
for name in others:
    look(root + "/" + name)
print(peak() - before)
"""


def test_none_of_them_uses_much_memory() -> None:
    """Some claim a gigabyte, or inflate to 64 MiB."""
    greedy = [name for name in BY_NAME if re.search("claim|inflate|states|line", name)]
    assert len(greedy) > 6
    command = [sys.executable, "-c", _GREEDY, str(GOLDEN), "good", *greedy]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 24
