"""Turning fetched objects into finished frames and their records, in order; runs in the worker processes.

A frame holds whole members; it is cut before it would outgrow its limit (FORMAT.md §7). What could not be
fetched becomes a `failed` or `skipped` record in its place; nothing is left out silently.
"""

from __future__ import annotations

from transfer.core.records import DeleteMarker, Failed, File, Record, Skipped
from transfer.formats.frames import FrameCompressor
from transfer.formats.tar import FOLDER, REGULAR, member_header
from transfer.jobs.export.facts import defect, facts_of, stat_of
from transfer.jobs.export.fetching import Fetched
from transfer.jobs.export.trouble import OUTGROWN, Trouble
from transfer.jobs.export.work import Fetch, PutMarker, PutProblem
from transfer.jobs.filling.framing import Framing
from transfer.jobs.filling.outcome import Outcome, Problem

TAGS_OMITTED = "its tags could not be read"


class ObjectPacker:
    """Packs one batch: `take` its orders in turn, then `finish`."""

    def __init__(self, compressor: FrameCompressor, chunk_size_bytes: int) -> None:
        self._framing = Framing(compressor, chunk_size_bytes)
        self._outcome = Outcome(pieces=self._framing.pieces)

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
        self._framing.record(wanted.path, record)
        self._outcome.files += 1

    def finish(self) -> Outcome:
        """The frames and records of all."""
        self._framing.cut()
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
        self._framing.make_room(len(header) + len(data))
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
            offset=self._framing.size_bytes + len(header),
            object=facts,
        )
        self._framing.member(wanted.path, record, header, data)
        self._outcome.files += 1
        if got.tags_omitted:
            self._outcome.problems.append(Problem(wanted.path, "xattrs", "tags-omitted", TAGS_OMITTED))

    def take_trouble(self, path: bytes, trouble: Trouble, known_reason: str) -> None:
        """Record why an object could not be had, unless that is recorded already."""
        if trouble.reason != known_reason:
            self._framing.record(path, _record_of(path, trouble))
        self._outcome.problems.append(Problem(path, trouble.kind, trouble.reason, trouble.detail))


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
