"""What must be true of the records of a device, in order (FORMAT.md §5, §7, §10): a state machine over records.

It takes headers and records one by one, across all segments of a device, and raises FormatError at the first that breaks a rule.
I/O, digests of stored files and the content of frames are elsewhere. Rules upheld:

- segments are numbered without holes, runs never go back, and a pack begins inside a member only when the one before ended inside it;
- frames lie end to end from the pack's first byte, are no larger than their kind allows, and E comes last or not at all;
- every path obeys §5, and within a run paths strictly increase (a voided file may come again);
- content of small files lies inside its B frame, behind what came before; chunks follow their begin without a gap, and the
  closing file record agrees with them in size, count and both CRCs;
- the header's counts and first and last path are those of the records.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from awscrt.checksums import combine_crc32c, combine_crc64nvme

from transfer.core.paths import check_path, display, to_text
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
    Metadata,
    P,
    Symlink,
    Void,
)
from transfer.errors import FormatError

MIB = 1 << 20
MAX_XATTRS_BYTES = 256 * 1024
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


class OpenFile:
    """A large file between its begin record and the record that closes it."""

    def __init__(self, begin: Begin, path: bytes) -> None:
        self.begin = begin
        self.path = path
        self.chunks = 0
        self.bytes = 0
        self.crc64nvme = 0
        self.crc32c = 0

    def add(self, chunk: Chunk, chunk_size_bytes: int) -> None:
        """Take the next chunk.

        Raises:
            FormatError: it is not the next one, or not of the right size.
        """
        expected = min(chunk_size_bytes, self.begin.size_bytes - self.bytes)
        if chunk.index != self.chunks or chunk.size_bytes != expected or not expected:
            raise FormatError(f"chunk {chunk.index} of {display(self.path)} is out of place or of the wrong size")
        self.crc64nvme = combine_crc64nvme(self.crc64nvme, hex_number(chunk.crc64nvme), chunk.size_bytes)
        self.crc32c = combine_crc32c(self.crc32c, hex_number(chunk.crc32c), chunk.size_bytes)
        self.chunks += 1
        self.bytes += chunk.size_bytes

    def close(self, record: File) -> None:
        """Check the file record against what the chunks added up to.

        Raises:
            FormatError: they disagree.
        """
        stated = (record.size_bytes, record.chunks, hex_number(record.crc64nvme), hex_number(record.crc32c))
        if self.bytes != self.begin.size_bytes or stated != (self.bytes, self.chunks, self.crc64nvme, self.crc32c):
            raise FormatError(f"file record of {display(self.path)} disagrees with its chunks")


def hex_number(text: str) -> int:
    """The number that lower-case hex digits spell.

    Raises:
        FormatError: the text is anything else.
    """
    try:
        number = int(text, 16)
    except ValueError:
        raise FormatError(f"not a checksum: {text!r}") from None
    if f"{number:0{len(text)}x}" != text:
        raise FormatError(f"not a checksum: {text!r}")
    return number


class StreamRules:
    """Feed it `start`, `accept` for each record, `finish`, segment after segment."""

    def __init__(self, chunk_size_bytes: int) -> None:
        self.chunk_size_bytes = chunk_size_bytes
        self.open_file: OpenFile | None = None
        self.sequence = -1
        self.run = 0
        self.frame: Frame | None = None
        self.frame_index = -1
        self._last_path = b""
        self._may_repeat = False
        self._member_open = False
        self._is_blind = False

    def start(self, header: Header) -> None:
        """A segment begins."""
        if header.sequence != self.sequence + 1:
            raise FormatError(f"segment {header.sequence} stands where {self.sequence + 1} is expected")
        if header.run not in (self.run, self.run + 1) or not header.run:
            raise FormatError(f"run {header.run} follows run {self.run}")
        if header.chunk_size_bytes != self.chunk_size_bytes:
            raise FormatError(f"chunk size {header.chunk_size_bytes} is not the device's {self.chunk_size_bytes}")
        if header.run != self.run:
            self._end_run()
        if header.starts_with_member == self._member_open:
            raise FormatError("header is wrong about whether the pack starts with a member")
        self.sequence, self.run = header.sequence, header.run
        self._header = header
        self.frame, self.frame_index, self._position = None, -1, 0
        self._content_end = 0
        self._entries = self._content_bytes = 0
        self._first: bytes | None = None

    def skip_to(self, broken: Header, following: Header | None) -> None:
        """Go on behind a segment that could not be followed to its end: what it left open is unknown, and taken from the next."""
        self.sequence, self.run = broken.sequence, broken.run
        self._last_path = broken.paths[1] if broken.paths else b""
        self._member_open = following is not None and not following.starts_with_member
        self._may_repeat = True
        self._is_blind = self._member_open

    def _end_run(self) -> None:
        """A new run starts afresh, even when the one before was cut off inside a file."""
        self.open_file, self._last_path, self._may_repeat = None, b"", False
        self._member_open = False

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

    def _accept_frame(self, frame: Frame) -> None:
        if self.frame is not None and self.frame.type == E:
            raise FormatError("a frame follows the end of archive")
        if frame.offset != self._position:
            raise FormatError(f"frame at {frame.offset} does not follow the one before, which ends at {self._position}")
        limit = max_frame_bytes(frame.type, self.chunk_size_bytes)
        if frame.bytes > limit or frame.stored_bytes > frame.bytes + (frame.bytes >> 7) + 512:
            raise FormatError(f"frame at {frame.offset} is larger than a frame of kind {frame.type} may be")
        if self._is_blind and frame.type not in (C, P):
            self._is_blind = False
        inside = self.open_file is not None or (self._is_blind and frame.type == C)
        if (frame.type == C) is not inside and frame.type in (B, C, H, E):
            raise FormatError(f"frame at {frame.offset} of kind {frame.type} is out of place")
        if frame.type == E and frame.bytes != END_OF_ARCHIVE_BYTES:
            raise FormatError("end of archive must be 1,024 bytes")
        self._member_open = frame.type in (H, C, P)
        self.frame, self._position, self._content_end = frame, frame.offset + frame.stored_bytes, 0
        self.frame_index += 1

    def _accept_entry(self, record: Entry) -> None:
        path = record.path_bytes
        if self.open_file is not None and path == self.open_file.path:
            self._accept_continuation(record, self.open_file)
        elif self._is_blind and _continues(record):
            self._count_blindly(record)
        else:
            self._accept_next(record, check_path(path))
        if self._first is None:
            self._first = path
        self._last_path = path

    def _count_blindly(self, record: Entry) -> None:
        """The rest of a large file whose begin was lost with a broken segment: there is nothing to hold it against."""
        if isinstance(record, File):
            self._count(record.size_bytes)
            self._is_blind = False

    def _accept_continuation(self, record: Entry, file: OpenFile) -> None:
        """A chunk, the closing file record, or the void of the large file at hand."""
        match record:
            case Chunk():
                if self.frame is None or self.frame.type != C or self.frame.bytes != record.size_bytes:
                    raise FormatError(f"chunk of {display(file.path)} stands outside a frame of its size")
                file.add(record, self.chunk_size_bytes)
            case File(offset=None):
                file.close(record)
                self.open_file = None
                self._count(record.size_bytes)
            case Void():
                self.open_file, self._may_repeat = None, True
            case _:
                raise FormatError(f"record of another kind inside the large file {display(file.path)}")

    def _accept_next(self, record: Entry, path: bytes) -> None:
        if self.open_file is not None:
            raise FormatError(f"{display(path)} stands inside the large file {display(self.open_file.path)}")
        repeats = path == self._last_path and (self._may_repeat or isinstance(record, Failed))
        if path <= self._last_path and not repeats:
            raise FormatError(f"{display(path)} is out of order behind {display(self._last_path)}")
        self._may_repeat = False
        if path.endswith(b"/") != isinstance(record, Directory) and isinstance(record, Metadata):
            raise FormatError(f"{display(path)}: only a directory's path ends in a slash")
        if isinstance(record, Metadata):
            _check_xattrs(record)
        match record:
            case File():
                self._accept_small_file(record, path)
            case Begin():
                self._expect(H, path)
                self.open_file = OpenFile(record, path)
            case Chunk() | Void():
                raise FormatError(f"{display(path)}: a chunk or void without its begin")
            case Symlink() | Hardlink():
                self._expect(B, path)
                _check_target(record, path)
                self._count(0)
            case Directory():
                self._expect(B, path)
                self._count(0)
            case _:  # removed, skipped and failed have nothing in the pack
                pass

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

    def _count(self, size_bytes: int) -> None:
        self._entries += 1
        self._content_bytes += size_bytes

    def finish(self) -> None:
        """The segment's records are over: compare with its header.

        Raises:
            FormatError: the header says something else.
        """
        header = self._header
        table = _SEEK_TABLE_FIXED_BYTES + _SEEK_TABLE_ENTRY_BYTES * (self.frame_index + 1)
        if self.frame is None or self._position + table != header.pack_size_bytes:
            raise FormatError("the frames do not add up to the pack's size")
        if (self.frame.type == E) != header.ends_with_member:
            raise FormatError("header is wrong about whether the pack ends with a member")
        paths = None if self._first is None else (self._first, self._last_path)
        if (header.entries, header.content_bytes, header.paths) != (self._entries, self._content_bytes, paths):
            raise FormatError("header disagrees with the records about entries, bytes or paths")


def _continues(record: Entry) -> bool:
    return isinstance(record, Chunk | Void) or (isinstance(record, File) and record.offset is None)


def _check_target(record: Symlink | Hardlink, path: bytes) -> None:
    target = record.target_bytes
    if isinstance(record, Hardlink) and check_path(target) >= path:
        raise FormatError(f"hard link {display(path)} points forward to {display(target)}")
    if b"\0" in target:
        raise FormatError(f"symbolic link {display(path)} has a NUL byte in its target")


def _check_xattrs(record: Metadata) -> None:
    if not record.xattrs:
        return
    try:
        values = sum(len(base64.b64decode(value, validate=True)) for value in record.xattrs.values())
    except binascii.Error:
        raise FormatError("an extended attribute is not base64") from None
    if values + sum(map(len, record.xattrs)) > MAX_XATTRS_BYTES or any("=" in name or "\0" in name for name in record.xattrs):
        raise FormatError("extended attributes are too large or have an impossible name")


def path_fields(path: bytes, prefix: str = "") -> dict[str, Any]:
    """The one field of a record that spells `path`: `path` or `path_base64` (or `target`, `first_path`, ... by `prefix`)."""
    text, encoded = to_text(path)
    name = prefix or "path"
    return {name: text} if text else {f"{name}_base64": encoded}
