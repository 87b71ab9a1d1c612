"""The tokens on the disk: a file that is its owner's alone.

Guarantees: it is replaced whole, so that a reader sees the tokens before or after a change; two changes at a
time wait for each other; a file that others may read, write or own is refused, since they could make tokens.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from transfer.device.disk import write_durably
from transfer.errors import AccessError, TransferError, UsageError
from transfer.service.http.tokens import MAX_FILE_BYTES, MAX_TOKENS, TokenRecord, decode_tokens, encode_tokens

MODE: Final = 0o600
_OTHERS: Final = 0o077


def read_tokens(path: str) -> list[TokenRecord]:
    """The tokens of a file; none where there is no file.

    Raises:
        AccessError: it cannot be read, or others can read or write it.
        UsageError: it is no file of tokens.
    """
    try:
        # Without O_NONBLOCK a pipe in its place would hold us up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        with open(descriptor, "rb") as file:
            _check_owner(path, os.fstat(file.fileno()))
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    return decode_tokens(content, f"tokens file {path}")


def change_tokens(path: str, change: Callable[[list[TokenRecord]], list[TokenRecord]]) -> None:
    """Replace the tokens of a file by what `change` makes of them. Durable.

    Raises:
        AccessError: as `read_tokens`.
        UsageError: as `read_tokens`, or there are too many.
        TransferError: the disk refused.
    """
    with _locked(path):
        tokens = change(read_tokens(path))
        if len(tokens) > MAX_TOKENS:
            raise UsageError(f"there are {MAX_TOKENS} tokens already", remedy="revoke those out of use")
        try:
            write_durably(path, encode_tokens(tokens), mode=MODE)
        except OSError as error:
            raise _unwritable(path, error) from None


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Beside the file, which is replaced: a lock on a file that has lost its name guards nothing."""
    try:
        descriptor = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check_owner(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise AccessError(f"tokens file {path} is not a file", remedy="name another with --tokens")
    if found.st_uid not in (0, os.geteuid()):
        raise AccessError(
            f"tokens file {path} belongs to another user",
            remedy="give the command as the user of the service",
        )
    if found.st_mode & _OTHERS:
        raise AccessError(
            f"tokens file {path} can be read or written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            remedy=f"chmod 600 {path}, and revoke its tokens if others may have written to it",
        )


def _unreadable(path: str, error: OSError) -> AccessError:
    return AccessError(
        f"tokens file {path} cannot be read: {error.strerror}",
        remedy="give the command as the user of the service, or name another file with --tokens",
    )


def _unwritable(path: str, error: OSError) -> TransferError:
    return TransferError(
        f"tokens file {path} cannot be written: {error.strerror}", remedy="look at its folder and disk"
    )
