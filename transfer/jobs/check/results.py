"""What became of each entry, and the counts of a whole check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from transfer.core.paths import to_text
from transfer.jobs.verify.findings import Finding

MAX_LISTED = 1000
MAX_LISTED_BYTES = 1 << 20
_REASON_CHARS = 2048

How: TypeAlias = Literal[
    "crc64nvme",
    "crc32c",
    "download",
    "blake3",
    "checksum",
    "etag",
    "size",
    "size-and-time",
    "empty",
    "target",
    "folder",
]
State: TypeAlias = Literal["same", "missing", "extra", "different", "unproved", "not-on-device"]


class Seen(Struct, frozen=True):
    """One entry.

    Attributes:
        path: of the entry; of what only the bucket has, its key without the prefix.
        how: it was seen to be the same.
        reason: why it is not, in words.
        size_bytes: of its content on the device; of what is extra, of the target's.
        is_unlinked: a hard link of the device whose content is the same, in a file of its own.
    """

    path: bytes
    state: State
    how: How | None = None
    reason: str = ""
    size_bytes: int = 0
    is_unlinked: bool = False


class Difference(Struct, frozen=True, omit_defaults=True):
    """An entry that is not the same, as results show it; the path in one of its two spellings."""

    path: str
    state: State
    reason: str = ""
    path_base64: str = ""


def difference(seen: Seen) -> Difference:
    """What is told of an entry."""
    text, encoded = to_text(seen.path)
    return Difference(text, seen.state, seen.reason[:_REASON_CHARS], encoded)


@dataclass
class Checked:
    """What came of a check.

    Attributes:
        same: entries that are the same, by how it was seen.
        states: how many are not, by state.
        bytes: of the content of those that are the same.
        first: the first that are not, in order.
        not_on_device: entries that failed or were skipped when the device was filled, and that the target
            does not hold either; `not_on_device_first` names the first.
        unlinked: hard links whose content is there, in files of their own.
        symlinks_left_out: as asked.
        older_versions: of keys, and delete markers, which were not compared.
        defects: what is wrong with the devices, though their manifests are whole.
        notes: what else limits what this check can tell.
    """

    same: dict[How, int] = field(default_factory=dict)
    states: dict[State, int] = field(default_factory=dict)
    entries: int = 0
    bytes: int = 0
    first: list[Difference] = field(default_factory=list)
    not_on_device: int = 0
    not_on_device_first: list[Difference] = field(default_factory=list)
    unlinked: int = 0
    symlinks_left_out: int = 0
    older_versions: int = 0
    defects: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _listed_bytes: int = 0

    def take(self, seen: Seen) -> None:
        """Count one."""
        if seen.state == "not-on-device":
            self.not_on_device += 1
            self._name(seen, self.not_on_device_first)
            return
        self.entries += 1
        if seen.how is not None:
            self.same[seen.how] = self.same.get(seen.how, 0) + 1
            self.bytes += seen.size_bytes
            self.unlinked += seen.is_unlinked
        else:
            self.states[seen.state] = self.states.get(seen.state, 0) + 1
            self._name(seen, self.first)

    @property
    def compared(self) -> int:
        """How many entries of the devices were looked at."""
        return self.entries - self.states.get("extra", 0)

    @property
    def differences(self) -> int:
        """How many entries are not the same, or not proved to be."""
        return sum(self.states.values())

    @property
    def exit_code(self) -> int:
        """As README lists them: 4 a device is damaged, 3 the two sides are not the same, 0 they are."""
        return 4 if self.defects else 3 if self.differences else 0

    def _name(self, seen: Seen, among: list[Difference]) -> None:
        if len(among) >= MAX_LISTED or self._listed_bytes >= MAX_LISTED_BYTES:
            return
        one = difference(seen)
        self._listed_bytes += len(msgspec.json.encode(one))
        among.append(one)
