"""Turning a batch of orders into finished frames and their records; runs in the worker processes.

A frame holds whole members, in order; it is cut before it would outgrow its limit (FORMAT.md §7). What cannot
be read becomes a `failed` record in its place; nothing is left out silently. A further name of a file that
could not be read is read by itself.
"""

from __future__ import annotations

import os
from typing import Any

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3

from transfer.core.paths import to_text
from transfer.core.records import (
    Directory,
    Failed,
    File,
    Hardlink,
    Removed,
    Skipped,
    Symlink,
)
from transfer.core.stream_rules import path_fields
from transfer.formats.frames import FrameCompressor
from transfer.formats.tar import (
    FOLDER,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    member_header,
)
from transfer.jobs.copy import reading
from transfer.jobs.copy.beneath import Beneath
from transfer.jobs.copy.walk import failure_reason
from transfer.jobs.copy.work import (
    Batch,
    Order,
    PackingOptions,
    PutDirectory,
    PutHardlink,
    PutProblem,
    PutRemoved,
    ReadFile,
    ReadLink,
    Stat,
)
from transfer.jobs.filling.framing import Framing
from transfer.jobs.filling.outcome import CHANGED, XATTRS_OMITTED, Outcome, Problem


class Packer:
    """Packs batches of one source; belongs to one thread."""

    def __init__(self, options: PackingOptions) -> None:
        self._options = options
        self._folders = Beneath(options.source, follow_links=options.follow_links)
        self._framing = Framing(FrameCompressor(options.level), options.chunk_size_bytes)

    def close(self) -> None:
        """Close the folders."""
        self._folders.close()

    def pack(self, batch: Batch) -> Outcome:
        """The frames and records of a batch."""
        self._framing.pieces = []
        self._outcome = Outcome(pieces=self._framing.pieces)
        self._unread: set[bytes] = set()
        for folder, order in batch.all():
            try:
                self._carry_out(folder, order)
            except OSError as error:
                self._fail(folder + order.name, order, error)
        self._framing.cut()
        return self._outcome

    def _carry_out(self, folder: bytes, order: Order) -> None:
        path = folder + order.name
        match order:
            case ReadFile():
                self._file(self._folders.folder(folder), path, order)
            case PutDirectory():
                self._directory(folder, path, order)
            case ReadLink():
                self._link(folder, path, order)
            case PutHardlink() if order.target in self._unread:
                self._file(self._folders.folder(folder), path, ReadFile(order.name))
            case PutHardlink():
                self._hardlink(path, order)
            case PutRemoved():
                self._framing.record(path, Removed(**path_fields(path)))
            case PutProblem(skipped=True):
                self._framing.record(path, Skipped(reason=order.reason, **path_fields(path)))
                self._outcome.problems.append(Problem(path, "skipped", order.reason))
            case PutProblem():
                self._framing.record(
                    path, Failed(reason=order.reason, detail=order.detail, **path_fields(path))
                )
                self._outcome.problems.append(Problem(path, "failed", order.reason, order.detail))

    def _file(self, folder: int, path: bytes, order: ReadFile) -> None:
        options = self._options
        limit, follow_links = options.small_limit_bytes, options.follow_links
        content = reading.read_small(
            folder, order.name, limit, follow_links=follow_links, xattrs=options.xattrs
        )
        if content is None:
            self._grown(path, order)
            return
        data, status = content.data, content.status
        digest = blake3(data).hexdigest()
        if digest == order.known_blake3:
            self._outcome.unchanged += 1
            return
        self._tell(path, order, content)
        mtime_ns = reading.mtime_of(status)
        owner = _owner((status.st_mode & 0o7777, mtime_ns, status.st_uid, status.st_gid))
        header = member_header(path, REGULAR, len(data), mtime_ns, owner, b"", content.xattrs)
        self._framing.make_room(len(header) + len(data))
        text, encoded = to_text(path)
        several = status.st_nlink > 1
        record = File(
            path=text,
            path_base64=encoded,
            mode=owner[0],
            mtime_ns=mtime_ns,
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
            offset=self._framing.size_bytes + len(header),
            inode=status.st_ino if several else None,
            volume=status.st_dev if several else None,
            sparse=status.st_blocks * 512 < len(data) and status.st_blocks * 512 + 4096 < len(data),
            changed=content.changed,
        )
        self._framing.member(path, record, header, data)

    def _tell(self, path: bytes, order: ReadFile, content: reading.Content) -> None:
        self._outcome.files += 1
        if order.known_blake3:
            self._outcome.stored_anew.append(path)
        if content.changed:
            self._outcome.problems.append(Problem(path, "changed", "changed", CHANGED))
        if content.xattrs_omitted:
            self._omitted(path)

    def _grown(self, path: bytes, order: ReadFile) -> None:
        """It does not fit into a batch any more: left to another pass, which knows it as a large file."""
        detail = "it outgrew a batch while being read"
        if order.known_reason != "changed":
            self._framing.record(path, Failed(reason="changed", detail=detail, **path_fields(path)))
        self._outcome.problems.append(Problem(path, "again", "changed", detail))
        self._unread.add(path)

    def _directory(self, folder: bytes, path: bytes, order: PutDirectory) -> None:
        xattrs, omitted = self._xattrs_at(folder, order.name.rstrip(b"/"), self._options.follow_links)
        record = Directory(**path_fields(path), **_metadata(order.status, xattrs, omitted))
        owner = _owner(order.status)
        self._framing.member(
            path, record, member_header(path, FOLDER, 0, record.mtime_ns, owner, b"", xattrs)
        )
        if omitted:
            self._omitted(path)

    def _link(self, folder: bytes, path: bytes, order: ReadLink) -> None:
        target = os.readlink(order.name, dir_fd=self._folders.folder(folder))
        xattrs, omitted = self._xattrs_at(folder, order.name, False)
        metadata = _metadata(order.status, xattrs, omitted)
        record = Symlink(**path_fields(path), **path_fields(target, "target"), **metadata)
        owner = _owner(order.status)
        self._framing.member(
            path, record, member_header(path, SYMBOLIC_LINK, 0, record.mtime_ns, owner, target, xattrs)
        )
        if omitted:
            self._omitted(path)

    def _xattrs_at(self, folder: bytes, name: bytes, follow_links: bool) -> tuple[dict[str, str], bool]:
        """Extended attributes of what need not be opened: a folder that may not be read has some, too."""
        if not self._options.xattrs:
            return {}, False
        place = b"/proc/self/fd/%d/%b" % (self._folders.folder(folder), name)
        return reading.read_xattrs(place, follow_links=follow_links)

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
        self._framing.member(
            path, record, member_header(path, HARD_LINK, 0, record.mtime_ns, owner, order.target)
        )
        self._outcome.files += 1
        self._outcome.link_targets.append(order.target)

    def _omitted(self, path: bytes) -> None:
        self._outcome.problems.append(Problem(path, "xattrs", "xattrs-omitted", XATTRS_OMITTED))

    def _fail(self, path: bytes, order: Order, error: OSError) -> None:
        reason, detail = failure_reason(error), error.strerror or str(error)
        self._unread.add(path)
        if not (isinstance(order, ReadFile) and order.known_reason == reason):
            self._framing.record(path, Failed(reason=reason, detail=detail, **path_fields(path)))
        self._outcome.problems.append(Problem(path, "failed", reason, detail))


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
