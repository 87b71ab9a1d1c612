"""A device taken apart into values that can be changed, and put together again with every digest right.

What a test changes stays wrong; all that follows from it (offsets, seek table, digests, seal) is made to
agree, as one would do who tampers with a device and has read FORMAT.md.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard
from blake3 import blake3

from tests.golden.build import LEVEL, SOFTWARE
from transfer.formats import seek_table
from transfer.formats.documents import SealDocument, SealedFile, Totals, encode
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import LEVEL as SEGMENT_LEVEL

SEALED = "2024-03-04T05:06:07Z"
ENTRY_KINDS = ("file", "directory", "symlink", "hardlink")
Record = dict[str, Any]


@dataclass
class Part:
    """One pack and its segment.

    Attributes:
        frames: stored bytes of each frame; the offset and stored size of the n-th frame record follow from
        the n-th.
        table: the frames of the seek table, where it is to lie.
        raw_lines: replaces the lines of the records.
        end: replaces fields of the end record.
        keeps_offsets: the frame records stay as they are.
    """

    header: Record
    records: list[Record]
    frames: list[bytes]
    table: list[tuple[int, int]] | None = None
    raw_lines: bytes | None = None
    end: Record = field(default_factory=dict)
    keeps_offsets: bool = False

    def frame_records(self) -> list[Record]:
        return [record for record in self.records if record["kind"] == "frame"]

    def find(self, kind: str, path: str = "", **fields: Any) -> Record:
        """The first record of a kind, with a path, with these fields."""
        return next(self.select(kind, path, **fields))

    def select(self, kind: str, path: str = "", **fields: Any) -> Iterator[Record]:
        for record in self.records:
            wanted = {"kind": kind} | ({"path": path} if path else {}) | fields
            if wanted.items() <= {name: record[name] for name in wanted if name in record}.items():
                yield record

    def index_of_frame(self, record: Record) -> int:
        return next(number for number, other in enumerate(self.frame_records()) if other is record)

    def content(self, frame: Record) -> bytes:
        return zstandard.ZstdDecompressor().decompress(self.frames[self.index_of_frame(frame)])

    def set_content(self, frame: Record, content: bytes) -> None:
        """Compress other content into a frame, and have its record say its size."""
        self.frames[self.index_of_frame(frame)] = FrameCompressor(LEVEL).compress(content)
        frame["bytes"] = len(content)

    def insert_frame(self, position: int, kind: str, content: bytes) -> Record:
        """A new frame, its record at `position` of the records."""
        record: Record = {"kind": "frame", "type": kind, "bytes": len(content)}
        self.records.insert(position, record)
        self.frames.insert(self.index_of_frame(record), FrameCompressor(LEVEL).compress(content))
        return record

    def pack_bytes(self) -> bytes:
        """The pack; the frame records are brought into line."""
        offset = 0
        for record, stored in zip(self.frame_records(), self.frames, strict=True):
            if not self.keeps_offsets:
                record |= {"offset": offset, "stored_bytes": len(stored)}
            offset += len(stored)
        sizes = [(len(s), r["bytes"]) for r, s in zip(self.frame_records(), self.frames, strict=True)]
        return b"".join(self.frames) + seek_table.encode(sizes if self.table is None else self.table)

    def segment_bytes(self) -> bytes:
        head = _line(self.header)
        lines = b"".join(map(_line, self.records)) if self.raw_lines is None else self.raw_lines
        end = {
            "kind": "end",
            "records": len(self.records),
            "blake3": blake3(head + lines).hexdigest(),
        } | self.end
        compressor = zstandard.ZstdCompressor(level=SEGMENT_LEVEL, write_checksum=True)
        return compressor.compress(head) + compressor.compress(lines + _line(end))


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class Tampered:
    """A device directory in parts; `write` puts it together again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parts = [
            _read_part(root / f"packs/{path.name.split('.')[0]}.tar.zst", path)
            for path in sorted((root / "segments").iterdir())
        ]

    def part_with(self, kind: str, path: str) -> Part:
        return next(part for part in self.parts if any(part.select(kind, path)))

    def write(self, *, counts: bool = True) -> None:
        """Packs, segments and seal; with `counts` the headers' counts and paths follow the records."""
        for number, part in enumerate(self.parts):
            pack = part.pack_bytes()
            part.header |= {"pack_size_bytes": len(pack), "pack_blake3": blake3(pack).hexdigest()}
            if counts:
                _count(part)
            (self.root / f"packs/{number:08}.tar.zst").write_bytes(pack)
            (self.root / f"segments/{number:08}.jsonl.zst").write_bytes(part.segment_bytes())
        seal(self.root, parts=self.parts)


def _count(part: Part) -> None:
    entries = [record for record in part.records if record["kind"] in ENTRY_KINDS]
    part.header["entries"] = len(entries)
    sizes = [record["size_bytes"] for record in entries if record["kind"] == "file"]
    part.header["content_bytes"] = sum(size for size in sizes if isinstance(size, int))
    paths = [record for record in part.records if {"path", "path_base64"} & record.keys()]
    for name in ("path", "path_base64"):
        for place, record in (("first", paths[0]), ("last", paths[-1])) if paths else ():
            part.header.pop(f"{place}_{name}", None)
            if name in record:
                part.header[f"{place}_{name}"] = record[name]


def _read_part(pack: Path, segment: Path) -> Part:
    stream = zstandard.ZstdDecompressor().stream_reader(
        io.BytesIO(segment.read_bytes()), read_across_frames=True
    )
    header, *records = [json.loads(line) for line in stream.read().splitlines()]
    records.pop()  # the end record
    stored = pack.read_bytes()
    frames = [
        stored[record["offset"] : record["offset"] + record["stored_bytes"]]
        for record in records
        if record["kind"] == "frame"
    ]
    return Part(header, records, frames)


def seal(
    root: Path, change: Callable[[Record], None] = lambda document: None, *, parts: list[Part] | None = None
) -> None:
    """Write SEAL.json for what is there; `change` may bend the document."""
    device = json.loads((root / "DEVICE.json").read_bytes())
    packs = [_sealed(path) for path in sorted((root / "packs").iterdir())]
    segments = [_sealed(path) for path in sorted((root / "segments").iterdir())]
    parts = Tampered(root).parts if parts is None else parts
    records = [record for part in parts for record in part.records]
    document = SealDocument(
        device_id=device["device_id"],
        job=device["job"],
        ordinal=device["ordinal"],
        generation=1,
        sealed=SEALED,
        software=SOFTWARE,
        complete=parts[-1].header["run_complete"],
        files=[_sealed(root / name) for name in ("DEVICE.json", "RECOVERY.txt", "recover.sh")],
        packs=packs,
        segments=segments,
        totals=Totals(
            entries=sum(part.header["entries"] for part in parts),
            content_bytes=min(sum(part.header["content_bytes"] for part in parts), 2**63 - 1),
            stored_bytes=sum(file.size_bytes for file in (*packs, *segments)),
            failed=sum(record["kind"] == "failed" for record in records),
            skipped=sum(record["kind"] == "skipped" for record in records),
        ),
    )
    fields = json.loads(encode(document))
    change(fields)
    (root / "SEAL.json").write_text(json.dumps(fields, indent=2) + "\n")


def _sealed(path: Path) -> SealedFile:
    data = path.read_bytes()
    return SealedFile(path.name, len(data), blake3(data).hexdigest())
