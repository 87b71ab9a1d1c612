"""Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere.

A view takes states as often as a job gives them and draws a few times a second at most; the last state is
always drawn. rich is loaded only where there is a bar to draw.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from transfer.core.paths import display
from transfer.core.progress import Estimate, Progress, ProgressEstimator
from transfer.core.sizes import format_duration, format_rate, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR_INTERVAL_S = 0.2
_LINE_INTERVAL_S = 5.0


def figures(progress: Progress, estimate: Estimate) -> str:
    """A state in one line: files, failures, bytes, rate, compression ratio, what remains."""
    files = _of(f"{progress.files_done:,}", progress.files_total, "{:,}".format, progress.is_total_final)
    size = _of(format_size(progress.bytes_done), progress.bytes_total, format_size, progress.is_total_final)
    counts_files = progress.files_done or progress.files_total is not None
    parts = [f"{files} files"] if counts_files else []
    if progress.failures:
        parts.append(f"{progress.failures:,} failed")
    parts.append(size)
    if estimate.bytes_s is not None:
        parts.append(format_rate(estimate.bytes_s))
    if progress.ratio is not None:
        parts.append(f"ratio {progress.ratio:.2f}")
    if estimate.remaining_s is not None:
        bound = "at least " if estimate.is_lower_bound else ""
        parts.append(f"{bound}{format_duration(estimate.remaining_s)} left")
    return ", ".join(parts)


def _of(done: str, total: int | None, form: Callable[[int], str], is_final: bool) -> str:
    return done if total is None else f"{done} of {form(total)}{'' if is_final else '+'}"


class ProgressView:
    """Draws states, not too often; a context manager that draws the last one at its end.

    Args:
        clock: monotonic seconds.
        interval_s: the least time between two drawings of one phase.
    """

    def __init__(self, clock: Callable[[], float], interval_s: float) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._estimator = ProgressEstimator()
        self._phase = ""
        self._drawn_at_s = 0.0
        self._undrawn: Progress | None = None

    def show(self, progress: Progress) -> None:
        """Take a new state, and draw it if it is time; another phase is always time."""
        now_s = self._clock()
        if progress.phase == self._phase and now_s - self._drawn_at_s < self._interval_s:
            self._undrawn = progress
            return
        if progress.phase != self._phase:
            self._finish_phase()
        self._phase, self._drawn_at_s, self._undrawn = progress.phase, now_s, None
        self._draw(progress, self._estimator.observe(now_s, progress))

    def say(self, line: str) -> None:
        """Say something else meanwhile, without spoiling what is drawn."""
        raise NotImplementedError

    def _draw(self, progress: Progress, estimate: Estimate) -> None:
        raise NotImplementedError

    def _finish_phase(self) -> None:
        if self._undrawn is not None:
            self._draw(self._undrawn, self._estimator.observe(self._clock(), self._undrawn))
            self._undrawn = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish_phase()


class LineView(ProgressView):
    """A plain line every five seconds, for logs."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        super().__init__(clock, _LINE_INTERVAL_S)
        self._write = write

    def say(self, line: str) -> None:
        """Between two lines."""
        self._write(line)

    def _draw(self, progress: Progress, estimate: Estimate) -> None:
        self._write(f"{progress.phase}: {figures(progress, estimate)}")


class BarView(ProgressView):
    """A bar, the figures and the current path, drawn over again in the same lines of a terminal."""

    def __init__(self, stderr: TextIO, clock: Callable[[], float]) -> None:
        super().__init__(clock, _BAR_INTERVAL_S)
        from rich.console import Console as RichConsole
        from rich.live import Live

        self._terminal = RichConsole(file=stderr, highlight=False, markup=False, emoji=False)
        # Drawn by us alone: a refresh thread would draw while the job holds the processor.
        self._live = Live(
            console=self._terminal, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def say(self, line: str) -> None:
        """Above the bar."""
        self._terminal.print(line, soft_wrap=True)

    def _draw(self, progress: Progress, estimate: Estimate) -> None:
        self._live.update(_bar(progress, estimate), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._live.stop()


def _bar(progress: Progress, estimate: Estimate) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    fraction = progress.fraction
    head = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0 if fraction is not None else None, completed=fraction or 0.0, width=30)
    percent = "" if fraction is None else f"{100 * fraction:.1f} %"
    head.add_row(Text(progress.phase), bar, Text(percent))
    lines: list[RenderableType] = [head, Text(figures(progress, estimate), no_wrap=True, overflow="ellipsis")]
    if progress.current_path:
        lines.append(Text(display(progress.current_path), no_wrap=True, overflow="ellipsis", style="dim"))
    return Group(*lines)
