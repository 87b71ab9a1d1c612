"""Appending to a device: packs roll over by size and entries, each committed by the order of FORMAT.md §13.

Blocking; used from one thread, under the device's lock. After an error the device is in the state of its last
commit. A full device is brought to a committed state first, with whole entries wherever that is possible.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import NoReturn

from transfer.core.records import FORMAT_VERSION, Header
from transfer.core.stream_rules import path_fields
from transfer.device.device import Device
from transfer.device.disk import FULL_ERRNOS, device_errors, set_room_aside, write_durably
from transfer.device.encryption import recipients_of
from transfer.device.layout import PARTIAL_SUFFIX, RESERVE_NAME
from transfer.device.open_pack import OpenPack, Piece
from transfer.errors import DeviceFullError

MAX_LINES_BYTES = 32 << 20
"""A pack closes when its records grow beyond this: bounds memory and the segment's size."""

RESERVE_BYTES = 32 << 20
_LEAST_RESERVE_BYTES = 64 << 10


@dataclass(frozen=True)
class RunIdentity:
    """Which run the segments belong to; `keys`: its paths are keys of a bucket."""

    run: int
    started: str
    source: str
    keys: bool = False


class DeviceWriter:
    """Writes one run, from pack `sequence` on.

    Args:
        device: where to.
        identity: of the run.
        sequence: number of the first pack to write.
        in_member: the last committed pack ended inside a large file.
        used_bytes: what the device's files take now.
    """

    def __init__(
        self,
        device: Device,
        identity: RunIdentity,
        *,
        sequence: int,
        in_member: bool,
        used_bytes: int,
    ) -> None:
        self.device = device
        self.identity = identity
        self.sequence = sequence
        self.run_is_open = False
        self._used = used_bytes
        self._in_member = in_member
        self._pack: OpenPack | None = None
        document = device.document
        capacity = document.capacity_bytes
        self._limit = None if capacity is None else capacity - document.reserve_bytes
        self._pack_recipients, self._segment_recipients = recipients_of(document)

    def append(self, piece: Piece) -> None:
        """Take the next piece of the run.

        Raises:
            DeviceFullError: it does not fit; all before it is committed, short of a large file that was cut
                off.
            DeviceError: the disk failed.
        """
        with device_errors(self.device.root):
            pack = self._pack_for(piece)
            if self._limit is not None and self._used + pack.size_with(len(piece.stored)) > self._limit:
                self._stop_full()
            try:
                pack.append(piece)
            except OSError as error:
                if error.errno not in FULL_ERRNOS:
                    raise
                self._stop_full()
            self.run_is_open = True

    def finish(self) -> None:
        """The run is over: commit what is there, and mark the run complete.

        A run that brought nothing leaves nothing.

        Raises:
            DeviceFullError, DeviceError: as `append`.
        """
        with device_errors(self.device.root):
            if self._pack is None and self.run_is_open:
                self._pack = self._open()
            if self._pack is not None:
                self._commit_or_stop(self._pack, run_complete=True)

    def pause(self) -> None:
        """Commit what is there; the run goes on another time.

        Raises:
            DeviceFullError, DeviceError: as `append`.
        """
        with device_errors(self.device.root):
            if self._pack is None or self._pack.is_empty:
                self.abandon()
            else:
                self._commit_or_stop(self._pack)

    def abandon(self) -> None:
        """Drop what is not committed."""
        pack, self._pack = self._pack, None
        if pack is not None:
            pack.close()
            with contextlib.suppress(OSError):
                os.unlink(pack.path + PARTIAL_SUFFIX)

    def _pack_for(self, piece: Piece) -> OpenPack:
        """The open pack, rolled over when the piece does not go into it any more."""
        document, pack = self.device.document, self._pack
        if pack is not None and not pack.is_empty:
            state = pack.state
            too_large = pack.size_with(len(piece.stored)) > document.pack_size_bytes
            too_many = state.entries + piece.entries > document.max_entries
            too_long = state.lines_bytes + len(piece.lines) > MAX_LINES_BYTES
            if too_many or too_long or (too_large and piece.frame_kind):
                self._commit_or_stop(pack)
        if self._pack is None:
            self._pack = self._open()
        return self._pack

    def _open(self) -> OpenPack:
        path = self.device.layout.pack(self.sequence)
        level, recipients = self.device.document.level, self._pack_recipients
        return OpenPack(path, in_member=self._in_member, level=level, recipients=recipients)

    def _commit_or_stop(self, pack: OpenPack, *, run_complete: bool = False) -> None:
        try:
            self._commit(pack, run_complete=run_complete)
        except OSError as error:
            if error.errno not in FULL_ERRNOS:
                raise
            self._stop_full(run_complete=run_complete)

    def _commit(self, pack: OpenPack, *, run_complete: bool) -> None:
        """FORMAT.md §13, steps 1 and 2. After a full disk it may be called again, and goes on where it
        was."""
        if not pack.digest:
            pack.seal_off()
        if not pack.is_named:
            pack.take_name()
        state = pack.state
        segment = self._stored_segment(pack.segment(self._header(pack, run_complete)))
        write_durably(self.device.layout.segment(self.sequence), segment)
        self._pack = None
        self._in_member = state.in_member
        self._used += pack.stored_bytes + len(segment)
        self.sequence += 1

    def _stored_segment(self, segment: bytes) -> bytes:
        if not self._segment_recipients:
            return segment
        from transfer.formats.age.writer import encrypt  # noqa: PLC0415  (start-up time)

        return encrypt(segment, self._segment_recipients)

    def _header(self, pack: OpenPack, run_complete: bool) -> Header:
        state, document = pack.state, self.device.document
        paths: dict[str, str] = {}
        if state.first_path:
            paths = path_fields(state.first_path, "first_path") | path_fields(state.last_path, "last_path")
        return Header(
            format_version=FORMAT_VERSION,
            device_id=document.device_id,
            sequence=self.sequence,
            run=self.identity.run,
            run_started=self.identity.started,
            run_complete=run_complete,
            keys=self.identity.keys,
            source=self.identity.source,
            starts_with_member=pack.starts_with_member,
            ends_with_member=not state.in_member,
            pack_size_bytes=pack.stored_bytes,
            pack_blake3=pack.digest,
            pack_plain_bytes=state.size_bytes if document.is_encrypted else 0,
            chunk_size_bytes=document.chunk_size_bytes,
            entries=state.entries,
            content_bytes=state.file_bytes,
            **paths,
        )

    def _stop_full(self, *, run_complete: bool = False) -> NoReturn:
        """Free the reserve, commit what is whole, and stop."""
        pack = self._pack
        remove_reserve(self.device)
        if pack is not None:
            if pack.state.in_member and not pack.digest:
                pack.go_back()
            if pack.is_empty or pack.is_broken:
                self.abandon()
            else:
                self._commit_last(pack, run_complete)
        raise DeviceFullError(
            f"device {self.device.root} is full", remedy="seal it and continue on another device"
        )

    def _commit_last(self, pack: OpenPack, run_complete: bool) -> None:
        try:
            self._commit(pack, run_complete=run_complete)
        except OSError as error:
            self.abandon()
            if error.errno not in FULL_ERRNOS:
                raise


def make_reserve(device: Device) -> None:
    """Set ballast aside, so that a full disk still takes the last segment and the seal (FORMAT.md §4,
    RESERVE).

    Raises:
        DeviceFullError: there is not even room for that.
    """
    path = device.layout.at(RESERVE_NAME)
    with device_errors(device.root):
        status = os.statvfs(device.root)
        wanted = max(_LEAST_RESERVE_BYTES, min(RESERVE_BYTES, status.f_frsize * status.f_blocks // 16))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            if os.fstat(descriptor).st_size < wanted:
                set_room_aside(descriptor, wanted)
        finally:
            os.close(descriptor)


def remove_reserve(device: Device) -> None:
    """Give the ballast back."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(device.layout.at(RESERVE_NAME))
