"""A pack is decrypted as it is read: any pieces, from any place, and a lost chunk costs what stands in it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from tempfile import TemporaryFile

import pyrage
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.device.decrypted_pack import DecryptedSource
from transfer.device.pack_source import READ_BYTES, PackSource, PlainSource
from transfer.errors import AccessError, FormatError, IntegrityError
from transfer.formats.age.keys import Identity
from transfer.formats.age.stream import CHUNK_BYTES, STORED_CHUNK_BYTES

OTHER = pyrage.x25519.Identity.generate()
IDENTITY = Identity.parse(str(OTHER))
PLAIN = os.urandom(4 * CHUNK_BYTES + 1234)
STORED = pyrage.encrypt(PLAIN, [OTHER.to_public()])
HEAD_BYTES = len(STORED) - len(PLAIN) - 5 * (STORED_CHUNK_BYTES - CHUNK_BYTES)

sizes = st.one_of(
    st.integers(0, 3 * CHUNK_BYTES), st.sampled_from([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
)


@contextmanager
def opened(stored: bytes) -> Iterator[DecryptedSource]:
    with TemporaryFile() as file:
        file.write(stored)
        file.flush()
        yield DecryptedSource(file.fileno(), [IDENTITY])


def all_of(source: PackSource, size: int = 1 << 20) -> bytes:
    return b"".join(iter(lambda: source.take(size), b""))


@given(st.lists(sizes, max_size=12))
def test_any_pieces_are_the_plain_bytes_in_order(pieces: list[int]) -> None:
    with opened(STORED) as source:
        position = 0
        for size in pieces:
            assert source.take(size) == PLAIN[position : position + size]
            position = min(len(PLAIN), position + size)
        assert all_of(source) == PLAIN[position:]
        assert (source.stored_offset, source.digest()) == (len(STORED), blake3(STORED).hexdigest())


@given(st.lists(st.tuples(st.integers(0, len(PLAIN)), sizes), max_size=8))
def test_any_place_can_be_gone_to(places: list[tuple[int, int]]) -> None:
    with opened(STORED) as source:
        for offset, size in places:
            source.go_to(offset)
            assert source.take(size) == PLAIN[offset : offset + size]


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, READ_BYTES + 1]
)
def test_all_sizes(size: int) -> None:
    plain = os.urandom(size)
    stored = pyrage.encrypt(plain, [OTHER.to_public()])
    with opened(stored) as source:
        assert all_of(source, READ_BYTES + 5) == plain
        assert (source.stored_offset, source.digest()) == (len(stored), blake3(stored).hexdigest())


def read_all(source: PackSource, pieces: list[int]) -> tuple[bytes, set[int]]:
    """The plain bytes, with those of failed pieces as zeros, and which pieces failed."""
    found, failed = b"", set()
    for number, size in enumerate(pieces):
        try:
            found += source.take(size)
        except IntegrityError:
            found += bytes(size)
            failed.add(number)
    return found, failed


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_chunk_costs_the_pieces_that_touch_it(data: st.DataObject) -> None:
    chunk = data.draw(st.integers(0, 4))
    start = HEAD_BYTES + chunk * STORED_CHUNK_BYTES
    position = data.draw(st.integers(start, min(start + STORED_CHUNK_BYTES, len(STORED)) - 1))
    stored = bytearray(STORED)
    stored[position] ^= data.draw(st.integers(1, 255))
    cuts = sorted({0, len(PLAIN), *data.draw(st.lists(st.integers(1, len(PLAIN) - 1), max_size=8))})
    pieces = [end - begin for begin, end in pairwise(cuts)]
    lost = range(chunk * CHUNK_BYTES, min((chunk + 1) * CHUNK_BYTES, len(PLAIN)))
    with opened(bytes(stored)) as source:
        found, failed = read_all(source, pieces)
    touching = {n for n, (a, b) in enumerate(pairwise(cuts)) if a < lost.stop and b > lost.start}
    assert failed == touching
    for number, (begin, end) in enumerate(pairwise(cuts)):
        if number not in touching:
            assert found[begin:end] == PLAIN[begin:end]


@given(st.integers(HEAD_BYTES, len(STORED) - 1), st.sampled_from([1000, CHUNK_BYTES, 1 << 20]))
def test_a_file_cut_short_gives_no_byte_behind_its_last_whole_chunk(size: int, piece: int) -> None:
    with opened(STORED[:size]) as source:
        found, errors = b"", 0
        for _ in range(len(PLAIN) // piece + 8):
            try:
                taken = source.take(piece)
            except IntegrityError:
                errors += 1
                continue
            if not errors:
                found += taken
        assert PLAIN.startswith(found)
        assert errors or size == HEAD_BYTES
        whole = (size - HEAD_BYTES) // STORED_CHUNK_BYTES * CHUNK_BYTES
        assert len(found) <= whole
        assert source.stored_offset == size


@pytest.mark.parametrize("extra", [1, 16, 17, STORED_CHUNK_BYTES, 3 * STORED_CHUNK_BYTES + 1])
def test_an_extended_file_loses_its_last_chunk(extra: int) -> None:
    with opened(STORED + bytes(extra)) as source:
        assert source.take(4 * CHUNK_BYTES) == PLAIN[: 4 * CHUNK_BYTES]
        with pytest.raises(IntegrityError):
            all_of(source)


def test_a_disk_that_fails_goes_on_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.pread

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if offset <= HEAD_BYTES + STORED_CHUNK_BYTES + 5 < offset + size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, size, offset)

    with opened(STORED) as source:
        assert source.take(100) == PLAIN[:100]
        monkeypatch.setattr(os, "pread", failing)
        with pytest.raises(OSError, match="Input/output"):
            source.take(CHUNK_BYTES)
        source.go_to(2 * CHUNK_BYTES + 7)
        assert source.take(CHUNK_BYTES) == PLAIN[2 * CHUNK_BYTES + 7 :][:CHUNK_BYTES]


def test_a_file_that_becomes_shorter_while_it_is_read_ends() -> None:
    with TemporaryFile() as file:
        file.write(STORED)
        file.flush()
        source = DecryptedSource(file.fileno(), [IDENTITY])
        assert source.take(100) == PLAIN[:100]
        file.truncate(HEAD_BYTES + STORED_CHUNK_BYTES)
        taken = [len(source.take(CHUNK_BYTES)) for _ in range(4)]
        assert taken == [CHUNK_BYTES - 100, 0, 0, 0]


@pytest.mark.parametrize(
    ("stored", "error"),
    [
        (b"", FormatError),
        (STORED[:100], FormatError),
        (STORED[: HEAD_BYTES - 1], FormatError),
        (b"\x28\xb5\x2f\xfd" + bytes(1000), FormatError),
        (pyrage.encrypt(b"x", [pyrage.x25519.Identity.generate().to_public()]), AccessError),
        (STORED[:150] + bytes([STORED[150] ^ 1]) + STORED[151:], IntegrityError),
    ],
    ids=["empty", "cut", "no nonce", "zstd", "stranger's", "mac"],
)
def test_what_is_no_pack_of_ours(stored: bytes, error: type[Exception]) -> None:
    with pytest.raises(error), opened(stored):
        pass


def test_the_plain_kind_reads_alike() -> None:
    with TemporaryFile() as file:
        file.write(PLAIN)
        file.flush()
        source = PlainSource(file.fileno())
        assert source.take(10) + all_of(source) == PLAIN
        assert (source.stored_offset, source.digest()) == (len(PLAIN), blake3(PLAIN).hexdigest())
        source.go_to(1000)
        assert source.take(10) == PLAIN[1000:1010]
