"""Damaged, cut, reordered and extended files: the age program refuses them, and so do we."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.age import crafted
from tests.formats.age.programs import Age, flipped, read_all, sample
from transfer.errors import AccessError, IntegrityError
from transfer.formats.age.keys import Identity
from transfer.formats.age.reader import AgeReader
from transfer.formats.age.stream import CHUNK_BYTES, STORED_CHUNK_BYTES
from transfer.formats.age.writer import encrypt

COUNT = 3


def pieces(stored: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Header, nonce, stored chunks."""
    *lines, payload = stored.split(b"\n", 4)  # version, arguments, body, MAC
    header = b"\n".join([*lines, b""])
    starts = range(len(header) + 16, len(stored), STORED_CHUNK_BYTES)
    return header, payload[:16], [stored[start : start + STORED_CHUNK_BYTES] for start in starts]


Damage = Callable[[bytes, bytes, list[bytes]], bytes]
DAMAGES: dict[str, Damage] = {
    "nothing": lambda h, n, c: b"",
    "header alone": lambda h, n, c: h,
    "cut in the nonce": lambda h, n, c: h + n[:15],
    "cut behind the nonce": lambda h, n, c: h + n,
    "cut in the first chunk": lambda h, n, c: h + n + c[0][:100],
    "cut in the first chunk's tag": lambda h, n, c: h + n + c[0][:-1],
    "cut behind the first chunk": lambda h, n, c: h + n + c[0],
    "cut a byte into the second chunk": lambda h, n, c: h + n + c[0] + c[1][:1],
    "cut a tag's length into the second chunk": lambda h, n, c: h + n + c[0] + c[1][:16],
    "last chunk missing": lambda h, n, c: h + n + b"".join(c[:-1]),
    "last chunk without its tag": lambda h, n, c: h + n + b"".join(c)[:-16],
    "last byte missing": lambda h, n, c: h + n + b"".join(c)[:-1],
    "first chunk missing": lambda h, n, c: h + n + b"".join(c[1:]),
    "middle chunk missing": lambda h, n, c: h + n + c[0] + c[2],
    "last chunk alone": lambda h, n, c: h + n + c[2],
    "chunks swapped": lambda h, n, c: h + n + c[1] + c[0] + c[2],
    "chunks backwards": lambda h, n, c: h + n + b"".join(c[::-1]),
    "first chunk twice": lambda h, n, c: h + n + c[0] + c[0] + c[1] + c[2],
    "first chunk again for the second": lambda h, n, c: h + n + c[0] + c[0] + c[2],
    "last chunk twice": lambda h, n, c: h + n + b"".join(c) + c[2],
    "a byte behind": lambda h, n, c: h + n + b"".join(c) + b"\0",
    "a line end behind": lambda h, n, c: h + n + b"".join(c) + b"\n",
    "a tag's length behind": lambda h, n, c: h + n + b"".join(c) + bytes(16),
    "a chunk behind": lambda h, n, c: h + n + b"".join(c) + bytes(STORED_CHUNK_BYTES),
    "the file behind itself": lambda h, n, c: (h + n + b"".join(c)) * 2,
    "the payload behind itself": lambda h, n, c: h + (n + b"".join(c)) * 2,
    "two headers": lambda h, n, c: h + h + n + b"".join(c),
    "no header": lambda h, n, c: n + b"".join(c),
    "no nonce": lambda h, n, c: h + b"".join(c),
    "nonce changed": lambda h, n, c: h + flipped(n, 0) + b"".join(c),
    "first byte changed": lambda h, n, c: h + n + flipped(b"".join(c), 0),
    "first tag changed": lambda h, n, c: h + n + flipped(c[0], STORED_CHUNK_BYTES - 1) + c[1] + c[2],
    "middle byte changed": lambda h, n, c: h + n + c[0] + flipped(c[1], 5) + c[2],
    "last byte changed": lambda h, n, c: h + n + flipped(b"".join(c), len(b"".join(c)) - 1),
    "chunk filled with zero": lambda h, n, c: h + n + c[0] + bytes(len(c[1])) + c[2],
}


@pytest.mark.parametrize("last_bytes", [1, CHUNK_BYTES])
@pytest.mark.parametrize("name", DAMAGES)
def test_what_the_program_refuses_is_refused(
    name: str, last_bytes: int, age: Age, identity: Identity
) -> None:
    plain = sample((COUNT - 1) * CHUNK_BYTES + last_bytes)
    stored = encrypt(plain, [identity.recipient])
    damaged = DAMAGES[name](*pieces(stored))
    assert damaged != stored
    assert age.opens(damaged) is None
    with pytest.raises(IntegrityError):
        read_all(damaged, identity)


EMPTY_ENDS = {
    "empty file": ([b""], None, b""),
    "one byte": ([b"a"], None, b"a"),
    "one full chunk": ([sample(CHUNK_BYTES)], None, sample(CHUNK_BYTES)),
    "empty chunk behind a full one": ([sample(CHUNK_BYTES), b""], None, None),
    "empty chunk behind an empty one": ([b"", b""], None, None),
    "short chunk in the midst": ([b"abc", b"def"], None, None),
    "no chunk is the last": ([sample(CHUNK_BYTES)], [False], None),
    "no chunk is the last, and it is empty": ([b""], [False], None),
    "two are the last": ([sample(CHUNK_BYTES), b"abc"], [True, True], None),
    "the first is the last": ([sample(CHUNK_BYTES), sample(CHUNK_BYTES)], [True, False], None),
    "chunk too large": ([sample(CHUNK_BYTES + 1)], None, None),
}


@pytest.mark.parametrize("name", EMPTY_ENDS)
def test_ends_that_a_faulty_or_hostile_writer_makes(name: str, age: Age, identity: Identity) -> None:
    chunks, marks, plain = EMPTY_ENDS[name]
    stanza = b"-> X25519 %b\n%b\n" % crafted.x25519(identity.recipient.public)
    stored = crafted.header(b"age-encryption.org/v1\n" + stanza) + crafted.payload(*chunks, marks=marks)
    assert age.opens(stored) == plain
    if plain is None:
        with pytest.raises(IntegrityError):
            read_all(stored, identity)
    else:
        assert read_all(stored, identity) == plain


@given(st.data())
def test_no_cut_and_no_changed_bit_passes(data: st.DataObject) -> None:
    identity = Identity.generate()
    plain = sample(data.draw(st.sampled_from([0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])))
    stored = encrypt(plain, [identity.recipient])
    at = data.draw(st.integers(0, len(stored) - 1))
    changed = bytearray(stored)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (stored[:at], bytes(changed), stored + stored[at:]):
        with pytest.raises((IntegrityError, AccessError)):
            read_all(damaged, identity, data.draw(st.integers(1, 2 * CHUNK_BYTES)))
    assert read_all(stored, identity) == plain


def test_what_comes_before_the_damage_is_right_and_nothing_comes_behind(identity: Identity) -> None:
    """Not even where the very chunk that was missing follows."""
    plain = sample(3 * CHUNK_BYTES)
    header, nonce, chunks = pieces(encrypt(plain, [identity.recipient]))
    stored = header + nonce + chunks[0] + flipped(chunks[1], 0) + chunks[1] + chunks[2]
    reader = AgeReader(io.BytesIO(stored), [identity])
    assert reader.read(CHUNK_BYTES) == plain[:CHUNK_BYTES]
    for _ in range(5):
        with pytest.raises(IntegrityError):
            reader.read(1)
