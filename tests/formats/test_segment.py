"""Segments: what was written comes back; cut, altered and hostile ones end in one error, in little memory."""

from __future__ import annotations

import io
import json
import subprocess
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.make import GOLDEN
from tests.tools import require_tool
from transfer.core.records import AnyRecord, Directory, Failed, File, Header, Removed, Skipped, Symlink
from transfer.core.stream_rules import path_fields
from transfer.errors import FormatError, IntegrityError
from transfer.formats import segment
from transfer.formats.segment import (
    MAX_LINE_BYTES,
    decode_header,
    encode_line,
    encode_segment,
    read_header,
    read_records,
)

MIB = 1 << 20
HEADER = Header(
    format_version=1,
    device_id="01020304-0506-4708-890a-0b0c0d0e0f10",
    sequence=7,
    run=1,
    run_started="2024-01-02T03:04:05Z",
    run_complete=True,
    source="/data",
    starts_with_member=True,
    ends_with_member=True,
    pack_size_bytes=1,
    pack_blake3="0" * 64,
    chunk_size_bytes=65536,
    entries=0,
    content_bytes=0,
)
OWNER: dict[str, Any] = {"mode": 0o644, "mtime_ns": -1, "uid": 2**32 - 1, "gid": 0, "user": "ü", "group": "g"}


def write(*records: AnyRecord, header: Header = HEADER) -> bytes:
    return encode_segment(header, [encode_line(record) for record in records], len(records))


def read(stored: bytes) -> tuple[Header, list[AnyRecord]]:
    """As all readers do: the header alone first, then all."""
    alone = read_header(io.BytesIO(stored))
    header, *blocks = read_records(io.BytesIO(stored))
    assert header == alone
    return alone, [record for block in blocks if isinstance(block, list) for record in block]


PATHS = st.binary(min_size=1, max_size=60).map(path_fields)
RECORDS = st.lists(
    st.one_of(
        st.builds(lambda path: Removed(**path), PATHS),
        st.builds(
            lambda path, detail: Failed(reason="vanished", detail=detail, **path), PATHS, st.text(max_size=9)
        ),
        st.builds(lambda path: Skipped(reason="fifo", **path), PATHS),
        st.builds(
            lambda path, xattrs: Directory(xattrs=xattrs, **path, **OWNER),
            PATHS,
            st.dictionaries(st.text(), st.text()),
        ),
        st.builds(
            lambda path, target: Symlink(**path, **path_fields(target, "target"), **OWNER),
            PATHS,
            st.binary(min_size=1),
        ),
        st.builds(
            lambda path, size: File(
                size_bytes=size,
                offset=size,
                blake3="0" * 64,
                crc64nvme="1" * 16,
                crc32c="2" * 8,
                **path,
                **OWNER,
            ),
            PATHS,
            st.integers(0, 2**63 - 1),
        ),
    ),
    max_size=20,
)


@given(RECORDS)
def test_round_trip(records: list[AnyRecord]) -> None:
    assert read(write(*records)) == (HEADER, records)


def test_any_reader_of_json_lines_can_read_it() -> None:
    stored = write(Removed(path="a"), Skipped(path="b", reason="fifo"))
    done = subprocess.run([require_tool("zstd"), "-dqc"], input=stored, capture_output=True, check=True)
    lines = done.stdout.split(b"\n")
    assert lines.pop() == b""
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds == ["segment", "removed", "skipped", "end"]
    assert lines[0].startswith(b'{"kind":"segment",')
    assert b'"starts_with_member":true,"ends_with_member":true,' in lines[0]
    end = json.loads(lines[-1])
    assert end == {"kind": "end", "records": 2, "blake3": blake3(b"\n".join(lines[:-1]) + b"\n").hexdigest()}


def test_records_come_in_blocks_and_none_is_lost_between_them() -> None:
    records = [Removed(path=f"{number:0900}") for number in range(5000)]
    stored = write(*records)
    _, *blocks = read_records(io.BytesIO(stored))
    assert len(blocks) > 3
    assert read(stored)[1] == records


def test_the_longest_line_there_can_be_passes() -> None:
    path = path_fields(b"\1" * 65_535)
    link = Symlink(**path, **path_fields(b"\1" * 65_535, "target"), xattrs={"a": "A" * 349_524}, **OWNER)
    assert MIB < len(encode_line(link)) < MAX_LINE_BYTES
    paths = path_fields(b"\1" * 65_535, "first_path") | path_fields(b"\xff" * 65_535, "last_path")
    header = msgspec.structs.replace(HEADER, **paths)
    assert read(write(link, header=header)) == (header, [link])


def test_good_segments_read_as_they_are() -> None:
    for path in sorted((GOLDEN / "good/segments").iterdir()):
        header, records = read(path.read_bytes())
        assert path.name == f"{header.sequence:08}.jsonl.zst"
        assert records


SMALL = write(
    Removed(path="a"), Failed(path="b", reason="unreadable", detail="no"), Skipped(path="c", reason="fifo")
)


@pytest.mark.parametrize("cut", range(len(SMALL)))
def test_cut_at_every_byte(cut: int) -> None:
    with pytest.raises(IntegrityError):
        read(SMALL[:cut])


@pytest.mark.parametrize("at", range(len(SMALL)))
def test_flipped_at_every_bit(at: int) -> None:
    """An error, or the very records: zstd has bits without meaning."""
    whole = read(SMALL)
    for bit in range(8):
        flipped = bytearray(SMALL)
        flipped[at] ^= 1 << bit
        try:
            assert read(bytes(flipped)) == whole
        except IntegrityError:
            continue


@pytest.mark.parametrize("behind", [b"\0", b"junk", *(SMALL[:size] for size in range(1, 20)), SMALL])
def test_something_behind_it(behind: bytes) -> None:
    with pytest.raises(IntegrityError):
        read(SMALL + behind)


def pressed(*frames: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    return b"".join(map(compressor.compress, frames))


def closed(head: bytes, lines: bytes, records: int) -> bytes:
    """A segment of any lines, its end record right."""
    end = {"kind": "end", "records": records, "blake3": blake3(head + lines).hexdigest()}
    return pressed(head, lines + json.dumps(end).encode() + b"\n")


HEAD = encode_line(HEADER)
LINE = encode_line(Removed(path="a"))
OTHER = encode_line(Removed(path="b"))
HOSTILE = {
    "not zstd": b"{}",
    "empty": b"",
    "empty frame": pressed(b""),
    "no line": pressed(b"x" * 100),
    "two lines in the first frame": pressed(HEAD + LINE),
    "header of another kind": pressed(LINE),
    "header that is a list": pressed(b"[1]\n"),
    "header nested": pressed(b'{"kind":"segment","x":' + b"[" * 100_000 + b"\n"),
    "header no UTF-8": pressed(HEAD.replace(b"/data", b"/\xff")),
    "header with a surrogate": pressed(HEAD.replace(b"/data", b"\\ud800")),
    "header with blanks first": pressed(b" " + HEAD),
    "header with a huge number": pressed(HEAD.replace(b'"run":1', b'"run":' + b"9" * 5000)),
    "header of version 2": pressed(HEAD.replace(b'"format_version":1', b'"format_version":2')),
    "header of version 1.0": pressed(HEAD.replace(b'"format_version":1', b'"format_version":1.0')),
    "header of version true": pressed(HEAD.replace(b'"format_version":1', b'"format_version":true')),
    "header without version": pressed(HEAD.replace(b'"format_version":1,', b"")),
    "header with a field more": pressed(HEAD.replace(b'"run":1', b'"run":1,"x":1')),
    "header with a field less": pressed(HEAD.replace(b'"run":1,', b"")),
    "header with an odd time": pressed(HEAD.replace(b"05Z", b"05Z\\n")),
    "no end record": pressed(HEAD, LINE),
    "nothing behind the header": pressed(HEAD),
    "half a line": pressed(HEAD, LINE[:-1]),
    "an empty line": closed(HEAD, LINE + b"\n", 1),
    "two records in a line": closed(HEAD, LINE[:-1] + OTHER, 2),
    "a record over two lines": closed(HEAD, LINE.replace(b",", b",\n"), 1),
    "no object": closed(HEAD, b"1\n", 1),
    "no UTF-8": closed(HEAD, LINE.replace(b"a", b"\xff"), 1),
    "a surrogate": closed(HEAD, LINE.replace(b'"a"', b'"\\ud800"'), 1),
    "nested": closed(HEAD, b'{"kind":"removed","path":' + b"[" * 100_000 + b"\n", 1),
    "nested unknown": closed(HEAD, b'{"x":' + b"[" * 100_000 + b"\n", 1),
    "kind twice": closed(HEAD, b'{"kind":"removed","kind":"frame","path":"a"}\n', 1),
    "a second header": closed(HEAD, HEAD, 1),
    "an unknown kind": closed(HEAD, b'{"kind":"x","path":"a"}\n', 1),
    "an unknown field": closed(HEAD, b'{"kind":"removed","path":"a","x":1}\n', 1),
    "a path that is empty": closed(HEAD, b'{"kind":"removed","path":""}\n', 1),
    "a path that is too long": closed(HEAD, b'{"kind":"removed","path":"%b"}\n' % (b"a" * 65_536), 1),
    "a path that is null": closed(HEAD, b'{"kind":"removed","path":null}\n', 1),
    "a reason unheard of": closed(HEAD, b'{"kind":"skipped","path":"a","reason":"dislike"}\n', 1),
    "one record too few": closed(HEAD, LINE, 2),
    "one record too many": closed(HEAD, LINE + OTHER, 1),
    "digest of other lines": closed(HEAD, LINE, 1).replace(
        *[pressed(HEAD), pressed(HEAD.replace(b"/data", b"/date"))]
    ),
    "records behind the end": pressed(
        HEAD,
        zstandard.decompress(pressed(LINE))
        + b'{"kind":"end","records":1,"blake3":"%b"}\n' % (blake3(HEAD + LINE).hexdigest().encode())
        + OTHER,
    ),
    "two end records": closed(HEAD, LINE + b'{"kind":"end","records":1,"blake3":"%b"}\n' % (b"0" * 64), 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_segments(name: str) -> None:
    with pytest.raises(IntegrityError) as error:
        read(HOSTILE[name])
    assert len(str(error.value)) < 500


def test_records_behind_the_end_in_another_block() -> None:
    end = b'{"kind":"end","records":0,"blake3":"%b"}\n' % blake3(HEAD).hexdigest().encode()
    with pytest.raises(FormatError, match="goes on behind its end"):
        read(pressed(HEAD, end + LINE * 100_000))


@pytest.mark.parametrize("field", [b'"source":"/data"', b'"run":1', b'"sequence":7'])
def test_altered_headers_do_not_pass(field: bytes) -> None:
    changed = HEAD.replace(field, field.replace(b"a", b"o").replace(b"1", b"2").replace(b"7", b"8"))
    assert decode_header(changed) != HEADER
    end = (
        json.dumps({"kind": "end", "records": 1, "blake3": blake3(HEAD + LINE).hexdigest()}).encode() + b"\n"
    )
    assert read(pressed(HEAD, LINE + end))[1] == [Removed(path="a")]
    with pytest.raises(IntegrityError, match="does not match the digest"):
        read(pressed(changed, LINE + end))


def peak_bytes(stored: bytes) -> int:
    """The memory that reading takes at most; the segment must be refused."""
    tracemalloc.start()
    try:
        with pytest.raises(IntegrityError):
            for _ in all_blocks(stored):
                pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def all_blocks(stored: bytes) -> Iterator[object]:
    yield read_header(io.BytesIO(stored))
    yield from read_records(io.BytesIO(stored))


@pytest.mark.parametrize(
    "bomb",
    [
        (pressed(HEAD), b"x"),
        (pressed(HEAD), b"\n"),
        (pressed(HEAD), LINE),
        (b"", b'{"kind":"segment",'),
        (pressed(HEAD)[:-4], b" "),
    ],
    ids=["a line without end", "empty lines", "records without end", "a header without end", "no header"],
)
def test_decompression_bombs_stay_small(bomb: tuple[bytes, bytes]) -> None:
    head, piece = bomb
    size = 16 * MIB if piece == LINE else 128 * MIB
    body = zstandard.ZstdCompressor(write_checksum=True).compress(piece * (size // len(piece)))
    assert len(body) < MIB
    assert peak_bytes(head + body) < 24 * MIB


def test_a_segment_that_inflates_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "MAX_INFLATED_BYTES", 2 * MIB)
    lines = LINE * (MIB // len(LINE))
    whole = closed(HEAD, lines, MIB // len(LINE))
    assert len(read(whole)[1]) == MIB // len(LINE)
    with pytest.raises(FormatError, match="inflates beyond"):
        read(closed(HEAD, lines * 3, 3 * (MIB // len(LINE))))


def test_windows_beyond_the_limit_are_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(
        window_log=27, write_checksum=True, write_content_size=False
    )
    body = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    large = body.compress(LINE) + body.flush()
    with pytest.raises(IntegrityError, match="too much memory"):
        read(pressed(HEAD) + large)
    body = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(IntegrityError, match="too much memory"):
        read_header(io.BytesIO(body.compress(HEAD) + body.flush()))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_lines_are_read_or_refused(lines: bytes) -> None:
    try:
        _, records = read(closed(HEAD, lines, lines.count(b"\n")))
    except IntegrityError:
        return
    assert records == [] == lines.splitlines()
