"""What the device has of a large object already, read back from its own packs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from blake3 import blake3

from transfer.core.records import Begin, C, Chunk, Frame, Header
from transfer.device.device import Device
from transfer.device.disk import device_errors
from transfer.device.manifest import Manifest, segment_records
from transfer.errors import IntegrityError
from transfer.formats.frames import FrameReader


def committed_chunks(device: Device, manifest: Manifest, path: bytes) -> Iterator[bytes]:
    """The content of the chunks behind the last begin record, each verified. Blocking.

    Raises:
        IntegrityError: one is not what was written.
        DeviceError: a pack cannot be read.
    """
    mine = [header for header in manifest.headers if header.run == manifest.headers[-1].run]
    sequences = range(_first_of(mine, path), mine[-1].sequence + 1)
    begins = sum(isinstance(record, Begin) for number in sequences for record in _records(device, number))
    reader = FrameReader()
    for number in sequences:
        with device_errors(device.root), open(device.layout.pack(number), "rb", buffering=0) as pack:
            frame: Frame | None = None
            for record in _records(device, number):
                if isinstance(record, Begin):
                    begins -= 1
                elif isinstance(record, Frame):
                    frame = record
                elif isinstance(record, Chunk) and not begins and frame is not None and frame.type == C:
                    yield _content(reader, pack.fileno(), frame, record)


def _content(reader: FrameReader, pack: int, frame: Frame, chunk: Chunk) -> bytes:
    stored = os.pread(pack, frame.stored_bytes, frame.offset)
    content = reader.decompress(stored, frame.bytes)
    if blake3(content).hexdigest() != chunk.blake3:
        raise IntegrityError(f"chunk {chunk.index} on the device is not what was written")
    return content


def _first_of(mine: list[Header], path: bytes) -> int:
    """The last pack that surely has the beginning of the member at `path`."""
    for header in reversed(mine):
        if header.paths and (header.starts_with_member or header.paths[0] != path):
            return header.sequence
    return mine[0].sequence


def _records(device: Device, sequence: int) -> Iterator[object]:
    for block in segment_records(device, sequence):
        yield from block
