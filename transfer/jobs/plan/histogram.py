"""How large the files of a source are: how many, and how many bytes, in steps of four from 1 KiB on."""

from __future__ import annotations

from msgspec import Struct

_FIRST_BITS = 10
"""Below 2**10 bytes lies the first step; each one behind it is two bits longer."""
_LAST_STEP = 27  # to 2**64, more than any size


class SizeStep(Struct, frozen=True):
    """Files from `at_least_bytes` to less than `below_bytes`."""

    at_least_bytes: int
    below_bytes: int
    files: int
    bytes: int


class Histogram:
    """Counts sizes; empty files are a step of their own."""

    def __init__(self) -> None:
        self._files = [0] * (_LAST_STEP + 2)
        self._bytes = [0] * (_LAST_STEP + 2)

    def add(self, size_bytes: int) -> None:
        """Count a file."""
        step = max(0, (size_bytes.bit_length() - _FIRST_BITS + 1) // 2) + 1 if size_bytes else 0
        self._files[step] += 1
        self._bytes[step] += size_bytes

    def steps(self) -> list[SizeStep]:
        """From the first step with a file to the last one."""
        used = [step for step, files in enumerate(self._files) if files]
        if not used:
            return []
        return [
            SizeStep(*_bounds(step), self._files[step], self._bytes[step])
            for step in range(used[0], used[-1] + 1)
        ]


def _bounds(step: int) -> tuple[int, int]:
    if step < 2:
        return (0, 1) if step == 0 else (1, 1 << _FIRST_BITS)
    below = _FIRST_BITS + 2 * (step - 1)
    return 1 << (below - 2), 1 << below
