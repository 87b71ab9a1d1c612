"""What a person asks of a list, and what they are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from msgspec import Struct

from transfer.core.s3_uri import S3Uri
from transfer.core.stream_rules import path_fields
from transfer.device.encryption import NO_KEYS, Keys
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.verify.findings import Finding

MAX_LISTED = 1000


class ListFormat(Enum):
    """The lists that there are."""

    B3SUM = "b3sum"
    INVENTORY = "s3-inventory"
    BOM = "bom"


@dataclass(frozen=True)
class ListOptions:
    """The options of a list.

    Attributes:
        address: of an inventory: where its objects are; None: where the device was exported from.
        overwrite: it may replace what is there.
        incomplete: take a device that is not sealed, or whose last copy did not end.
        keys: what opens an encrypted device.
        signers: whose signatures count; None: the device need not be signed.
    """

    format: ListFormat
    address: S3Uri | None = None
    overwrite: bool = False
    incomplete: bool = False
    keys: Keys = NO_KEYS
    signers: AllowedSigners | None = None


class LeftOut(Struct, frozen=True, omit_defaults=True):
    """An entry that a list has no line for."""

    reason: str
    path: str = ""
    path_base64: str = ""


class Listed(Struct):
    """What a list has.

    Attributes:
        lines: of it, each a file, an object or a version.
        content_bytes: of what they name.
        left_out: entries with content, or objects, that it cannot name.
        left_out_first: the first 1,000 of them.
        not_on_device: entries that the copy skipped or failed at: no list has them.
        defects: what is wrong with the device, though its manifest is whole.
        seal_blake3: of the seal that the manifest was held against; empty where there is none.
    """

    format: str
    lines: int = 0
    content_bytes: int = 0
    left_out: int = 0
    left_out_first: list[LeftOut] = []
    not_on_device: int = 0
    defects: list[Finding] = []
    seal_blake3: str = ""

    def leave_out(self, path: bytes, reason: str) -> None:
        """Count an entry that has no line, and name it while there is room."""
        self.left_out += 1
        if len(self.left_out_first) < MAX_LISTED:
            self.left_out_first.append(LeftOut(reason, **path_fields(path)))

    @property
    def exit_code(self) -> int:
        """3 where an entry is not in the list that should be."""
        return 3 if self.left_out else 0
