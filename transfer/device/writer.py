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
from transfer.device.disk import FULL_ERRNOS, device_errors, write_durably
from transfer.device.encryption import recipients_of
from transfer.device.layout import PARTIAL_SUFFIX
from transfer.device.open_pack import OpenPack, Piece
from transfer.device.reserve import LEAST_RESERVE_BYTES, remove_reserve
from transfer.device.take_back import take_back
from transfer.errors import DeviceFullError

MAX_LINES_BYTES = 32 << 20
"""A pack closes when its records grow beyond this: bounds memory and the segment's size."""


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

    Attributes:
        run_is_open: the run has brought something that is to be ended.
        ends_when_full: a full device ends the run; else the run stays open.
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
        self.ends_when_full = True
        self._used = used_bytes
        self._in_member = in_member
        self._before_commit = used_bytes, in_member
        self._pack: OpenPack | None = None
        document = device.document
        capacity = document.capacity_bytes
        self._limit = None if capacity is None else capacity - document.reserve_bytes
        self._pack_recipients, self._segment_recipients = recipients_of(document)

    def append(self, piece: Piece) -> None:
        """Take the next piece of the run.

        Raises:
            DeviceFullError: it does not fit; all whole entries before it are committed and the run is ended
                (`stop_full`).
            DeviceError: the disk failed.
        """
        with device_errors(self.device.root):
            if self.wants_roll(piece):
                self._commit_or_stop()
            if not self.has_room_for(piece):
                self.stop_full()
            try:
                self.put(piece)
            except OSError as error:
                if error.errno not in FULL_ERRNOS:
                    raise
                self.stop_full()

    def wants_roll(self, piece: Piece) -> bool:
        """Whether the open pack is to be committed before it gets this piece."""
        document, pack = self.device.document, self._pack
        if pack is None or pack.is_empty:
            return False
        state = pack.state
        too_large = pack.size_with(len(piece.stored)) > document.pack_size_bytes
        too_many = state.entries + piece.entries > document.max_entries
        too_long = state.lines_bytes + len(piece.lines) > MAX_LINES_BYTES
        return too_many or too_long or (too_large and bool(piece.frame_kind))

    def has_room_for(self, piece: Piece) -> bool:
        """Whether the capacity allows it; what the disk says comes out in writing.

        Raises:
            OSError: a pack cannot be begun.
        """
        pack = self._open_pack()
        return self._limit is None or self._used + pack.size_with(len(piece.stored)) <= self._limit

    def put(self, piece: Piece) -> None:
        """Write a piece into the open pack.

        Raises:
            OSError: the disk refused; the pack is as it was before.
        """
        self._open_pack().append(piece)
        self.run_is_open = True

    def room_bytes(self) -> int:
        """How much may surely still be stored, by capacity and by the disk.

        Raises:
            DeviceError: the disk failed.
        """
        with device_errors(self.device.root):
            status = os.statvfs(self.device.root)
        room = status.f_bavail * status.f_frsize - LEAST_RESERVE_BYTES
        if self._limit is not None:
            pack = self._pack
            room = min(room, self._limit - self._used - (pack.size_with(0) if pack is not None else 0))
        return max(0, room)

    def finish(self, *, continues: bool = False) -> None:
        """The run is over: commit what is there, and mark the run complete.

        A run that brought nothing leaves nothing.

        Args:
            continues: it goes on on another device.

        Raises:
            DeviceFullError, DeviceError: as `append`.
        """
        with device_errors(self.device.root):
            if self.run_is_open:
                self._open_pack()
                self._commit_or_stop(run_complete=True, continues=continues)
            else:
                self.abandon()

    def pause(self) -> None:
        """Commit what is there; the run goes on another time.

        Raises:
            DeviceFullError, DeviceError: as `append`.
        """
        with device_errors(self.device.root):
            if self.has_anything:
                self._commit_or_stop()
            else:
                self.abandon()

    @property
    def is_broken(self) -> bool:
        """Whether nobody knows what the open pack has on the disk."""
        return self._pack is not None and self._pack.is_broken

    @property
    def has_anything(self) -> bool:
        """Whether anything is in the open pack."""
        return self._pack is not None and not self._pack.is_empty

    def close(self) -> None:
        """Nothing is kept open beside the pack."""

    def abandon(self) -> None:
        """Drop what is not committed."""
        pack, self._pack = self._pack, None
        if pack is not None:
            pack.close()
            with contextlib.suppress(OSError):
                os.unlink(pack.path + PARTIAL_SUFFIX)

    def stop_full(self, *, continues: bool = True) -> NoReturn:
        """Free the reserve, commit what is whole, end the run here, and stop.

        A run that was not complete goes on on another device. Where a large file is cut off that began in
        an earlier pack, its packs are taken back. Where there is not even room to say so, the run stays
        open.

        Raises:
            DeviceFullError: always.
            DeviceError: the disk failed.
        """
        with device_errors(self.device.root):
            self.free_reserve()
            if self.drop_member():
                try:
                    self.end(continues=continues)
                except OSError as error:
                    self.abandon()
                    if error.errno not in FULL_ERRNOS:
                        raise
                    self._end_empty(continues=continues)
        raise DeviceFullError(
            f"device {self.device.root} is full", remedy="seal it and continue on another device"
        )

    def free_reserve(self) -> None:
        """Let the ballast's room be used."""
        remove_reserve(self.device)

    def drop_member(self) -> bool:
        """Leave a large file out that is being written.

        Returns:
            Whether the run may be ended here: not when the file began in a pack that is committed; then
            nothing of the open pack is kept.
        """
        pack = self._pack
        in_member = self._in_member if pack is None else pack.state.in_member
        if pack is None or not in_member or pack.digest:
            return not in_member
        if pack.go_back():
            return True
        self.abandon()
        return False

    def end(self, *, continues: bool) -> None:
        """Commit the open pack as the last of the run; not where it is broken and the one before it ends
        inside a large file.

        Raises:
            OSError: the disk refused.
        """
        if self.is_broken or not self.run_is_open:
            self.abandon()
        if not self.run_is_open or (self._pack is None and self._in_member):
            return
        self._open_pack()
        self.commit(run_complete=self.ends_when_full, continues=continues and self.ends_when_full)

    def _end_empty(self, *, continues: bool) -> None:
        """As `end`, without what did not fit."""
        try:
            self.end(continues=continues)
        except OSError as error:
            self.abandon()
            if error.errno not in FULL_ERRNOS:
                raise

    def _open_pack(self) -> OpenPack:
        if self._pack is None:
            path = self.device.layout.pack(self.sequence)
            level, recipients = self.device.document.level, self._pack_recipients
            self._pack = OpenPack(path, in_member=self._in_member, level=level, recipients=recipients)
        return self._pack

    def _commit_or_stop(self, *, run_complete: bool = False, continues: bool = False) -> None:
        try:
            self.commit(run_complete=run_complete, continues=continues)
        except OSError as error:
            if error.errno not in FULL_ERRNOS:
                raise
            self.stop_full(continues=continues or not run_complete)

    def commit(self, *, run_complete: bool = False, continues: bool = False) -> None:
        """FORMAT.md §13, steps 1 and 2. After a full disk it may be called again, and goes on where it was.

        Raises:
            OSError: the disk refused.
        """
        pack = self._open_pack()
        if not pack.digest:
            pack.seal_off()
        if not pack.is_named:
            pack.take_name()
        state = pack.state
        self._before_commit = self._used, self._in_member
        segment = self._stored_segment(pack.segment(self._header(pack, run_complete, continues)))
        write_durably(self.device.layout.segment(self.sequence), segment)
        self._pack = None
        self._in_member = state.in_member
        self._used += pack.stored_bytes + len(segment)
        self.sequence += 1

    def take_back_last(self) -> None:
        """Delete the pack that was committed last, by this writer.

        Raises:
            DeviceError: the disk failed.
        """
        self.sequence -= 1
        self._used, self._in_member = self._before_commit
        take_back(self.device, self.sequence, self.sequence)

    def _stored_segment(self, segment: bytes) -> bytes:
        if not self._segment_recipients:
            return segment
        from transfer.formats.age.writer import encrypt  # noqa: PLC0415  (start-up time)

        return encrypt(segment, self._segment_recipients)

    def _header(self, pack: OpenPack, run_complete: bool, continues: bool) -> Header:
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
            continues=continues,
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
