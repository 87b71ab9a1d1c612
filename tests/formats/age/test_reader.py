"""Files of the age program and of pyrage are read, in pieces of any size and in little memory."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import pyrage
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.formats.age.programs import MIB, SIZES, Age, read_all, sample
from transfer.errors import AccessError
from transfer.formats.age.keys import Identity
from transfer.formats.age.reader import MAX_HEAD_BYTES, AgeReader, open_head
from transfer.formats.age.stream import CHUNK_BYTES, STORED_CHUNK_BYTES, payload_bytes
from transfer.formats.age.writer import Encryptor, encrypt


@pytest.mark.parametrize("size", SIZES)
def test_files_of_the_program_and_of_pyrage_are_read(size: int, age: Age, identity: Identity) -> None:
    plain = sample(size)
    theirs = pyrage.x25519.Recipient.from_str(identity.recipient.text)
    for stored in (age.writes(plain, identity.recipient), pyrage.encrypt(plain, [theirs])):
        assert read_all(stored, identity) == plain
        assert len(stored) == open_head(stored[:MAX_HEAD_BYTES], [identity]).size_bytes + payload_bytes(size)


def test_a_file_of_the_programs_for_several_is_read_by_each(age: Age, identity: Identity) -> None:
    other, stranger = Identity.generate(), Identity.generate()
    stored = age.writes(b"for two", identity.recipient, other.recipient)
    assert read_all(stored, identity) == read_all(stored, other) == b"for two"
    reader = AgeReader(io.BytesIO(stored), [stranger, other])
    assert reader.read(100) == b"for two"


@pytest.mark.parametrize("identities", [0, 1, 2])
def test_a_strangers_file_is_an_access_error(identities: int, identity: Identity) -> None:
    stored = encrypt(b"private", [identity.recipient])
    with pytest.raises(AccessError, match="not encrypted to this identity") as caught:
        AgeReader(io.BytesIO(stored), [Identity.generate() for _ in range(identities)])
    assert caught.value.exit_code == 12


class Dribble:
    """A stream that gives what it likes, up to what was asked for, as pipes do."""

    def __init__(self, content: bytes, sizes: Iterator[int]) -> None:
        self._stream = io.BytesIO(content)
        self._sizes = sizes

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, next(self._sizes)))


edges = st.sampled_from([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 17 * CHUNK_BYTES])


@given(
    st.one_of(edges, st.integers(0, 4 * CHUNK_BYTES)),
    st.lists(st.one_of(edges, st.integers(0, MIB))),
    st.data(),
)
@example(16 * CHUNK_BYTES, [16 * CHUNK_BYTES], None)
@example(17 * CHUNK_BYTES, [16 * CHUNK_BYTES], None)
@example(33 * CHUNK_BYTES, [MIB, MIB + 1], None)
def test_any_sizes_of_read_give_the_same(total: int, sizes: list[int], data: st.DataObject | None) -> None:
    identity = Identity.generate()
    plain = sample(total)
    pieces = st.one_of(st.integers(1, 200_000), st.just(1 << 30))
    gives = iter(lambda: data.draw(pieces) if data else 1 << 30, None)
    reader = AgeReader(Dribble(encrypt(plain, [identity.recipient]), gives), [identity])
    at = 0
    for size in sizes:
        assert reader.read(size) == plain[at : at + size], "as much as asked for, up to the end"
        at = min(total, at + size)
    assert reader.read(MIB * 8) == plain[at:]
    assert reader.read(1) == b""


def test_what_was_read_cannot_be_sealed_anew(identity: Identity) -> None:
    payload = open_head(encrypt(b"abc", [identity.recipient]), [identity]).payload
    with pytest.raises(ValueError, match="sealed already"):
        payload.seal(0, b"xyz", last=True)


def test_a_size_is_needed(identity: Identity) -> None:
    reader = AgeReader(io.BytesIO(encrypt(b"abc", [identity.recipient])), [identity])
    with pytest.raises(ValueError, match="how many bytes"):
        reader.read(-1)
    assert reader.read(0) == b""
    assert reader.read(9) == b"abc"


class Endless:
    """An age file as long as one likes, made while it is read."""

    def __init__(self, identity: Identity, chunks: int) -> None:
        self._encryptor = Encryptor([identity.recipient])
        self._left = chunks
        self._ready = self._encryptor.head
        self.largest = 0

    def read(self, size: int, /) -> bytes:
        self.largest = max(self.largest, size)
        while len(self._ready) < size and self._left:
            self._left -= 1
            self._ready += b"".join(self._encryptor.update(bytes(CHUNK_BYTES)))
            self._ready += b"" if self._left else self._encryptor.finish()
        given, self._ready = self._ready[:size], self._ready[size:]
        return given


def test_memory_is_one_block_beyond_what_is_asked_for(identity: Identity) -> None:
    source = Endless(identity, 512)
    tracemalloc.start()
    try:
        reader = AgeReader(source, [identity])
        total = 0
        while piece := reader.read(100_000):
            total += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 512 * CHUNK_BYTES
    assert source.largest <= 3 * STORED_CHUNK_BYTES
    assert peak < 2 * MIB
    reader = AgeReader(source := Endless(identity, 512), [identity])
    assert len(reader.read(32 * MIB)) == 32 * MIB
    assert source.largest <= 16 * STORED_CHUNK_BYTES + 1
