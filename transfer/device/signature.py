"""SEAL.json.sig: the signature of the seal's exact bytes (FORMAT.md §12).

Whoever signed is told in two steps: the signature itself says which key, and that it is of these bytes; whose
key that is, a file of allowed signers says, which did not come with the device.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import datetime

from transfer.device.device import read_regular
from transfer.device.disk import device_errors, sync_directory, write_durably
from transfer.device.layout import SIGNATURE_NAME, Layout
from transfer.formats.allowed_signers import AllowedSigners
from transfer.formats.ssh_keys import PublicKey
from transfer.formats.sshsig import MAX_SIGNATURE_BYTES, SEAL_NAMESPACE, verify


@dataclass(frozen=True)
class SignedBy:
    """Who signed a seal.

    Attributes:
        key: fingerprint of the key, whose signature was checked.
        principal: whose key that is; empty where no allowed signers were given: then it is anybody's.
    """

    key: str
    principal: str = ""

    def __str__(self) -> str:
        return f"{self.principal} ({self.key})" if self.principal else f"{self.key}, which nobody vouches for"


def told_signer(signed_by: SignedBy | None) -> str:
    """Who signed, for people; empty where nobody vouches for the key."""
    return str(signed_by) if signed_by is not None and signed_by.principal else ""


def is_signed(layout: Layout) -> bool:
    """Whether there is a signature, of whatever kind."""
    return os.path.lexists(layout.at(SIGNATURE_NAME))


def signing_key(layout: Layout, seal: bytes) -> PublicKey:
    """The key that signed a seal.

    Args:
        layout: of the device, which has a signature.
        seal: the bytes of SEAL.json, as they were or will be used.

    Raises:
        IntegrityError: the signature is of other bytes, of another namespace, or of a kind not accepted.
        FormatError: it is none.
        DeviceError: it cannot be read.
    """
    with device_errors(layout.root):
        armored = read_regular(layout.at(SIGNATURE_NAME), MAX_SIGNATURE_BYTES)
    return verify(seal, armored, SEAL_NAMESPACE)


def vouched_for(public: PublicKey, signers: AllowedSigners | None, now: datetime) -> SignedBy:
    """Whose key it is.

    Raises:
        IntegrityError: the signers do not know it, or do not allow it to sign seals now.
    """
    principal = "" if signers is None else signers.principal(public, SEAL_NAMESPACE, now)
    return SignedBy(public.fingerprint, principal)


def write_signature(layout: Layout, armored: bytes) -> None:
    """Put a signature in place, durably.

    Raises:
        OSError: the disk refused.
    """
    write_durably(layout.at(SIGNATURE_NAME), armored)


def remove_signature(layout: Layout) -> None:
    """Take a signature away, durably; whatever it is of.

    Raises:
        OSError: the disk refused.
    """
    if is_signed(layout):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(layout.at(SIGNATURE_NAME))
        sync_directory(layout.root)
