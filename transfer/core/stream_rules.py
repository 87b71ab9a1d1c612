"""What must be true of a device's records, in order (FORMAT.md §5, §7, §10): a state machine over records.

It takes headers and records one by one, across all segments of a device, and raises FormatError at the first
that breaks a rule. I/O, digests of stored files and the content of frames are elsewhere. Rules upheld:

- segments are numbered without holes, runs never go back nor on behind their end, and a pack begins inside a
  member only when the one before, of the same run, ended inside it;
- frames lie end to end from the pack's first byte, none is larger than its kind may be, E comes last or
  never;
- the frames of a large file's member add up to its content and padding; H and C frames have one record each;
- every record obeys `record_rules`, and within a run paths strictly increase (a voided file may come again);
- content of small files lies inside its B frame, behind what came before; chunks follow their begin without a
  gap, and the closing file record agrees with the begin record and with its chunks;
- the header's counts and first and last path are those of the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from transfer.core.open_file import OpenFile, hex_number
from transfer.core.paths import display, to_text
from transfer.core.record_rules import MAX_XATTRS_BYTES, check_record
from transfer.core.records import (
    AnyRecord,
    B,
    Begin,
    C,
    Chunk,
    Directory,
    E,
    Entry,
    Failed,
    File,
    Frame,
    H,
    Hardlink,
    Header,
    P,
    Skipped,
    Symlink,
    Void,
)
from transfer.core.small_files import judge
from transfer.core.versions import MAX_VERSIONS, version_of
from transfer.errors import FormatError

__all__ = ["MAX_XATTRS_BYTES", "StreamRules", "hex_number", "max_frame_bytes", "path_fields"]

MIB = 1 << 20
BLOCK_BYTES = 512
END_OF_ARCHIVE_BYTES = 1024
_SEEK_TABLE_FIXED_BYTES, _SEEK_TABLE_ENTRY_BYTES = 17, 8


def max_frame_bytes(kind: str, chunk_size_bytes: int) -> int:
    """The largest content of a frame of this kind (FORMAT.md §7)."""
    match kind:
        case "B":
            return chunk_size_bytes + MIB
        case "H":
            return MIB
        case "E":
            return END_OF_ARCHIVE_BYTES
        case _:
            return chunk_size_bytes


def path_fields(path: bytes, prefix: str = "") -> dict[str, Any]:
    """The one field of a record that spells `path`: `path` or `path_base64`; with a prefix `target`, say."""
    text, encoded = to_text(path)
    name = prefix or "path"
    return {name: text} if text else {f"{name}_base64": encoded}


class StreamRules:
    """Feed it `start`, the records to `accept` or `accept_all`, `finish`, segment after segment.

    Attributes:
        sequence: number of the segment at hand, -1 before the first.
        frame_index: number of the frame at hand in its pack, -1 before the first.
        open_file: the large file at hand.
    """

    def __init__(self, chunk_size_bytes: int) -> None:
        self.chunk_size_bytes = chunk_size_bytes
        self.open_file: OpenFile | None = None
        self.sequence = -1
        self.run = 0
        self.frame: Frame | None = None
        self.frame_index = -1
        self._run_is_over = self._keys = False
        self._last_path = b""
        self._may_repeat = False
        self._versions: set[str] = set()
        """Of the key at hand, where its history stands here."""
        self._left_bytes = 0
        """What the large member at hand still lacks: content and padding."""
        self._is_blind = False
        """The begin of the large member at hand was lost with a broken segment."""

    @property
    def _member_is_open(self) -> bool:
        return self.open_file is not None or self._left_bytes > 0 or self._is_blind

    def start(self, header: Header) -> None:
        """A segment begins.

        Raises:
            FormatError: it does not follow the one before.
        """
        if header.sequence != self.sequence + 1:
            raise FormatError(f"segment {header.sequence} stands where {self.sequence + 1} is expected")
        if header.run not in (self.run, self.run + 1) or (header.run == self.run and self._run_is_over):
            over = ", which is over" if self._run_is_over else ""
            raise FormatError(f"run {header.run} follows run {self.run}{over}")
        if header.chunk_size_bytes != self.chunk_size_bytes:
            raise FormatError(
                f"chunk size {header.chunk_size_bytes} is not the device's {self.chunk_size_bytes}"
            )
        if header.continues and not header.run_complete:
            raise FormatError("header says that the run goes on on another device, and that it is not over")
        if header.starts_with_member is self._member_is_open:
            raise FormatError("header is wrong about whether the pack starts with a member")
        if header.run != self.run:
            if not header.starts_with_member:
                raise FormatError(f"run {header.run} begins inside a member of run {self.run}")
            self._last_path, self._may_repeat, self._versions = b"", False, set()
        elif header.keys is not self._keys:
            raise FormatError(f"run {header.run} has both files and objects")
        self.sequence, self.run, self._keys = header.sequence, header.run, header.keys
        self._header = header
        self.frame, self.frame_index, self._position = None, -1, 0
        self._content_end = 0
        self._lacks_record = False
        self._entries = self._content_bytes = 0
        self._paths: tuple[bytes, bytes] | None = None

    def skip_to(self, broken: Header, following: Header | None) -> None:
        """Go on behind a segment that could not be followed to its end.

        What it left open is unknown, and taken from the header of the next one.
        """
        self.sequence, self.run, self._keys = broken.sequence, broken.run, broken.keys
        self._last_path = broken.paths[1] if broken.paths else b""
        self._may_repeat = True
        self._is_blind = following is not None and not following.starts_with_member

    def accept(self, record: AnyRecord) -> None:
        """The next record of the segment.

        Raises:
            FormatError: naming the rule that it breaks.
        """
        if isinstance(record, Frame):
            self._accept_frame(record)
        elif isinstance(record, Entry):
            self._accept_entry(record)
        else:
            raise FormatError("end record in the middle of a segment")

    def accept_all(self, records: Iterable[AnyRecord]) -> Iterator[Frame | Sequence[Entry]]:
        """The records given, in order, each when it was accepted: small files many at once.

        Raises:
            FormatError: as `accept`, behind the records that come before.
        """
        for kind, group in groupby(records, key=type):
            alike: list[Any] = list(group)
            if kind is File and self._accept_small_files(alike):
                yield alike
                continue
            for record in alike:
                self.accept(record)
                if isinstance(record, Frame):
                    yield record
                elif isinstance(record, Entry):
                    yield (record,)

    def _accept_small_files(self, files: Sequence[Any]) -> bool:
        """Accept file records all at once; or do nothing, when they have to be looked at one by one."""
        if self.frame is None or self.frame.type != B:
            return False
        obedient = judge(files, self._last_path, self._content_end, self.frame.bytes, keys=self._keys)
        if obedient is None:
            return False
        self._content_end = obedient.content_end
        self._entries += len(files)
        self._content_bytes += obedient.content_bytes
        self._may_repeat = False
        self._paths = (self._paths[0] if self._paths else obedient.first_path, obedient.last_path)
        self._last_path = obedient.last_path
        return True

    def _accept_frame(self, frame: Frame) -> None:
        if self.frame is not None and self.frame.type == E:
            raise FormatError("a frame follows the end of archive")
        self._check_frame_is_told()
        if frame.offset != self._position:
            raise FormatError(
                f"frame at {frame.offset} does not follow the one before, which ends at {self._position}"
            )
        limit = max_frame_bytes(frame.type, self.chunk_size_bytes)
        if frame.bytes > limit or frame.stored_bytes > frame.bytes + (frame.bytes >> 7) + 512:
            raise FormatError(f"frame at {frame.offset} is larger than a frame of kind {frame.type} may be")
        if frame.type == E and frame.bytes != END_OF_ARCHIVE_BYTES:
            raise FormatError("end of archive must be 1,024 bytes")
        self._place(frame)
        self._lacks_record = frame.type in (H, C)
        self.frame, self._position, self._content_end = frame, frame.offset + frame.stored_bytes, 0
        self.frame_index += 1

    def _check_frame_is_told(self) -> None:
        """What an H or C frame holds must be told by a record: stock tools would restore it all the same."""
        if self._lacks_record and self.frame is not None:
            raise FormatError(f"frame at {self.frame.offset} of kind {self.frame.type} has no record")

    def _place(self, frame: Frame) -> None:
        """Whether a frame of this kind and size may stand here: each member's frames add up to its size."""
        file = self.open_file
        if frame.type in (C, P) and self._is_blind:
            return
        self._is_blind = False
        match frame.type:
            case "C":
                fits = file is not None and frame.bytes == file.next_chunk_bytes(self.chunk_size_bytes)
            case "P":
                is_full = file is None or file.bytes == file.begin.size_bytes
                fits = is_full and frame.bytes <= self._left_bytes
            case _:
                fits = not self._member_is_open
        if not fits:
            raise FormatError(f"frame at {frame.offset} of kind {frame.type} is out of place")
        if frame.type in (C, P):
            self._left_bytes -= frame.bytes

    def _accept_entry(self, record: Entry) -> None:
        path = record.path_bytes
        file = self.open_file
        check_record(record, path, keys=self._keys)
        if file is not None and path == file.path:
            self._accept_continuation(record, file)
        elif self._is_blind and _continues(record):
            self._accept_blindly(record)
        else:
            self._accept_next(record, path)
        self._paths = (self._paths[0] if self._paths else path, path)
        self._last_path = path

    def _accept_blindly(self, record: Entry) -> None:
        """The rest of a large file whose begin was lost with a broken segment: nothing to hold it against."""
        self._lacks_record = False
        if isinstance(record, File):
            self._count(record.size_bytes)
            self._is_blind = False

    def _accept_continuation(self, record: Entry, file: OpenFile) -> None:
        """A chunk, the closing file record, or the void of the large file at hand."""
        match record:
            case Chunk():
                self._take_frame(C, file.path)
                file.add(record, self.chunk_size_bytes)
            case File(offset=None) if not self._left_bytes:
                file.close(record)
                self.open_file = None
                self._count(record.size_bytes)
            case Void():
                self.open_file, self._may_repeat = None, True
                self._versions.discard(version_of(file.begin) or "")
            case _:
                raise FormatError(f"record of another kind inside the large file {display(file.path)}")

    def _accept_next(self, record: Entry, path: bytes) -> None:
        if self.open_file is not None:
            raise FormatError(f"{display(path)} stands inside the large file {display(self.open_file.path)}")
        self._check_order(record, path)
        self._meet_version(record, path)
        match record:
            case File():
                self._accept_small_file(record, path)
            case Begin():
                self._take_frame(H, path)
                self.open_file = OpenFile(record, path)
                self._left_bytes = record.size_bytes + -record.size_bytes % BLOCK_BYTES
            case Chunk() | Void():
                raise FormatError(f"{display(path)}: a chunk or void without its begin")
            case Symlink() | Hardlink() | Directory():
                self._expect(B, path)
                self._count(0)
            case _:  # removed, skipped and failed have nothing in the pack
                pass

    def _check_order(self, record: Entry, path: bytes) -> None:
        """Paths increase; a voided file comes again, and so does a directory that could not be listed."""
        repeats = self._may_repeat or (isinstance(record, Failed) and path.endswith(b"/"))
        if self._keys:  # a record for each version, and for each that could not be had
            repeats |= version_of(record) is not None or isinstance(record, Failed | Skipped)
        if path < self._last_path or (path == self._last_path and not repeats):
            raise FormatError(f"{display(path)} is out of order behind {display(self._last_path)}")
        self._may_repeat = False

    def _meet_version(self, record: Entry, path: bytes) -> None:
        """A key with its history has each version once."""
        if path != self._last_path:
            self._versions = set()
        version = version_of(record)
        if version is None:
            return
        if version in self._versions:
            raise FormatError(f"{display(path)} has its version {version!r:.100} twice")
        if len(self._versions) >= MAX_VERSIONS:
            raise FormatError(f"{display(path)} has more than {MAX_VERSIONS:,} versions")
        self._versions.add(version)

    def _accept_small_file(self, record: File, path: bytes) -> None:
        frame = self._expect(B, path)
        offset = record.offset
        if offset is None or record.chunks is not None:
            raise FormatError(f"file record of {display(path)} has neither an offset nor chunks before it")
        if offset < self._content_end or offset + record.size_bytes > frame.bytes:
            raise FormatError(f"content of {display(path)} leaves its frame")
        self._content_end = offset + record.size_bytes
        self._count(record.size_bytes)

    def _expect(self, kind: str, path: bytes) -> Frame:
        if self.frame is None or self.frame.type != kind:
            raise FormatError(f"{display(path)} does not stand in a frame of kind {kind}")
        return self.frame

    def _take_frame(self, kind: str, path: bytes) -> None:
        """The frame at hand is this record's alone."""
        self._expect(kind, path)
        if not self._lacks_record:
            raise FormatError(f"{display(path)} shares its frame of kind {kind} with another record")
        self._lacks_record = False

    def _count(self, size_bytes: int) -> None:
        self._entries += 1
        self._content_bytes += size_bytes

    def finish(self) -> None:
        """The segment's records are over: compare with its header.

        Raises:
            FormatError: the header says something else.
        """
        header = self._header
        self._check_frame_is_told()
        table = _SEEK_TABLE_FIXED_BYTES + _SEEK_TABLE_ENTRY_BYTES * (self.frame_index + 1)
        pack_bytes = header.pack_plain_bytes or header.pack_size_bytes
        if self.frame is None or self._position + table != pack_bytes:
            raise FormatError("the frames do not add up to the pack's size")
        ends = self.frame.type == E
        if ends is not header.ends_with_member or ends is self._member_is_open:
            raise FormatError("header is wrong about whether the pack ends with a member")
        if header.run_complete and not ends:
            raise FormatError("the run is said to be complete, inside a large file")
        if (header.entries, header.content_bytes, header.paths) != (
            self._entries,
            self._content_bytes,
            self._paths,
        ):
            raise FormatError("header disagrees with the records about entries, bytes or paths")
        self._run_is_over = header.run_complete


def _continues(record: Entry) -> bool:
    return isinstance(record, Chunk | Void) or (isinstance(record, File) and record.offset is None)
