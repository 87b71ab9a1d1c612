"""How far a job is: the counts that it reports, and an honest estimate of what remains.

A job makes `Progress` values from its own counts and gives them away as often as it likes. Whoever shows them
owns a `ProgressEstimator` and the clock.

Rules of the estimate:
    - Rates are those of the last `window_s` seconds, so a slow start or a pause is forgotten.
    - Small files cost time by the file, large ones by the byte: what remains is the longer of both.
    - Nothing moved in the window, or the total is unknown: no estimate, rather than a wild one.
    - The total still grows because the walk is still on: the estimate is a lower bound and says so.
    - Another phase starts from nothing: how fast data is copied says little about how fast it is verified.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

# Shorter spans measure caches and the luck of the first file.
_MIN_SPAN_S: Final = 1.0
# The window keeps this many samples at most, however often a job reports.
_SAMPLES_A_WINDOW: Final = 60


@dataclass(frozen=True, slots=True)
class Progress:
    """What a job has done so far.

    Attributes:
        phase: what the job does now, in one word: "copy", "verify", "upload".
        files_done: files that are finished.
        bytes_done: bytes of content that are done.
        files_total: files there are as far as is known; None while nothing is known.
        bytes_total: bytes there are as far as is known; None while nothing is known.
        is_total_final: the totals will not grow any more.
        stored_bytes: what the content done so far takes on the device or wire; 0 where it is not counted.
        failures: entries that could not be done.
        current_path: what is being worked on.
    """

    phase: str
    files_done: int = 0
    bytes_done: int = 0
    files_total: int | None = None
    bytes_total: int | None = None
    is_total_final: bool = True
    stored_bytes: int = 0
    failures: int = 0
    current_path: bytes = b""

    @property
    def ratio(self) -> float | None:
        """Content bytes to one stored byte; None where nothing was stored yet."""
        return self.bytes_done / self.stored_bytes if self.stored_bytes and self.bytes_done else None

    @property
    def fraction(self) -> float | None:
        """The part that is done, 0 to 1, of totals that are final; by bytes, or by files if all are empty."""
        if not self.is_total_final:
            return None
        done, total = (
            (self.bytes_done, self.bytes_total) if self.bytes_total else (self.files_done, self.files_total)
        )
        return min(1.0, done / total) if total else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rates and what remains at one moment; None where there is no honest answer.

    Attributes:
        bytes_s: bytes a second of late.
        files_s: files a second of late.
        remaining_s: seconds to go.
        is_lower_bound: it takes `remaining_s` at least, as the total still grows.
    """

    bytes_s: float | None = None
    files_s: float | None = None
    remaining_s: float | None = None
    is_lower_bound: bool = False


class ProgressEstimator:
    """Turns a row of `Progress` values into estimates.

    Args:
        window_s: how far back rates look.
    """

    __slots__ = ("_samples", "_window_s")

    def __init__(self, window_s: float = 30.0) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, Progress]] = deque()

    def observe(self, now_s: float, progress: Progress) -> Estimate:
        """Take a sample at `now_s` of a monotonic clock, and estimate."""
        self._take(now_s, progress)
        then_s, first = self._samples[0]
        span_s = now_s - then_s
        if span_s < _MIN_SPAN_S:
            return Estimate()
        bytes_s = (progress.bytes_done - first.bytes_done) / span_s
        files_s = (progress.files_done - first.files_done) / span_s
        remaining_s = _remaining(progress, bytes_s, files_s)
        is_lower_bound = remaining_s is not None and not progress.is_total_final
        return Estimate(bytes_s, files_s, remaining_s, is_lower_bound)

    def _take(self, now_s: float, progress: Progress) -> None:
        samples = self._samples
        if samples and not _continues(samples[-1][1], progress):
            samples.clear()
        # The oldest sample outside of the window is kept: the span is never shorter than the window.
        while len(samples) > 1 and samples[1][0] <= now_s - self._window_s:
            samples.popleft()
        if len(samples) > 1 and samples[-1][0] - samples[-2][0] < self._window_s / _SAMPLES_A_WINDOW:
            samples.pop()
        samples.append((now_s, progress))


def _continues(earlier: Progress, later: Progress) -> bool:
    """Whether both are of one phase; counts that fall (a file is done again) break it off as well."""
    return (
        earlier.phase == later.phase
        and earlier.bytes_done <= later.bytes_done
        and earlier.files_done <= later.files_done
    )


def _remaining(progress: Progress, bytes_s: float, files_s: float) -> float | None:
    by_bytes = _time_for(progress.bytes_total, progress.bytes_done, bytes_s)
    by_files = _time_for(progress.files_total, progress.files_done, files_s)
    if by_bytes is None or by_files is None:
        # A single large file moves bytes and finishes no file: the bytes alone tell, where they do.
        return by_bytes
    return max(by_bytes, by_files)


def _time_for(total: int | None, done: int, rate: float) -> float | None:
    if total is None:
        return None
    if done >= total:
        return 0.0
    return (total - done) / rate if rate > 0 else None
