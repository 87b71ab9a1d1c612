"""Files that hold secrets on a host: read only where nobody else can read them, made for their owner alone.

Guarantees:

- What is checked is what is read: owner and mode are asked of the open file, never of its path, so that it
  makes no difference whether the path is a link or what it leads to a moment later.
- A secret that another user owns, or that anyone but its owner may read or write, is not read at all.
- A new file is made with O_EXCL: nothing is ever overwritten, no link followed. It is durable on return.
- Errors name the file, never what is in it.

Does not: know what the files say.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, field
from typing import Final

from transfer.device.disk import sync_directory, write_at
from transfer.errors import AccessError, TransferError, UsageError

MAX_KEY_FILE_BYTES: Final = 1 << 20
SECRET_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that was found to be its owner's alone.

    Attributes:
        content: of the file.
        mode: its permissions, as `0o600`.
    """

    content: bytes = field(repr=False)
    mode: int


def read_secret_file(path: str, what: str, *, limit_bytes: int = MAX_KEY_FILE_BYTES) -> bytes:
    """The content of a secret file; everything else as `open_secret_file`."""
    return open_secret_file(path, what, limit_bytes=limit_bytes).content


def open_secret_file(path: str, what: str, *, limit_bytes: int = MAX_KEY_FILE_BYTES) -> SecretFile:
    """A file that its owner alone may read: a regular one, or a pipe (`<(pass show key)`).

    Args:
        path: the file.
        what: what it is to the person, for errors: "identity file".
        limit_bytes: what it may hold.

    Raises:
        AccessError: it cannot be read, is somebody else's, or others can read or write it.
        UsageError: there is no such file, or it is too large.
    """
    try:
        # Without O_NONBLOCK a pipe nobody writes to would hold us up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            _refuse_unless_private(path, what, found)
            os.set_blocking(descriptor, True)
            content = _read(descriptor, limit_bytes + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, what, error) from None
    if len(content) > limit_bytes:
        raise UsageError(f"{what} {path} is larger than {limit_bytes:,} bytes", remedy=f"name a {what}")
    return SecretFile(content, stat.S_IMODE(found.st_mode))


def read_public_file(path: str, what: str, *, limit_bytes: int = MAX_KEY_FILE_BYTES) -> bytes:
    """A file that anyone may read.

    Raises:
        UsageError: it cannot be read, or is too large.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            content = _read(file.fileno(), limit_bytes + 1)
    except OSError as error:
        remedy = f"name a {what} that can be read"
        raise UsageError(f"{what} {path} cannot be read: {error.strerror}", remedy=remedy) from None
    if len(content) > limit_bytes:
        raise UsageError(f"{what} {path} is larger than {limit_bytes:,} bytes", remedy=f"name a {what}")
    return content


def write_new_file(path: str, content: bytes, *, mode: int) -> None:
    """Make a file that is not there yet. Durable; if that fails nothing is left.

    Raises:
        UsageError: there is something of that name already.
        TransferError: the disk refused.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise UsageError(f"there is a file {path} already", remedy="choose another name") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        try:
            write_at(descriptor, content, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise _unwritable(path, error) from None


def _refuse_unless_private(path: str, what: str, found: os.stat_result) -> None:
    """What `found` says is that of the open file."""
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
        raise AccessError(f"{what} {path} is not a file", remedy=f"name a {what}")
    if found.st_uid not in (0, os.geteuid()):
        raise AccessError(
            f"{what} {path} belongs to another user",
            remedy="give the command as that user, or make a copy of your own and chmod 600 it",
        )
    if found.st_mode & _OTHERS:
        raise AccessError(
            f"{what} {path} can be read or written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            remedy=f"chmod 600 {path}, and make a new key if others may have read it",
        )


def _read(descriptor: int, limit_bytes: int) -> bytes:
    pieces, left = [], limit_bytes
    while left and (piece := os.read(descriptor, min(left, 1 << 16))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _unreadable(path: str, what: str, error: OSError) -> AccessError | UsageError:
    said = f"{what} {path} cannot be read: {error.strerror}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UsageError(said, remedy=f"name a {what} that is there")
    return AccessError(said, remedy="give the command as the user whose file it is")


def _unwritable(path: str, error: OSError) -> TransferError:
    return TransferError(f"{path} cannot be written: {error.strerror}", remedy="look at its folder and disk")
