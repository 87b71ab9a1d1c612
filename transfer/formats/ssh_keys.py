"""Public keys of OpenSSH as values (RFC 4253 §6.6).

A key is its bytes. Reading one checks the form alone: lists may hold keys of kinds that nobody here uses, and
whether a kind can be used a signature shows (`ssh_signatures`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from transfer.errors import UsageError
from transfer.formats.ssh_wire import WireError, WireReader

ED25519 = "ssh-ed25519"
RSA = "ssh-rsa"
ECDSA = "ecdsa-sha2-"
RSA_SHA512 = "rsa-sha2-512"
MIN_RSA_BITS = 2048


@dataclass(frozen=True)
class PublicKey:
    """A public key.

    Attributes:
        blob: as the SSH protocols write it.
    """

    blob: bytes

    @classmethod
    def parse(cls, line: str) -> PublicKey:
        """A key from the line of a .pub file: kind, base64, and a comment, which is not kept.

        Raises:
            UsageError: it is none.
        """
        try:
            kind, text = line.split(maxsplit=2)[:2]
            key = cls(base64.b64decode(text, validate=True))
            if key.kind != kind:
                raise WireError("it says two kinds of key")
        except (ValueError, binascii.Error) as error:
            reason = str(error) if isinstance(error, WireError) else "it is not KIND BASE64"
            raise UsageError(f"no public SSH key: {reason}", remedy="give a line of a .pub file") from None
        return key

    @property
    def kind(self) -> str:
        """Its kind, as `ssh-ed25519`.

        Raises:
            WireError: it has none.
        """
        return WireReader(self.blob).name()

    @property
    def line(self) -> str:
        """As a .pub file has it, without a comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it: `SHA256:` and 43 letters."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"
