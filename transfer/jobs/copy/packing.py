"""Turning a batch of orders into finished frames and their records; runs in the worker processes.

A frame holds whole members, in order; it is cut before it would outgrow its limit (FORMAT.md §7). What cannot be read becomes a `failed`
record in its place; nothing is left out silently.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3

from transfer.core.paths import to_text
from transfer.core.records import B, Directory, Failed, File, Hardlink, Metadata, Record, Removed, Skipped, Symlink
from transfer.core.stream_rules import path_fields
from transfer.device.open_pack import Piece
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import HARD_LINK, FOLDER, REGULAR, SYMBOLIC_LINK, member_header, padding_bytes
from transfer.jobs.copy import reading
from transfer.jobs.copy.beneath import Beneath
from transfer.jobs.copy.walk import failure_reason
from transfer.jobs.copy.work import (
    Batch,
    Order,
    Outcome,
    Problem,
    PutDirectory,
    PutHardlink,
    PutProblem,
    PutRemoved,
    ReadFile,
    ReadLink,
    Stat,
)


@dataclass(frozen=True)
class PackingOptions:
    """What a packer must know of the job."""

    source: bytes
    chunk_size_bytes: int
    small_limit_bytes: int
    level: int
    follow_links: bool
    xattrs: bool


@dataclass
class _FrameInWork:
    """Members and records collected for the next frame."""

    parts: list[bytes] = field(default_factory=list)
    bytes: int = 0
    lines: list[bytes] = field(default_factory=list)
    first_path: bytes = b""
    last_path: bytes = b""
    entries: int = 0
    file_bytes: int = 0


class Packer:
    """Packs batches of one source; belongs to one thread."""

    def __init__(self, options: PackingOptions) -> None:
        self._options = options
        self._folders = Beneath(options.source, follow_links=options.follow_links)
        self._compressor = FrameCompressor(options.level)
        self._frame = _FrameInWork()

    def close(self) -> None:
        """Close the folders."""
        self._folders.close()

    def pack(self, batch: Batch) -> Outcome:
        """The frames and records of a batch."""
        self._outcome = Outcome(pieces=[])
        for folder, orders in batch.groups:
            for order in orders:
                try:
                    self._carry_out(folder, order)
                except OSError as error:
                    self._fail(folder, order, error)
        self._cut()
        return self._outcome

    def _carry_out(self, folder: bytes, order: Order) -> None:
        path = folder + order.name
        match order:
            case ReadFile():
                self._file(self._folders.folder(folder), path, order)
            case PutDirectory():
                self._directory(path, order)
            case ReadLink():
                self._link(folder, path, order)
            case PutHardlink():
                self._hardlink(path, order)
            case PutRemoved():
                self._record(path, Removed(**path_fields(path)))
            case PutProblem(skipped=True):
                self._record(path, Skipped(reason=order.reason, **path_fields(path)))
                self._outcome.problems.append(Problem(path, "skipped", order.reason))
            case PutProblem():
                self._record(path, Failed(reason=order.reason, detail=order.detail, **path_fields(path)))
                self._outcome.problems.append(Problem(path, "failed", order.reason, order.detail))

    def _file(self, folder: int, path: bytes, order: ReadFile) -> None:
        options = self._options
        content = reading.read_small(
            folder, order.name, options.small_limit_bytes, follow_links=options.follow_links, xattrs=options.xattrs
        )
        if content is None:
            self._outcome.problems.append(Problem(path, "again", "changed", "grew while it was being read"))
            return
        data, status = content.data, content.status
        digest = blake3(data).hexdigest()
        if digest == order.known_blake3:
            self._outcome.unchanged += 1
            return
        owner = _owner((status.st_mode & 0o7777, status.st_mtime_ns, status.st_uid, status.st_gid))
        header = member_header(path, REGULAR, len(data), status.st_mtime_ns, owner, b"", content.xattrs)
        self._make_room(len(header) + len(data))
        text, encoded = to_text(path)
        several = status.st_nlink > 1
        record = File(
            path=text,
            path_base64=encoded,
            mode=owner[0],
            mtime_ns=status.st_mtime_ns,
            uid=owner[1],
            gid=owner[2],
            user=owner[3],
            group=owner[4],
            xattrs=content.xattrs,
            xattrs_omitted=content.xattrs_omitted,
            size_bytes=len(data),
            blake3=digest,
            crc64nvme=f"{crc64nvme(data):016x}",
            crc32c=f"{crc32c(data):08x}",
            offset=self._frame.bytes + len(header),
            inode=status.st_ino if several else None,
            volume=status.st_dev if several else None,
            sparse=status.st_blocks * 512 < len(data) and status.st_blocks * 512 + 4096 < len(data),
            changed=content.changed,
        )
        self._member(path, record, header, data)
        self._outcome.files += 1
        if content.changed:
            self._outcome.problems.append(Problem(path, "changed", "changed", "kept as it was read last"))
        if content.xattrs_omitted:
            self._omitted(path)

    def _directory(self, path: bytes, order: PutDirectory) -> None:
        xattrs, omitted = reading.read_xattrs(self._folders.folder(path)) if self._options.xattrs else ({}, False)
        record = Directory(**path_fields(path), **_metadata(order.status, xattrs, omitted))
        self._member(path, record, member_header(path, FOLDER, 0, record.mtime_ns, _owner(order.status), b"", xattrs))
        if omitted:
            self._omitted(path)

    def _link(self, folder: bytes, path: bytes, order: ReadLink) -> None:
        descriptor = self._folders.folder(folder)
        target = os.readlink(order.name, dir_fd=descriptor)
        xattrs, omitted = ({}, False)
        if self._options.xattrs:
            xattrs, omitted = reading.read_xattrs(b"/proc/self/fd/%d/%b" % (descriptor, order.name), follow_links=False)
        record = Symlink(**path_fields(path), **path_fields(target, "target"), **_metadata(order.status, xattrs, omitted))
        owner = _owner(order.status)
        self._member(path, record, member_header(path, SYMBOLIC_LINK, 0, record.mtime_ns, owner, target, xattrs))

    def _hardlink(self, path: bytes, order: PutHardlink) -> None:
        record = Hardlink(
            **path_fields(path),
            **path_fields(order.target, "target"),
            **_metadata(order.status, {}, False),
            size_bytes=order.size_bytes,
            inode=order.inode,
            volume=order.volume,
        )
        owner = _owner(order.status)
        self._member(path, record, member_header(path, HARD_LINK, 0, record.mtime_ns, owner, order.target))
        self._outcome.files += 1

    def _omitted(self, path: bytes) -> None:
        self._outcome.problems.append(Problem(path, "xattrs", "xattrs-omitted", "its extended attributes could not be kept"))

    def _fail(self, folder: bytes, order: Order, error: OSError) -> None:
        path, reason, detail = folder + order.name, failure_reason(error), error.strerror or str(error)
        if not (isinstance(order, ReadFile) and order.known_reason == reason):
            self._record(path, Failed(reason=reason, detail=detail, **path_fields(path)))
        self._outcome.problems.append(Problem(path, "failed", reason, detail))

    def _make_room(self, size: int) -> None:
        """Cut the frame before a member would take it beyond one chunk of content."""
        if self._frame.bytes and self._frame.bytes + size > self._options.chunk_size_bytes:
            self._cut()

    def _member(self, path: bytes, record: Metadata, header: bytes, data: bytes = b"") -> None:
        if not data:
            self._make_room(len(header))
        frame = self._frame
        padding = padding_bytes(len(data))
        frame.parts += (header, data, bytes(padding)) if padding else (header, data)
        frame.bytes += len(header) + len(data) + padding
        frame.entries += 1
        frame.file_bytes += len(data)
        self._record(path, record)

    def _record(self, path: bytes, record: Record) -> None:
        frame = self._frame
        frame.lines.append(encode_line(record))
        frame.first_path = frame.first_path or path
        frame.last_path = path

    def _cut(self) -> None:
        """Finish the frame at hand."""
        frame, self._frame = self._frame, _FrameInWork()
        if not frame.lines:
            return
        stored = self._compressor.compress(b"".join(frame.parts)) if frame.bytes else b""
        self._outcome.pieces.append(
            Piece(
                frame_kind=B if frame.bytes else "",
                content_bytes=frame.bytes,
                stored=memoryview(stored),
                lines=b"".join(frame.lines),
                records=len(frame.lines),
                first_path=frame.first_path,
                last_path=frame.last_path,
                entries=frame.entries,
                file_bytes=frame.file_bytes,
                ends_member=bool(frame.bytes),
            )
        )


def _owner(status: Stat) -> tuple[int, int, int, str, str]:
    mode, _, uid, gid = status
    return mode, uid, gid, reading.user_name(uid), reading.group_name(gid)


def _metadata(status: Stat, xattrs: dict[str, str], omitted: bool) -> dict[str, Any]:
    mode, mtime_ns, uid, gid = status
    return {
        "mode": mode,
        "mtime_ns": mtime_ns,
        "uid": uid,
        "gid": gid,
        "user": reading.user_name(uid),
        "group": reading.group_name(gid),
        "xattrs": xattrs,
        "xattrs_omitted": omitted,
    }
