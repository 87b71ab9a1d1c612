"""Age files made by hand, with a right MAC and right tags around whatever is wrong in them.

Nothing of the product is used here, so that its mistakes are not repeated: what these files say is compared
with the age program, too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

FILE_KEY = bytes(range(16))
NONCE = bytes(range(16, 32))
CHUNK = 65536


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, 32 bytes: one block of output is enough."""
    extracted = hmac.digest(salt, key, hashlib.sha256)
    return hmac.digest(extracted, info + b"\1", hashlib.sha256)


def base64_of(content: bytes) -> bytes:
    """Without padding."""
    return base64.b64encode(content).rstrip(b"=")


def x25519(public: bytes, *, share: bytes | None = None, file_key: bytes = FILE_KEY) -> tuple[bytes, bytes]:
    """The share and the body of a stanza, in base64; a share given is one of low order."""
    ephemeral = X25519PrivateKey.generate()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public)) if share is None else bytes(32)
    share = ephemeral.public_key().public_bytes_raw() if share is None else share
    wrap_key = hkdf(shared, share + public, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(wrap_key).encrypt(bytes(12), file_key, None)
    return base64_of(share), base64_of(body)


def mac(authenticated: bytes) -> bytes:
    """The MAC of a header that ends in its `---`, in base64."""
    return base64_of(hmac.digest(hkdf(FILE_KEY, bytes(32), b"header"), authenticated, hashlib.sha256))


def header(lines: bytes) -> bytes:
    """Version line and stanzas, closed with their MAC."""
    return lines + b"--- " + mac(lines + b"---") + b"\n"


def sealed(index: int, plain: bytes, last: bool) -> bytes:
    """One chunk, whether or not it may be there."""
    cipher = ChaCha20Poly1305(hkdf(FILE_KEY, NONCE, b"payload"))
    return cipher.encrypt(index.to_bytes(11, "big") + bytes([last]), plain, None)


def payload(*chunks: bytes, marks: Sequence[bool] | None = None) -> bytes:
    """Nonce and chunks, the last marked as such unless `marks` says otherwise."""
    if marks is None:
        marks = [False] * (len(chunks) - 1) + [True]
    pairs = zip(chunks, marks, strict=True)
    return NONCE + b"".join(sealed(index, chunk, mark) for index, (chunk, mark) in enumerate(pairs))
