"""Every golden device is restored: what comes is what the good one holds, nothing leaves the directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from tests.golden.build import CHANGING, LARGE, LONG_NAME, content
from tests.jobs.restore.restoring import nothing_outside, restore

GOLDEN = Path(__file__).parents[3] / "manifests/golden"
DEVICES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
CONTENTS = {
    "big.bin": {LARGE.data},
    "a.txt": {b"one\n", b"two\n"},
    "dir/empty.txt": {b""},
    "dir/empty": {b"a file by now\n"},
    "dir/hard": {b"one\n"},
    LONG_NAME.decode(): {content("long", 700)},
    "xattrs.txt": {b"x" * 512},
    "\udcff\udcfe.txt": {b"not UTF-8\n"},
}

# Restore takes content by the BLAKE3 of its records and reads no more than these: what concerns nothing that
# they say, or signatures where nobody said whose count, is for verify to find.
NOT_SEEN = {
    "end-of-archive-not-zero",
    "flipped-byte-in-seek-table",
    "header-frame-with-a-member-more",
    "member-that-no-record-tells",
    "padding-not-zero",
    "padding-not-zero-in-a-batch",
    "seal-with-wrong-totals",
    "seek-table-lies",
    "signed-by-a-stranger",
    "signed-with-an-expired-key",
    "tar-header-differs",
    "unsigned",
    "wrong-crc-with-right-blake3",
}


def test_the_good_one_comes_whole(tmp_path: Path) -> None:
    with nothing_outside(tmp_path / "place") as target:
        done = restore(GOLDEN / "good", target)
        assert (done.code, done.document["findings"], done.document["damaged"]) == (3, [], 0)
        reasons = {failure["path"]: failure["error"] for failure in done.document["failures"]}
        assert reasons.keys() == {"fifo", "secret.txt"}
        found = {name for name in CONTENTS if (target / name).is_file()}
        assert found == CONTENTS.keys()
        assert (target / "a.txt").read_bytes() == b"two\n"
        assert CHANGING.data != (target / "big.bin").read_bytes() == LARGE.data
        again = restore(GOLDEN / "good", target)
        assert (again.code, again.document["bytes"], again.document["failed"]) == (3, 0, 2)


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize(
    "options", [[], ["--incomplete", "--if-exists", "overwrite"]], ids=["", "incomplete"]
)
def test_nothing_wrong_comes_in(name: str, options: list[str], tmp_path: Path) -> None:
    with nothing_outside(tmp_path / "place") as target:
        done = restore(GOLDEN / name, target, *options)
        assert done.code in (3, 4, 10), done.stderr
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        for path in target.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert blake3(path.read_bytes()).digest() in {
                    blake3(good).digest() for good in CONTENTS.get(str(path.relative_to(target)), ())
                }, path


@pytest.mark.parametrize("name", [name for name in DEVICES if name != "good"])
def test_damage_is_told(name: str, tmp_path: Path) -> None:
    with nothing_outside(tmp_path / "place") as target:
        assert (restore(GOLDEN / name, target).code in (4, 10)) is (name not in NOT_SEEN)


def test_whose_signature_counts_can_be_said(tmp_path: Path) -> None:
    signers = ["--signers", str(GOLDEN / "allowed_signers")]
    with nothing_outside(tmp_path / "place") as target:
        for name in ("unsigned", "signed-by-a-stranger", "signature-with-flipped-bit"):
            assert restore(GOLDEN / name, target, *signers).code == 4
        assert list(target.iterdir()) == []
