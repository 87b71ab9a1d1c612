"""The destination's public keys, to which a job's key is encrypted: read from options and files, checked.

A recipient is an age key (`age1...`) or an SSH key (`ssh-ed25519 AAAA...`, `ssh-rsa AAAA...`), written as
`age -r` takes it; a file holds one a line, blank lines and lines with # in front aside, as `age -R` takes it.

Guarantees: each key is accepted by the library that will encrypt to it; none comes twice; at most 20, so that
the header of keys/job.age stays within the limit of its readers. A secret key that was named by mistake is
refused, and not repeated in the error.

Does not: take keys of age plugins, ECDSA keys or keys of security tokens: the age format has no place for
the latter two, and the first need a program at both ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyrage

from transfer.device.key_files import read_public_file
from transfer.errors import UsageError

MAX_RECIPIENTS: Final = 20
_MAX_LINE_BYTES: Final = 8192
_AGE, _SSH = "age1", ("ssh-ed25519 ", "ssh-rsa ")
_REMEDY: Final = "name age1..., 'ssh-ed25519 AAAA...', 'ssh-rsa AAAA...', or a file with one of them a line"
_OTHER_SSH: Final = ("ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "ssh-dss")
_SECRETS: Final = ("AGE-SECRET-KEY-", "-----BEGIN ", "AGE-PLUGIN-")


@dataclass(frozen=True, slots=True)
class DestinationKey:
    """A public key of the destination.

    Attributes:
        text: `age1...`, or type and key of an SSH public key, without its comment.
        comment: of an SSH key, as it stood there; may be empty.
    """

    text: str
    comment: str = field(default="", compare=False)

    @classmethod
    def parse(cls, line: str, where: str) -> DestinationKey:
        """The key of one line.

        Args:
            line: without its end.
            where: the option, or file and line, for errors.

        Raises:
            UsageError: it is no key that age can encrypt to; naming `where`.
        """
        key = cls(*_split(line.strip(), where))
        key.wrapper(where)
        return key

    def wrapper(self, where: str = "recipient") -> pyrage.x25519.Recipient | pyrage.ssh.Recipient:
        """What encrypts to it.

        Raises:
            UsageError: the key is malformed.
        """
        kind = pyrage.x25519 if self.text.startswith(_AGE) else pyrage.ssh
        try:
            recipient: pyrage.x25519.Recipient | pyrage.ssh.Recipient = kind.Recipient.from_str(self.text)
        except pyrage.RecipientError:
            what = f"{where} is not a valid public key: {self.text[:24]}..."
            raise UsageError(what, remedy="copy the whole line again; an RSA key needs 2048 bits") from None
        return recipient


def read_recipients(told: Sequence[str]) -> list[DestinationKey]:
    """The keys that the values of --recipient name, in their order, each once.

    Raises:
        UsageError: a value is neither a key nor a file of keys; naming option, file and line.
    """
    keys = dict.fromkeys(key for value in told for key in _read(value))
    if len(keys) > MAX_RECIPIENTS:
        raise UsageError(
            f"{len(keys)} recipients are more than the {MAX_RECIPIENTS} that a device can have",
            remedy="share one identity among some of them",
        )
    return list(keys)


def _read(value: str) -> Iterator[DestinationKey]:
    if value.startswith((_AGE, *_SSH, *_OTHER_SSH)) or value.upper().startswith(_SECRETS):
        yield DestinationKey.parse(value, "--recipient")
        return
    content = read_public_file(value, "recipients file").decode("utf-8", "replace")
    found = False
    for number, line in enumerate(content.removeprefix("\ufeff").split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            found = True
            yield DestinationKey.parse(line, f"{value}, line {number},")
    if not found:
        raise UsageError(f"recipients file {value} has no recipient in it", remedy=_REMEDY)


def _split(line: str, where: str) -> tuple[str, str]:
    """Key and comment of a line that looks like one."""
    if line.upper().startswith(_SECRETS):
        raise UsageError(
            f"{where} is a secret key, where a public one belongs",
            remedy="keep it away from the source host; name its public half ('transfer keys show' prints it)",
        )
    if line.startswith(_OTHER_SSH):
        raise UsageError(
            f"{where} is an SSH key of type {line.split(maxsplit=1)[0][:40]}, to which age cannot encrypt",
            remedy="use an Ed25519 or RSA key, or make one: transfer keys generate --identity FILE",
        )
    if len(line.encode()) <= _MAX_LINE_BYTES and line.isprintable():
        if line.startswith(_AGE) and " " not in line:
            return line, ""
        if line.startswith(_SSH):
            kind, key, *comment = line.split(None, 2)
            return f"{kind} {key}", " ".join(comment)
    raise UsageError(f"{where} is not a recipient", remedy=_REMEDY)
