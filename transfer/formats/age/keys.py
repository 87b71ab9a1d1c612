"""X25519 keys of age: recipients, which anybody may see, and identities, which nobody may.

Neither repr nor any error of this module shows a secret; only `Identity.text` does, for whoever stores it.
Spellings are accepted as age writes them and in no other way: recipients in lower case, identities in upper
case, no white space. Other kinds of key (post-quantum, plugins, SSH) are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from transfer.errors import FormatError
from transfer.formats.age import bech32

KEY_BYTES = 32
_RECIPIENT_PREFIX = "age"
_IDENTITY_PREFIX = "age-secret-key-"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a file may be encrypted to.

    Attributes:
        public: the X25519 public key, 32 bytes.

    Raises:
        FormatError: a point of low order, which would make the shared secret known to all.
    """

    public: bytes

    def __post_init__(self) -> None:
        try:
            X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(self.public))
        except ValueError:
            raise FormatError("age recipient is not a usable X25519 public key") from None

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """From the text `age1...`.

        Raises:
            FormatError: it is not exactly one X25519 recipient.
        """
        return cls(_content(text, _RECIPIENT_PREFIX, "recipient", text.lower()))

    @property
    def text(self) -> str:
        """As people exchange it: `age1...`."""
        return bech32.encode(_RECIPIENT_PREFIX, self.public)

    def __str__(self) -> str:
        return self.text


class Identity:
    """The secret half of a recipient."""

    __slots__ = ("_private", "recipient")

    def __init__(self, secret: bytes) -> None:
        self._private = X25519PrivateKey.from_private_bytes(secret)
        self.recipient = Recipient(self._private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Identity:
        """A new one, from the system's randomness."""
        return cls(token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Identity:
        """From the text `AGE-SECRET-KEY-1...`.

        Raises:
            FormatError: it is not exactly one X25519 identity.
        """
        return cls(_content(text, _IDENTITY_PREFIX, "identity", text.upper()))

    @property
    def text(self) -> str:
        """THE SECRET, as an identity file holds it, without a line end."""
        return bech32.encode(_IDENTITY_PREFIX, self._private.private_bytes_raw()).upper()

    def exchange(self, share: bytes) -> bytes:
        """The secret shared with whoever made the public `share` (RFC 7748 §6.1), 32 bytes.

        Raises:
            ValueError: the share is not 32 bytes or of low order, so that the result would be all zero.
        """
        return self._private.exchange(X25519PublicKey.from_public_bytes(share))

    def __repr__(self) -> str:
        return f"<Identity of {self.recipient.text}>"


def _content(text: str, prefix: str, kind: str, in_its_case: str) -> bytes:
    """The key of a text; errors name its kind and never repeat it: people mistake one half for the other."""
    try:
        found, content = bech32.decode(text)
    except FormatError as error:
        raise FormatError(f"not an age {kind}: {error.what}", remedy=error.remedy) from None
    if found != prefix or text != in_its_case:
        raise FormatError(f"not an X25519 {kind} of age", remedy=_remedy(found, kind))
    if len(content) != KEY_BYTES:
        raise FormatError(f"age {kind} has {len(content)} bytes instead of {KEY_BYTES}")
    return content


def _remedy(found: str, kind: str) -> str:
    if kind == "recipient" and found == _IDENTITY_PREFIX:
        return "this is the secret half: give the recipient, age1..."
    if kind == "identity" and found == _RECIPIENT_PREFIX:
        return "this is the public half: give the identity, AGE-SECRET-KEY-1..."
    return "recipients read age1... in lower case, identities AGE-SECRET-KEY-1... in upper case"
