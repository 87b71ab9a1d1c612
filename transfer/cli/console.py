"""What a command says: results on stdout, everything else on stderr.

    - With --json stdout holds one JSON document, or JSON Lines for what may be long, and nothing else.
    - Without it stdout holds plain text that a pipe can take.
    - Progress, notes and warnings go to stderr; --quiet leaves the warnings.
    - No control character ever reaches a terminal but the line's end: names come from devices, and a
      hostile one could hide, forge or run something by escape sequences or by turning the writing
      direction.

Does not: know any command, or ask questions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from transfer.cli.progress_view import ProgressView
    from transfer.core.progress import Progress


_CLIPPED_CHARS = 300


def printable(text: str) -> str:
    """The text in one line, safe on a terminal: characters that are not printable become escapes."""
    if text.isprintable():
        return text
    from transfer.core.paths import display

    try:
        return display(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # a surrogate that stands for no byte, out of somebody's JSON
        return display(text.encode("utf-8", "backslashreplace"))


class Console:
    """The output of one command.

    Args:
        json: results are JSON.
        quiet: neither progress nor notes.
        progress: show progress; `quiet` wins.
        stdout: where results go, the process's own by default.
        stderr: where the rest goes, the process's own by default.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        progress: bool = True,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self._shows_progress = progress and not quiet
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._clock = clock
        self._view: ProgressView | None = None

    def result(self, document: object, lines: Iterable[str] = ()) -> None:
        """The outcome of the command: `document` with --json, else the `lines` of text.

        `document` is what msgspec can encode: structs, dicts, lists, texts, numbers. Paths that are not UTF-8
        have to be spelled as FORMAT.md does before they come here.
        """
        if self.json:
            self.record(document)
        else:
            for line in lines:
                self.line(line)

    def record(self, document: object) -> None:
        """One of many JSON documents, in a line of its own; written whether or not --json is given."""
        # Loaded here: help and plain text do without it.
        import msgspec

        self._write(self._stdout, msgspec.json.encode(document).decode())

    def line(self, text: str) -> None:
        """One line of text on stdout."""
        self._write(self._stdout, printable(text))

    def note(self, text: str) -> None:
        """One line about the course of things, on stderr; not with --quiet."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """One line that matters, on stderr, always."""
        self._say(f"warning: {text}")

    @contextmanager
    def progress(self) -> Iterator[Callable[[Progress], None]]:
        """Show how far a job is: yields what to call with each new state, as often as one likes."""
        if not self._shows_progress:
            yield _ignore
            return
        from transfer.cli.progress_view import BarView, LineView

        view: ProgressView = (
            BarView(self._stderr, self._clock)
            if self._stderr.isatty()
            else LineView(lambda line: self._write(self._stderr, line), self._clock)
        )
        self._view = view
        try:
            with view:
                yield view.show
        finally:
            self._view = None

    def _say(self, text: str) -> None:
        if self._view:
            self._view.say(printable(text))
        else:
            self._write(self._stderr, printable(text))

    @staticmethod
    def _write(stream: TextIO, line: str) -> None:
        stream.write(line + "\n")
        stream.flush()


def clip(text: str) -> str:
    """A line for people, which a path of 65,535 bytes would flood; what is wrong stands at its end."""
    half = _CLIPPED_CHARS // 2
    return text if len(text) <= _CLIPPED_CHARS else f"{text[:half]} ... {text[-half:]}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Lines of a plain table: columns two blanks apart, those numbered in `right` aligned to the right."""
    cells = [[printable(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _ignore(progress: Progress) -> None:
    """Where nobody looks."""
