"""`transfer manifest --format b3sum`, read by the real b3sum over what was restored."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.make import GOLDEN
from tests.jobs.encrypted import age_key, make_encrypted
from tests.jobs.shipment import copy_to, make_device, transfer, write_profile
from tests.tools import require_tool
from transfer.core.records import DeleteMarker, ObjectFacts
from transfer.device.path_table import PathTable
from transfer.formats.b3sum_list import b3sum_line, b3sum_problem
from transfer.jobs.comparing.originals import Content
from transfer.jobs.lists.files import b3sum_list
from transfer.jobs.lists.options import Listed
from transfer.jobs.lists.view import Item

SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
NAMES = [
    *(
        "plain",
        "with space",
        " leading",
        "trailing ",
        "new\nline",
        "\n",
        "back\\slash",
        "\\n",
        "\\",
        "both\\\n",
    ),
    *(
        "cr\rmid",
        "cr\r",
        "\t",
        "-dash",
        "*star",
        "two  blanks",
        "ünïcödé",
        "e\u0301",
        "x\u2028y",
        "\x01",
        "#",
    ),
]


def check(listed: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What b3sum says of a list, in a folder."""
    return subprocess.run(
        [require_tool("b3sum"), "--check", os.path.abspath(listed)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def make_source(folder: Path) -> Path:
    for name in NAMES:
        (folder / "names" / name).mkdir(parents=True)
        (folder / "names" / name / name).write_bytes(name.encode())
    (folder / "large").write_bytes(os.urandom(700_000))
    os.link(folder / "large", folder / "linked")
    os.symlink("large", folder / "symlink")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    return folder


def test_the_real_b3sum_accepts_what_was_restored(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source")
    device = make_device(tmp_path / "device", source, write_profile(tmp_path / "p.toml", **SIZES), seal=False)
    (source / "empty").write_bytes(b"no more")
    copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0
    listed, restored = tmp_path / "LIST", tmp_path / "restored"
    ended = transfer("manifest", device, "--format", "b3sum", "--output", listed)
    assert (ended.code, ended.stderr.count("warning")) == (0, 0), ended.stderr
    restored.mkdir()
    assert transfer("restore", device, restored, "-q").code == 0
    done = check(listed, restored)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": OK") == len(NAMES) + 3
    own = subprocess.run(
        [require_tool("b3sum"), "--", *sorted(path for path in _files(restored))],
        cwd=restored,
        capture_output=True,
        check=True,
    )
    assert sorted(own.stdout.splitlines()) == sorted(listed.read_bytes().splitlines())
    (restored / "linked").write_bytes(b"changed")
    assert check(listed, restored).returncode == 1


def _files(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [os.fspath(path.relative_to(folder)) for path in found]


def test_what_b3sum_cannot_check_is_named(tmp_path: Path) -> None:
    ended = transfer("manifest", GOLDEN / "good", "--format", "b3sum", "-o", tmp_path / "LIST", "--json")
    assert ended.code == 3
    document = ended.document
    assert (document["lines"], document["left_out"], document["not_on_device"]) == (7, 1, 2)
    assert document["left_out_first"][0]["path_base64"] == "//4udHh0"
    assert len((tmp_path / "LIST").read_bytes().splitlines()) == 7
    assert b3sum_problem(b"a\xef\xbf\xbdb")
    assert not b3sum_problem("ü\n".encode())


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=20))
def test_a_line_is_a_line_and_spells_one_path(path: bytes) -> None:
    if b3sum_problem(path):
        return
    line = b3sum_line("0" * 64, path)
    assert line.count(b"\n") == 1
    escaped, _, told = line[:-1].partition(b"  ")
    if escaped.startswith(b"\\"):
        told = (
            told.replace(b"\\\\", b"\0").replace(b"\\n", b"\n").replace(b"\0", b"\\")
            if b"\0" not in path
            else path
        )
    assert told == path


def test_an_encrypted_device(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source")
    key = age_key(tmp_path)
    device = make_encrypted(tmp_path / "device", source, write_profile(tmp_path / "p.toml", **SIZES), key)
    locked = transfer("manifest", device, "--format", "b3sum", "-o", tmp_path / "LIST")
    assert (locked.code, (tmp_path / "LIST").exists()) == (12, False)
    opened = transfer("manifest", device, "--format", "b3sum", "-o", tmp_path / "LIST", "-i", key.path)
    assert opened.code == 0
    assert check(tmp_path / "LIST", source).returncode == 0


def test_objects_are_checked_under_the_names_that_a_restore_gives_them() -> None:
    def item(key: str, size: int, *, latest: bool = True, content: bool = True) -> Item:
        digest = f"{size:064x}"
        found = Content(size, digest, "0" * 16, "0" * 8) if content else None
        return Item(key.encode(), found, facts=ObjectFacts(), is_latest=latest)

    items = [
        item("a", 1),
        item("a/b", 2),
        item("a//c", 3),
        item("d/", 0),
        item("d/e", 4, latest=False),
        item("d/e", 5),
        Item(b"gone", None, marker=DeleteMarker(path="gone", version_id="v")),
        item("lost", 6, content=False),
    ]
    listed = Listed("b3sum")
    with PathTable() as table:
        lines = list(b3sum_list(iter(sorted(items, key=lambda one: one.path)), listed, table))
    told = sorted((line[66:-1].decode(), int(line[:64], 16)) for line in lines)
    assert told == [("a", 1), ("a%~1/%/c", 3), ("a%~1/b", 2), ("d/e", 5)]
    assert [one.path for one in listed.left_out_first] == ["lost"]
