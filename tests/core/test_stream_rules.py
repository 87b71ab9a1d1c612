"""Each rule of the record stream broken once, on the stream of the good golden device, which obeys all."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.golden.build import CHUNK_BYTES, OWNER
from tests.golden.make import GOLDEN
from transfer.core.record_rules import MAX_XATTRS_BYTES, check_record
from transfer.core.records import (
    AnyRecord,
    Begin,
    Chunk,
    Directory,
    End,
    Failed,
    File,
    Frame,
    Hardlink,
    Header,
    Removed,
    Skipped,
    Symlink,
    Void,
)
from transfer.core.stream_rules import StreamRules, hex_number, max_frame_bytes, path_fields
from transfer.errors import FormatError
from transfer.formats.segment import read_records

Part = tuple[Header, list[AnyRecord]]


def good() -> list[Part]:
    parts: list[Part] = []
    for segment in sorted((GOLDEN / "good/segments").iterdir()):
        with open(segment, "rb") as file:
            header, *blocks = read_records(file)
        assert isinstance(header, Header)
        parts.append((header, [record for block in blocks if isinstance(block, list) for record in block]))
    return parts


GOOD = good()


def follow(parts: list[Part], rules: StreamRules | None = None) -> StreamRules:
    rules = rules or StreamRules(CHUNK_BYTES)
    for header, records in parts:
        rules.start(header)
        for record in records:
            rules.accept(record)
        rules.finish()
    return rules


def test_the_good_stream_obeys_all_rules() -> None:
    rules = follow(GOOD)
    assert (rules.sequence, rules.run, rules.open_file) == (3, 2, None)


class Stream:
    """The good stream, to be bent: records are found by segment, kind and the how-many-eth of the kind."""

    def __init__(self) -> None:
        self.parts = deepcopy(GOOD)

    def header(self, number: int, **fields: Any) -> None:
        header, records = self.parts[number]
        self.parts[number] = (replace(header, **fields), records)

    def at(self, number: int, kind: type, nth: int = 0) -> int:
        places = [i for i, record in enumerate(self.parts[number][1]) if isinstance(record, kind)]
        return places[nth]

    def bend(self, number: int, kind: type, nth: int = 0, **fields: Any) -> None:
        records, place = self.parts[number][1], self.at(number, kind, nth)
        records[place] = replace(records[place], **fields)

    def drop(self, number: int, kind: type, nth: int = 0) -> None:
        del self.parts[number][1][self.at(number, kind, nth)]

    def insert(self, number: int, kind: type, nth: int, *records: AnyRecord, behind: int = 0) -> None:
        place = self.at(number, kind, nth) + behind
        self.parts[number][1][place:place] = records

    def drop_frame(self, number: int, nth: int) -> None:
        """Take out a frame record and move those behind it up."""
        records = self.parts[number][1]
        dropped = records.pop(self.at(number, Frame, nth))
        assert isinstance(dropped, Frame)
        self._shift(number, dropped.offset, -dropped.stored_bytes)

    def insert_frame(self, number: int, nth: int, kind: str, size: int) -> None:
        records = self.parts[number][1]
        place = self.at(number, Frame, nth)
        before = records[place]
        assert isinstance(before, Frame)
        self._shift(number, before.offset - 1, 10)
        records.insert(place, Frame(type=kind, offset=before.offset, stored_bytes=10, bytes=size))

    def _shift(self, number: int, behind: int, by: int) -> None:
        records = self.parts[number][1]
        for place, record in enumerate(records):
            if isinstance(record, Frame) and record.offset > behind:
                records[place] = replace(record, offset=record.offset + by)


BROKEN: dict[str, tuple[Callable[[Stream], object], str]] = {
    "segment skipped": (lambda s: s.parts.pop(1), "segment 2 stands where 1"),
    "segment repeated": (lambda s: s.header(1, sequence=0), "segment 0 stands where 1"),
    "first run is 2": (lambda s: s.header(0, run=2), "run 2 follows run 0"),
    "run goes back": (lambda s: s.header(3, run=1), "run 1 follows run 1, which is over"),
    "run goes back two": (lambda s: s.header(3, run=3), "run 3 follows run 1"),
    "other chunk size": (lambda s: s.header(1, chunk_size_bytes=1 << 20), "chunk size 1048576"),
    "starts": (lambda s: s.header(1, starts_with_member=True), "whether the pack starts"),
    "starts inside": (lambda s: s.header(0, starts_with_member=False), "whether the pack starts"),
    "ends": (lambda s: s.header(0, ends_with_member=True), "whether the pack ends"),
    "ends inside": (lambda s: s.header(2, ends_with_member=False), "whether the pack ends"),
    "no end where a member ends": (
        lambda s: (s.drop_frame(3, 1), s.header(3, ends_with_member=False, pack_size_bytes=_less(s))),
        "whether the pack ends",
    ),
    "complete inside a file": (lambda s: s.header(0, run_complete=True), "complete, inside a large file"),
    "entries": (lambda s: s.header(2, entries=7), "entries, bytes or paths"),
    "content bytes": (lambda s: s.header(2, content_bytes=7), "entries, bytes or paths"),
    "first path": (lambda s: s.header(2, first_path="a"), "entries, bytes or paths"),
    "last path": (lambda s: s.header(3, last_path="dir/"), "entries, bytes or paths"),
    "pack size": (lambda s: s.header(1, pack_size_bytes=1), "do not add up"),
    "no frames": (lambda s: s.parts[3][1].clear(), "do not add up"),
    "end record inside": (lambda s: s.insert(2, Frame, 1, End(records=0, blake3="0" * 64)), "end record"),
    "frame behind the end": (lambda s: s.insert_frame(3, 1, "E", 1024), "follows the end of archive"),
    "gap between frames": (lambda s: s.bend(1, Frame, 1, offset=300), "does not follow"),
    "frame overlaps": (lambda s: s.bend(1, Frame, 1, offset=280), "does not follow"),
    "gap before the first": (lambda s: s.bend(1, Frame, 0, offset=1), "does not follow"),
    "B too large": (lambda s: s.bend(3, Frame, 0, bytes=CHUNK_BYTES + (1 << 20) + 1), "larger than"),
    "H too large": (lambda s: s.bend(0, Frame, 1, bytes=(1 << 20) + 1), "larger than"),
    "C too large": (lambda s: s.bend(1, Frame, 0, bytes=CHUNK_BYTES + 1), "larger than"),
    "E too large": (lambda s: s.bend(3, Frame, 1, bytes=1025), "larger than"),
    "E too small": (lambda s: s.bend(3, Frame, 1, bytes=512), "1,024 bytes"),
    "stored beyond reason": (lambda s: s.bend(1, Frame, 2, stored_bytes=CHUNK_BYTES * 2), "larger than"),
    "H without begin": (lambda s: s.drop(0, Begin, 1), "of kind H has no record"),
    "C without chunk": (lambda s: s.drop(0, Chunk, 0), "of kind C has no record"),
    "last C without chunk": (lambda s: s.drop(1, Chunk, 2), "of kind C has no record"),
    "two chunks in a frame": (lambda s: s.drop_frame(1, 1), "shares its frame"),
    "B inside a file": (lambda s: s.bend(1, Frame, 1, type="B"), "of kind B is out of place"),
    "E inside a file": (lambda s: s.bend(1, Frame, 1, type="E", bytes=1024), "of kind E is out of place"),
    "H inside a file": (lambda s: s.bend(1, Frame, 1, type="H"), "of kind H is out of place"),
    "P inside a file": (lambda s: s.bend(1, Frame, 1, type="P"), "of kind P is out of place"),
    "C outside": (lambda s: s.bend(3, Frame, 0, type="C", bytes=9), "of kind C is out of place"),
    "C of another size": (lambda s: s.bend(1, Frame, 0, bytes=9), "of kind C is out of place"),
    "P between members": (lambda s: s.insert_frame(3, 1, "P", 512), "of kind P is out of place"),
    "P too many behind a void": (lambda s: s.insert_frame(0, 5, "P", 512), "of kind P is out of place"),
    "P too few behind a void": (lambda s: s.drop_frame(0, 3), "of kind H is out of place"),
    "P too large behind a void": (lambda s: s.bend(0, Frame, 4, bytes=1024), "of kind P is out of place"),
    "closed without padding": (lambda s: s.drop_frame(2, 2), "another kind inside the large file"),
    "path climbs": (lambda s: s.bend(3, File, 0, path="../a"), "climbs out"),
    "path absolute": (lambda s: s.bend(3, Removed, 0, path="/a"), "climbs out"),
    "no path": (lambda s: s.bend(3, Removed, 0, path=""), "either a path or"),
    "two paths": (lambda s: s.bend(3, Removed, 0, path_base64="/w=="), "either a path or"),
    "file with a slash": (lambda s: s.bend(3, File, 0, path="a/"), "only a directory's path"),
    "directory without": (lambda s: s.bend(2, Directory, 0, path="dir"), "only a directory's path"),
    "begin with a slash": (lambda s: s.bend(0, Begin, 0, path="big/"), "only a directory's path"),
    "unsorted": (lambda s: s.bend(3, File, 1, path="a"), "out of order"),
    "repeated": (lambda s: s.bend(3, File, 1, path="a.txt"), "out of order"),
    "repeated failure": (
        lambda s: s.insert(2, Failed, 0, Failed(path="secret.txt", reason="changed")),
        "out of order",
    ),
    "unsorted over segments": (lambda s: s.bend(2, Directory, 0, path="a/"), "out of order"),
    "begin in a B frame": (lambda s: s.bend(0, Frame, 1, type="B"), "stand in a frame of kind H"),
    "directory in an H frame": (lambda s: s.insert(0, Begin, 0, Directory(path="b/", **_META)), "kind B"),
    "two begins": (lambda s: s.insert(0, Begin, 0, replace(_begin(s), path="b")), "inside the large file"),
    "record inside a file": (lambda s: s.insert(1, Chunk, 1, Removed(path="z")), "inside the large file"),
    "entry inside a file": (
        lambda s: s.insert(1, Chunk, 1, Removed(path="big.bin")),
        "another kind inside the large file",
    ),
    "chunk without begin": (lambda s: s.bend(0, Begin, 0, path="big.bi"), "inside the large file"),
    "chunk of nobody": (lambda s: s.insert(2, Skipped, 0, _chunk(s)), "without its begin"),
    "void of nobody": (lambda s: s.insert(2, Skipped, 0, Void(path="e")), "without its begin"),
    "chunk index": (lambda s: s.bend(1, Chunk, 1, index=9), "chunk 9 of big.bin is out of place"),
    "chunk size": (lambda s: s.bend(1, Chunk, 1, size_bytes=9), "chunk 2 of big.bin is out of place"),
    "closed too early": (lambda s: s.drop(2, Chunk, 0), "of kind C has no record"),
    "closed with other size": (lambda s: s.bend(2, File, 0, size_bytes=9), "disagrees with its chunks"),
    "closed with other count": (lambda s: s.bend(2, File, 0, chunks=9), "disagrees with its chunks"),
    "closed with other crc64": (
        lambda s: s.bend(2, File, 0, crc64nvme="0" * 16),
        "disagrees with its chunks",
    ),
    "closed with other crc32": (lambda s: s.bend(2, File, 0, crc32c="0" * 8), "disagrees with its chunks"),
    "closed with other mode": (lambda s: s.bend(2, File, 0, mode=0), "disagrees with its begin"),
    "closed with other time": (lambda s: s.bend(2, File, 0, mtime_ns=0), "disagrees with its begin"),
    "closed with an offset": (lambda s: s.bend(2, File, 0, offset=0), "another kind inside"),
    "small without offset": (lambda s: s.bend(3, File, 0, offset=None), "neither an offset"),
    "small with chunks": (lambda s: s.bend(3, File, 0, chunks=1), "neither an offset"),
    "small behind its frame": (lambda s: s.bend(3, File, 1, offset=2048), "leaves its frame"),
    "small overlaps": (lambda s: s.bend(3, File, 1, offset=513), "leaves its frame"),
    "small beyond": (lambda s: s.bend(3, File, 1, size_bytes=1 << 40), "leaves its frame"),
    "small outside a B frame": (
        lambda s: s.insert(2, File, 0, replace(_small(s), path="c"), behind=1),
        "stand in a frame of kind B",
    ),
    "sum in capitals": (lambda s: s.bend(3, File, 0, blake3="A" * 64), "lower-case hex"),
    "sum no hex": (lambda s: s.bend(1, Chunk, 0, crc32c="0000000g"), "lower-case hex"),
    "hard link forward": (lambda s: s.bend(2, Hardlink, 0, target="dir/harder"), "points forward"),
    "hard link to itself": (lambda s: s.bend(2, Hardlink, 0, target="dir/hard"), "points forward"),
    "hard link climbs": (lambda s: s.bend(2, Hardlink, 0, target="../a"), "climbs out"),
    "link without target": (lambda s: s.bend(2, Symlink, 0, target=""), "either a path or"),
    "link with NUL": (lambda s: s.bend(2, Symlink, 0, target="a\0b"), "NUL byte"),
    "xattr no base64": (lambda s: s.bend(3, File, 0, xattrs={"user.a": "?"}), "not base64"),
    "xattr beyond ASCII": (lambda s: s.bend(3, File, 0, xattrs={"user.a": "ü"}), "not base64"),
    "xattr name with =": (lambda s: s.bend(3, File, 0, xattrs={"user.a=b": ""}), "impossible"),
    "xattr without name": (lambda s: s.bend(3, File, 0, xattrs={"": ""}), "impossible"),
    "xattr name with NUL": (lambda s: s.bend(3, File, 0, xattrs={"a\0": ""}), "impossible"),
    "xattrs too large": (
        lambda s: s.bend(3, File, 0, xattrs={"a": "A" * ((MAX_XATTRS_BYTES // 3 + 1) * 4)}),
        "too large",
    ),
}
_META: dict[str, Any] = {"mode": 0o755, "mtime_ns": 0} | OWNER


def _less(_: Stream) -> int:
    """The size of the last pack without its end-of-archive frame."""
    ends = [record for record in GOOD[3][1] if isinstance(record, Frame)]
    return GOOD[3][0].pack_size_bytes - ends[-1].stored_bytes - 8


def _begin(stream: Stream) -> Any:
    return stream.parts[0][1][stream.at(0, Begin)]


def _chunk(stream: Stream) -> Any:
    return replace(stream.parts[1][1][stream.at(1, Chunk)], path="e")


def _small(stream: Stream) -> Any:
    return stream.parts[3][1][stream.at(3, File)]


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_broken(name: str) -> None:
    bend, message = BROKEN[name]
    stream = Stream()
    bend(stream)
    with pytest.raises(FormatError, match=message) as error:
        follow(stream.parts)
    assert error.value.exit_code == 4


@given(st.data())
def test_whatever_is_left_out_is_noticed(data: st.DataObject) -> None:
    """Any one record that has bytes in a pack, or is an entry, cannot be left out in silence."""
    number = data.draw(st.integers(0, 3))
    header, records = deepcopy(GOOD[number])
    place = data.draw(st.integers(0, len(records) - 1))
    inner_loose = isinstance(records[place], Skipped | Failed | Removed) and 0 < place < len(records) - 2
    del records[place]
    parts = [*GOOD[:number], (header, records), *GOOD[number + 1 :]]
    if inner_loose:  # nothing in the pack stands for it; count and digest of the segment do
        follow(parts)
    else:
        with pytest.raises(FormatError):
            follow(parts)


def test_a_directory_that_could_not_be_listed_comes_twice() -> None:
    stream = Stream()
    stream.insert(2, Directory, 1, Failed(path="dir/empty/", reason="unreadable"), behind=1)
    follow(stream.parts)


def test_what_a_run_left_open_is_filled_up_before_the_next() -> None:
    """Where a run was cut off inside a large file, its last segment voids that and fills the member."""
    cut = deepcopy(GOOD[:1])
    left = 4 * CHUNK_BYTES + 1000 + 24  # to the next whole block
    sizes = [CHUNK_BYTES] * 4 + [left % CHUNK_BYTES]
    zeros = [Frame(type="P", offset=n * 10, stored_bytes=10, bytes=size) for n, size in enumerate(sizes)]
    end = Frame(type="E", offset=50, stored_bytes=20, bytes=1024)
    header = replace(
        GOOD[1][0],
        ends_with_member=True,
        pack_size_bytes=70 + 17 + 8 * 6,
        first_path="big.bin",
        last_path="big.bin",
    )
    filling: Part = (header, [Void(path="big.bin"), *zeros, end])
    next_run: Part = (replace(GOOD[3][0], sequence=2), GOOD[3][1])
    assert follow([*cut, filling, next_run]).run == 2
    with pytest.raises(FormatError, match="kind P is out of place"):
        follow([*cut, (header, filling[1][1:])])
    with pytest.raises(FormatError, match="kind E is out of place"):
        follow([*cut, (header, [Void(path="big.bin"), *zeros[:-1], replace(end, offset=40)])])
    inside = replace(GOOD[3][0], sequence=1, starts_with_member=False)
    with pytest.raises(FormatError, match="run 2 begins inside a member of run 1"):
        follow([*cut, (inside, GOOD[3][1])])


def test_behind_a_lost_segment_the_rest_is_still_followed() -> None:
    for lost in range(4):
        rules = StreamRules(CHUNK_BYTES)
        follow(GOOD[:lost], rules)
        fresh = StreamRules(CHUNK_BYTES)
        fresh.skip_to(GOOD[lost][0], GOOD[lost + 1][0] if lost < 3 else None)
        assert follow(GOOD[lost + 1 :], fresh).sequence == 3
        for number in range(lost + 1, 4):
            bent = Stream()
            bent.header(number, entries=99)
            fresh = StreamRules(CHUNK_BYTES)
            fresh.skip_to(GOOD[lost][0], GOOD[lost + 1][0])
            with pytest.raises(FormatError):
                follow(bent.parts[lost + 1 :], fresh)


@pytest.mark.parametrize(
    ("kind", "size"),
    [("B", CHUNK_BYTES + (1 << 20)), ("H", 1 << 20), ("C", CHUNK_BYTES), ("P", CHUNK_BYTES), ("E", 1024)],
)
def test_frame_limits(kind: str, size: int) -> None:
    assert max_frame_bytes(kind, CHUNK_BYTES) == size


@pytest.mark.parametrize("text", ["", "A", "0x1", " 1", "1_0", "+1", "-1", "\u0661", "g"])
def test_no_hex_number(text: str) -> None:
    with pytest.raises(FormatError):
        hex_number(text)


@given(st.integers(0, 2**64 - 1))
def test_hex_numbers(number: int) -> None:
    assert hex_number(f"{number:016x}") == number


def test_path_fields() -> None:
    assert path_fields(b"a") == {"path": "a"}
    assert path_fields(b"\xff") == {"path_base64": "/w=="}
    assert path_fields(b"\xff", "target") == {"target_base64": "/w=="}


def test_xattrs_at_the_limit() -> None:
    value = "A" * ((MAX_XATTRS_BYTES - 1) // 3 * 4)
    check_record(Directory(path="d/", xattrs={"a": value}, **_META), b"d/")
