"""Frames against the zstd program, both ways, and against hostile headers."""

from __future__ import annotations

import struct
import subprocess

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.tools import require_tool
from transfer.errors import FormatError, IntegrityError
from transfer.formats.frames import FrameCompressor, FrameReader

CONTENTS = [b"", b"a", b"text " * 1000, bytes(1 << 20), bytes(range(256)) * 300]


def zstd(*arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [require_tool("zstd"), "-q", "-c", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False)


@pytest.mark.parametrize("content", CONTENTS, ids=len)
@pytest.mark.parametrize("level", [1, 3, 19])
def test_the_program_opens_our_frames(content: bytes, level: int) -> None:
    frame = FrameCompressor(level).compress(content)
    assert zstd("-d", data=frame).stdout == content
    header = zstandard.get_frame_parameters(frame)
    assert (header.content_size, header.has_checksum, header.dict_id) == (len(content), True, 0)


@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_we_open_frames_of_the_program(content: bytes) -> None:
    frame = zstd("--check", f"--stream-size={len(content)}", data=content).stdout
    assert FrameReader().decompress(frame, len(content)) == content


@given(st.binary(max_size=2000), st.data())
def test_cut_or_flipped_frames_never_pass(content: bytes, data: st.DataObject) -> None:
    frame = FrameCompressor(1).compress(content)
    reader = FrameReader()
    cut = data.draw(st.integers(0, len(frame) - 1))
    at, bit = data.draw(st.integers(0, len(frame) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(frame)
    flipped[at] ^= 1 << bit
    for damaged in (frame[:cut], bytes(flipped), frame + b"\0", b"\0" + frame, frame + frame):
        try:
            assert reader.decompress(damaged, len(content)) == content, "other content passed"
            assert damaged == bytes(flipped), "only a bit without meaning may be another"
            assert at == 4, "RFC 8878 has one such bit: the unused one of the descriptor"
            assert bit == 4
        except IntegrityError:
            pass
    assert reader.decompress(frame, len(content)) == content  # nothing stays behind in the reader


def hand_made(descriptor: int, header: bytes, *blocks: tuple[int, int, bytes]) -> bytes:
    """RFC 8878 §3.1.1: magic, frame header, blocks of (type, size, bytes), the last marked; no checksum."""
    frame = struct.pack("<IB", 0xFD2FB528, descriptor) + header
    for number, (kind, size, data) in enumerate(blocks):
        is_last = number == len(blocks) - 1
        frame += struct.pack("<I", size << 3 | kind << 1 | is_last)[:3] + data
    return frame


RLE = (1, 128 << 10, b"\0")
SINGLE, CHECKSUM = 1 << 5, 1 << 2
HOSTILE = {
    "no frame": b"\0" * 20,
    "nothing": b"",
    "magic alone": b"\x28\xb5\x2f\xfd",
    "skippable": struct.pack("<II", 0x184D2A50, 4) + b"abcd",
    "a window of 2 TiB": hand_made(
        3 << 6 | CHECKSUM, b"\xf8" + struct.pack("<Q", 1000), (0, 1000, b"x" * 1000)
    ),
    "a window of 128 MiB": hand_made(
        2 << 6 | CHECKSUM, b"\x88" + struct.pack("<I", 1000), (0, 1000, b"x" * 1000)
    ),
    "a dictionary": hand_made(
        SINGLE | CHECKSUM | 1 << 6 | 1, b"\x07" + struct.pack("<H", 744), (0, 1000, b"x" * 1000)
    ),
    "no size": hand_made(CHECKSUM, b"\x50", (0, 1000, b"x" * 1000)),
    "no checksum": hand_made(SINGLE | 1 << 6, struct.pack("<H", 744), (0, 1000, b"x" * 1000)),
    "inflates beyond": hand_made(SINGLE | CHECKSUM | 1 << 6, struct.pack("<H", 744), *[RLE] * 1000),
    "ends before": hand_made(SINGLE | CHECKSUM | 1 << 6, struct.pack("<H", 744), (0, 10, b"x" * 10)),
    "wrong checksum": hand_made(SINGLE | CHECKSUM | 1 << 6, struct.pack("<H", 744), (0, 1000, b"x" * 1000))
    + b"abcd",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_frames(name: str) -> None:
    with pytest.raises(IntegrityError) as error:
        FrameReader().decompress(HOSTILE[name], 1000)
    assert error.value.exit_code == 4


@pytest.mark.parametrize("stated", [0, 999, 1001, 2**40])
def test_a_frame_of_another_size_is_not_even_opened(stated: int) -> None:
    frame = FrameCompressor(3).compress(bytes(1000))
    with pytest.raises(FormatError, match=f"states 1000 bytes, its record {stated}"):
        FrameReader().decompress(frame, stated)


def test_nothing_hides_behind_an_empty_frame() -> None:
    compressor, reader = FrameCompressor(3), FrameReader()
    empty = compressor.compress(b"")
    assert reader.decompress(empty, 0) == b""
    for hidden in (compressor.compress(b"evil"), b"\0", empty):
        with pytest.raises(IntegrityError):
            reader.decompress(empty + hidden, 0)
    for cut in range(len(empty)):
        with pytest.raises(IntegrityError):
            reader.decompress(empty[:cut], 0)


def test_windows_beyond_a_frame_are_refused() -> None:
    """RFC 8878 §3.1.1.1.2: a descriptor instead of "all in one segment"; everything else stays valid."""
    content = b"some text " * 1000
    frame = FrameCompressor(3).compress(content)
    assert frame[4] & SINGLE
    opened, refused = (
        frame[:4] + bytes([frame[4] & ~SINGLE, descriptor]) + frame[5:] for descriptor in (0x50, 0x88)
    )
    assert FrameReader().decompress(opened, len(content)) == content
    with pytest.raises(FormatError, match="window of 134217728 bytes"):
        FrameReader().decompress(refused, len(content))


def test_largest_window_of_our_own() -> None:
    content = bytes(65 << 20)
    assert FrameReader().decompress(FrameCompressor(19).compress(content), len(content)) == content
