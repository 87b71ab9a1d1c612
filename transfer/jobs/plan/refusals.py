"""What would not arrive, or not under its name: counted by what refuses it, the first ones kept."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from transfer.core.stream_rules import path_fields
from transfer.jobs.lists.output import NewFile

By = Literal["bucket", "symlink", "device", "skipped", "failed", "archived", "folder", "windows", "macos"]
"""What refuses an entry: the destination's limits; a bucket, which has no symbolic links; every device, as it
is larger; the copy, on purpose or because it cannot be read; the source's archive. `folder` (any at
all), `windows` and `macos` refuse a name alone: restored there, the entry gets another one."""

RENAMED: frozenset[By] = frozenset({"folder", "windows", "macos"})
MAX_KEPT = 1000


class Refusal(Struct, frozen=True, omit_defaults=True):
    """One entry; `path` or `path_base64`, as in a manifest."""

    by: By
    reason: str
    size_bytes: int = 0
    path: str = ""
    path_base64: str = ""


class Refusals:
    """Collects them.

    Args:
        output: where all are listed, a JSON document in a line each.

    Attributes:
        counts: how many, by what refuses them.
        first: the first ones that do not arrive.
        renamed_first: the first ones that are called something else.
    """

    def __init__(self, output: NewFile | None = None) -> None:
        self.counts: dict[By, int] = {}
        self.first: list[Refusal] = []
        self.renamed_first: list[Refusal] = []
        self._output = output
        self._encoder = msgspec.json.Encoder()

    @property
    def lost(self) -> int:
        """How many entries would not arrive."""
        return sum(count for by, count in self.counts.items() if by not in RENAMED)

    def add(self, by: By, path: bytes, reason: str, size_bytes: int = 0) -> None:
        """Take one."""
        self.counts[by] = self.counts.get(by, 0) + 1
        kept = self.renamed_first if by in RENAMED else self.first
        if len(kept) >= MAX_KEPT and self._output is None:
            return
        refusal = Refusal(by, reason, size_bytes, **path_fields(path))
        if len(kept) < MAX_KEPT:
            kept.append(refusal)
        if self._output is not None:
            self._output.write(self._encoder.encode(refusal) + b"\n")
