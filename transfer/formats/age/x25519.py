"""The X25519 stanza: a file key wrapped for one recipient (age-encryption.org/v1).

A wrap key is made from an ephemeral key that serves one stanza of one file, so that the fixed nonce is never
used twice.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from transfer.errors import FormatError
from transfer.formats.age.header import Stanza, decode_base64, encode_base64
from transfer.formats.age.keys import Identity, Recipient

STANZA_TYPE = "X25519"
FILE_KEY_BYTES = 16
_BODY_BYTES = FILE_KEY_BYTES + 16
_INFO = b"age-encryption.org/v1/X25519"
_NONCE = bytes(12)


def wrap(file_key: bytes, recipient: Recipient) -> Stanza:
    """The file key (16 bytes), for this recipient's eyes."""
    ephemeral = Identity.generate()
    share = ephemeral.recipient.public
    cipher = _cipher(ephemeral.exchange(recipient.public), share, recipient)
    return Stanza((STANZA_TYPE, encode_base64(share).decode("ascii")), cipher.encrypt(_NONCE, file_key, None))


def unwrap(stanza: Stanza, identity: Identity) -> bytes | None:
    """The file key, or None where the stanza is of another type or for another identity.

    Raises:
        FormatError: it is an X25519 stanza and malformed, whomever it is for.
    """
    if stanza.arguments[0] != STANZA_TYPE:
        return None
    # The body's length is checked before it is decrypted: a longer one could fit several keys at once.
    if len(stanza.arguments) != 2 or len(stanza.body) != _BODY_BYTES:
        raise FormatError("age header has a malformed X25519 stanza")
    share = decode_base64(stanza.arguments[1].encode("ascii"))
    try:
        cipher = _cipher(identity.exchange(share), share, identity.recipient)
    except ValueError:
        raise FormatError("age header has an X25519 share of wrong length or low order") from None
    try:
        return cipher.decrypt(_NONCE, stanza.body, None)
    except InvalidTag:
        return None


def _cipher(shared: bytes, share: bytes, recipient: Recipient) -> ChaCha20Poly1305:
    kdf = HKDF(SHA256(), length=32, salt=share + recipient.public, info=_INFO)
    return ChaCha20Poly1305(kdf.derive(shared))
