"""SSHSIG, the signatures of `ssh-keygen -Y sign` (OpenSSH PROTOCOL.sshsig): bytes to signatures and back.

A signature names the key that made it, and the namespace: what it was made for. It says nothing about whose
key that is; `allowed_signers` does.

Rules:

- We write the hash sha512 and 70 characters a line, as ssh-keygen does. We read sha256 too, and any breaks.
- Nothing may stand before or behind the armor but white space; the reserved field must be empty.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from transfer.errors import FormatError, IntegrityError
from transfer.formats.ssh_keys import PublicKey
from transfer.formats.ssh_wire import WireError, WireReader, string, uint32

MAX_SIGNATURE_BYTES = 64 << 10
SEAL_NAMESPACE = "transfer-seal"

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASH = "sha512"
_HASHES = ("sha256", _HASH)
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_LINE_CHARS = 70


@dataclass(frozen=True)
class Signature:
    """A signature as it was read; nothing of it is checked yet."""

    public: PublicKey
    namespace: str
    hash_algorithm: str
    signature: bytes

    def check(self, message: bytes, namespace: str) -> None:
        """Check that it is of these bytes and for this namespace.

        Raises:
            IntegrityError: it is not.
        """
        if self.namespace != namespace:
            raise IntegrityError(
                f"the signature was made for the namespace {self.namespace!r}, not for {namespace!r}"
            )
        from transfer.formats.ssh_signatures import check_signature  # noqa: PLC0415  (start-up time)

        check_signature(self.public, self.signature, _signed_data(message, namespace, self.hash_algorithm))


def verify(message: bytes, armored: bytes, namespace: str) -> PublicKey:
    """The key that signed `message` for `namespace`.

    Raises:
        IntegrityError: it is of other bytes, for something else, or of a kind that is not accepted.
        FormatError: it is no signature.
    """
    signature = read(armored)
    signature.check(message, namespace)
    return signature.public


def read(armored: bytes) -> Signature:
    """A signature from its text.

    Raises:
        FormatError: it is none.
    """
    if len(armored) > MAX_SIGNATURE_BYTES:
        raise FormatError(f"the signature is larger than {MAX_SIGNATURE_BYTES} bytes")
    try:
        return _read(_unwrap(armored))
    except (WireError, binascii.Error) as error:
        raise FormatError(f"it is no SSH signature: {error}") from None


def _unwrap(armored: bytes) -> bytes:
    text = armored.strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END) and len(text) > len(_BEGIN) + len(_END)):
        raise WireError(f"it does not stand between {_BEGIN.decode()} and {_END.decode()}")
    body = text[len(_BEGIN) : -len(_END)]
    return base64.b64decode(b"".join(body.split()), validate=True)


def _read(blob: bytes) -> Signature:
    reader = WireReader(blob)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise WireError("it does not begin with SSHSIG")
    if (version := reader.uint32()) != _VERSION:
        raise WireError(f"it has version {version}; this program reads version {_VERSION}")
    public = PublicKey(reader.string())
    namespace, reserved, algorithm, signature = reader.name(), reader.string(), reader.name(), reader.string()
    reader.end()
    if reserved:
        raise WireError("its reserved field is not empty")
    if algorithm not in _HASHES:
        raise WireError(f"the hash {algorithm} is not accepted")
    if not public.kind or not namespace:
        raise WireError("the kind of its key or its namespace is empty")
    return Signature(public, namespace, algorithm, signature)


def _signed_data(message: bytes, namespace: str, algorithm: str) -> bytes:
    digest = hashlib.new(algorithm, message).digest()
    return _MAGIC + b"".join(map(string, (namespace.encode(), b"", algorithm.encode(), digest)))


def signed_data(message: bytes, namespace: str) -> bytes:
    """What a key has to sign, so that `armor` makes a signature of it."""
    return _signed_data(message, namespace, _HASH)


def armor(public: PublicKey, namespace: str, signature: bytes) -> bytes:
    """The text of a signature.

    Args:
        public: the key that made it.
        namespace: printable ASCII without spaces.
        signature: of `signed_data`, as the SSH protocols write it.
    """
    fields = (public.blob, namespace.encode(), b"", _HASH.encode(), signature)
    text = base64.b64encode(_MAGIC + uint32(_VERSION) + b"".join(map(string, fields)))
    lines = [text[at : at + _LINE_CHARS] for at in range(0, len(text), _LINE_CHARS)]
    return b"\n".join([_BEGIN, *lines, _END, b""])
