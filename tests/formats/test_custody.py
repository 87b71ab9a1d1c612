"""CUSTODY.jsonl: written as told, read strictly; whatever is done to a log behind a remembered head shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.errors import FormatError, IntegrityError, TransferError, UsageError
from transfer.formats.custody import (
    MAX_GIVEN_NOTE_CHARS,
    MAX_LINE_BYTES,
    MAX_LOG_BYTES,
    Entry,
    Head,
    Log,
    check_words,
    decode_log,
    encode_entry,
    signed_bytes,
)

DEVICE = b'{"device_id": "one"}\n'
ARMOR = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\nAAAA==\n-----END SSH SIGNATURE-----\n"
EVENTS = ("prepared", "copied", "sealed", "handed-over", "received", "verified", "imported", "erased")


def digest(data: bytes) -> str:
    return blake3(data).hexdigest()


def written(count: int = 5, **changes: Any) -> list[bytes]:
    """The lines of a log."""
    lines: list[bytes] = []
    for number in range(count):
        fields: dict[str, Any] = {
            "time": "2026-01-02T03:04:05Z",
            "host": "host",
            "who": f"Zoë {number}",
            "event": EVENTS[number % len(EVENTS)],
            "seal_blake3": "5e" * 32 if number > 2 else "",
            "note": 'parcel "12"',
        }
        previous = digest(lines[-1] if lines else DEVICE)
        lines.append(encode_entry(Entry(number=number, previous=previous, **fields | changes)))
    return lines


def read(content: bytes, device: bytes = DEVICE) -> Log:
    return decode_log(content, device, "CUSTODY.jsonl")


def test_an_entry_is_a_line_as_the_format_tells() -> None:
    line = written(1)[0]
    assert (
        line
        == (
            '{"format":"transfer-custody","format_version":1,"number":0,"time":"2026-01-02T03:04:05Z",'
            '"host":"host","who":"Zoë 0","event":"prepared","seal_blake3":"",'
            f'"previous":"{digest(DEVICE)}","note":"parcel \\"12\\""}}\n'
        ).encode()
    )


def test_a_log_is_read_as_it_was_written() -> None:
    lines = written(9)
    log = read(b"".join(lines))
    assert [encode_entry(entry) for entry in log.entries] == lines
    assert [entry.event for entry in log.entries] == [*EVENTS, "prepared"]
    assert log.digests == tuple(map(digest, lines))
    assert log.head == Head(8, digest(lines[-1]))
    assert (log.size_bytes, log.torn_bytes) == (sum(map(len, lines)), 0)


def test_a_log_without_entries_has_the_device_for_a_head() -> None:
    log = read(b"")
    assert (log.entries, log.head) == ((), Head(-1, digest(DEVICE)))
    assert log.has(log.head)
    assert read(b"".join(written())).has(log.head)
    assert not read(b"", b"another device").has(log.head)


@pytest.mark.parametrize("tail", [b"{", b'{"format":"transfer-custody"', b"\0\0\0", b"\r", b"\xff" * 9])
def test_what_a_crash_left_of_a_line_is_no_entry(tail: bytes) -> None:
    lines = written()
    log = read(b"".join(lines) + tail)
    assert (len(log.entries), log.torn_bytes) == (5, len(tail))
    assert log.head == read(b"".join(lines)).head
    assert read(tail).entries == ()


def test_the_last_line_without_its_end_is_torn_too() -> None:
    lines = written()
    log = read(b"".join(lines)[:-1])
    assert (len(log.entries), log.torn_bytes) == (4, len(lines[-1]) - 1)


def bent(line: bytes, **changes: Any) -> bytes:
    """A line with other fields; None takes one away."""
    fields = {name: value for name, value in (json.loads(line) | changes).items() if value is not None}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "transfer-seal"},
        {"format_version": 2},
        {"more": 1},
        {"who": None},
        {"note": None},
        {"number": -1},
        {"number": "2"},
        {"time": "yesterday"},
        {"time": "2026-13-01T00:00:00Z"},
        {"time": "2026-01-01T00:00:00+01:00"},
        {"host": "a\nb"},
        {"host": "x" * 257},
        {"who": "x" * 257},
        {"who": "\x1b[31m"},
        {"who": "\x85"},
        {"note": "x" * 1025},
        {"note": "line\n"},
        {"event": "lost"},
        {"seal_blake3": "5E" * 32},
        {"seal_blake3": "5e" * 31},
        {"previous": ""},
        {"previous": "x" * 64},
        {"signature": ""},
        {"signature": ARMOR[:-1]},
        {"signature": ARMOR.replace("U1NI", "U1 NI")},
        {"signature": ARMOR + "more"},
        {"signature": ARMOR.replace("AAAA==", "A" * MAX_LINE_BYTES)},
    ],
)
def test_a_line_that_is_none_of_a_log_is_named(changes: dict[str, Any]) -> None:
    lines = written()
    lines[2] = bent(lines[2], **changes)
    with pytest.raises(FormatError, match=r"^CUSTODY\.jsonl line 3") as refusal:
        read(b"".join(lines))
    assert refusal.value.exit_code == 4


def test_a_line_bent_by_nothing_is_the_line() -> None:
    """That the lines above are refused for what was changed in them."""
    assert [bent(line) for line in written()] == written()
    assert read(bent(written(1)[0], signature=ARMOR)).entries[0].signature == ARMOR


@pytest.mark.parametrize(
    "respell",
    [
        lambda line: line.replace(b'"who":', b'"who": '),
        lambda line: line.replace(b"{", b"{ "),
        lambda line: b" " + line,
        lambda line: line[:-1] + b"\r\n",
        lambda line: line.replace(b'"event"', b'"who":"somebody","event"'),
        lambda line: line.replace(b'"note"', b'"event":"received","note"'),
        lambda line: line.replace(b'"number":0', b'"number":0.0'),
        lambda line: line.replace("ë".encode(), rb"\u00eb"),
        lambda line: line.replace(b"host", rb"h\u006fst"),
        lambda line: re.sub(rb'("time":"[^"]*"),("host":"[^"]*")', rb"\2,\1", line),
    ],
)
def test_an_entry_has_one_spelling(respell: Callable[[bytes], bytes]) -> None:
    """Else a field given twice could show people another thing than was signed."""
    line = written(1)[0]
    other = respell(line)
    assert other != line
    with pytest.raises(FormatError, match=r"^CUSTODY\.jsonl line 1"):
        read(other)


@pytest.mark.parametrize(
    "junk", [b"\n", b"null\n", b"[]\n", b"{}\n", b"{}{}\n", b"\xff\n", b"[" * 9000 + b"\n"]
)
def test_junk_is_no_line(junk: bytes) -> None:
    with pytest.raises(FormatError, match="line 6"):
        read(b"".join(written()) + junk)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda lines: [*lines[:2], *lines[3:]], r"line 3 has number 3 instead of 2"),
        (lambda lines: lines[1:], r"line 1 has number 1 instead of 0"),
        (lambda lines: [*lines[:2], lines[3], lines[2], lines[4]], r"line 3 has number 3 instead of 2"),
        (lambda lines: [*lines, lines[-1]], r"line 6 has number 4 instead of 5"),
        (lambda lines: [lines[0], bent(lines[1], who="Eve"), *lines[2:]], r"line 3 does not follow"),
        (lambda lines: [*lines[:4], bent(lines[4], previous="00" * 32)], r"line 5 does not follow"),
        (lambda lines: [bent(lines[0], previous=digest(b"x")), *lines[1:]], r"line 1 is bound to another"),
    ],
)
def test_a_broken_chain_is_named(edit: Callable[[list[bytes]], list[bytes]], words: str) -> None:
    with pytest.raises(IntegrityError, match=rf"^CUSTODY\.jsonl {words}"):
        read(b"".join(edit(written())))


def test_a_log_belongs_to_one_device() -> None:
    with pytest.raises(IntegrityError, match="line 1 is bound to another device"):
        read(b"".join(written()), DEVICE + b" ")


def test_a_file_over_the_limit_is_not_looked_into() -> None:
    with pytest.raises(FormatError, match="is larger than 16777216 bytes"):
        read(bytes(MAX_LOG_BYTES + 1))
    assert read(bytes(MAX_LOG_BYTES)).torn_bytes == MAX_LOG_BYTES


def test_a_line_over_the_limit() -> None:
    with pytest.raises(FormatError, match="line 6 is larger than 65536 bytes"):
        read(b"".join(written()) + b" " * MAX_LINE_BYTES + b"\n")


def test_what_is_signed_is_the_line_without_its_signature() -> None:
    line = written(1)[0]
    (entry,) = read(line[:-2] + b',"signature":' + json.dumps(ARMOR).encode() + b"}\n").entries
    assert entry.signature == ARMOR
    assert signed_bytes(entry) == line


@pytest.mark.parametrize("text", ["a\nb", "\0", "\x1b[0m", "\x9b", "end\n", "\udcff"])
def test_words_that_are_no_line_of_text(text: str) -> None:
    for who, note in ((text, ""), ("", text)):
        with pytest.raises(UsageError, match="is not one line of text"):
            check_words(who, note)


def test_words_that_are_too_long() -> None:
    check_words("x" * 256, "x" * MAX_GIVEN_NOTE_CHARS)
    with pytest.raises(UsageError, match="who has 257 characters"):
        check_words("x" * 257, "")
    with pytest.raises(UsageError, match="note has 901 characters"):
        check_words("", "x" * 901)


@settings(max_examples=300)
@given(st.text(max_size=256), st.text(max_size=MAX_GIVEN_NOTE_CHARS))
def test_words_that_pass_make_a_line_that_is_read(who: str, note: str) -> None:
    try:
        check_words(who, note)
    except UsageError:
        return
    (entry,) = read(b"".join(written(1, who=who, note=note))).entries
    assert (entry.who, entry.note) == (who, note)


@settings(max_examples=500)
@given(
    st.binary(max_size=300) | st.lists(st.sampled_from([*written(), b"{", b"\n", b'"', b"\0"])).map(b"".join)
)
def test_any_bytes_are_a_log_or_refused(content: bytes) -> None:
    try:
        log = read(content)
    except TransferError as error:
        assert error.exit_code == 4
    else:
        assert b"".join(map(encode_entry, log.entries)) == content[: log.size_bytes]


_LINES = written(6)
_EDITS = st.lists(
    st.tuples(st.just("flip"), st.integers(0, 2**31), st.integers(1, 255))
    | st.tuples(st.just("cut"), st.integers(0, 2**31), st.just(0))
    | st.tuples(st.just("drop"), st.integers(0, 20), st.just(0))
    | st.tuples(st.just("swap"), st.integers(0, 20), st.integers(0, 20))
    | st.tuples(st.just("rewrite"), st.integers(0, 20), st.integers(0, 20))
    | st.tuples(st.just("append"), st.integers(1, 3), st.integers(0, 20)),
    max_size=4,
)


def chained(lines: list[bytes], start: int) -> None:
    """Number and bind anew from a line on, as a forger would who knows the format."""
    for number in range(start, len(lines)):
        previous = digest(lines[number - 1] if number else DEVICE)
        entry = msgspec.json.decode(lines[number], type=Entry)
        lines[number] = encode_entry(msgspec.structs.replace(entry, number=number, previous=previous))


def edited(edits: list[tuple[str, int, int]]) -> bytes:
    """The log after all of this was done to it; bytes are changed last."""
    lines = list(_LINES)
    for kind, at, more in edits:
        index = at % len(lines) if lines else 0
        if kind == "append":
            lines += [encode_entry(msgspec.json.decode(_LINES[0], type=Entry))] * at
            chained(lines, len(lines) - at)
        elif lines and kind == "drop":
            del lines[index]
            if more % 2:
                chained(lines, index)
        elif lines and kind == "swap":
            other = more % len(lines)
            lines[index], lines[other] = lines[other], lines[index]
        elif lines and kind == "rewrite":
            entry = msgspec.json.decode(lines[index], type=Entry)
            lines[index] = encode_entry(msgspec.structs.replace(entry, who=f"Eve {more}"))
            chained(lines, index)
    data = bytearray(b"".join(lines))
    for kind, at, more in edits:
        if data and kind == "flip":
            data[at % len(data)] ^= more
        elif kind == "cut":
            del data[at % (len(data) + 1) :]
    return bytes(data)


@settings(max_examples=1000, deadline=None)
@given(_EDITS, st.integers(0, 5))
def test_a_remembered_head_knows_every_edit_of_what_was_before_it(
    edits: list[tuple[str, int, int]], number: int
) -> None:
    """Accepted is a log that begins with the very bytes that were there, and none other."""
    remembered = Head(number, digest(_LINES[number]))
    content = edited(edits)
    try:
        is_accepted = read(content).has(remembered)
    except TransferError:
        is_accepted = False
    prefix = b"".join(_LINES[: number + 1])
    if is_accepted:
        assert content.startswith(prefix)
    if all(kind == "append" for kind, _, _ in edits):
        assert is_accepted
