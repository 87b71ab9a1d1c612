"""Every golden device is checked: of a damaged one nothing is claimed, and it is told what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.copy.copying import restore, run

GOLDEN = Path(__file__).parents[3] / "manifests/golden"
DEVICES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the good one holds, by tar."""
    return restore(GOLDEN / "good", tmp_path_factory.mktemp("good") / "restored")


def test_the_good_one(folder: Path) -> None:
    told = run("check", GOLDEN / "good", folder, "-q")
    assert (told.code, told.document["same"]) == (0, told.document["entries"])


WRONG = (
    "device-", "missing-", "path-", "record-of-", "record-with", "run-goes-", "script-", "seal-", "segment-",
    "flipped-byte-in-segment",
    "signature-", "size-is-", "swapped-seg",
)  # fmt: skip
NOT_WHOLE = ("segment-", "missing-segment", "swapped-segments", "flipped-byte-in-segment")
UNSEEN = {"seal-with-wrong-totals"}  # it says nothing about entries


@pytest.mark.parametrize("name", DEVICES)
def test_each(name: str, folder: Path) -> None:
    """Packs are not read: what is wrong in them alone is verify's business."""
    told = run("check", GOLDEN / name, folder, "-q")
    assert "internal error" not in told.stderr
    if name.startswith(WRONG) and name not in UNSEEN:
        assert told.code == 4, told.stderr
        assert "error" in told.document or not name.startswith(NOT_WHOLE)
    else:
        assert told.code in (0, 3, 4)
    if name == "interrupted-and-not-sealed":
        assert "not sealed" in told.stderr
        assert "did not end" in told.stderr


def test_a_digest_that_is_not_that_of_the_file(folder: Path) -> None:
    told = run("check", GOLDEN / "file-digest-wrong", folder, "-q")
    assert (told.code, told.document["different"]) == (3, 1)
