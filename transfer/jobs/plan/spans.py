"""How many devices a source fills: whole entries, in order, each where it fits as a whole.

As copy does it: a device that has no room for the next entry is closed, and nothing is put on it any more. An
entry that an empty device has no room for is left out. What an entry takes is its bytes as they are, not
compressed, and what was measured of all that is stored beside them.
"""

from __future__ import annotations

from msgspec import Struct

from transfer.formats.profile import PackRules

ENTRY_BYTES = 192
"""Headers in the pack and the record in the segment, compressed: 93 to 163 bytes an entry were measured."""

OBJECT_BYTES = 320
"""The same of an object, with its version, checksum and a little metadata: 185 bytes each were measured."""

CHUNK_BYTES = 256
"""The frame of a chunk and its record."""

PACK_BYTES = 4096
"""Beside what is in it: seek table, header of the segment, two age headers, and where frames end."""

MAX_LISTED_DEVICES = 100


class DeviceFill(Struct):
    """What one device would hold; `first_path` and `last_path` for people."""

    entries: int = 0
    bytes: int = 0
    stored_bytes: int = 0
    first_path: str = ""
    last_path: str = ""


def stored_bytes(size_bytes: int, chunk_size_bytes: int, entry_bytes: int = ENTRY_BYTES) -> int:
    """What an entry takes at most of a device, encrypted or not.

    zstd adds 3 bytes to each 128 KiB that it cannot compress, age 16 to each 64 KiB.
    """
    chunks = size_bytes // chunk_size_bytes
    return size_bytes + (size_bytes >> 12) + (size_bytes >> 15) + entry_bytes + CHUNK_BYTES * chunks


class Spans:
    """Fills one device after the other.

    Args:
        room_bytes: of each device; None: nobody knows, and one holds everything.
        pack: rules of the profile.
        entry_bytes: what an entry takes beside its content.

    Attributes:
        devices: that were begun.
        listed: the first of them.
    """

    def __init__(self, room_bytes: int | None, pack: PackRules, entry_bytes: int = ENTRY_BYTES) -> None:
        self.devices = 0
        self.listed: list[DeviceFill] = []
        self._room = room_bytes
        self._entry_bytes = entry_bytes
        self._chunk_bytes = pack.chunk_size_bytes
        self._pack_bytes = pack.pack_size_bytes
        self._current = DeviceFill()
        self._last = b""

    def fits_a_device(self, size_bytes: int) -> bool:
        """Whether an empty device has room for a file."""
        return self._fits(self._stored(size_bytes))

    def has_room(self, size_bytes: int) -> bool:
        """Whether the device at hand has room for a file."""
        takes = self._stored(size_bytes)
        return self.devices > 0 and self._fits(self._current.stored_bytes + takes)

    def add(self, path: bytes, size_bytes: int) -> bool:
        """Put an entry, which fits a device, on the one at hand or the next; True where it is the next."""
        takes = self._stored(size_bytes)
        current = self._current
        is_next = not self.devices or not self._fits(current.stored_bytes + takes)
        if is_next:
            self._close()
            self.devices += 1
            self._current = current = DeviceFill(first_path=path.decode(errors="backslashreplace"))
        current.entries += 1
        current.bytes += size_bytes
        current.stored_bytes += takes
        self._last = path
        return is_next

    def finish(self) -> None:
        """Nothing comes any more."""
        self._close()

    def _stored(self, size_bytes: int) -> int:
        return stored_bytes(size_bytes, self._chunk_bytes, self._entry_bytes)

    def _fits(self, entries_bytes: int) -> bool:
        return self._room is None or self._in_packs(entries_bytes) <= self._room

    def _in_packs(self, entries_bytes: int) -> int:
        """With what packs take; they may be half full, where the next chunk does not go into one any more."""
        return entries_bytes + PACK_BYTES * (1 + 2 * entries_bytes // self._pack_bytes)

    def _close(self) -> None:
        if self.devices and len(self.listed) < MAX_LISTED_DEVICES:
            self._current.stored_bytes = self._in_packs(self._current.stored_bytes)
            self._current.last_path = self._last.decode(errors="backslashreplace")
            self.listed.append(self._current)
