"""Every golden device is imported: the good one whole, of the others nothing that it does not hold."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from blake3 import blake3

from tests.jobs.memory_import import LIMITS, OPTIONS, import_to_memory
from transfer.jobs.import_.options import Symlinks
from transfer.stores.memory import MemoryStore

pytestmark = pytest.mark.usefixtures("no_loose_ends")
GOLDEN = Path(__file__).parents[2] / "manifests/golden"
DEVICES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
SPLIT = replace(OPTIONS, symlinks=Symlinks.RCLONE)


def _digests() -> dict[str, set[str]]:
    """Key to the digests that records of the good device give it; read without the product's code."""
    told: dict[str, set[str]] = {}
    for segment in sorted((GOLDEN / "good/segments").iterdir()):
        reader = zstandard.ZstdDecompressor().stream_reader(segment.read_bytes(), read_across_frames=True)
        for record in map(json.loads, io.TextIOWrapper(reader, "utf-8")):
            path = record.get("path", "")
            match record["kind"]:
                case "file":
                    told.setdefault(path, set()).add(record["blake3"])
                case "hardlink":
                    told.setdefault(path, set()).update(told[record["target"]])
                case "symlink":
                    told[path + ".rclonelink"] = {blake3(record["target"].encode()).hexdigest()}
                case "directory":
                    told[path] = {blake3(b"").hexdigest()}
    return told


TOLD = _digests()


async def test_the_good_one_comes_whole() -> None:
    imported = await import_to_memory(GOLDEN / "good", SPLIT)
    assert (imported.error, imported.codes, imported.uploads) == (None, set(), [])
    assert imported.outcome.integrity_failures == 0
    assert not any("hard link" in reason for reason in imported.failed.values())
    assert len(imported.objects) >= 6
    assert any(reason.startswith("not on the device") for reason in imported.failed.values())
    assert any("not UTF-8" in reason for reason in imported.failed.values())


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("incomplete", [False, True], ids=["", "incomplete"])
async def test_nothing_wrong_comes_in(name: str, incomplete: bool) -> None:
    store = MemoryStore(limits=LIMITS)
    imported = await import_to_memory(GOLDEN / name, replace(SPLIT, incomplete=incomplete), store)
    found = {key: blake3(content).hexdigest() for key, content in imported.objects.items()}
    wrong = {key for key, digest in found.items() if digest not in TOLD.get(key, ())}
    assert wrong == set()
    assert imported.uploads == []
    assert imported.outcome.objects == len(imported.objects)


# Import does not look where nothing depends on it. It takes content by its records, not by the headers of the
# tar stream; of a large file it checks each chunk and how their CRCs combine, not the digest of the whole.
NOT_SEEN = {
    "end-of-archive-not-zero",
    "file-digest-wrong",
    "header-frame-with-a-member-more",
    "member-that-no-record-tells",
    "padding-not-zero",
    "padding-not-zero-in-a-batch",
    "seal-with-wrong-totals",
    "seek-table-lies",
    # Of signatures, what only those notice who say whose count.
    "signed-by-a-stranger",
    "signed-with-an-expired-key",
    "tar-header-differs",
    "unsigned",
}


@pytest.mark.parametrize("name", [name for name in DEVICES if name != "good"])
async def test_damage_is_told(name: str) -> None:
    imported = await import_to_memory(GOLDEN / name, SPLIT)
    code = imported.error.exit_code if imported.error else 4 if imported.outcome.integrity_failures else 0
    assert (code in (4, 10)) is (name not in NOT_SEEN), (imported.failed, imported.codes)
