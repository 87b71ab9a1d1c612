"""An encrypted pack holds what a plain one would, whatever fails while it grows, and never uses
a nonce twice.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import pyrage
import pytest
from blake3 import blake3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transfer.core.records import B
from transfer.device.encrypted_pack import EncryptedPackFile
from transfer.device.open_pack import OpenPack, Piece
from transfer.device.pack_file import Place
from transfer.formats.age.keys import Recipient
from transfer.formats.age.stream import CHUNK_BYTES, Payload

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENTS = [Recipient.parse(str(IDENTITY.to_public()))]
CONTENT = os.urandom(6 * CHUNK_BYTES)

AROUND_CHUNKS = [
    size + delta for size in (0, CHUNK_BYTES, 2 * CHUNK_BYTES) for delta in (-1, 0, 1) if size + delta >= 0
]
sizes = st.one_of(st.sampled_from(AROUND_CHUNKS), st.integers(0, 2 * CHUNK_BYTES + 5))
writes_before_failure = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), sizes),
        st.tuples(st.just("fail"), sizes, writes_before_failure, st.integers(0, 70_000)),
        st.tuples(st.just("place"), st.just(0)),
        st.tuples(st.just("back"), st.just(0)),
        st.tuples(st.just("end"), st.just(0)),
    ),
    max_size=9,
)


@dataclass
class Disk:
    """Takes some more writes, then part of one, then no more, until it is freed."""

    left: int | None = None
    part: int = 0
    _pwrite: Callable[[int, memoryview, int], int] = os.pwrite

    def pwrite(self, descriptor: int, content: memoryview, offset: int) -> int:
        if self.left is None:
            return self._pwrite(descriptor, content, offset)
        if self.left == 0:
            part, self.part = self.part, 0
            if part:
                return self._pwrite(descriptor, content[:part], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.left -= 1
        return self._pwrite(descriptor, content, offset)


@dataclass
class Nonces:
    """What every key has sealed under every nonce."""

    used: dict[tuple[int, int, bool], bytes] = field(default_factory=dict)
    payloads: list[Payload] = field(default_factory=list)

    def note(self, payload: Payload, index: int, plain: bytes, last: bool) -> None:
        if payload not in self.payloads:
            self.payloads.append(payload)  # held, so that no other one gets its id
        key = (id(payload), index, last)
        assert self.used.setdefault(key, plain) == plain, f"nonce {index}, {last} sealed two contents"


@contextmanager
def watched() -> Iterator[tuple[Disk, Nonces]]:
    disk, nonces = Disk(), Nonces()
    seal = Payload.seal

    def spied(self: Payload, index: int, plain: bytes, *, last: bool) -> bytes:
        nonces.note(self, index, bytes(plain), last)
        return seal(self, index, plain, last=last)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Payload, "seal", spied)
        patch.setattr(os, "pwrite", disk.pwrite)
        yield disk, nonces


@contextmanager
def new_pack() -> Iterator[tuple[EncryptedPackFile, Path]]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "pack")
        pack = EncryptedPackFile(str(path), RECIPIENTS)
        try:
            yield pack, path
        finally:
            pack.close()


def check(pack: EncryptedPackFile, path: Path, plain: bytes) -> None:
    """The stored file is the age file of `plain`, by another program; size and digest are told right."""
    stored_bytes = pack.end()
    pack.cut(stored_bytes)
    stored = path.read_bytes()
    assert pyrage.decrypt(stored, [IDENTITY]) == plain
    assert len(stored) == stored_bytes == pack.stored_bytes(len(plain))
    assert pack.digest() == blake3(stored).hexdigest()
    assert pack.size_bytes == len(plain)


@settings(max_examples=400)
@given(steps)
@example([("append", CHUNK_BYTES), ("place", 0), ("append", 1), ("back", 0), ("append", 2)])
@example([("append", 0), ("end", 0), ("fail", CHUNK_BYTES + 1, 0, 5), ("append", 3)])
@example([("place", 0), ("append", 100), ("back", 0)])
def test_any_history_leaves_the_age_file_of_the_plain_pack(history: list[tuple[str, int]]) -> None:
    plain = b""
    places: list[tuple[Place, bytes]] = []
    with watched() as (disk, _), new_pack() as (pack, path):
        for number, (kind, size, *failure) in enumerate(history):
            content = CONTENT[number * 997 :][:size]
            match kind:
                case "append":
                    pack.append(memoryview(content))
                    plain += content
                case "fail":
                    disk.left, disk.part = failure
                    before = pack.size_bytes
                    try:
                        pack.append(content)
                        plain += content
                    except OSError:
                        assert pack.size_bytes == before
                    disk.left = None
                    if pack.is_broken:  # the failure came while all was encrypted anew
                        return
                case "place":
                    places.append((pack.place(), plain))
                case "back" if places:
                    place, plain = places[-1]
                    pack.go_back(place)
                case "end":  # the writer may find the disk full right behind it, and append once more
                    pack.end()
            places = [(place, held) for place, held in places if len(held) <= len(plain)]
        check(pack, path, plain)


@settings(max_examples=150)
@given(st.lists(sizes, min_size=1, max_size=6), st.integers(0, 12), st.integers(0, 70_000), st.data())
def test_every_write_can_fail(parts: list[int], failing: int, part: int, data: st.DataObject) -> None:
    """And the same again under the seal: `end` is tried anew once there is room."""
    with watched() as (disk, _), new_pack() as (pack, path):
        disk.left, disk.part = failing, part
        plain = b""
        for size in parts:
            content = CONTENT[len(plain) :][:size]
            try:
                pack.append(content)
            except OSError:
                disk.left = None
                if data.draw(st.booleans()):
                    pack.append(content)
                else:
                    continue
            plain += content
        try:
            pack.end()
        except OSError:
            assert disk.left == 0
        disk.left = None
        if not pack.is_broken:
            check(pack, path, plain)


def test_no_disk_space_while_all_is_encrypted_anew_breaks_the_pack() -> None:
    with watched() as (disk, _), new_pack() as (pack, _):
        pack.append(CONTENT[: 3 * CHUNK_BYTES])
        place = pack.place()
        pack.append(CONTENT[:100])
        pack.go_back(place)
        assert not pack.is_broken
        disk.left = 1
        with pytest.raises(OSError, match="No space left"):
            pack.append(b"more")
        assert pack.is_broken


def test_a_stored_chunk_that_decayed_is_not_encrypted_anew() -> None:
    """Going back reads what is on the disk; wrong bytes must not get a valid tag."""
    with new_pack() as (pack, path):
        pack.append(CONTENT[: 3 * CHUNK_BYTES])
        place = pack.place()
        pack.append(CONTENT[:100])
        data = bytearray(path.read_bytes())
        data[1000] ^= 1
        path.write_bytes(data)
        pack.go_back(place)
        with pytest.raises(OSError, match="does not give back"):
            pack.append(b"more")
        assert pack.is_broken


def test_a_chunk_that_the_place_ends_in_decayed() -> None:
    with new_pack() as (pack, path):
        pack.append(CONTENT[:100])
        place = pack.place()
        pack.append(CONTENT[: 3 * CHUNK_BYTES])
        data = bytearray(path.read_bytes())
        data[1000] ^= 1
        path.write_bytes(data)
        with pytest.raises(OSError, match="does not give back"):
            pack.go_back(place)
        assert pack.is_broken


def test_what_is_forgotten_goes_under_another_key() -> None:
    with watched() as (_, nonces), new_pack() as (pack, path):
        pack.append(CONTENT[:CHUNK_BYTES])
        place = pack.place()
        pack.append(CONTENT[:10])
        head = path.read_bytes()[:200]
        pack.go_back(place)
        pack.append(CONTENT[10:20])
        check(pack, path, CONTENT[:CHUNK_BYTES] + CONTENT[10:20])
        assert len(nonces.payloads) == 2
        assert path.read_bytes()[:200] != head


def test_going_nowhere_costs_nothing() -> None:
    with watched() as (_, nonces), new_pack() as (pack, path):
        for size in accumulate([1000] * 5):
            pack.append(CONTENT[:size])
            pack.go_back(pack.place())
        end = pack.end()
        assert len(nonces.payloads) == 1
        assert path.stat().st_size == end


def test_sync_that_fails_breaks_the_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with new_pack() as (pack, _):
        pack.append(b"content")
        pack.end()
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            pack.sync()
        assert pack.is_broken


@pytest.mark.parametrize("frames", [1, 7])
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 500, CHUNK_BYTES, 2 * CHUNK_BYTES])
def test_its_size_is_foretold_to_the_byte(tmp_path: Path, frames: int, size: int) -> None:
    """What the device's capacity is compared with, before a frame is written."""
    pack = OpenPack(str(tmp_path / "pack"), in_member=False, level=1, recipients=RECIPIENTS)
    for _ in range(frames):
        foretold = pack.size_with(size)
        pack.append(Piece(frame_kind=B, content_bytes=size, stored=memoryview(CONTENT[:size])))
    pack.seal_off()
    stored = (tmp_path / "pack.partial").stat().st_size
    assert stored == pack.stored_bytes == foretold
