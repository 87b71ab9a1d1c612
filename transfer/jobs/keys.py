"""keys: make identities and signing keys, and show the public half of those there are.

Guarantees: a secret half is written to a new file of mode 0600, never over anything, and in no form returned
from here; its public half lies beside it as FILE.pub. If one of the two cannot be made, neither is left.

Both kinds are files of programs that everybody has: an identity is what age-keygen writes, a signing key what
`ssh-keygen -t ed25519` writes; with a passphrase, what `age -p` and `ssh-keygen -N` make of them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from transfer.device.identities import read_age_identities
from transfer.device.key_files import PUBLIC_MODE, SECRET_MODE, open_secret_file, write_new_file
from transfer.device.ssh_private_key import is_ssh_private_key, public_half, public_key
from transfer.errors import TransferError, UsageError
from transfer.formats.age.keys import Identity

PUBLIC_SUFFIX: Final = ".pub"
AGE_KIND: Final = "age"
MIN_PASSPHRASE_CHARACTERS: Final = 8
_KDF_ROUNDS: Final = 64  # four times ssh-keygen's own: about a second for each guess at a passphrase
_COMMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,99}")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What may be known of a key.

    Attributes:
        kind: "age", or the type of an SSH key.
        path: of the secret half.
        public: the public half: `age1...`, or type and base64 of an SSH key.
        fingerprint: of an SSH key, as `ssh-keygen -l` prints it; age keys are short enough without one.
        protected: whether a passphrase protects the secret half.
        mode: of the secret half's file.
    """

    kind: str
    path: str
    public: str
    fingerprint: str | None
    protected: bool
    mode: int

    @property
    def public_path(self) -> str:
        """Where the public half of a new key lies."""
        return self.path + PUBLIC_SUFFIX


def generate_identity(path: str, *, created: str, passphrase: str | None = None) -> KeyPair:
    """Make an age identity.

    Args:
        path: the new file.
        created: now, RFC 3339.
        passphrase: protects it, where given.

    Raises:
        UsageError: there is a file of one of the names, or the passphrase is too short.
        TransferError: the disk refused.
    """
    identity = Identity.generate()
    public = identity.recipient.text
    secret = f"# created: {created}\n# public key: {public}\n{identity.text}\n".encode()
    if passphrase is not None:
        _check_passphrase(passphrase)
        secret = pyrage.passphrase.encrypt(secret, passphrase, armored=True)
    _write_pair(path, secret, f"{public}\n")
    return KeyPair(AGE_KIND, path, public, None, passphrase is not None, SECRET_MODE)


def generate_signing_key(path: str, *, comment: str, passphrase: str | None = None) -> KeyPair:
    """Make an Ed25519 key in OpenSSH's format.

    Args:
        path: the new file.
        comment: whose key it is; behind the key in FILE.pub.
        passphrase: protects it, where given.

    Raises:
        UsageError: there is a file of one of the names, or comment or passphrase is not possible.
        TransferError: the disk refused.
    """
    if not _COMMENT.fullmatch(comment):
        raise UsageError(
            f"comment {comment[:120]!r} is not possible",
            remedy="use up to 100 letters, digits and @ . _ + -, as in ops@site-a",
        )
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, _encryption(passphrase))
    public = public_key(key)
    _write_pair(path, secret, f"{public.line} {comment}\n")
    return KeyPair(public.kind, path, public.line, public.fingerprint, passphrase is not None, SECRET_MODE)


def show(path: str, ask: Callable[[str], str]) -> KeyPair:
    """What may be known of the key in a file.

    Args:
        path: of the secret half.
        ask: asks for the passphrase where the public half cannot be had without: of age identities and PEM.

    Raises:
        AccessError: the file cannot be read, others can read it, or the passphrase is wrong.
        UsageError: it is no key, or more than one.
    """
    if path.endswith(PUBLIC_SUFFIX):
        what = f"{path} is a public half: it may be read and sent as it is"
        raise UsageError(what, remedy=f"name the secret half, {path.removesuffix(PUBLIC_SUFFIX)}")
    file = open_secret_file(path, "key file")
    if is_ssh_private_key(file.content):
        public, protected = public_half(file.content, path, ask)
        return KeyPair(public.kind, path, public.line, public.fingerprint, protected, file.mode)
    identities, protected = read_age_identities(file.content, path, ask)
    if len(identities) > 1:
        what = f"identity file {path} has {len(identities)} identities"
        raise UsageError(what, remedy="'age-keygen -y FILE' lists the public halves of all")
    return KeyPair(AGE_KIND, path, identities[0].recipient.text, None, protected, file.mode)


def _write_pair(path: str, secret: bytes, public: str) -> None:
    write_new_file(path, secret, mode=SECRET_MODE)
    try:
        write_new_file(path + PUBLIC_SUFFIX, public.encode(), mode=PUBLIC_MODE)
    except TransferError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _encryption(passphrase: str | None) -> KeySerializationEncryption:
    if passphrase is None:
        return NoEncryption()
    _check_passphrase(passphrase)
    builder = PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(_KDF_ROUNDS)
    return builder.build(passphrase.encode())


def _check_passphrase(passphrase: str) -> None:
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        what = f"a passphrase of fewer than {MIN_PASSPHRASE_CHARACTERS} characters protects nothing"
        raise UsageError(what, remedy="choose a longer one: some words at random")
