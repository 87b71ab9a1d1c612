"""The age program and pyrage open our files; no call order, split or failure seals anything twice."""

from __future__ import annotations

import itertools

import pyrage
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.formats.age.programs import SIZES, Age, sample
from tests.formats.age.test_stream import Recorder
from transfer.errors import UsageError
from transfer.formats.age.header import parse_header
from transfer.formats.age.keys import Identity
from transfer.formats.age.stream import CHUNK_BYTES, payload_bytes
from transfer.formats.age.writer import Encryptor, encrypt
from transfer.formats.age.x25519 import unwrap


def theirs(identity: Identity) -> pyrage.x25519.Identity:
    """The same identity, for pyrage."""
    return pyrage.x25519.Identity.from_str(identity.text)


@pytest.mark.parametrize("size", SIZES)
def test_the_program_and_pyrage_open_our_files(size: int, age: Age, identity: Identity) -> None:
    plain = sample(size)
    stored = encrypt(plain, [identity.recipient])
    assert age.opens(stored) == plain
    assert pyrage.decrypt(stored, [theirs(identity)]) == plain


def test_each_of_several_recipients_opens_a_file(age: Age, identity: Identity) -> None:
    others = [Identity.generate() for _ in range(3)]
    stored = encrypt(b"for all", [*(other.recipient for other in others), identity.recipient])
    assert age.opens(stored) == b"for all"
    for other in others:
        assert pyrage.decrypt(stored, [theirs(other)]) == b"for all"
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(stored, [theirs(Identity.generate())])


edges = st.sampled_from([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
splits = st.lists(st.one_of(edges, st.integers(0, 100), st.integers(0, 3 * CHUNK_BYTES)), max_size=8)


@given(splits, st.sampled_from([bytes, bytearray, memoryview]))
@example([CHUNK_BYTES, CHUNK_BYTES], bytes)
@example([CHUNK_BYTES, 0, 0], bytes)
@example([0, CHUNK_BYTES - 1, 1, 1], bytes)
def test_any_split_gives_what_one_call_gives(sizes: list[int], kind: type[bytes]) -> None:
    identity = Identity.generate()
    plain = sample(sum(sizes))
    encryptor = Encryptor([identity.recipient])
    stored = encryptor.head
    given_bytes = 0
    for size in sizes:
        stored += b"".join(encryptor.update(kind(plain[given_bytes : given_bytes + size])))
        given_bytes += size
        held = len(encryptor.head) + payload_bytes(given_bytes) - len(stored)
        assert (17 if given_bytes else 16) <= held <= CHUNK_BYTES + 16, (
            "the last chunk is kept back, no other"
        )
    stored += encryptor.finish()
    assert len(stored) == len(encryptor.head) + payload_bytes(len(plain))
    assert pyrage.decrypt(stored, [theirs(identity)]) == plain


def test_chunks_come_whole_and_one_by_one(identity: Identity) -> None:
    sealed = Encryptor([identity.recipient]).update(sample(4 * CHUNK_BYTES))
    assert [len(chunk) for chunk in sealed] == [CHUNK_BYTES + 16] * 3


def test_the_caller_may_use_its_buffer_again(identity: Identity) -> None:
    encryptor = Encryptor([identity.recipient])
    buffer = bytearray(b"abc")
    stored = [encryptor.head, *encryptor.update(buffer)]
    buffer[:] = b"xyz"
    assert pyrage.decrypt(b"".join([*stored, encryptor.finish()]), [theirs(identity)]) == b"abc"


def test_nothing_random_is_used_twice(identity: Identity) -> None:
    file_keys, nonces, shares = set(), set(), set()
    for _ in range(20):
        stored = encrypt(b"the same", [identity.recipient, identity.recipient])
        header = parse_header(stored)
        file_keys.add(unwrap(header.stanzas[0], identity))
        nonces.add(stored[header.size_bytes : header.size_bytes + 16])
        shares.update(stanza.arguments[1] for stanza in header.stanzas)
    assert (len(file_keys), len(nonces), len(shares)) == (20, 20, 40)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("update"), st.sampled_from([0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1])),
            st.tuples(st.just("finish"), st.just(0)),
            st.tuples(st.just("seal"), st.integers(0, 5)),
        )
    ),
    st.integers(1, 8),
)
def test_no_order_of_calls_uses_a_nonce_twice(calls: list[tuple[str, int]], fail_at: int) -> None:
    encryptor = Encryptor([Identity.generate().recipient])
    payload = encryptor.payload
    payload._cipher = recorder = Recorder(payload._cipher, fail_at)  # type: ignore[assignment]
    fill = itertools.count()
    for verb, number in calls:
        try:
            if verb == "update":
                encryptor.update(bytes([next(fill) % 256]) * number)
            elif verb == "finish":
                encryptor.finish()
            else:
                payload.seal(number, bytes(CHUNK_BYTES), last=False)
        except (ValueError, MemoryError):
            continue
    places = [nonce[:11] for nonce in recorder.nonces]
    assert places == sorted(set(places))
    assert all(nonce[11] == 0 for nonce in recorder.nonces[:-1])


def test_nothing_is_added_to_a_finished_file(identity: Identity) -> None:
    encryptor = Encryptor([identity.recipient])
    encryptor.finish()
    for more in (lambda: encryptor.update(b"x"), lambda: encryptor.update(b""), encryptor.finish):
        with pytest.raises(ValueError, match="finished or failed"):
            more()


def test_nothing_is_added_to_a_failed_file(identity: Identity) -> None:
    """What the failed call had sealed is lost; a file that went on would have a hole."""
    encryptor = Encryptor([identity.recipient])
    encryptor.payload._cipher = Recorder(encryptor.payload._cipher, fail_at=2)  # type: ignore[assignment]
    with pytest.raises(MemoryError):
        encryptor.update(sample(4 * CHUNK_BYTES))
    for more in (lambda: encryptor.update(b"x"), encryptor.finish):
        with pytest.raises(ValueError, match="finished or failed"):
            more()


def test_a_file_has_recipients_and_not_too_many(identity: Identity) -> None:
    with pytest.raises(UsageError, match="nobody"):
        Encryptor([])
    with pytest.raises(UsageError, match="167 recipients are too many"):
        Encryptor([identity.recipient] * 167)
    assert pyrage.decrypt(encrypt(b"", [identity.recipient] * 166), [theirs(identity)]) == b""


def test_nothing_of_a_file_in_the_making_is_shown(identity: Identity) -> None:
    encryptor = Encryptor([identity.recipient])
    encryptor.update(b"very secret")
    shown = f"{encryptor!r} {encryptor} {encryptor.payload!r}"
    assert shown.count("object at 0x") == 3
