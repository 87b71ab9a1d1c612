"""What is taken for a device that came whole, and what is not; by whoever it was laid there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.memory_import import OPTIONS
from tests.jobs.shipment import make_device, transfer
from transfer.service.ingest.arrivals import Refused, Whole, look

Change = Callable[[Path], object]


@pytest.fixture
def device(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "device"))


def state_of(root: Path) -> dict[str, tuple[int, int, int]]:
    """All that looking could change."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in [root, *root.rglob("*")]
    }


def test_a_whole_device_is_taken_and_left_as_it_is(device: Path) -> None:
    before = state_of(device)
    found = look(str(device), OPTIONS)
    assert isinstance(found, Whole)
    assert found.size_bytes == 760_000
    assert state_of(device) == before


def test_a_bit_that_flipped_is_for_the_import_to_find(device: Path) -> None:
    for name in ("packs/00000000.tar.zst", "segments/00000001.jsonl.zst", "recover.sh"):
        content = bytearray((device / name).read_bytes())
        content[len(content) // 2] ^= 1
        (device / name).write_bytes(content)
    assert isinstance(look(str(device), OPTIONS), Whole)


def fifo(name: str) -> Change:
    def make(device: Path) -> None:
        (device / name).unlink()
        os.mkfifo(device / name)

    return make


def shorten(name: str, count: int = 1) -> Change:
    return lambda device: os.truncate(device / name, (device / name).stat().st_size - count)


def lengthen(name: str) -> Change:
    return lambda device: (device / name).write_bytes((device / name).read_bytes() + b"x")


def link(name: str) -> Change:
    def make(device: Path) -> None:
        elsewhere = device.parent / "elsewhere"
        (device / name).rename(elsewhere)
        (device / name).symlink_to(elsewhere)

    return make


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda device: (device / "DEVICE.json").unlink(), "it is no device: it has no DEVICE.json"),
        (lambda device: (device / "SEAL.json").unlink(), "it is not sealed"),
        (fifo("DEVICE.json"), "DEVICE.json is not a regular file"),
        (link("DEVICE.json"), "DEVICE.json is not a regular file"),
        (lambda device: os.truncate(device / "DEVICE.json", 2**40), "DEVICE.json is larger than"),
        (lambda device: (device / "DEVICE.json").write_text("[]"), "it cannot be trusted: DEVICE.json: "),
        (fifo("SEAL.json"), "SEAL.json is not a regular file"),
        (shorten("SEAL.json", 9), "it cannot be trusted: SEAL.json: "),
        (
            lambda device: (device / "packs/00000001.tar.zst").unlink(),
            "it is not whole: packs/00000001.tar.zst is missing",
        ),
        (lambda device: (device / "segments/00000002.jsonl.zst").unlink(), "jsonl.zst is missing"),
        (lambda device: (device / "RECOVERY.txt").unlink(), "it is not whole: RECOVERY.txt is missing"),
        (
            lambda device: shutil.rmtree(device / "packs"),
            "packs/00000000.tar.zst is missing, and 3 more of its files",
        ),
        (link("packs"), "packs is not a folder"),
        (shorten("packs/00000002.tar.zst"), "it is not whole: packs/00000002.tar.zst has "),
        (lengthen("packs/00000002.tar.zst"), "it is not whole: packs/00000002.tar.zst has "),
        (shorten("segments/00000000.jsonl.zst"), "it is not whole: segments/00000000.jsonl.zst has "),
        (fifo("packs/00000000.tar.zst"), "packs/00000000.tar.zst is no regular file"),
        (link("packs/00000000.tar.zst"), "packs/00000000.tar.zst is no regular file"),
        (fifo("segments/00000000.jsonl.zst"), "segments/00000000.jsonl.zst is no regular file"),
        (shutil.rmtree, "it is no device: it has no DEVICE.json"),
    ],
)
def test_what_is_no_whole_device_is_refused_with_the_reason(
    device: Path, change: Change, reason: str
) -> None:
    change(device)
    found = look(str(device), OPTIONS)
    assert isinstance(found, Refused)
    assert reason in found.reason
    assert not found.may_pass


def test_a_device_whose_copy_did_not_end_is_refused(site: Path, device: Path, tmp_path: Path) -> None:
    """It says whose it is all the same."""
    from msgspec.structs import replace

    from transfer.formats.documents import decode_seal, encode

    seal = decode_seal((device / "SEAL.json").read_bytes(), "SEAL.json")
    (device / "SEAL.json").write_bytes(encode(replace(seal, complete=False)))
    found = look(str(device), OPTIONS)
    assert isinstance(found, Refused)
    assert "sealed before its last copy ended" in found.reason
    assert found.document is not None
    assert found.document.job == "test"


def test_the_seal_of_another_device_is_refused(device: Path, another: Path) -> None:
    shutil.copy(another / "SEAL.json", device / "SEAL.json")
    found = look(str(device), OPTIONS)
    assert isinstance(found, Refused)
    assert "cannot be trusted" in found.reason or "not whole" in found.reason


def test_a_disk_that_fails_may_be_well_again(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the error itself is made up: no disk of the test fails on request."""
    from transfer.device import device as module

    def fail(path: str, limit_bytes: int) -> bytes:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(module, "read_limited", fail)
    found = look(str(device), OPTIONS)
    assert isinstance(found, Refused)
    assert found.may_pass
    assert "Input/output error" in found.reason


def test_of_packs_with_faults_of_a_carrier_those_that_miss_bytes_are_not_whole(
    site: Path, tmp_path: Path, dock: Path
) -> None:
    device = make_device(tmp_path / "ssd", site / "source", site / "small.toml")
    for fault, is_whole in (("lose-pack:1", False), ("truncate:1", False), ("bitflip:3", True)):
        target = tmp_path / fault.partition(":")[0]
        target.mkdir()
        assert transfer("ship", device, target, "--fault", fault, "--seed", "1", "--days", "0").code == 0
        assert isinstance(look(str(target / "test"), OPTIONS), Whole) == is_whole, fault
