"""The bytes of a stored pack, in order or from any place, with the digest of the stored file on the way.

`open_source` gives the plain or the decrypting kind; whoever reads counts in bytes of the pack. One thread at
a time; memory is what is asked for, and a block.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from transfer.device.device import Device

READ_BYTES = 16 << 20
"""At once: with room for a frame of 8 MiB that did not become smaller, which then need not be joined."""


class PackSource(ABC):
    """A pack file that is open; the descriptor stays its owner's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hasher = blake3()
        self._is_in_order = True
        self.stored_offset = 0
        """How far the stored file was read; its size, once `take` gave less than was asked for."""

    @abstractmethod
    def take(self, size: int) -> bytes:
        """The next bytes, fewer only where the pack ends.

        Raises:
            IntegrityError: some of them are not what was written; the next call goes on behind them.
            OSError: the disk failed; `go_to` says where to go on.
        """

    @abstractmethod
    def go_to(self, offset: int) -> None:
        """Go on at another place of the pack; the digest is then worth nothing."""

    def digest(self) -> str:
        """BLAKE3 of all that was read of the stored file."""
        return self._hasher.hexdigest()

    def _read(self, size: int) -> bytes:
        """The next stored bytes, fewer only where the file ends."""
        parts: Sequence[bytes] = []
        while size and (part := os.pread(self._descriptor, min(size, READ_BYTES), self.stored_offset)):
            parts = [*parts, part]
            if self._is_in_order:
                self._hasher.update(part)
            self.stored_offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class PlainSource(PackSource):
    """The stored bytes as they are."""

    def take(self, size: int) -> bytes:
        """As `PackSource` says."""
        return self._read(size)

    def go_to(self, offset: int) -> None:
        """As `PackSource` says."""
        self._is_in_order = False
        self.stored_offset = offset


def open_source(device: Device, descriptor: int) -> PackSource:
    """What reads a pack of this device through a descriptor of its file.

    Raises:
        AccessError: it is encrypted, and nothing is at hand that opens it.
        FormatError, IntegrityError: it does not begin as an age file does, or is encrypted to others.
        OSError: the disk failed.
    """
    if not device.document.is_encrypted:
        return PlainSource(descriptor)
    from transfer.device.decrypted_pack import DecryptedSource  # noqa: PLC0415  (start-up time)
    from transfer.device.encryption import for_this_device, require_open  # noqa: PLC0415

    require_open(device)
    with for_this_device():
        return DecryptedSource(descriptor, device.identities)
