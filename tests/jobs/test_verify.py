"""`transfer verify` on devices that were really copied to, on damage that the golden devices cannot hold."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.golden.model import Tampered
from tests.jobs.shipment import copy_to, make_device, transfer, write_profile
from tests.tools import require_tool
from transfer.device import raw_read
from transfer.device.device import open_device
from transfer.jobs.verify import frames
from transfer.jobs.verify.findings import CODES, Finding
from transfer.jobs.verify.job import verify as run_verify
from transfer.jobs.verify.records import RecordCheck
from transfer.jobs.verify.stored import expected_files

SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
MODES = [(), ("--deep",)]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed device of many kinds of entries, in two runs; not to be changed."""
    base = tmp_path_factory.mktemp("sealed")
    source = base / "source"
    (source / "folder/empty").mkdir(parents=True)
    generator = random.Random(1)
    for number in range(40):
        (source / f"folder/{number}").write_bytes(generator.randbytes(number * 1000))
    (source / "large").write_bytes(generator.randbytes(1_500_000))
    (source / "odd size").write_bytes(generator.randbytes(200_001))
    (source / "zeros").write_bytes(bytes(300_000))
    os.link(source / "folder/7", source / "hard")
    os.symlink("nowhere", source / "soft")
    with open(os.path.join(os.fsencode(source), b"\xff"), "wb") as file:
        file.write(b"not UTF-8")
    device = make_device(base / "device", source, write_profile(base / "p.toml", **SIZES), seal=False)
    (source / "folder/9").write_bytes(b"new content")
    (source / "hard").unlink()
    copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0
    return device


@pytest.fixture
def device(sealed: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(sealed, tmp_path / "device", symlinks=True))


def verify(device: Path, *options: str) -> tuple[int, dict[str, Any]]:
    ended = transfer("verify", device, "--json", "--no-progress", *options)
    assert ended.stderr == "" or "error" in ended.document
    return ended.code, ended.document


def codes(device: Path, *options: str) -> set[str]:
    code, document = verify(device, *options)
    assert (code, document["valid"]) == ((4, False) if document["findings"] else (0, True))
    assert document["count"] == len(document["findings"])
    return {finding["code"] for finding in document["findings"]}


@pytest.mark.parametrize("options", MODES)
def test_what_copy_and_seal_made_is_valid(sealed: Path, options: tuple[str, ...]) -> None:
    code, document = verify(sealed, *options)
    assert (code, document["findings"], document["is_sealed"]) == (0, [], True)
    packs = sum(path.stat().st_size for path in (sealed / "packs").iterdir())
    segments = sum(path.stat().st_size for path in (sealed / "segments").iterdir())
    names = ("DEVICE.json", "RECOVERY.txt", "recover.sh")
    assert document["bytes"] == packs + segments + sum((sealed / name).stat().st_size for name in names)
    assert document["packs"] > 4
    assert document["records"] > 80


@pytest.mark.parametrize("options", MODES)
def test_before_the_seal_the_segments_are_what_counts(device: Path, options: tuple[str, ...]) -> None:
    (device / "SEAL.json").unlink()
    assert codes(device, *options) == set()
    assert verify(device, *options)[1]["is_sealed"] is False
    pack = device / "packs/00000001.tar.zst"
    pack.write_bytes(pack.read_bytes()[:-1] + b"\0")
    assert codes(device, *options) == {"pack-altered"}
    (device / "segments/00000001.jsonl.zst").unlink()
    assert codes(device, *options) == {"segment-missing", "uncommitted"}


def test_a_file_that_lost_its_second_name_does_not_break_the_link_of_an_older_run(device: Path) -> None:
    kinds = [(r["kind"], r.get("path")) for part in Tampered(device).parts for r in part.records]
    assert ("hardlink", "hard") in kinds
    assert codes(device) == set()


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("options", MODES)
def test_any_byte_of_any_file_under_the_seal(device: Path, number: int, options: tuple[str, ...]) -> None:
    """A byte of each file, one file after the other, is another: found, in that file and no other."""
    generator = random.Random(number)
    for path in sorted(device.rglob("*")):
        name = str(path.relative_to(device))
        if not path.is_file() or name in ("SEAL.json", "LOCK"):
            continue
        whole = path.read_bytes()
        at = generator.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << generator.randrange(8))]) + whole[at + 1 :])
        code, document = verify(device, *options)
        assert code == 4, name
        assert {finding["file"] for finding in document["findings"]} <= {name, "SEAL.json"}, name
        path.write_bytes(whole)
    assert codes(device, *options) == set()


def test_a_damaged_frame_names_the_entries_in_it_and_no_others(device: Path) -> None:
    part = Tampered(device).parts[0]
    frame = part.frame_records()[0]
    following = part.records[part.records.index(frame) + 1 : part.records.index(part.frame_records()[1])]
    pack = device / "packs/00000000.tar.zst"
    data = bytearray(pack.read_bytes())
    data[frame["stored_bytes"] // 2] ^= 1
    pack.write_bytes(data)
    findings = verify(device, "--deep")[1]["findings"]
    damaged = {finding["path"] for finding in findings if finding["code"] == "frame-damaged"}
    assert damaged == {record["path"] for record in following}
    assert {finding.get("frame") for finding in findings} == {0, None}


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("folder", ["packs", "segments"])
def test_links_and_pipes_are_not_followed(device: Path, folder: str, options: tuple[str, ...]) -> None:
    path = min((device / folder).iterdir())
    elsewhere = device.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert codes(device, *options) & {"unreadable", "segment-invalid"}
    path.unlink()
    os.mkfifo(path)
    assert codes(device, *options) & {"unreadable", "segment-invalid"}
    path.unlink()
    path.mkdir()
    assert codes(device, *options) & {"unreadable", "segment-invalid"}
    path.rmdir()
    path.symlink_to(device / "nowhere")
    assert codes(device, *options) & {"unreadable", "segment-invalid"}


@pytest.mark.parametrize("name", ["SEAL.json", "recover.sh"])
def test_documents_that_are_links(device: Path, name: str) -> None:
    (device / name).rename(device.parent / "elsewhere")
    (device / name).symlink_to(device.parent / "elsewhere")
    assert codes(device) == {"unreadable"}


_VERIFY = "import sys; from transfer.cli.app import run; sys.exit(run(sys.argv[1:]))"


@pytest.mark.parametrize("options", MODES)
def test_a_disk_that_fails_to_read_a_pack(device: Path, options: tuple[str, ...]) -> None:
    """Every read of one pack ends in EIO."""
    _with_failing_reads(device, "packs/00000001.tar.zst", options, {"unreadable"})


@pytest.mark.parametrize("options", MODES)
def test_a_disk_that_fails_to_read_a_segment(device: Path, options: tuple[str, ...]) -> None:
    _with_failing_reads(device, "segments/00000001.jsonl.zst", options, {"unreadable"})


def _with_failing_reads(device: Path, name: str, options: tuple[str, ...], expected: set[str]) -> None:
    calls = "read,pread64,preadv,preadv2"
    strace = [require_tool("strace"), "-f", "-q", "-o", "/dev/null", "-P", str(device / name)]
    strace += ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"]
    command = [
        *strace,
        sys.executable,
        "-c",
        _VERIFY,
        "verify",
        str(device),
        "--json",
        "--no-progress",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    findings = json.loads(done.stdout)["findings"]
    met = {finding["code"] for finding in findings if finding["file"] == name}
    assert expected <= met <= expected | {"frame-damaged"}
    assert {finding["file"] for finding in findings} == {name}


@pytest.mark.parametrize("options", MODES)
def test_a_pack_whose_segment_is_lost_is_read_all_the_same(device: Path, options: tuple[str, ...]) -> None:
    for folder in ("packs", "segments"):
        path = sorted((device / folder).iterdir())[1]
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
    assert codes(device, *options) >= {"segment-altered", "segment-invalid", "pack-altered"}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("options", MODES)
def test_a_device_that_is_taken_away_is_no_finding(
    device: Path, fails: bool, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gone at the first pack: exit 10, and nothing is said about files that nobody could look at."""
    gone = device.parent / "gone"

    def take_away(path: str, *arguments: Any, **options: Any) -> Any:
        if "packs" in path and device.exists():
            device.rename(gone)
            if fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return open_past_cache(path, *arguments, **options)

    open_past_cache = raw_read.open_past_cache
    monkeypatch.setattr(raw_read, "open_past_cache", take_away)
    monkeypatch.setattr(frames, "open_past_cache", take_away)
    code, document = verify(device, *options)
    assert gone.exists()
    assert (code, document["error"]["exit_code"]) == (10, 10)
    assert "is gone" in document["error"]["what"]


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("deep", [False, True])
def test_an_interrupt_leaves_no_thread_behind(sealed: Path, deep: bool) -> None:
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        run_verify(str(sealed), deep=deep, observe=interrupt, on_finding=print, workers=2)
    assert set(threading.enumerate()) == before


def test_records_are_followed_no_further_than_somebody_waits(sealed: Path) -> None:
    device = open_device(str(sealed))
    check = RecordCheck(device, expected_files(device, interrupt), interrupt)
    check.stop()
    check.check()
    assert check.records == 0


@pytest.mark.parametrize("name", ["none", "."])
def test_no_device(tmp_path: Path, name: str) -> None:
    code, document = verify(tmp_path / name)
    assert (code, document["error"]["type"]) == (10, "DeviceError")


def test_more_failed_entries_in_a_row_than_a_frame_has_room_for(tmp_path: Path) -> None:
    """Records that need no frame may be any number."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"a")
    device = make_device(tmp_path / "d", source, write_profile(tmp_path / "p.toml", **SIZES), seal=False)
    tampered = Tampered(device)
    failed = [
        {"kind": "failed", "path": f"b{number:06}", "reason": "unreadable"} for number in range(140_001)
    ]
    tampered.parts[0].records[-1:-1] = failed
    tampered.write()
    for options in MODES:
        code, document = verify(device, *options)
        assert (code, document["findings"], document["records"]) == (0, [], 140_002)


def test_what_it_says_to_people(device: Path) -> None:
    assert transfer("verify", device, "-q").stdout.startswith(f"{device} is valid: ")
    (device / "packs/00000000.tar.zst").unlink()
    ended = transfer("verify", device, "--deep", "-q")
    assert ended.code == 4
    first, last = ended.stdout.splitlines()
    assert first == "pack-missing: packs/00000000.tar.zst"
    assert last.startswith(f"{device} is NOT valid: 1 findings; ")


def test_findings_as_text() -> None:
    finding = Finding(code="content-altered", file="packs/1", frame=2, path="a", detail="BLAKE3 differs")
    assert str(finding) == "content-altered: packs/1, frame 2, a: BLAKE3 differs"
    assert str(Finding(code="incomplete", detail="run 1")) == "incomplete: run 1"
    assert str(Finding(code="pack-missing", file="packs/1")) == "pack-missing: packs/1"
    assert all(CODES.values())


@pytest.mark.parametrize("workers", [1, 7])
def test_findings_are_the_same_with_any_number_of_workers(device: Path, workers: int) -> None:
    for pack in (device / "packs").iterdir():
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.write_bytes(data)
    one = verify(device, "--deep", "--workers", "2")[1]
    assert verify(device, "--deep", "--workers", str(workers))[1] == one
    numbers = [finding["file"] for finding in one["findings"]]
    assert numbers == sorted(numbers)
