"""custody: shows the hand-over log of a device, adds to it, and holds it against what somebody remembers.

Whoever has the device can rewrite its log as a whole. What finds that out is outside of it: a head that was
written down or is in the destination's ledger, and keys that the rewriter does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from msgspec import UNSET

from transfer.core.moments import parse_moment
from transfer.device.custody import SigningKey, append_entry, read_log, seal_digest
from transfer.device.device import Device, open_device
from transfer.device.lock import locked
from transfer.errors import DeviceError, IntegrityError, LockedError
from transfer.formats.custody import NAMESPACE, Entry, Event, Head, Log, check_words, signed_bytes

if TYPE_CHECKING:
    from transfer.formats.allowed_signers import AllowedSigners

HANDED: Final[tuple[Event, ...]] = ("handed-over", "received")
"""The events that people tell of; all others are written by the commands that bring them about."""


@dataclass(frozen=True)
class Signature:
    """What the signature of an entry is worth.

    Attributes:
        state: `none`: there is none; `intact`: it signs this entry, with a key that nobody vouches for here;
            `known`: the key is that of an allowed signer; `wrong`: it proves nothing.
        key: fingerprint; empty where there is none.
        signer: whom the list of allowed signers has for the key.
        problem: what is wrong with it.
    """

    state: Literal["none", "intact", "known", "wrong"]
    key: str = ""
    signer: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Custody:
    """A log whose chain is whole, with its signatures checked, one for each entry.

    Attributes:
        seal_blake3: of SEAL.json as it is; empty where there is none.
    """

    device: Device
    log: Log
    signatures: list[Signature]
    seal_blake3: str

    @property
    def tells_of_seal(self) -> bool:
        """Whether an entry tells when the seal that is on the device came there, if one is."""
        sealed = [entry.seal_blake3 for entry in self.log.entries if entry.event == "sealed"]
        return not self.seal_blake3 or self.seal_blake3 in sealed

    @property
    def wrong(self) -> list[int]:
        """The entries whose signatures are."""
        return [number for number, one in enumerate(self.signatures) if one.state == "wrong"]


def look(root: str, *, expected: str = "", signers: AllowedSigners | None = None) -> Custody:
    """The log of a device.

    Args:
        root: the device.
        expected: a head of this log that somebody wrote down; empty: nobody did.
        signers: who may sign.

    Raises:
        DeviceError: there is no device, or it cannot be read.
        FormatError: the log breaks the format.
        IntegrityError: its chain is broken, or it never had the head that is expected.
    """
    device = open_device(root, even_erased=True)
    log = read_log(device.layout)
    if expected and expected not in (log.anchor, *log.digests):
        raise IntegrityError(
            f"the custody log of {root} has no entry {expected}: its tail was cut off, or it was edited",
            remedy="do not trust this device: ask all who had it",
        )
    signatures = [check_signature(entry, signers) for entry in log.entries]
    return Custody(device, log, signatures, seal_digest(device.layout))


def add(root: str, event: Event, *, who: str, note: str = "", signer: SigningKey | None = None) -> Head:
    """Add an entry to the log of a device.

    Raises:
        UsageError: `who` or `note` is no text that an entry has place for.
        DeviceError: there is no device, or it cannot be written.
        IntegrityError: the log is not whole.
        LockedError: another process works on the device.
        TransferError: the key does not sign.
    """
    check_words(who, note)
    device = open_device(root)
    with locked(device.layout, "custody"):
        return append_entry(device.layout, event, who=who, note=note, signer=signer)


def check_signature(entry: Entry, signers: AllowedSigners | None) -> Signature:
    """What the signature of an entry is worth.

    The key has to be allowed at the moment that the entry tells, which is signed: a log is read when the keys
    of those who had the device may long have expired.
    """
    if entry.signature is UNSET:
        return Signature("none")
    from transfer.formats import sshsig  # noqa: PLC0415  (start-up time)

    key = ""
    try:
        public = sshsig.verify(signed_bytes(entry), entry.signature.encode(), NAMESPACE)
        key = public.fingerprint
        if signers is None:
            return Signature("intact", key)
        moment = parse_moment(entry.time, "time")
        return Signature("known", key, signers.principal(public, NAMESPACE, moment))
    except IntegrityError as error:
        return Signature("wrong", key, problem=error.what)


def refuse_unless_continued(log: Log, seen: Head) -> None:
    """Hold a log against the newest head that was seen of it.

    Raises:
        IntegrityError: it is not that log with, at the most, more behind it.
    """
    if log.has(seen):
        return
    if seen.number >= len(log.entries):
        what = f"it ends before entry {seen.number}, which was seen before: its tail was cut off"
    else:
        what = f"its entry {seen.number} is another than the one that was seen before: it was edited"
    raise IntegrityError(what)


def is_received(log: Log) -> bool:
    """Whether the newest change of hands that the log tells of is an arrival."""
    told = [entry.event for entry in log.entries if entry.event not in ("verified", "imported", "erased")]
    return bool(told) and told[-1] == "received"


def try_to_add(device: Device, event: Event, *, who: str, note: str, verb: str) -> Head | str:
    """Add an entry where the device takes it.

    Returns:
        the new head; or why there is none, for people.

    Raises:
        UsageError: `who` is no text that an entry has place for.
    """
    try:
        with locked(device.layout, verb):
            return append_entry(device.layout, event, who=who, note=note)
    except (DeviceError, IntegrityError, LockedError) as error:
        return f"the custody log tells nothing of this ({event}): {error.what}"
