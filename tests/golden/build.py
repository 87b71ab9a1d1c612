"""Devices with fixed ids, times and owners, written with the product's own writer classes.

`GoodDevice` is what manifests/golden/good holds: several packs, a large file over three of them with a voided
attempt before it, every kind of record, two runs. Nothing in it depends on the host.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awscrt.checksums import combine_crc32c, combine_crc64nvme, crc32c, crc64nvme
from blake3 import blake3

from transfer.core.records import (
    Begin,
    Chunk,
    Directory,
    Entry,
    Failed,
    File,
    Hardlink,
    Metadata,
    Removed,
    Skipped,
    Symlink,
    Void,
)
from transfer.core.stream_rules import path_fields
from transfer.device.device import Device, open_device
from transfer.device.layout import DEVICE_NAME, RECOVERY_NAME, SCRIPT_NAME, Layout
from transfer.device.open_pack import Piece
from transfer.device.recovery import recover_script, recovery_text
from transfer.device.writer import DeviceWriter, RunIdentity
from transfer.formats.documents import DeviceDocument, encode
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import padding_bytes, record_header

KIB = 1024
CHUNK_BYTES = 64 * KIB
LEVEL = 3
SOFTWARE = "transfer golden"
DEVICE_ID = "01020304-0506-4708-890a-0b0c0d0e0f10"
OTHER_DEVICE_ID = "ffeeddcc-bbaa-4988-8776-655443322110"
CREATED = "2024-01-02T03:04:05Z"
SOURCE = "/data/source"
MTIME_NS = 1_700_000_000_000_000_000
OWNER: dict[str, Any] = {"uid": 1000, "gid": 1000, "user": "user", "group": "group"}
INODE: dict[str, int] = {"inode": 1234, "volume": 42}


def document(device_id: str = DEVICE_ID, *, chunk_size_bytes: int = CHUNK_BYTES) -> DeviceDocument:
    return DeviceDocument(
        device_id=device_id,
        job="golden",
        ordinal=1,
        created=CREATED,
        software=SOFTWARE,
        profile="golden",
        capacity_bytes=None,
        reserve_bytes=0,
        pack_size_bytes=256 * KIB,
        chunk_size_bytes=chunk_size_bytes,
        batch_size_bytes=chunk_size_bytes,
        batch_entries=100,
        max_entries=1000,
        level=LEVEL,
        read_bytes_per_s=0,
        write_bytes_per_s=0,
    )


def content(name: str, size: int) -> bytes:
    """Bytes that are the same everywhere, differ from name to name, and compress well."""
    return (blake3(name.encode()).digest(length=256) * (size // 256 + 1))[:size]


def sums(data: bytes) -> dict[str, str]:
    return {
        "blake3": blake3(data).hexdigest(),
        "crc64nvme": f"{crc64nvme(data):016x}",
        "crc32c": f"{crc32c(data):08x}",
    }


def metadata(path: bytes, *, mode: int = 0o644, mtime_ns: int = MTIME_NS, **more: Any) -> dict[str, Any]:
    return path_fields(path) | {"mode": mode, "mtime_ns": mtime_ns} | OWNER | more


class Run:
    """Writes the pieces of one run; `device` is prepared with the first."""

    def __init__(
        self,
        device: Device,
        run: int,
        sequence: int,
        started: str,
        *,
        in_member: bool = False,
        source: str = SOURCE,
        keys: bool = False,
    ) -> None:
        identity = RunIdentity(run, started, source, keys)
        self.writer = DeviceWriter(device, identity, sequence=sequence, in_member=in_member, used_bytes=0)
        self._compressor = FrameCompressor(LEVEL)

    def batch(self, *entries: tuple[Metadata, bytes] | Metadata) -> None:
        """A B frame of whole members; a file comes with its content."""
        parts: list[bytes] = []
        records: list[Entry] = []
        for item in entries:
            record, data = item if isinstance(item, tuple) else (item, b"")
            parts.append(record_header(record))
            if isinstance(record, File):
                record.offset = sum(map(len, parts))
            parts.append(data + bytes(padding_bytes(len(data))))
            records.append(record)
        self._append("B", b"".join(parts), records, ends_member=True)

    def loose(self, *records: Entry) -> None:
        """Records that need no frame."""
        self._append("", b"", records)

    def begin(self, record: Begin) -> None:
        self._append("H", record_header(record), [record])

    def chunk(self, record: Chunk, data: bytes) -> None:
        self._append("C", data, [record])

    def zeros(self, size: int, *records: Entry, ends_member: bool = False) -> None:
        self._append("P", bytes(size), records, ends_member=ends_member)

    def close(self, record: File) -> None:
        """The record behind the last chunk, with the padding before it."""
        padding = padding_bytes(record.size_bytes)
        self._append("P" if padding else "", bytes(padding), [record], ends_member=True)

    def _append(self, kind: str, data: bytes, records: Sequence[Entry], *, ends_member: bool = False) -> None:
        paths = [record.path_bytes for record in records]
        files = [record for record in records if isinstance(record, File)]
        others = sum(isinstance(record, Directory | Symlink | Hardlink) for record in records)
        self.writer.append(
            Piece(
                frame_kind=kind,
                content_bytes=len(data),
                stored=memoryview(self._compressor.compress(data)) if kind else memoryview(b""),
                lines=b"".join(map(encode_line, records)),
                records=len(records),
                first_path=paths[0] if paths else b"",
                last_path=paths[-1] if paths else b"",
                entries=len(files) + others,
                file_bytes=sum(file.size_bytes for file in files),
                ends_member=ends_member,
            )
        )


def small(path: bytes, data: bytes, **more: Any) -> tuple[File, bytes]:
    return File(**metadata(path, **more), size_bytes=len(data), **sums(data)), data


def folder(path: bytes, **more: Any) -> Directory:
    return Directory(**metadata(path, mode=0o755, **more))


class LargeFile:
    """The records of a large file, chunk by chunk."""

    def __init__(self, path: bytes, data: bytes, **more: Any) -> None:
        self.path, self.data = path, data
        self.begin = Begin(**metadata(path, **more), size_bytes=len(data))
        self._more = more
        pieces = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        self.chunks = [
            (Chunk(**path_fields(path), index=index, size_bytes=len(piece), **sums(piece)), piece)
            for index, piece in enumerate(pieces)
        ]

    def file(self) -> File:
        crc64 = crc32 = 0
        for record, _ in self.chunks:
            crc64 = combine_crc64nvme(crc64, int(record.crc64nvme, 16), record.size_bytes)
            crc32 = combine_crc32c(crc32, int(record.crc32c, 16), record.size_bytes)
        return File(
            **metadata(self.path, **self._more),
            size_bytes=len(self.data),
            blake3=blake3(self.data).hexdigest(),
            crc64nvme=f"{crc64:016x}",
            crc32c=f"{crc32:08x}",
            chunks=len(self.chunks),
        )


def prepare(root: Path, identity: DeviceDocument) -> Device:
    """An empty device, as `transfer prepare` makes it."""
    layout = Layout(str(root))
    os.makedirs(layout.packs)
    os.makedirs(layout.segments)
    text = recovery_text(identity.job, identity.device_id, identity.created)
    for name, data in (
        (RECOVERY_NAME, text),
        (SCRIPT_NAME, recover_script()),
        (DEVICE_NAME, encode(identity)),
    ):
        (root / name).write_bytes(data)
    (root / SCRIPT_NAME).chmod(0o755)
    return open_device(str(root))


LARGE = LargeFile(
    b"big.bin", b"".join(content(f"big {n}", CHUNK_BYTES) for n in range(5)) + content("end", 1000)
)
CHANGING = LargeFile(b"big.bin", content("changing", 2 * CHUNK_BYTES + 1))
LONG_NAME = b"long/" + b"n" * 200


def write_good(root: Path, device_id: str = DEVICE_ID) -> None:
    """Write the good device, all but its seal."""
    write_content(prepare(root, document(device_id)))


def write_content(device: Device) -> None:
    """Write what the good device holds to one that is prepared."""
    first = Run(device, 1, 0, "2024-01-02T03:05:00Z")
    first.batch(small(b"a.txt", b"one\n", **INODE))
    _write_large(first)
    first.batch(
        folder(b"dir/"),
        small(b"dir/empty.txt", b""),
        folder(b"dir/empty/"),
        Hardlink(**metadata(b"dir/hard"), size_bytes=4, **path_fields(b"a.txt", "target"), **INODE),
        Symlink(**metadata(b"dir/link", mode=0o777), **path_fields(b"../a.txt", "target")),
    )
    first.loose(Skipped(**path_fields(b"fifo"), reason="fifo"))
    first.batch(folder(b"long/"), small(LONG_NAME, content("long", 700), mtime_ns=-1_500_000_000))
    first.loose(
        Failed(**path_fields(b"secret.txt"), reason="unreadable", detail="Permission denied"),
    )
    first.batch(
        small(b"xattrs.txt", b"x" * 512, xattrs={"user.comment": "aGVsbG8="}, mode=0o4755),
        small(b"\xff\xfe.txt", b"not UTF-8\n", mtime_ns=MTIME_NS + 123_456_789),
    )
    first.writer.finish()
    second = Run(device, 2, first.writer.sequence, "2024-02-03T04:05:06Z")
    second.batch(small(b"a.txt", b"two\n"), small(b"dir/empty", b"a file by now\n"))
    second.loose(Removed(**path_fields(b"dir/empty/")))
    second.writer.finish()


def _write_large(run: Run) -> None:
    """The first attempt is given up behind its first chunk; the second runs over three packs."""
    run.begin(CHANGING.begin)
    run.chunk(*CHANGING.chunks[0])
    run.loose(Void(**path_fields(CHANGING.path)))
    left = len(CHANGING.data) - CHUNK_BYTES + padding_bytes(len(CHANGING.data))
    run.zeros(CHUNK_BYTES)
    run.zeros(left - CHUNK_BYTES, ends_member=True)
    run.begin(LARGE.begin)
    for number, (record, piece) in enumerate(LARGE.chunks):
        if number in (1, 4):
            run.writer.pause()
        run.chunk(record, piece)
    run.close(LARGE.file())
