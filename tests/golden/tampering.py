"""What an attacker does who has read FORMAT.md: everything else is made to agree, seal included.

Only the one rule that is broken can give the device away.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import zstandard

from tests.golden.build import CHUNK_BYTES, INODE, LARGE, LEVEL, content, metadata, small, sums
from tests.golden.damage import Gallery
from tests.golden.model import Part, Record, Tampered
from transfer.core.records import File, Hardlink
from transfer.formats import seek_table
from transfer.formats.frames import FrameCompressor
from transfer.formats.segment import encode_line
from transfer.formats.tar import REGULAR, member_header, padding_bytes, record_header

tampering = Gallery()
damage = tampering.damage
invalid = damage("segment-invalid")
altered = damage("", "content-altered")
unopened = damage("", "frame-damaged")
BIG = "big.bin"


def _compress(data: bytes) -> bytes:
    return FrameCompressor(LEVEL).compress(data)


def _evil_member() -> bytes:
    """A member of its own, as the writer would make it."""
    file, data = small(b"evil.txt", b"evil\n")
    return record_header(file) + data + bytes(padding_bytes(len(data)))


def _rename_first(device: Path, **spelling: str) -> None:
    """Give a.txt of run 2, the first record of pack 3, another path, its tar header with it."""
    tampered = Tampered(device)
    part = tampered.parts[3]
    record = part.find("file", "a.txt")
    record.pop("path")
    record |= spelling
    path = record.get("path", "").encode() or b"hidden"
    header = member_header(path, REGULAR, 4, record["mtime_ns"], (0o644, 1000, 1000, "user", "group"))
    frame = part.frame_records()[0]
    part.set_content(frame, header + part.content(frame)[512:])
    tampered.write()


@invalid
def path_climbs_out(device: Path) -> None:
    """A file is called ../outside.txt."""
    _rename_first(device, path="../outside.txt")


@invalid
def path_climbs_out_inside(device: Path) -> None:
    """A file is called dir/../../outside.txt."""
    _rename_first(device, path="dir/../../outside.txt")


@invalid
def path_absolute(device: Path) -> None:
    """A file is called /etc/passwd."""
    _rename_first(device, path="/etc/passwd")


@invalid
def path_with_a_nul_byte(device: Path) -> None:
    """A file's name holds a NUL byte."""
    _rename_first(device, path="a\0.txt")


@invalid
def path_hidden_in_base64(device: Path) -> None:
    """A path that is valid UTF-8 is spelled as base64."""
    _rename_first(device, path_base64="aGlkZGVu")


@invalid
def path_not_sorted(device: Path) -> None:
    """The first file of run 2 sorts behind the second."""
    _rename_first(device, path="z.txt")


@invalid
def segment_wrong_count(device: Path) -> None:
    """The end record of segment 1 counts one record more than there are."""
    tampered = Tampered(device)
    tampered.parts[1].end = {"records": len(tampered.parts[1].records) + 1}
    tampered.write()


@invalid
def segment_wrong_digest(device: Path) -> None:
    """The end record of segment 1 has the digest of other lines."""
    tampered = Tampered(device)
    tampered.parts[1].end = {"blake3": "0" * 64}
    tampered.write()


@invalid
def segment_of_unknown_version(device: Path) -> None:
    """Segment 1 has format version 2."""
    _bend_header(device, 1, format_version=2)


@invalid
def header_counts_other_entries(device: Path) -> None:
    """The header of segment 2 counts one entry less than its records."""
    _bend_header(device, 2, entries=8)


@invalid
def header_claims_without_limit(device: Path) -> None:
    """Every header claims as many content bytes as a field can hold: together more than 64 bits."""
    tampered = Tampered(device)
    for part in tampered.parts:
        part.header["content_bytes"] = 2**63 - 1
    tampered.write(counts=False)


@invalid
def header_wrong_about_the_member(device: Path) -> None:
    """Pack 1 begins inside the large file; its header says that it begins with a member."""
    _bend_header(device, 1, starts_with_member=True)


@invalid
def run_goes_back(device: Path) -> None:
    """The last segment says that it is of run 1, which was over."""
    _bend_header(device, 3, run=1)


@invalid
def run_complete_inside_a_file(device: Path) -> None:
    """Segment 1 ends run 1 inside the large file."""
    _bend_header(device, 1, run_complete=True)


def _bend_header(device: Path, number: int, **fields: object) -> None:
    tampered = Tampered(device)
    tampered.parts[number].header |= fields
    tampered.write(counts=False)


@invalid
def record_with_unknown_field(device: Path) -> None:
    """A file record has a field that version 1 does not know."""
    _bend_record(device, "file", "xattrs.txt", colour="red")


@invalid
def record_without_a_field(device: Path) -> None:
    """A file record has no BLAKE3."""
    tampered = Tampered(device)
    tampered.part_with("file", "xattrs.txt").find("file", "xattrs.txt").pop("blake3")
    tampered.write()


@invalid
def record_of_unknown_kind(device: Path) -> None:
    """A record is of a kind that version 1 does not know."""
    _bend_record(device, "skipped", "fifo", kind="teleported")


@invalid
def mode_out_of_range(device: Path) -> None:
    """A file's mode has more than twelve bits."""
    _bend_record(device, "file", "xattrs.txt", mode=0o100644)


@invalid
def digest_in_capitals(device: Path) -> None:
    """A file's BLAKE3 is written in capitals."""
    record = Tampered(device).part_with("file", "xattrs.txt").find("file", "xattrs.txt")
    _bend_record(device, "file", "xattrs.txt", blake3=record["blake3"].upper())


@invalid
def size_is_a_text(device: Path) -> None:
    """A file's size is a text."""
    _bend_record(device, "file", "xattrs.txt", size_bytes="512")


@invalid
def content_leaves_its_frame(device: Path) -> None:
    """A file's content is said to lie behind the end of its frame."""
    _bend_record(device, "file", "xattrs.txt", offset=1 << 40)


@invalid
def record_claims_a_gigabyte(device: Path) -> None:
    """A chunk's frame is said to hold 1 GiB."""
    tampered = Tampered(device)
    tampered.parts[1].frame_records()[0]["bytes"] = 1 << 30
    tampered.write()


@invalid
def frames_overlap(device: Path) -> None:
    """A frame is said to begin inside the one before it."""
    tampered = Tampered(device)
    part = tampered.parts[1]
    part.pack_bytes()
    part.keeps_offsets = True
    part.frame_records()[1]["offset"] -= 1
    tampered.write()


@invalid
def closing_record_bends_the_mode(device: Path) -> None:
    """The record that closes the large file has another mode than the one that began it."""
    _bend_record(device, "file", BIG, mode=0o6777)


@invalid
def chunk_out_of_place(device: Path) -> None:
    """Chunks 1 and 2 have each other's numbers."""
    tampered = Tampered(device)
    for record in tampered.parts[1].select("chunk", BIG):
        record["index"] = {1: 2, 2: 1}.get(record["index"], record["index"])
    tampered.write()


@invalid
def chunk_missing(device: Path) -> None:
    """Chunk 2 and its frame are left out."""
    tampered = Tampered(device)
    part = tampered.parts[1]
    _remove(part, part.frame_records()[1], part.find("chunk", BIG, index=2))
    tampered.write()


@invalid
def chunk_told_twice(device: Path) -> None:
    """Two chunk records stand in one frame."""
    tampered = Tampered(device)
    part = tampered.parts[1]
    _remove(part, part.frame_records()[1])
    tampered.write()


@invalid
def chunk_crcs_do_not_combine(device: Path) -> None:
    """The CRC-64 of the large file is not that of its chunks together."""
    _bend_record(device, "file", BIG, crc64nvme="0" * 16)


@invalid
def frame_that_no_record_tells(device: Path) -> None:
    """A header frame holds a member of its own, no record tells of it; stock tools would restore it."""
    tampered = Tampered(device)
    tampered.parts[3].insert_frame(0, "H", _evil_member())
    tampered.write()


@invalid
def padding_out_of_place(device: Path) -> None:
    """A padding frame of 100 bytes stands between members: all behind it is shifted for stock tools."""
    tampered = Tampered(device)
    part = tampered.parts[3]
    part.insert_frame(part.records.index(part.frame_records()[1]), "P", bytes(100))
    tampered.write()


@invalid
def void_not_filled_up(device: Path) -> None:
    """The member of the voided attempt lacks its last padding frame."""
    tampered = Tampered(device)
    part = tampered.parts[0]
    _remove(part, [frame for frame in part.frame_records() if frame["type"] == "P"][1])
    tampered.write()


@invalid
def pack_without_its_end(device: Path) -> None:
    """Pack 3 ends with a member, but has no end-of-archive frame."""
    tampered = Tampered(device)
    part = tampered.parts[3]
    _remove(part, part.frame_records()[-1])
    part.header["ends_with_member"] = False
    tampered.write()


@invalid
def hard_link_forward(device: Path) -> None:
    """A hard link names a path that sorts behind it."""
    _retarget(device, "dir/later")


@damage("link-dangling")
def hard_link_dangling(device: Path) -> None:
    """A hard link names a path that no file record has."""
    _retarget(device, "a.tx_")


def _retarget(device: Path, target: str) -> None:
    tampered = Tampered(device)
    part = tampered.part_with("hardlink", "dir/hard")
    record = part.find("hardlink", "dir/hard")
    frame = next(frame for frame in part.frame_records() if frame["type"] == "B")
    old = Hardlink(**metadata(b"dir/hard"), size_bytes=4, target=record["target"], **INODE)
    new = Hardlink(**metadata(b"dir/hard"), size_bytes=4, target=target, **INODE)
    data = part.content(frame)
    assert record_header(old) in data
    part.set_content(frame, data.replace(record_header(old), record_header(new)))
    record["target"] = target
    tampered.write()


@damage("incomplete")
def sealed_incomplete(device: Path) -> None:
    """Nothing is damaged: the last copy did not end, and the device was sealed all the same."""
    _bend_header(device, 3, run_complete=False)


@altered
def wrong_crc_with_right_blake3(device: Path) -> None:
    """A small file's CRC-32C is wrong, its BLAKE3 is right."""
    _bend_record(device, "file", "xattrs.txt", crc32c="00000000")


@altered
def tar_header_differs(device: Path) -> None:
    """The tar header of a file says mode 4755 where its record says 0644."""
    _bend_record(device, "file", "xattrs.txt", mode=0o644)


@altered
def member_that_no_record_tells(device: Path) -> None:
    """A batch holds a member more than its records; stock tools would restore it."""
    tampered = Tampered(device)
    part = tampered.parts[3]
    frame = part.frame_records()[0]
    part.set_content(frame, part.content(frame) + _evil_member())
    tampered.write()


@altered
def header_frame_with_a_member_more(device: Path) -> None:
    """The header frame of the large file holds a whole member before its header."""
    tampered = Tampered(device)
    part = tampered.parts[0]
    frame = [frame for frame in part.frame_records() if frame["type"] == "H"][1]
    part.set_content(frame, _evil_member() + part.content(frame))
    tampered.write()


@altered
def padding_not_zero(device: Path) -> None:
    """The padding behind the large file is not zero."""
    tampered = Tampered(device)
    part = tampered.parts[2]
    frame = part.frame_records()[2]
    part.set_content(frame, b"\1" * len(part.content(frame)))
    tampered.write()


@altered
def padding_not_zero_in_a_batch(device: Path) -> None:
    """The padding behind a small file is not zero."""
    tampered = Tampered(device)
    part = tampered.parts[3]
    frame = part.frame_records()[0]
    part.set_content(frame, part.content(frame)[:-1] + b"\1")
    tampered.write()


@altered
def end_of_archive_not_zero(device: Path) -> None:
    """The end-of-archive frame of pack 3 holds a header instead."""
    tampered = Tampered(device)
    part = tampered.parts[3]
    part.set_content(part.frame_records()[-1], _evil_member())
    tampered.write()


@altered
def chunk_altered(device: Path) -> None:
    """Chunk 2 of the large file holds other bytes than its record and the file's say."""
    tampered = Tampered(device)
    part = tampered.parts[1]
    part.set_content(part.frame_records()[1], content("another", CHUNK_BYTES))
    tampered.write()


@damage("", "file-digest")
def file_digest_wrong(device: Path) -> None:
    """The chunks of the large file are right, its BLAKE3 as a whole is not."""
    _bend_record(device, "file", BIG, blake3=sums(b"another")["blake3"])


@damage("", "seek-table")
def seek_table_lies(device: Path) -> None:
    """The seek table of pack 1 lists other sizes."""
    tampered = Tampered(device)
    part = tampered.parts[1]
    part.table = [(len(stored), CHUNK_BYTES + 1) for stored in part.frames]
    tampered.write()


@unopened
def frame_states_less(device: Path) -> None:
    """A frame's own header states less than its record, and less than it holds."""
    _patch_size(device, CHUNK_BYTES, CHUNK_BYTES - 1000)


@unopened
def frame_states_more(device: Path) -> None:
    """A frame's own header states more than its record, and more than it holds."""
    _patch_size(device, CHUNK_BYTES, CHUNK_BYTES + 1000)


@unopened
def frame_claims_a_gigabyte(device: Path) -> None:
    """A frame's own header states 1 GiB; its record states one chunk."""
    _patch_size(device, CHUNK_BYTES, 1 << 30)


@unopened
def frame_inflates(device: Path) -> None:
    """Record and frame header agree on one chunk, but the blocks inflate to 64 MiB."""
    _patch_size(device, 64 << 20, CHUNK_BYTES)


def _patch_size(device: Path, real: int, stated: int) -> None:
    """Replace chunk 2 by a frame of `real` bytes whose header states `stated` bytes."""
    data = LARGE.chunks[2][1] if real == CHUNK_BYTES else bytes(real)
    frame = _compress(data)
    # RFC 8878 §3.1.1.1: descriptor, window unless in one segment, content size in 1, 2, 4 or 8 bytes.
    flags, in_one_segment = frame[4], frame[4] >> 5 & 1
    at = 5 if in_one_segment else 6
    behind = at + (in_one_segment, 2, 4, 8)[flags >> 6]
    four_bytes = bytes([2 << 6 | flags & 0x3F])
    _replace_chunk(device, frame[:4] + four_bytes + frame[5:at] + struct.pack("<I", stated) + frame[behind:])


@unopened
def frame_without_a_size(device: Path) -> None:
    """A frame does not state its size."""
    plain = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=False)
    _replace_chunk(device, plain.compress(LARGE.chunks[2][1]))


@unopened
def frame_without_a_checksum(device: Path) -> None:
    """A frame has no checksum."""
    plain = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)
    _replace_chunk(device, plain.compress(LARGE.chunks[2][1]))


@unopened
def two_frames_in_one(device: Path) -> None:
    """Behind a chunk's frame, inside of what its record spans, lies another frame."""
    _replace_chunk(device, _compress(LARGE.chunks[2][1]) + _compress(_evil_member()))


@unopened
def skippable_frame_inside(device: Path) -> None:
    """A chunk's record spans a skippable frame as well."""
    hidden = seek_table.encode([])
    _replace_chunk(device, hidden + _compress(LARGE.chunks[2][1]))


def _replace_chunk(device: Path, stored: bytes) -> None:
    tampered = Tampered(device)
    tampered.parts[1].frames[1] = stored
    tampered.write()


@invalid
def lines_joined(device: Path) -> None:
    """Two records of segment 1 stand in one line."""
    tampered = Tampered(device)
    part = tampered.parts[1]
    part.pack_bytes()
    lines = [json.dumps(record).encode() for record in part.records]
    part.raw_lines = lines[0] + b"\n".join(lines[1:]) + b"\n"
    tampered.write()


@invalid
def line_without_end(device: Path) -> None:
    """A line of segment 1 is longer than 2 MiB."""
    tampered = Tampered(device)
    part = tampered.parts[1]
    part.pack_bytes()
    file = File(**metadata(b"a"), size_bytes=0, **sums(b""))
    part.raw_lines = encode_line(file)[:-2] + b" " * (4 << 20) + b"}\n"
    tampered.write()


def _bend_record(device: Path, kind: str, path: str, /, **fields: object) -> None:
    tampered = Tampered(device)
    tampered.part_with(kind, path).find(kind, path).update(fields)
    tampered.write()


def _remove(part: Part, *records: Record) -> None:
    for record in records:
        if record["kind"] == "frame":
            part.frames.pop(part.index_of_frame(record))
        part.records.remove(record)
