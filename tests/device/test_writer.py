"""Packs roll over, are committed in order, and a full device keeps what is whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from blake3 import blake3

from tests.jobs.copy.copying import CHUNK, KIB, findings, prepared
from tests.jobs.copy.faults import failing_disk
from transfer.core.records import B, Begin, Directory, Failed, File, Header
from transfer.device.device import Device, open_device, take_inventory
from transfer.device.manifest import read_manifest
from transfer.device.open_pack import Piece
from transfer.device.reserve import make_reserve, remove_reserve
from transfer.device.writer import DeviceWriter, RunIdentity
from transfer.errors import DeviceError, DeviceFullError
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import record_header
from transfer.jobs.filling import large_pieces
from transfer.jobs.filling.chunks import RunningSums, ZeroFrames, _encode


@pytest.fixture
def device(tmp_path: Path) -> Device:
    prepared(tmp_path / "device", capacity_bytes=8 << 20)
    return open_device(str(tmp_path / "device"))


def writer_of(device: Device, run: int = 1) -> DeviceWriter:
    done = headers(device)
    identity = RunIdentity(run, "2024-01-01T00:00:00Z", "/source")
    used = sum(header.pack_size_bytes for header in done)
    return DeviceWriter(device, identity, sequence=len(done), in_member=False, used_bytes=used)


def headers(device: Device) -> list[Header]:
    return read_manifest(device, take_inventory(device.layout).segments).headers


def folder_piece(name: str) -> Piece:
    """A B frame with one folder."""
    record = Directory(path=name + "/", mode=0o755, mtime_ns=0, uid=0, gid=0)
    content, path = record_header(record), name.encode() + b"/"
    return Piece(
        frame_kind=B,
        content_bytes=len(content),
        stored=memoryview(FrameCompressor(1).compress(content)),
        lines=encode_line(record),
        records=1,
        first_path=path,
        last_path=path,
        entries=1,
        ends_member=True,
    )


def failed_piece(name: str) -> Piece:
    """A record that needs no frame."""
    line = encode_line(Failed(path=name, reason="vanished"))
    return Piece(lines=line, records=1, first_path=name.encode(), last_path=name.encode())


def large_file_pieces(name: str, content: bytes) -> list[Piece]:
    """H, C frames, padding and closing record of a file that does not compress."""
    begin = Begin(path=name, mode=0o644, mtime_ns=0, uid=0, gid=0, size_bytes=len(content))
    pieces, running = [large_pieces.headers(begin)], RunningSums()
    for index, start in enumerate(range(0, len(content), CHUNK)):
        part = content[start : start + CHUNK]
        stored, sums = _encode(part, FrameCompressor(1))
        running.add(sums, len(part))
        pieces.append(large_pieces.chunk(name.encode(), index, len(part), stored, sums))
    record = File(
        path=name,
        mode=0o644,
        mtime_ns=0,
        uid=0,
        gid=0,
        size_bytes=len(content),
        blake3=blake3(content).hexdigest(),
        crc64nvme=f"{running.crc64nvme:016x}",
        crc32c=f"{running.crc32c:08x}",
        chunks=running.chunks,
    )
    return [*pieces, large_pieces.closing(record, ZeroFrames(largest_bytes=CHUNK, level=1))]


def test_a_run_that_brought_nothing_leaves_nothing(device: Device) -> None:
    writer_of(device).finish()
    assert take_inventory(device.layout).packs == []


def test_packs_roll_over_by_entries(device: Device) -> None:
    writer = writer_of(device)
    for number in range(250):
        writer.append(folder_piece(f"{number:04}"))
    writer.finish()
    assert [header.entries for header in headers(device)] == [100, 100, 50]
    assert [header.run_complete for header in headers(device)] == [False, False, True]
    assert all(header.starts_with_member and header.ends_with_member for header in headers(device))
    assert findings(Path(device.root)) == set()


def test_packs_roll_over_by_size_also_inside_a_file(device: Device) -> None:
    writer = writer_of(device)
    for piece in large_file_pieces("large", os.urandom(20 * CHUNK + 1)):
        writer.append(piece)
    writer.finish()
    found = headers(device)
    assert [header.starts_with_member for header in found] == [True, False, False]
    assert [header.ends_with_member for header in found] == [False, False, True]
    assert all(header.pack_size_bytes <= 512 * KIB for header in found)
    assert findings(Path(device.root)) == set()


def test_a_pack_may_hold_records_alone(device: Device) -> None:
    writer = writer_of(device)
    writer.append(failed_piece("lost"))
    writer.finish()
    assert [(header.entries, header.paths) for header in headers(device)] == [(0, (b"lost", b"lost"))]
    assert findings(Path(device.root)) == set()


def test_pausing_commits_and_leaves_the_run_open(device: Device) -> None:
    writer = writer_of(device)
    writer.pause()
    writer.append(folder_piece("a"))
    writer.pause()
    writer.append(folder_piece("b"))
    writer.pause()
    assert [header.run_complete for header in headers(device)] == [False, False]
    writer.finish()
    assert [(header.run_complete, header.entries) for header in headers(device)[2:]] == [(True, 0)]
    assert findings(Path(device.root)) == set()


def test_what_is_abandoned_leaves_nothing(device: Device) -> None:
    writer = writer_of(device)
    writer.append(folder_piece("a"))
    writer.abandon()
    inventory = take_inventory(device.layout)
    assert (inventory.packs, inventory.strangers) == ([], [])


def fill(writer: DeviceWriter) -> None:
    for number in range(10_000):
        noise = os.urandom(CHUNK)
        for piece in large_file_pieces(f"{number:05}", noise):
            writer.append(piece)


def test_a_full_device_ends_with_a_whole_file(device: Device) -> None:
    writer = writer_of(device)
    with pytest.raises(DeviceFullError):
        fill(writer)
    found = headers(device)
    assert found[-1].ends_with_member
    assert sum(header.entries for header in found) > 90
    assert (found[-1].run_complete, found[-1].continues) == (True, True)
    assert findings(Path(device.root)) == set()


@pytest.mark.parametrize("call", ["rename", "fsync"])
@pytest.mark.parametrize("nth", [0, 1, 2, 3])
def test_a_disk_that_is_full_while_committing_never_gets_a_segment_without_its_pack(
    device: Device, call: str, nth: int
) -> None:
    def append_and_finish() -> None:
        writer = writer_of(device)
        writer.append(folder_piece("a"))
        writer.finish()

    with failing_disk() as dry:
        append_and_finish()
    for name in ("packs", "segments"):
        for file in Path(device.root, name).iterdir():
            file.unlink()
    positions = [number for number, name in enumerate(dry.calls, 1) if name == call]
    with failing_disk(positions[min(nth, len(positions) - 1)], errno.ENOSPC), pytest.raises(DeviceFullError):
        append_and_finish()
    inventory = take_inventory(device.layout)
    assert set(inventory.segments) <= set(inventory.packs)


def test_an_error_of_the_disk_is_the_devices(device: Device) -> None:
    writer = writer_of(device)
    with failing_disk(1, errno.EIO), pytest.raises(DeviceError, match="failed"):
        writer.append(folder_piece("a"))


def test_the_reserve_is_made_once_and_given_back(device: Device) -> None:
    path = Path(device.root, "RESERVE")
    make_reserve(device)
    size = path.stat().st_size
    assert size >= 64 * KIB
    assert path.stat().st_blocks * 512 >= size
    make_reserve(device)
    assert path.stat().st_size == size
    remove_reserve(device)
    remove_reserve(device)
    assert not path.exists()
