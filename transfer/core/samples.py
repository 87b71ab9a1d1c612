"""A bounded series of progress samples over a time that nobody knows in advance.

Time is cut into steps, and of each step the latest sample is kept. When there are too many, the step is
doubled and neighbours merge, so a series is as fine as its limit allows, and even, however long it becomes.

    - Never more than the limit. The first sample and the newest are always there.
    - Kept samples are as they were taken, in order, and lie in different steps (but for the first).
    - One more sample costs constant time on average.

Does not: read a clock, or interpolate.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

DEFAULT_LIMIT: Final = 240
"""A chart as wide as a page cannot show more."""

_FIRST_STEP_S: Final = 0.25
_LEAST_LIMIT: Final = 3


class Sample(Struct, frozen=True):
    """How far a job was at one moment.

    Attributes:
        elapsed_s: since the job began.
        bytes, objects: done by then.
    """

    elapsed_s: float
    bytes: int
    objects: int


class SampleSeries:
    """A series that grows.

    Args:
        limit: how many samples to keep at most, 3 or more.
    """

    __slots__ = ("_first", "_later", "_limit", "_step_s")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        if limit < _LEAST_LIMIT:
            raise ValueError(f"a series of {limit} samples")
        self._limit = limit
        self._step_s = _FIRST_STEP_S
        self._first: Sample | None = None
        self._later: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Take a sample; one that is older than the newest counts as taken at the same time as that."""
        if self._first is None:
            self._first = sample
            return
        newest = self._later[-1] if self._later else self._first
        if sample.elapsed_s < newest.elapsed_s:
            sample = Sample(newest.elapsed_s, sample.bytes, sample.objects)
        self._put(self._later, sample)
        while len(self._later) >= self._limit:
            self._halve()

    def samples(self) -> list[Sample]:
        """What is kept, oldest first; a list of the caller's own."""
        return [] if self._first is None else [self._first, *self._later]

    def _halve(self) -> None:
        self._step_s *= 2
        fewer: list[Sample] = []
        for sample in self._later:
            self._put(fewer, sample)
        self._later = fewer

    def _put(self, samples: list[Sample], sample: Sample) -> None:
        """Append, in place of the last one when that is of the same step."""
        if samples and samples[-1].elapsed_s // self._step_s == sample.elapsed_s // self._step_s:
            samples.pop()
        samples.append(sample)
