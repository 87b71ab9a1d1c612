"""Small age files that an unlock code opens, by the scrypt recipient type of age-encryption.org/v1.

scrypt runs with N = 2^16, r = 8, p = 1: 64 MiB and a fraction of a second, the same on every machine. More
would protect nothing, since a code has 128 random bits and cannot be guessed however cheap the guess. A
reader takes no more than 2^17 (128 MiB): a hostile device cannot make it run out of memory.

Does not: take passphrases that people choose; those lock identity files, with far more work.
"""

from __future__ import annotations

import hashlib
import re
from secrets import token_bytes
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from transfer.core.unlock_code import UnlockCode
from transfer.errors import FormatError
from transfer.formats.age.header import Stanza, decode_base64, encode_base64, encode_header, parse_header
from transfer.formats.age.stream import NONCE_BYTES, TAG_BYTES, Payload
from transfer.formats.age.x25519 import FILE_KEY_BYTES

STANZA_TYPE: Final = "scrypt"
WORK_FACTOR: Final = 16
MAX_WORK_FACTOR: Final = 17
_LABEL: Final = b"age-encryption.org/v1/scrypt"
_SALT_BYTES: Final = 16
_WORK: Final = re.compile(r"[1-9][0-9]?")
_NONCE: Final = bytes(12)


def lock_with_code(plain: bytes, code: UnlockCode) -> bytes:
    """The age file of up to 64 KiB that this code opens."""
    file_key, salt, nonce = token_bytes(FILE_KEY_BYTES), token_bytes(_SALT_BYTES), token_bytes(NONCE_BYTES)
    body = _cipher(code, salt, WORK_FACTOR).encrypt(_NONCE, file_key, None)
    stanza = Stanza((STANZA_TYPE, encode_base64(salt).decode(), str(WORK_FACTOR)), body)
    return encode_header([stanza], file_key) + nonce + Payload(file_key, nonce).seal(0, plain, last=True)


def open_with_code(stored: bytes, code: UnlockCode) -> bytes | None:
    """What such a file holds; None where another code, or none, opens it.

    Raises:
        FormatError: it is no age file, or wants more work than is allowed.
        IntegrityError: the code opens it, and it is damaged.
    """
    header = parse_header(stored)
    if len(header.stanzas) != 1 or header.stanzas[0].arguments[0] != STANZA_TYPE:
        return None
    file_key = _unwrap(header.stanzas[0], code)
    if file_key is None:
        return None
    header.verify(file_key)
    start = header.size_bytes + NONCE_BYTES
    payload = Payload(file_key, stored[header.size_bytes : start], complete=True)
    return payload.open(0, stored[start:], last=True)


def _unwrap(stanza: Stanza, code: UnlockCode) -> bytes | None:
    if len(stanza.arguments) != 3 or len(stanza.body) != FILE_KEY_BYTES + TAG_BYTES:
        raise FormatError("age header has a malformed scrypt stanza")
    salt, work = decode_base64(stanza.arguments[1].encode()), stanza.arguments[2]
    if len(salt) != _SALT_BYTES or not _WORK.fullmatch(work):
        raise FormatError("age header has a malformed scrypt stanza")
    if int(work) > MAX_WORK_FACTOR:
        raise FormatError(f"age header asks for scrypt with 2^{work}, more than 2^{MAX_WORK_FACTOR}")
    try:
        return _cipher(code, salt, int(work)).decrypt(_NONCE, stanza.body, None)
    except InvalidTag:
        return None


def _cipher(code: UnlockCode, salt: bytes, work: int) -> ChaCha20Poly1305:
    limit_bytes = 128 * 8 * (1 << work) + (1 << 20)
    passphrase = code.text.encode()
    key = hashlib.scrypt(passphrase, salt=_LABEL + salt, n=1 << work, r=8, p=1, maxmem=limit_bytes, dklen=32)
    return ChaCha20Poly1305(key)
