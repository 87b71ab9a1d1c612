"""The seek table: bytes by hand from the seekable format's description, and nothing else is taken."""

from __future__ import annotations

import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools import require_tool
from transfer.errors import FormatError
from transfer.formats.frames import FrameCompressor
from transfer.formats.seek_table import decode, encode, table_bytes

SIZES = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=20)


def test_bytes_by_hand() -> None:
    expected = "5e2a4d18 19000000 01000000 02000000 ff000000 00010000 02000000 00 b1ea928f"
    assert encode([(1, 2), (255, 256)]).hex() == expected.replace(" ", "")


@given(SIZES)
def test_round_trip(sizes: list[tuple[int, int]]) -> None:
    table = encode(sizes)
    assert len(table) == table_bytes(len(sizes))
    assert decode(table) == sizes


def test_altered_tables_are_refused() -> None:
    sizes = [(10, 20), (30, 40)]
    table = encode(sizes)
    for cut in range(len(table)):
        with pytest.raises(FormatError):
            decode(table[:cut])
        with pytest.raises(FormatError):
            decode(table[cut + 1 :])
    for extra in (table + b"\0", b"\0" + table, table + table):
        with pytest.raises(FormatError):
            decode(extra)
    for at in range(len(table)):
        for bit in range(8):
            flipped = bytearray(table)
            flipped[at] ^= 1 << bit
            try:
                assert decode(bytes(flipped)) != sizes
                assert 8 <= at < 24  # an entry: the segment tells the right ones
            except FormatError:
                assert not 8 <= at < 24


def test_counts_that_cannot_be() -> None:
    with pytest.raises(FormatError):
        decode(struct.pack("<II", 0x184D2A5E, 9) + struct.pack("<IBI", 2**32 - 1, 0, 0x8F92EAB1))


def test_the_program_skips_it() -> None:
    frame = FrameCompressor(3).compress(b"content")
    stored = frame + encode([(len(frame), 7)])
    done = subprocess.run([require_tool("zstd"), "-dqc"], input=stored, capture_output=True, check=True)
    assert done.stdout == b"content"
