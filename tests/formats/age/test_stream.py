"""Chunks: one place each, no nonce twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.age import crafted
from tests.formats.age.programs import SIZES, sample
from transfer.errors import IntegrityError
from transfer.formats.age.stream import CHUNK_BYTES, TAG_BYTES, Payload, payload_bytes

FULL = sample(CHUNK_BYTES)


def new() -> Payload:
    return Payload(crafted.FILE_KEY, crafted.NONCE)


@pytest.mark.parametrize("size", SIZES)
def test_payload_bytes_is_what_the_chunks_have(size: int) -> None:
    plain = sample(size)
    payload = new()
    starts = range(0, max(1, size), CHUNK_BYTES)
    stored = [
        payload.seal(index, plain[start : start + CHUNK_BYTES], last=start == starts[-1])
        for index, start in enumerate(starts)
    ]
    assert sum(map(len, stored)) == payload_bytes(size)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 1 << 40, (1 << 88) - 1])
@pytest.mark.parametrize("last", [True, False])
def test_chunks_are_those_of_the_specification(index: int, last: bool) -> None:
    stored = crafted.sealed(index, FULL, last)
    assert new().seal(index, FULL, last=last) == stored
    assert new().open(index, stored, last=last) == FULL


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_buffers_of_all_kinds_are_taken(kind: type[bytes | bytearray | memoryview]) -> None:
    stored = new().seal(0, kind(b"abc"), last=True)
    assert new().open(0, kind(stored), last=True) == b"abc"


@given(st.integers(0, 300), st.booleans(), st.integers(0, 300), st.booleans())
def test_a_chunk_opens_at_its_own_place_alone(index: int, last: bool, other: int, marked: bool) -> None:
    stored = crafted.sealed(index, FULL, last)
    if (index, last) == (other, marked):
        assert new().open(other, stored, last=marked) == FULL
    else:
        with pytest.raises(IntegrityError, match=f"chunk {other} "):
            new().open(other, stored, last=marked)


def test_threads_may_open_chunks_together() -> None:
    payload = new()
    stored = [crafted.sealed(index, sample(CHUNK_BYTES), False) for index in range(64)]
    with ThreadPoolExecutor(4) as threads:
        opened = threads.map(
            lambda index: payload.open(index % 64, stored[index % 64], last=False), range(512)
        )
        assert all(plain == FULL for plain in opened)


def test_a_chunk_opens_in_its_own_file_alone() -> None:
    stored = new().seal(0, b"abc", last=True)
    for stranger in (Payload(bytes(16), crafted.NONCE), Payload(crafted.FILE_KEY, bytes(16))):
        with pytest.raises(IntegrityError):
            stranger.open(0, stored, last=True)


@pytest.mark.parametrize(
    ("index", "size", "last"),
    [
        (0, 0, False),
        (0, 1, False),
        (0, CHUNK_BYTES - 1, False),
        (0, CHUNK_BYTES + 1, False),
        (0, CHUNK_BYTES + 1, True),
        (1, 0, True),
    ],
)
def test_sizes_that_no_chunk_may_have(index: int, size: int, last: bool) -> None:
    with pytest.raises(ValueError, match=f"cannot have {size} bytes"):
        new().seal(index, bytes(size), last=last)
    with pytest.raises(IntegrityError, match=f"has {size + TAG_BYTES} stored bytes"):
        new().open(index, crafted.sealed(index, bytes(size), last), last=last)


@pytest.mark.parametrize("size", [0, 1, 15])
def test_a_chunk_shorter_than_its_tag_is_refused(size: int) -> None:
    for last in (True, False):
        with pytest.raises(IntegrityError, match=f"has {size} stored bytes"):
            new().open(0, bytes(size), last=last)


class Recorder:
    """Stands before the cipher and notes what it seals; where told to, it fails after that."""

    def __init__(self, cipher: object, fail_at: int = -1) -> None:
        self._cipher = cipher
        self._fail_at = fail_at
        self.nonces: list[bytes] = []

    def encrypt(self, nonce: bytes, *rest: object) -> bytes:
        self.nonces.append(nonce)
        if len(self.nonces) == self._fail_at:
            raise MemoryError
        return self._cipher.encrypt(nonce, *rest)  # type: ignore[attr-defined, no-any-return]


@given(
    st.lists(st.tuples(st.integers(-1, 6), st.sampled_from([0, 5, CHUNK_BYTES]), st.booleans())),
    st.integers(1, 5),
)
def test_no_order_of_calls_uses_a_nonce_twice(calls: list[tuple[int, int, bool]], fail_at: int) -> None:
    payload = new()
    payload._cipher = recorder = Recorder(payload._cipher, fail_at)  # type: ignore[assignment]
    for index, size, last in calls:
        try:
            payload.seal(index, bytes(size), last=last)
        except (ValueError, MemoryError):
            continue
    places = [int.from_bytes(nonce[:11], "big") for nonce in recorder.nonces]
    assert places == sorted(set(places)), "each number once, whatever its mark"
    assert all(nonce[11] == 0 for nonce in recorder.nonces[:-1]), "none behind the last"


def test_numbers_end_before_the_nonce_would_wrap() -> None:
    with pytest.raises(ValueError, match="sealed already"):
        new().seal(1 << 88, FULL, last=False)
    with pytest.raises(ValueError, match="sealed already"):
        Payload(crafted.FILE_KEY, crafted.NONCE, complete=True).seal(0, FULL, last=False)
