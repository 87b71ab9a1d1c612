"""What opens a job's key at the destination: identity files, SSH keys, unlock codes.

    age identity file   AGE-SECRET-KEY-1... one a line, blank lines and lines with # in front aside
    the same, locked    an age file made with a passphrase (`age -p`), binary or armored
    SSH private key     Ed25519 or RSA, with or without a passphrase

Each becomes a `Holder`, which opens a small age file (keys/job.age), and says whether the file is not for it
or is damaged. Secrets are read only from files that are their owner's alone, and shown in no repr and no
error.

X25519 and passphrases are opened by formats/age; pyrage opens what is encrypted to SSH keys. Its refusals are
not told apart by their texts: the header says by its tag whether an SSH key is meant.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyrage
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from transfer.core.unlock_code import UnlockCode
from transfer.device import code_lock
from transfer.device.key_files import read_secret_file
from transfer.device.ssh_private_key import is_ssh_private_key, open_ssh_key, public_key
from transfer.errors import AccessError, FormatError, IntegrityError, UsageError
from transfer.formats.age.header import encode_base64, parse_header
from transfer.formats.age.keys import Identity
from transfer.formats.age.reader import AgeReader

MAX_PLAIN_BYTES: Final = 1 << 20
_AGE_FILE, _ARMORED = b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----"
_IDENTITY_START: Final = "AGE-SECRET-KEY-1"
_SSH_STANZAS: Final = ("ssh-ed25519", "ssh-rsa")
_TAG_BYTES: Final = 4


class Holder(Protocol):
    """Who may be able to open keys/job.age."""

    @property
    def name(self) -> str:
        """What the person knows it by: a file, or "the unlock code"."""

    def open(self, stored: bytes) -> bytes | None:
        """What the age file `stored` holds; None where it is not encrypted to this holder.

        Raises:
            FormatError: it is no age file.
            IntegrityError: it is encrypted to this holder, and damaged.
        """


@dataclass(frozen=True, slots=True)
class AgeHolder:
    """The identities of one file."""

    name: str
    identities: Sequence[Identity] = field(repr=False)

    def open(self, stored: bytes) -> bytes | None:
        """As `Holder.open`."""
        try:
            reader = AgeReader(io.BytesIO(stored), self.identities)
        except AccessError:
            return None
        return reader.read(MAX_PLAIN_BYTES)


@dataclass(frozen=True, slots=True)
class SshHolder:
    """An SSH key.

    Attributes:
        tag: how the header of an age file names the key: base64 of the first 4 bytes of the SHA-256 of its
            public half in wire format.
    """

    name: str
    tag: str
    identity: pyrage.ssh.Identity = field(repr=False)

    def open(self, stored: bytes) -> bytes | None:
        """As `Holder.open`."""
        stanzas = [stanza.arguments for stanza in parse_header(stored).stanzas]
        if not any(found[0] in _SSH_STANZAS and found[1:2] == (self.tag,) for found in stanzas):
            return None
        try:
            plain: bytes = pyrage.decrypt(stored, [self.identity])
        except pyrage.DecryptError:
            raise IntegrityError(f"age file is damaged: {self.name} is meant, and does not open it") from None
        return plain


@dataclass(frozen=True, slots=True)
class CodeHolder:
    """An unlock code."""

    code: UnlockCode = field(repr=False)
    name: str = "the unlock code"

    def open(self, stored: bytes) -> bytes | None:
        """As `Holder.open`."""
        return code_lock.open_with_code(stored, self.code)


def load_identities(paths: Sequence[str], ask: Callable[[str], str]) -> list[Holder]:
    """The holders of identity files, in their order.

    Args:
        paths: of the files.
        ask: asks for a passphrase, for each file that has one; its argument is the question.

    Raises:
        AccessError: a file cannot be read, others can read it, or the passphrase is wrong.
        UsageError: a file is no identity; naming file and line.
    """
    return [_load(path, ask) for path in paths]


def read_age_identities(content: bytes, path: str, ask: Callable[[str], str]) -> tuple[list[Identity], bool]:
    """The identities of an age identity file, and whether a passphrase protects it.

    Raises:
        AccessError: the passphrase is wrong.
        UsageError: it is no identity file; naming file and line.
    """
    protected = content.startswith(_AGE_FILE) or content.lstrip().startswith(_ARMORED)
    plain = _unlocked(content, path, ask) if protected else content
    return _parse_lines(plain.decode("utf-8", "replace").removeprefix("\ufeff"), path), protected


def _load(path: str, ask: Callable[[str], str]) -> Holder:
    content = read_secret_file(path, "identity file")
    if is_ssh_private_key(content):
        return _ssh_holder(content, path, ask)
    return AgeHolder(path, read_age_identities(content, path, ask)[0])


def _ssh_holder(content: bytes, path: str, ask: Callable[[str], str]) -> SshHolder:
    key = open_ssh_key(content, path, ask)
    # pyrage takes no passphrase; the plain form exists in memory alone.
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    try:
        identity = pyrage.ssh.Identity.from_buffer(plain)
    except pyrage.IdentityError:
        what = f"SSH key {path} is of a kind that age files cannot be encrypted to"
        remedy = "name the Ed25519 or RSA key, or the age identity, whose public half was given to the source"
        raise UsageError(what, remedy=remedy) from None
    digest = hashlib.sha256(public_key(key).blob).digest()
    return SshHolder(path, encode_base64(digest[:_TAG_BYTES]).decode(), identity)


def _unlocked(content: bytes, path: str, ask: Callable[[str], str]) -> bytes:
    passphrase = ask(f"Passphrase of {path}")
    try:
        plain: bytes = pyrage.passphrase.decrypt(content, passphrase)
    except pyrage.DecryptError:
        what = f"identity file {path} cannot be opened: the passphrase is wrong, or the file is damaged"
        raise AccessError(
            what, remedy="try again; the file must be one of 'transfer keys' or 'age -p'"
        ) from None
    return plain


def _parse_lines(text: str, path: str) -> list[Identity]:
    identities = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            identities.append(_parse_line(line.strip(), f"{path}, line {number},"))
    if not identities:
        what = f"identity file {path} has no identity in it"
        raise UsageError(what, remedy="it holds a line AGE-SECRET-KEY-1..., or is an SSH private key")
    return identities


def _parse_line(line: str, where: str) -> Identity:
    if line.startswith(("age1", "ssh-")):
        what = f"{where} is a public key, where the secret one is needed"
        raise UsageError(what, remedy="name the file that was kept at the destination")
    if not line.startswith(_IDENTITY_START):
        what = f"{where} is not an identity"
        raise UsageError(
            what, remedy="a line of it begins with AGE-SECRET-KEY-1; keys of plugins are not taken"
        )
    try:
        return Identity.parse(line)
    except FormatError:  # its words may be about the secret
        what = f"{where} is a damaged identity"
        raise UsageError(what, remedy="restore the file; a character is missing or wrong") from None
