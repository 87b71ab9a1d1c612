"""Tokens: what they look like, what is kept of them, the document that keeps it. All but `new_token` is pure.

A token is `trt_` and 256 random bits in base64url. Only its SHA-256 is kept. A slow hash is not needed: those
are for secrets that people choose; nobody guesses 256 random bits, however fast each guess is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from transfer.core.records import Timestamp
from transfer.errors import FormatError, UsageError
from transfer.formats.versioned import DocumentReader

PREFIX: Final = "trt_"
MAX_TOKENS: Final = 1000
MAX_FILE_BYTES: Final = 1 << 20
_TOKEN_BYTES: Final = 32
_NAME: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"


class Role(StrEnum):
    """What a token allows; each role allows what the one before it does."""

    READ = "read"
    OPERATE = "operate"

    def allows(self, needed: Role) -> bool:
        """Whether this role is enough."""
        return self is Role.OPERATE or needed is Role.READ


class TokenRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a token.

    Attributes:
        name: who or what uses it.
        sha256: of the token's ASCII characters, in hex.
        expires: from then on it is not valid; null for never.
    """

    name: Annotated[str, Meta(pattern=rf"^{_NAME}(?!\n)$")]
    role: Role
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}(?!\n)$")]
    created: Timestamp
    expires: Timestamp | None

    def is_valid(self, now: str) -> bool:
        """Whether it has not expired; `now` is RFC 3339 in UTC, whole seconds, as all times here."""
        return self.expires is None or now < self.expires


class TokensDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """tokens.json."""

    format: Literal["transfer-tokens"] = "transfer-tokens"
    format_version: Literal[1] = 1
    tokens: Annotated[list[TokenRecord], Meta(max_length=MAX_TOKENS)]


_reader: Final = DocumentReader(TokensDocument, version=1, limit_bytes=MAX_FILE_BYTES)


def new_token() -> str:
    """A new token."""
    return PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="backslashreplace")).hexdigest()


def find_token(tokens: Iterable[TokenRecord], token: str, now: str) -> TokenRecord | None:
    """The record of a token that is valid; None where there is none.

    All are compared, each in constant time: how long it takes tells nothing about the ones there are.
    """
    digest, found = digest_of(token), None
    for record in tokens:
        if hmac.compare_digest(record.sha256, digest):
            found = record
    return found if found is not None and found.is_valid(now) else None


def check_name(name: str) -> str:
    """The name, if a token can have it.

    Raises:
        UsageError: it cannot.
    """
    if not re.fullmatch(_NAME, name):
        raise UsageError(
            f"{name[:80]!r} cannot be the name of a token",
            remedy="use 1 to 63 letters, digits, dots, dashes and underscores, a letter or digit first",
        )
    return name


def encode_tokens(tokens: Iterable[TokenRecord]) -> bytes:
    """The bytes of tokens.json."""
    document = TokensDocument(tokens=list(tokens))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_tokens(content: bytes, where: str) -> list[TokenRecord]:
    """The tokens of tokens.json.

    Raises:
        UsageError: naming `where`, the field and what is wrong.
    """
    try:
        tokens = _reader.decode(content, where).tokens
    except FormatError as error:
        raise UsageError(
            error.what, remedy=error.remedy or "restore the file, or make the tokens anew"
        ) from None
    if len({token.name for token in tokens}) < len(tokens):
        raise UsageError(f"{where} names a token twice", remedy="remove one of them")
    return tokens
