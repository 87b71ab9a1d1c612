"""Keys that sign: an OpenSSH private key in a file, or one that ssh-agent holds and a .pub file names.

- The file of a private key is read only where its owner alone can read it; its passphrase is asked for.
- What was signed is checked with the public half before anyone gets it: an agent is another program.
- No passphrase and nothing of a private key is in any error, or in what `repr` shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from transfer.device import ssh_agent
from transfer.device.key_files import read_public_file, read_secret_file
from transfer.errors import AccessError, IntegrityError, UsageError
from transfer.formats.ssh_keys import ECDSA, ED25519, MIN_RSA_BITS, RSA_SHA512, PublicKey
from transfer.formats.ssh_signatures import CURVE_HASHES, check_signature
from transfer.formats.ssh_wire import mpint, string
from transfer.formats.sshsig import armor, signed_data

PrivateKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | RSAPrivateKey

PUBLIC_SUFFIX = ".pub"
_WHAT, _WHAT_PUBLIC = "signing key", "public key file"
_REMEDY = "give an Ed25519, ECDSA or RSA key that ssh-keygen made"


class Signer(Protocol):
    """A key at hand."""

    @property
    def public(self) -> PublicKey:
        """Its public half."""

    def sign(self, message: bytes, namespace: str) -> bytes:
        """The signature (SSHSIG) of a message: its armored text, a line's end at the end.

        Raises:
            AccessError: the agent that holds the key does not sign.
        """


def load_signer(path: str, ask: Callable[[str], str]) -> Signer:
    """The key of a file.

    Args:
        path: of a private key, or of a .pub file whose key ssh-agent holds.
        ask: asks for a passphrase; gets what to say to the person.

    Raises:
        UsageError: there is no such file, or it is no key that can be used.
        AccessError: others can read the private key, or the passphrase is wrong.
    """
    if path.endswith(PUBLIC_SUFFIX):
        return AgentSigner(_public(path, read_public_file(path, _WHAT_PUBLIC)))
    private = _private(path, read_secret_file(path, _WHAT), ask)
    return FileSigner(_public_half(path, private), private)


@dataclass(frozen=True)
class FileSigner:
    """A private key that was read."""

    public: PublicKey
    _private: PrivateKey = field(repr=False)

    def sign(self, message: bytes, namespace: str) -> bytes:
        """As `Signer` has it."""
        data = signed_data(message, namespace)
        signature = _signature(self.public.kind, self._private, data)
        check_signature(self.public, signature, data)
        return armor(self.public, namespace, signature)


@dataclass(frozen=True)
class AgentSigner:
    """A key that ssh-agent holds."""

    public: PublicKey

    def sign(self, message: bytes, namespace: str) -> bytes:
        """As `Signer` has it."""
        data = signed_data(message, namespace)
        signature = ssh_agent.sign(self.public, data)
        try:
            check_signature(self.public, signature, data)
        except IntegrityError as error:
            raise AccessError(f"what the ssh-agent signed cannot be used: {error.what}") from None
        return armor(self.public, namespace, signature)


def _public(path: str, content: bytes) -> PublicKey:
    try:
        return PublicKey.parse(content.decode())
    except (UsageError, UnicodeDecodeError):
        raise UsageError(f"{_WHAT_PUBLIC} {path} holds no public SSH key", remedy=_REMEDY) from None


def _private(path: str, content: bytes, ask: Callable[[str], str]) -> PrivateKey:
    try:
        try:
            key: object = load_ssh_private_key(content, None)
        except TypeError:  # it has a passphrase
            key = _unlocked(path, content, ask(f"Passphrase of {path}"))
    except (ValueError, UnsupportedAlgorithm):
        what = f"{_WHAT} {path} is no OpenSSH private key that can be used"
        raise UsageError(what, remedy=_REMEDY) from None
    return _accepted(path, key)


def _unlocked(path: str, content: bytes, passphrase: str) -> object:
    try:
        return load_ssh_private_key(content, passphrase.encode())
    except (ValueError, TypeError):  # a TypeError where it is empty
        raise AccessError(f"the passphrase does not open {_WHAT} {path}", remedy="try again") from None


def _accepted(path: str, key: object) -> PrivateKey:
    if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        what = f"{_WHAT} {path} is an RSA key of {key.key_size} bits; {MIN_RSA_BITS} are the least"
        raise UsageError(what, remedy=_REMEDY)
    if isinstance(key, PrivateKey):
        return key
    raise UsageError(f"{_WHAT} {path} is of a kind that is not accepted", remedy=_REMEDY)


def _public_half(path: str, private: PrivateKey) -> PublicKey:
    return _public(path, private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


def _signature(kind: str, private: PrivateKey, data: bytes) -> bytes:
    """A signature as the SSH protocols write it."""
    if isinstance(private, Ed25519PrivateKey):
        return string(ED25519.encode()) + string(private.sign(data))
    if isinstance(private, RSAPrivateKey):
        return string(RSA_SHA512.encode()) + string(private.sign(data, PKCS1v15(), SHA512()))
    hash_ = CURVE_HASHES[kind.removeprefix(ECDSA)]()
    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hash_)))
    return string(kind.encode()) + string(mpint(r) + mpint(s))
