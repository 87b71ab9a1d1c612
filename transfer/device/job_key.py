"""keys/job.age: the job's identity, locked away for the destination (FORMAT.md, encryption).

The file is an age file (at most 16 KiB of header, one line of text) that holds the job's identity as
`AGE-SECRET-KEY-1...` and a line feed; it is encrypted to the destination's recipients, or to an unlock code.
So `age -d -i KEY keys/job.age` gives an identity file, and `age -d -i` with that opens every pack.

Guarantees: whoever lacks every recipient's secret learns nothing of the identity. What was encrypted to a
holder and then changed is told apart from what was never meant for that holder.

Does not: say who made the file. Anybody can encrypt a key of their own to a public recipient; only a
signature over the seal, which lists this file, says whose device it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import pyrage

from transfer.core.unlock_code import ENTROPY_BYTES, UnlockCode
from transfer.device.code_lock import lock_with_code
from transfer.device.identities import Holder
from transfer.device.recipients import DestinationKey
from transfer.errors import AccessError, FormatError, IntegrityError, UsageError
from transfer.formats.age.header import parse_header
from transfer.formats.age.keys import Identity

MAX_JOB_KEY_BYTES: Final = 32 * 1024
_WHERE: Final = "keys/job.age"


def new_unlock_code() -> UnlockCode:
    """A code from the system's randomness: print it once, keep it nowhere."""
    return UnlockCode.from_entropy(secrets.token_bytes(ENTROPY_BYTES))


def lock_job_key(identity: Identity, to: Sequence[DestinationKey] | UnlockCode) -> bytes:
    """The content of keys/job.age.

    Args:
        identity: the job's.
        to: who is to open it; one at least.

    Raises:
        UsageError: nobody is.
    """
    plain = f"{identity.text}\n".encode()
    if isinstance(to, UnlockCode):
        return lock_with_code(plain, to)
    if not to:
        raise UsageError(
            "a device cannot be encrypted to nobody", remedy="name a --recipient, or --passphrase"
        )
    stored: bytes = pyrage.encrypt(plain, [key.wrapper() for key in to])
    _check_header(stored, len(to))
    return stored


def unlock_job_key(stored: bytes, holders: Sequence[Holder]) -> Identity:
    """The job's identity.

    Args:
        stored: the content of keys/job.age; hostile.
        holders: they are tried in their order.

    Raises:
        AccessError: it is encrypted to none of them.
        IntegrityError: it is damaged, or holds something else.
    """
    if len(stored) > MAX_JOB_KEY_BYTES:
        raise FormatError(f"{_WHERE} is larger than {MAX_JOB_KEY_BYTES:,} bytes")
    for holder in holders:
        plain = _opened(stored, holder)
        if plain is not None:
            return _parse(plain)
    names = ", ".join(holder.name for holder in holders) or "nothing"
    raise AccessError(
        f"{_WHERE} cannot be opened with {names}",
        remedy="name the identity whose public half 'transfer prepare' was given, or type that device's code",
    )


def _check_header(stored: bytes, recipients: int) -> None:
    """Refuse what no reader of ours would take: some twenty large RSA keys fill a header."""
    try:
        parse_header(stored)
    except FormatError:
        what = f"the {recipients} recipients make a header that is larger than its readers take"
        raise UsageError(what, remedy="name fewer, or age keys (age1...) instead of RSA keys") from None


def _opened(stored: bytes, holder: Holder) -> bytes | None:
    try:
        return holder.open(stored)
    except FormatError as error:
        raise FormatError(f"{_WHERE}: {error.what}", remedy=error.remedy) from None
    except IntegrityError as error:
        raise IntegrityError(f"{_WHERE}: {error.what}", remedy=error.remedy) from None


def _parse(plain: bytes) -> Identity:
    try:
        return Identity.parse(plain.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, FormatError):  # their words could be about a secret
        raise FormatError(f"{_WHERE} holds something that is not one identity") from None
