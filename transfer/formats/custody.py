"""CUSTODY.jsonl: through whose hands a device went, a line an event, each bound to the line before
(FORMAT.md §17).

A log is what stands before the last line's end; what is behind it was torn off by a crash and is no entry.
Reading is strict: limits, one spelling a line, numbers in order, an unbroken chain from DEVICE.json on. The
bytes are checked, the disk is elsewhere; so are signatures: here stands only which bytes they sign.

What a chain proves is little: whoever has the device can write a new one from its first line on. Only who
remembers a head (`Log.has`) learns that what came before it is as it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from blake3 import blake3
from msgspec import UNSET, Meta, Struct, UnsetType

from transfer.core.moments import parse_moment
from transfer.core.records import Timestamp
from transfer.errors import FormatError, IntegrityError, UsageError
from transfer.formats.versioned import DocumentReader

MAX_LOG_BYTES = 16 << 20
MAX_LINE_BYTES = 64 << 10
MAX_WHO_CHARS = 256
MAX_NOTE_CHARS = 1024
MAX_GIVEN_NOTE_CHARS = 900
"""Of a note that somebody gives: the writer may have to add what it did."""
NAMESPACE = "transfer-custody"
"""Of the signatures (SSHSIG)."""

Event = Literal["prepared", "copied", "sealed", "handed-over", "received", "verified", "imported", "erased"]

# No control characters: a line has one spelling, and a terminal nothing to obey. "(?!\n)$": see documents.py.
_WORDS = r"^[^\x00-\x1f\x7f-\x9f]*(?!\n)$"
_ARMOR = r"^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=]+\n)+-----END SSH SIGNATURE-----\n$"

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]


class Entry(Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One event, as its line has it; the order of the fields is that of the line.

    Attributes:
        number: from 0.
        time: by the clock of `host`.
        host: name of the machine that wrote it.
        who: the person or body that answers for it, as they call themselves; may be empty.
        seal_blake3: of the exact bytes of SEAL.json; empty where there was none.
        previous: BLAKE3 of the exact bytes of the line before, its end included; of the first one, of the
            exact bytes of DEVICE.json.
        note: for people: a tracking number, a bucket.
        signature: SSHSIG of `signed_bytes`, armored; absent where there was no key.
    """

    format: Literal["transfer-custody"] = "transfer-custody"
    format_version: Literal[1] = 1
    number: Annotated[int, Meta(ge=0, le=2**31)]
    time: Timestamp
    host: Annotated[str, Meta(max_length=256, pattern=_WORDS)]
    who: Annotated[str, Meta(max_length=MAX_WHO_CHARS, pattern=_WORDS)]
    event: Event
    seal_blake3: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?(?!\n)$")]
    previous: Digest
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS, pattern=_WORDS)]
    signature: Annotated[str, Meta(max_length=48 << 10, pattern=_ARMOR)] | UnsetType = UNSET


@dataclass(frozen=True)
class Head:
    """The newest entry of a log: its number, and BLAKE3 of its line, by which all before it is known.

    A log without entries has number -1 and the digest of DEVICE.json.
    """

    number: int
    blake3: str


@dataclass(frozen=True)
class Log:
    """A log whose chain is whole.

    Attributes:
        digests: of the lines, one an entry.
        anchor: BLAKE3 of DEVICE.json.
        torn_bytes: how many bytes a crash left behind the last line's end.
    """

    entries: tuple[Entry, ...]
    digests: tuple[str, ...]
    anchor: str
    size_bytes: int
    torn_bytes: int

    @property
    def head(self) -> Head:
        """Where the chain ends."""
        return Head(len(self.digests) - 1, self.digests[-1] if self.digests else self.anchor)

    def has(self, head: Head) -> bool:
        """Whether this log is one that had this head, and has only grown since."""
        if head.number < 0:
            return head == Head(-1, self.anchor)
        return head.number < len(self.digests) and self.digests[head.number] == head.blake3


_reader = DocumentReader(Entry, version=1, limit_bytes=MAX_LINE_BYTES)


def encode_entry(entry: Entry) -> bytes:
    """The entry's line: no white space, UTF-8, nothing escaped but what JSON has to (RFC 8785 §3.2.2.2)."""
    return msgspec.json.encode(entry) + b"\n"


def signed_bytes(entry: Entry) -> bytes:
    """What the signature of an entry signs: its line as it is without the field `signature`."""
    return encode_entry(msgspec.structs.replace(entry, signature=UNSET))


def digest(content: bytes) -> str:
    """By which a line, or DEVICE.json, is named in the chain."""
    return blake3(content).hexdigest()


def decode_log(content: bytes, device_json: bytes, where: str) -> Log:
    """A log from its bytes.

    Args:
        content: of CUSTODY.jsonl.
        device_json: the exact bytes of DEVICE.json, which the first entry is bound to.
        where: name of the file, for messages.

    Raises:
        FormatError: it is too large, or a line is none of a log; names `where` and the line, from 1.
        IntegrityError: the chain is broken: lines were changed, taken out, put in or moved.
    """
    if len(content) > MAX_LOG_BYTES:
        raise FormatError(f"{where} is larger than {MAX_LOG_BYTES} bytes")
    anchor = previous = digest(device_json)
    whole_bytes = content.rfind(b"\n") + 1
    entries: list[Entry] = []
    digests: list[str] = []
    for text in content[:whole_bytes].split(b"\n")[:-1]:
        line = text + b"\n"
        place = f"{where} line {len(entries) + 1}"
        entry = _decode_line(line, place)
        _check_place(entry, len(entries), previous, place)
        previous = digest(line)
        entries.append(entry)
        digests.append(previous)
    return Log(tuple(entries), tuple(digests), anchor, whole_bytes, len(content) - whole_bytes)


def _decode_line(line: bytes, place: str) -> Entry:
    entry = _reader.decode(line, place)
    parse_moment(entry.time, f"{place}: time")
    # A field given twice, other white space, another order: what people read and what is signed might differ.
    if encode_entry(entry) != line:
        raise FormatError(f"{place} is not spelled as the format spells this entry")
    return entry


def _check_place(entry: Entry, number: int, previous: str, place: str) -> None:
    if entry.number != number:
        raise IntegrityError(
            f"{place} has number {entry.number} instead of {number}: lines are missing or moved"
        )
    if entry.previous != previous:
        what = "is bound to another device" if number == 0 else "does not follow the line before it"
        raise IntegrityError(f"{place} {what}: the log was edited")


def check_words(who: str, note: str) -> None:
    """Raise UsageError when a log has no place for these words."""
    for what, text, limit in (("who", who, MAX_WHO_CHARS), ("note", note, MAX_GIVEN_NOTE_CHARS)):
        if len(text) > limit:
            raise UsageError(f"{what} has {len(text)} characters", remedy=f"use {limit} at most")
        if not re.search(_WORDS, text) or re.search("[\ud800-\udfff]", text):
            raise UsageError(
                f"{what} {text!r} is not one line of text", remedy="leave control characters out"
            )
