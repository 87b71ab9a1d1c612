"""The stored frames of packs, read as they are asked for: packs that nothing is wanted of stay unopened."""

from __future__ import annotations

import os
from typing import BinaryIO

from transfer.core.records import Frame
from transfer.device.device import Device
from transfer.device.frame_stream import PackReader
from transfer.device.manifest import open_regular
from transfer.device.pack_source import open_source
from transfer.errors import IntegrityError


class PackFiles:
    """One pack at a time, of any of the devices; one thread at a time."""

    def __init__(self) -> None:
        self._at: tuple[Device, int] | None = None
        self._name = self._problem = ""
        self._reader: PackReader | None = None
        self._file: BinaryIO | None = None

    def read(self, device: Device, sequence: int, frame: Frame) -> bytes | str:
        """The stored bytes of a frame; where there are none, text that says why."""
        if self._at != (device, sequence):
            self._open(device, sequence)
        if self._reader is None:
            return self._problem
        try:
            return self._reader.read_alone(frame)
        except IntegrityError as error:
            return f"{self._name}: {error.what}"
        except OSError as error:
            return f"{self._name} cannot be read at {frame.offset:,}: {error.strerror}"

    def close(self) -> None:
        """Close what is open."""
        if self._file is not None:
            self._file.close()
        self._file = self._reader = self._at = None

    def _open(self, device: Device, sequence: int) -> None:
        self.close()
        self._at, self._name = (device, sequence), device.layout.pack_file(sequence)
        try:
            self._file = open_regular(device.layout.pack(sequence))
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            self._reader = PackReader(open_source(device, self._file.fileno()))
        except (OSError, IntegrityError) as error:
            self._problem = f"{self._name} cannot be read: {getattr(error, 'strerror', None) or error}"
