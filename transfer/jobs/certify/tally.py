"""What a certify has found so far, in numbers, and the first entries that it does not certify."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from transfer.core.paths import display, from_text
from transfer.formats.certificate import MAX_LISTED, MAX_LISTED_BYTES, Evidence, State, Unlisted
from transfer.formats.certificate_entries import CertifiedObject, EvidenceKind, Line, NotCertified

_REASON_CHARS = 2048


@dataclass
class Tally:
    """Counts lines.

    Attributes:
        objects, bytes: that are certified.
        states: how many entries are not, by state.
        first: the first of those, in order.
    """

    objects: int = 0
    bytes: int = 0
    kinds: dict[EvidenceKind, int] = field(default_factory=dict)
    states: dict[State, int] = field(default_factory=dict)
    first: list[Unlisted] = field(default_factory=list)
    _listed_bytes: int = 0

    def take(self, line: Line) -> None:
        """Count a line."""
        if isinstance(line, CertifiedObject):
            self.objects += 1
            self.bytes += line.size_bytes
            self.kinds[line.evidence] = self.kinds.get(line.evidence, 0) + 1
        else:
            self.states[line.state] = self.states.get(line.state, 0) + 1
            self._name(_unlisted(line))

    def _name(self, entry: Unlisted) -> None:
        self._listed_bytes += len(msgspec.json.encode(entry))
        if len(self.first) < MAX_LISTED and self._listed_bytes <= MAX_LISTED_BYTES:
            self.first.append(entry)

    @property
    def not_certified(self) -> int:
        """How many entries are not."""
        return sum(self.states.values())

    @property
    def evidence(self) -> Evidence:
        """How many objects were compared in which way."""
        names: tuple[EvidenceKind, ...] = ("crc64nvme", "crc32c", "download", "empty")
        return Evidence(**{name: self.kinds.get(name, 0) for name in names})


def shown(entry: Unlisted | NotCertified) -> str:
    """An entry that is not certified, for people."""
    return f"{display(from_text(entry.path, entry.path_base64))}: {entry.reason}"


def clipped(reason: str) -> str:
    """A reason that a line has place for."""
    return reason[:_REASON_CHARS]


def _unlisted(line: NotCertified) -> Unlisted:
    return Unlisted(path=line.path, path_base64=line.path_base64, state=line.state, reason=line.reason)
