"""The custody log of a device: read whole, appended to by one line at a time (FORMAT.md §17).

- An entry is one write at the end of the file, and durable when `append_entry` returns. What a crash leaves
  of one has no line's end: it is no entry, and the next append cuts it off and says so in its note.
- Nothing is appended to a log that breaks the format or its chain: the break would look like ours.
- A device without a log is one without entries: those prepared before there were logs have none.

Does not: take the device's lock. Whoever appends holds it, but for `prepare`, whose device nobody knows yet.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Protocol

import msgspec

from transfer.device.clock import timestamp
from transfer.device.device import read_regular
from transfer.device.disk import device_errors, sync_directory, write_at
from transfer.device.layout import CUSTODY_NAME, DEVICE_NAME, SEAL_NAME, Layout
from transfer.errors import DeviceError, UsageError
from transfer.formats.custody import (
    MAX_LINE_BYTES,
    MAX_LOG_BYTES,
    NAMESPACE,
    Entry,
    Event,
    Head,
    Log,
    check_words,
    decode_log,
    digest,
    encode_entry,
    signed_bytes,
)
from transfer.formats.documents import MAX_DEVICE_BYTES, MAX_SEAL_BYTES

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MAX_HOST_CHARS = 255


class SigningKey(Protocol):
    """A key at hand, as `transfer.device.signing_key` loads it."""

    def sign(self, message: bytes, namespace: str) -> bytes:
        """The armored signature (SSHSIG) of a message."""


def has_log(layout: Layout) -> bool:
    """Whether there is a log, of whatever kind."""
    return os.path.lexists(layout.at(CUSTODY_NAME))


def read_log(layout: Layout) -> Log:
    """The log of a device; one without entries where there is none.

    Raises:
        FormatError: it breaks the format.
        IntegrityError: its chain is broken.
        DeviceError: it cannot be read.
    """
    with device_errors(layout.root):
        content = read_regular(layout.at(CUSTODY_NAME), MAX_LOG_BYTES) if has_log(layout) else b""
        return decode_log(content, _device_json(layout), CUSTODY_NAME)


def seal_digest(layout: Layout) -> str:
    """BLAKE3 of the exact bytes of SEAL.json; empty where there is none.

    Raises:
        DeviceError: it cannot be read.
    """
    path = layout.at(SEAL_NAME)
    with device_errors(layout.root):
        return digest(read_regular(path, MAX_SEAL_BYTES)) if os.path.lexists(path) else ""


def append_entry(
    layout: Layout,
    event: Event,
    *,
    who: str,
    signer: SigningKey | None = None,
    seal_blake3: str | None = None,
    note: str = "",
    now: Callable[[], str] = timestamp,
) -> Head:
    """Append an entry, durably.

    Args:
        layout: of the device, whose lock the caller holds.
        event: what happened.
        who: who answers for it; may be empty.
        signer: signs the entry.
        seal_blake3: of the seal that this is about; None: of SEAL.json as it is, empty where there is none.
        note: for people.
        now: the time.

    Returns:
        the new head.

    Raises:
        UsageError: `who` or `note` is no text that an entry has place for.
        FormatError, IntegrityError: the log is not whole; nothing was written.
        DeviceError: it cannot be written, or is full.
        TransferError: the key does not sign.
    """
    check_words(who, note)
    with device_errors(layout.root):
        seal_blake3 = seal_digest(layout) if seal_blake3 is None else seal_blake3
        log = read_log(layout)
        entry = Entry(
            number=len(log.entries),
            time=now(),
            host=_host(),
            who=who,
            event=event,
            seal_blake3=seal_blake3,
            previous=log.head.blake3,
            note=_note(note, log.torn_bytes),
        )
        line = encode_entry(_signed(entry, signer) if signer is not None else entry)
        _refuse_if_too_long(layout, log, line)
        _write(layout, log, line)
    return Head(entry.number, digest(line))


def _signed(entry: Entry, signer: SigningKey) -> Entry:
    armored = signer.sign(signed_bytes(entry), NAMESPACE).decode("ascii")
    return msgspec.structs.replace(entry, signature=armored)


def _refuse_if_too_long(layout: Layout, log: Log, line: bytes) -> None:
    if len(line) > MAX_LINE_BYTES:
        what = f"an entry of {len(line)} bytes is too long for {CUSTODY_NAME}"
        raise UsageError(what, remedy=f"{MAX_LINE_BYTES} are possible: sign with another key")
    if log.size_bytes + len(line) > MAX_LOG_BYTES:
        what = f"{CUSTODY_NAME} of device {layout.root} is full"
        raise DeviceError(what, remedy="write further hand-overs down elsewhere")


def _write(layout: Layout, log: Log, line: bytes) -> None:
    """One write behind the last line; the file is as before where the disk refuses."""
    is_new = not has_log(layout)
    descriptor = os.open(layout.at(CUSTODY_NAME), _FLAGS, 0o644)
    try:
        if log.torn_bytes:
            os.ftruncate(descriptor, log.size_bytes)
        try:
            # From the end of the line before: a FAT driver (fusefat) refuses to begin at the end of a file.
            start = max(log.size_bytes - 1, 0)
            write_at(descriptor, b"\n" * (log.size_bytes > 0) + line, start)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, log.size_bytes)
            raise
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_directory(layout.root)


def _note(note: str, torn_bytes: int) -> str:
    if not torn_bytes:
        return note
    return f"{note}{' ' * bool(note)}(an unfinished entry of {torn_bytes} bytes was removed)"


def _device_json(layout: Layout) -> bytes:
    return read_regular(layout.at(DEVICE_NAME), MAX_DEVICE_BYTES)


def _host() -> str:
    """The host's name, as far as an entry has place for it."""
    return "".join(c for c in socket.gethostname() if c.isprintable())[:_MAX_HOST_CHARS]
