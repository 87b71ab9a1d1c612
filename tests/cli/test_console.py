"""What reaches stdout and stderr: one form at a time, no control characters, and progress not too often."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.cli.console import Console, printable, table
from transfer.cli.progress_view import figures
from transfer.core.progress import Estimate, Progress

HOSTILE = "a\x1b]0;title\x07\u202egpj.exe\r\nb\x9b31m\u2066\x7f"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Screen:
    """A console over memory, and its clock."""

    def __init__(self, stderr: io.StringIO | None = None, **options: bool) -> None:
        self.out, self.err, self.clock = io.StringIO(), stderr or io.StringIO(), Clock()
        self.console = Console(stdout=self.out, stderr=self.err, clock=self.clock, **options)

    def lines(self) -> list[str]:
        return self.err.getvalue().splitlines()


def test_a_result_is_one_document_or_lines_of_text() -> None:
    for as_json, expected in ((True, '{"a":1}\n'), (False, "one\ntwo\n")):
        screen = Screen(json=as_json)
        screen.console.result({"a": 1}, ["one", "two"])
        assert screen.out.getvalue() == expected
        assert screen.err.getvalue() == ""


def test_records_are_json_lines() -> None:
    screen = Screen(json=True)
    for number in range(3):
        screen.console.record({"text": f"{number}\n\u2028"})
    assert [json.loads(line)["text"][0] for line in screen.out.getvalue().split("\n")[:-1]] == ["0", "1", "2"]


def test_notes_go_to_stderr_and_quiet_leaves_the_warnings() -> None:
    loud, quiet = Screen(), Screen(quiet=True)
    for screen in (loud, quiet):
        screen.console.note("by the way")
        screen.console.warn("look out")
    assert loud.lines() == ["by the way", "warning: look out"]
    assert quiet.lines() == ["warning: look out"]
    assert loud.out.getvalue() == ""


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_printed_is_printable(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()


def test_a_hostile_name_stays_text_in_its_line() -> None:
    screen = Screen()
    screen.console.line(HOSTILE)
    screen.console.note(HOSTILE)
    for text in (screen.out.getvalue(), screen.err.getvalue()):
        assert text.endswith("\n")
        assert text[:-1].isprintable()
        assert "\\x1b]0;title\\x07\\u202egpj.exe\\x0d\\x0ab" in text


def test_a_name_that_is_not_utf_8_shows_its_bytes() -> None:
    assert printable(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\\xe9"


def test_a_table_is_aligned_and_safe() -> None:
    lines = table(["NAME", "SIZE"], [["a", "1"], ["b\x1b", "1000"]], right=[1])
    assert lines == ["NAME   SIZE", "a         1", "b\\x1b  1000"]
    assert table(["NAME", "NOTE"], [["a", ""]]) == ["NAME  NOTE", "a"]


STATE = Progress("copy", 10, 2**30, 100, 2**31, current_path=b"a/b")


@pytest.mark.parametrize(
    ("progress", "estimate", "text"),
    [
        (Progress("copy"), Estimate(), "0 B"),
        (STATE, Estimate(), "10 of 100 files, 1.00 GiB of 2.00 GiB"),
        (
            replace(STATE, stored_bytes=2**29, failures=1200, is_total_final=False),
            Estimate(2**20, 5.0, 1024.0, is_lower_bound=True),
            "10 of 100+ files, 1,200 failed, 1.00 GiB of 2.00 GiB+, 1.00 MiB/s, ratio 2.00, "
            "at least 17 min 04 s left",
        ),
        (
            STATE,
            Estimate(2**20, 5.0, 60.0),
            "10 of 100 files, 1.00 GiB of 2.00 GiB, 1.00 MiB/s, 1 min 00 s left",
        ),
    ],
)
def test_figures_say_what_is_known_and_no_more(progress: Progress, estimate: Estimate, text: str) -> None:
    assert figures(progress, estimate) == text


def test_without_a_terminal_there_is_a_line_every_five_seconds() -> None:
    screen = Screen()
    with screen.console.progress() as show:
        for step in range(121):
            screen.clock.now = 100 + step / 10
            show(replace(STATE, files_done=step))
    done = [int(re.match(r"copy: (\d+) of 100 files", line)[1]) for line in screen.lines()]  # type: ignore[index]
    assert done == [0, 50, 100, 120]


def test_notes_stand_between_the_lines() -> None:
    screen = Screen()
    with screen.console.progress() as show:
        show(STATE)
        screen.console.note(HOSTILE)
    assert [line[:9] for line in screen.lines()] == ["copy: 10 ", "a\\x1b]0;t"]


def test_the_end_of_a_phase_is_shown_before_the_next_one() -> None:
    screen = Screen()
    with screen.console.progress() as show:
        for phase, done in (("copy", 1), ("copy", 100), ("verify", 0), ("verify", 7)):
            show(replace(STATE, phase=phase, files_done=done))
    assert [line.split(" of")[0] for line in screen.lines()] == [
        "copy: 1",
        "copy: 100",
        "verify: 0",
        "verify: 7",
    ]


@pytest.mark.parametrize("options", [{"quiet": True}, {"progress": False}])
def test_no_progress_is_shown_where_nobody_wants_it(options: dict[str, bool]) -> None:
    screen = Screen(Terminal(), **options)
    with screen.console.progress() as show:
        show(STATE)
    assert screen.err.getvalue() == ""


@contextmanager
def bar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    yield Screen(Terminal())


def drawings(screen: Screen) -> int:
    return screen.err.getvalue().count(" files, ")


def test_on_a_terminal_the_bar_is_drawn_five_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    with bar(monkeypatch) as screen, screen.console.progress() as show:
        for step in range(1000):
            screen.clock.now = 100 + step / 1000
            show(replace(STATE, files_done=step))
        assert 5 <= drawings(screen) <= 6
    assert "999 of 100 files" in screen.err.getvalue()
    assert "50.0 %" in screen.err.getvalue()


def test_the_bar_lets_no_name_out_and_notes_stand_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with bar(monkeypatch) as screen, screen.console.progress() as show:
        show(replace(STATE, current_path=HOSTILE.encode()))
        screen.console.warn("[bold]look[/bold] " + "out " * 40)
        screen.console.note(HOSTILE)
    shown = screen.err.getvalue()
    assert shown.count("a\\x1b]0;title\\x07\\u202egpj.exe") >= 2
    assert "\x1b]0" not in shown
    assert "\u202e" not in shown
    assert "\x9b" not in shown
    assert "warning: [bold]look[/bold] " + "out " * 39 in shown


def test_the_terminal_is_put_right_when_the_job_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with bar(monkeypatch) as screen:
        with pytest.raises(ZeroDivisionError), screen.console.progress() as show:
            show(STATE)
            raise ZeroDivisionError
        assert screen.err.getvalue().endswith("\x1b[?25h")  # the cursor is visible again
        screen.console.note("after")
        assert screen.err.getvalue().endswith("after\n")
