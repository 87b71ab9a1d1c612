"""Frames that were stored as they are: their pieces are their content, and anything else is left to zstd."""

from __future__ import annotations

import random

import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.errors import IntegrityError
from transfer.formats.frames import FrameCompressor, FrameReader, raw_pieces

NOISE = random.Random(1).randbytes(300_000)


def test_noise_is_stored_as_it_is() -> None:
    for size in (1, 100, 1 << 17, (1 << 17) + 1, 300_000):
        stored = FrameCompressor(1).compress(NOISE[:size])
        pieces = raw_pieces(stored, size)
        assert pieces is not None
        assert b"".join(pieces) == NOISE[:size]


def test_what_compresses_is_not() -> None:
    for content in (bytes(1000), b"text " * 1000, NOISE + bytes(200_000), NOISE[:200_000] * 2):
        assert raw_pieces(FrameCompressor(1).compress(content), len(content)) is None


def test_another_size_is_not_taken() -> None:
    stored = FrameCompressor(1).compress(NOISE)
    assert raw_pieces(stored, len(NOISE) - 1) is None
    assert raw_pieces(stored + b"x", len(NOISE)) is None
    assert raw_pieces(stored[:-1], len(NOISE)) is None
    assert raw_pieces(zstandard.ZstdCompressor().compress(NOISE), len(NOISE)) is None  # no checksum
    assert raw_pieces(b"", 0) is None


@settings(max_examples=150)
@given(st.integers(0, 299_999), st.integers(1, 255), st.sampled_from([1, 700, 131_073, 300_000]))
def test_whatever_the_bytes_it_says_nothing_else_than_zstd(place: int, flip: int, size: int) -> None:
    """Only the frame's own checksum is not looked at: so a change is in the pieces, or in that checksum."""
    stored = bytearray(FrameCompressor(1).compress(NOISE[:size]))
    stored[place % len(stored)] ^= flip
    pieces = raw_pieces(stored, size)
    if pieces is None:
        return
    is_of_checksum = place % len(stored) >= len(stored) - 4
    assert (b"".join(pieces) == NOISE[:size]) is is_of_checksum
    try:
        FrameReader().decompress(stored, size)
    except IntegrityError:
        return
    raise AssertionError("zstd took a damaged frame")
