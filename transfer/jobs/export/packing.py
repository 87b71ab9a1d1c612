"""Turning fetched objects into finished frames and their records, in order; runs in the worker processes.

A frame holds whole members; it is cut before it would outgrow its limit (FORMAT.md §7). What could not be
fetched becomes a `failed` or `skipped` record in its place; nothing is left out silently.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from transfer.core.records import B, DeleteMarker, Failed, File, Record, Skipped
from transfer.device.open_pack import Piece
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import BLOCK_BYTES, FOLDER, REGULAR, member_header, padding_bytes
from transfer.jobs.export.facts import defect, facts_of, stat_of
from transfer.jobs.export.fetching import Fetched
from transfer.jobs.export.trouble import OUTGROWN, Trouble
from transfer.jobs.export.work import Fetch, PutMarker, PutProblem
from transfer.jobs.filling.outcome import Outcome, Problem

TAGS_OMITTED = "its tags could not be read"
_ZEROS = bytes(BLOCK_BYTES)


@dataclass
class _FrameInWork:
    """Members and records collected for the next frame."""

    parts: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    lines: list[bytes] = field(default_factory=list)
    first_path: bytes = b""
    last_path: bytes = b""
    entries: int = 0
    file_bytes: int = 0


class ObjectPacker:
    """Packs one batch: `take` its orders in turn, then `finish`."""

    def __init__(self, compressor: FrameCompressor, chunk_size_bytes: int) -> None:
        self._compressor = compressor
        self._limit = chunk_size_bytes
        self._frame = _FrameInWork()
        self._outcome = Outcome(pieces=[])

    def take_object(self, order: Fetch, got: Fetched | Trouble) -> None:
        """Record a small object, or why it could not be had."""
        if isinstance(got, Trouble):
            self.take_trouble(order.wanted.path, got, order.known_reason)
        else:
            self._object(order, got)

    def take_other(self, order: PutMarker | PutProblem) -> None:
        """Record what needs no fetching."""
        if isinstance(order, PutProblem):
            self.take_trouble(order.path, Trouble(order.skipped, order.reason, order.detail), "")
            return
        wanted = order.wanted
        record = DeleteMarker(
            path=wanted.path.decode(), version_id=wanted.version_id, last_modified=wanted.last_modified
        )
        self._record(wanted.path, record)
        self._outcome.files += 1

    def finish(self) -> Outcome:
        """The frames and records of all."""
        self._cut()
        return self._outcome

    def _object(self, order: Fetch, got: Fetched) -> None:
        wanted, data, sums = order.wanted, got.data, got.sums
        facts = facts_of(got.info, wanted, order.member, got.tags, tags_omitted=got.tags_omitted)
        name = order.member.encode() or wanted.path
        is_folder = name.endswith(b"/")
        wrong = defect(facts)
        if wrong or (is_folder and data):
            trouble = Trouble(False, "unreadable", wrong) if wrong else OUTGROWN
            self.take_trouble(wanted.path, trouble, order.known_reason)
            return
        stat = stat_of(got.info, is_folder=is_folder)
        header = member_header(
            name,
            FOLDER if is_folder else REGULAR,
            len(data),
            stat.mtime_ns,
            (stat.mode, stat.uid, stat.gid, "", ""),
        )
        self._make_room(len(header) + len(data))
        record = File(
            path=wanted.path.decode(),
            mode=stat.mode,
            mtime_ns=stat.mtime_ns,
            uid=stat.uid,
            gid=stat.gid,
            size_bytes=len(data),
            blake3=sums.blake3,
            crc64nvme=f"{sums.crc64nvme:016x}",
            crc32c=f"{sums.crc32c:08x}",
            offset=self._frame.size_bytes + len(header),
            object=facts,
        )
        self._member(wanted.path, record, header, data)
        self._outcome.files += 1
        if got.tags_omitted:
            self._outcome.problems.append(Problem(wanted.path, "xattrs", "tags-omitted", TAGS_OMITTED))

    def take_trouble(self, path: bytes, trouble: Trouble, known_reason: str) -> None:
        """Record why an object could not be had, unless that is recorded already."""
        if trouble.reason != known_reason:
            self._record(path, _record_of(path, trouble))
        self._outcome.problems.append(Problem(path, trouble.kind, trouble.reason, trouble.detail))

    def _make_room(self, size: int) -> None:
        """Cut the frame before a member would take it beyond one chunk of content."""
        if self._frame.size_bytes and self._frame.size_bytes + size > self._limit:
            self._cut()

    def _member(self, path: bytes, record: File, header: bytes, data: bytes) -> None:
        frame = self._frame
        padding = padding_bytes(len(data))
        frame.parts += (header, data, _ZEROS[:padding]) if padding else (header, data)
        frame.size_bytes += len(header) + len(data) + padding
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
        stored = self._compressor.compress(b"".join(frame.parts)) if frame.size_bytes else b""
        self._outcome.pieces.append(
            Piece(
                frame_kind=B if frame.size_bytes else "",
                content_bytes=frame.size_bytes,
                stored=memoryview(stored),
                lines=b"".join(frame.lines),
                records=len(frame.lines),
                first_path=frame.first_path,
                last_path=frame.last_path,
                entries=frame.entries,
                file_bytes=frame.file_bytes,
                ends_member=bool(frame.size_bytes),
            )
        )


def trouble_outcome(path: bytes, trouble: Trouble, known_reason: str) -> Outcome:
    """What is recorded and told of one object that could not be had."""
    packer = ObjectPacker(FrameCompressor(1), 0)
    packer.take_trouble(path, trouble, known_reason)
    return packer.finish()


def _record_of(path: bytes, trouble: Trouble) -> Record:
    text = path.decode()
    if trouble.skipped:
        return Skipped(path=text, reason=trouble.reason)
    return Failed(path=text, reason=trouble.reason, detail=trouble.detail)
