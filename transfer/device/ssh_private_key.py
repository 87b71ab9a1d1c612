"""SSH private keys as ssh-keygen writes them: opened, with a passphrase if need be, and their public half.

The format of `-----BEGIN OPENSSH PRIVATE KEY-----` is OpenSSH's PROTOCOL.key: base64 of "openssh-key-v1",
cipher, KDF, number of keys, and the public key in clear, so that the public half needs no passphrase. The
older PEM forms (PKCS#1, PKCS#8) are read as well.

Does not: read files, or ask for a passphrase where there is none. Errors name the file, never its content.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from transfer.errors import AccessError, UsageError
from transfer.formats.ssh_keys import PublicKey
from transfer.formats.ssh_wire import WireError, WireReader

SshKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_OPENSSH: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_OPENSSH_END: Final = b"-----END OPENSSH PRIVATE KEY-----"
_MAGIC: Final = b"openssh-key-v1\0"
_NO_CIPHER: Final = "none"


def is_ssh_private_key(content: bytes) -> bool:
    """Whether it begins as a private key does."""
    first = content.lstrip()[:64].partition(b"\n")[0]
    return first.startswith(b"-----BEGIN ") and b"PRIVATE KEY-----" in first


def open_ssh_key(content: bytes, path: str, ask: Callable[[str], str]) -> SshKey:
    """The private key of a file.

    Args:
        content: of the file.
        path: of the file, for the question and errors.
        ask: asks for a passphrase, where the key has one; its argument is the question.

    Raises:
        AccessError: the passphrase is wrong.
        UsageError: it is no private key, or damaged.
    """
    try:
        return _load(content, None)
    except TypeError:  # what `cryptography` raises where a passphrase is missing
        passphrase = ask(f"Passphrase of {path}").encode()
    except ValueError:
        raise _not_a_key(path) from None
    try:
        return _load(content, passphrase)
    except (ValueError, TypeError):
        what = f"SSH key {path} cannot be opened: the passphrase is wrong, or the file is damaged"
        raise AccessError(what, remedy="try again; 'ssh-keygen -y -f FILE' tells which of the two") from None


def public_half(content: bytes, path: str, ask: Callable[[str], str]) -> tuple[PublicKey, bool]:
    """The public half of a private key, and whether a passphrase protects the secret one.

    Raises:
        AccessError: a passphrase was asked for (PEM alone) and is wrong.
        UsageError: it is no private key, or damaged.
    """
    if content.lstrip().startswith(_OPENSSH):
        return _clear_part(content.strip(), path)
    asked: list[str] = []

    def noted(question: str) -> str:
        asked.append(question)
        return ask(question)

    return public_key(open_ssh_key(content, path, noted)), bool(asked)


def public_key(private: SshKey) -> PublicKey:
    """The public half of an open key."""
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return PublicKey.parse(line.decode())


def _load(content: bytes, passphrase: bytes | None) -> SshKey:
    is_openssh = content.lstrip().startswith(_OPENSSH)
    try:
        key = (load_ssh_private_key if is_openssh else load_pem_private_key)(content, passphrase)
    except UnsupportedAlgorithm as error:
        raise ValueError("unsupported") from error
    if not isinstance(key, SshKey):
        raise ValueError("unsupported")  # noqa: TRY004  # TypeError means that a passphrase is missing
    return key


def _clear_part(content: bytes, path: str) -> tuple[PublicKey, bool]:
    """The public key of an OpenSSH file, and whether the rest is encrypted."""
    try:
        body = base64.b64decode(content.removeprefix(_OPENSSH).partition(_OPENSSH_END)[0])
        fields = WireReader(body)
        if fields.take(len(_MAGIC)) != _MAGIC:
            raise _not_a_key(path)
        cipher, _kdf, _options = fields.name(), fields.name(), fields.string()
        fields.uint32()  # how many keys follow: one, in all that ssh-keygen ever wrote
        public = PublicKey(fields.string())
        PublicKey.parse(public.line)
    except (WireError, binascii.Error, UsageError):
        raise _not_a_key(path) from None
    return public, cipher != _NO_CIPHER


def _not_a_key(path: str) -> UsageError:
    return UsageError(
        f"{path} is not an SSH private key of a kind that is known here, or is damaged",
        remedy="use an Ed25519, RSA or ECDSA key as ssh-keygen writes it",
    )
