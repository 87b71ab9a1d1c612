"""The pure modules of the page, run in the browser against their models in Python."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.browser import Page
from transfer.core.paths import display
from transfer.core.sizes import format_size

pytest_plugins = ["tests.service.page_fixtures"]
pytestmark = pytest.mark.xdist_group("page")

_BOUNDARIES = [
    n * 1024**power // 1000 for power in range(1, 6) for n in (995, 999, 1000, 9994, 9996, 99949, 99951)
]
_sizes = st.lists(st.integers(0, 2**53) | st.sampled_from(_BOUNDARIES), max_size=50)
# A browser lives through all examples; the function's fixture is looked at, not changed.
_live = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def call(page: Page, module: str, expression: str, *arguments: object) -> object:
    """Evaluate an expression over the exports `m` of a module and the arguments `a`."""
    return page.run(
        f"const a = arguments; return import('/page/{module}').then((m) => {expression})", *arguments
    )


@given(sizes=_sizes)
@_live
def test_sizes_read_as_on_the_command_line(page: Page, sizes: list[int]) -> None:
    assert call(page, "format.js", "a[0].map(m.size)", sizes) == [format_size(size) for size in sizes]


# What one side's Unicode has not yet assigned, the other's may have.
_names = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cn"])), max_size=50)


@given(names=_names)
@_live
def test_names_read_as_on_the_command_line(page: Page, names: list[str]) -> None:
    expected = [display(name.encode()) for name in names]
    assert call(page, "format.js", "a[0].map(m.shown)", names) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (3569, "59 min"), (3571, "1 h 00 min"),
        (7500, "2 h 05 min"), (86_399, "1 d 0 h"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_what_remains_is_told_no_finer_than_it_is_known(page: Page, seconds: float, text: str) -> None:
    assert call(page, "format.js", "m.remaining(a[0])", seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "text"), [(0, 0, 0), (999, 1000, 99), (1000, 1000, 100), (9, 8, 100)]
)
def test_a_hundred_percent_is_all(page: Page, done: int, total: int, text: int) -> None:
    assert call(page, "format.js", "m.percent(a[0], a[1])", done, total) == text


_line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)


@given(
    events=st.lists(st.tuples(st.sampled_from(["job", "device"]), _line), max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    data=st.data(),
)
@_live
def test_events_are_the_same_in_any_pieces(
    page: Page, events: list[tuple[str, str]], end: str, data: st.DataObject
) -> None:
    text = "".join(f": c{end}event: {name}{end}data: {value}{end}{end}" for name, value in events) + ":"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    parse = (
        "a[0].map((pieces) => { const p = new m.EventParser(); return pieces.flatMap((t) => p.push(t)); })"
    )
    told = call(page, "event_stream.js", parse, [pieces, list(text)])
    assert told == [[{"name": name, "data": value} for name, value in events]] * 2


def test_an_event_without_end_is_refused(page: Page) -> None:
    endless = "(() => { const p = new m.EventParser(); for (;;) p.push('x'.repeat(1 << 20)); })()"
    with pytest.raises(Exception, match="an event without end"):
        call(page, "event_stream.js", endless)


def test_characters_are_whole_though_they_come_byte_by_byte(page: Page) -> None:
    text = 'event: job\ndata: {"job_id": "grün-測試-🜚"}\n\n'
    follow = """
        new Promise((resolve) => {
          const pieces = new ReadableStream({
            start: (stream) => a[0].forEach((byte) => stream.enqueue(Uint8Array.of(byte))),
          });
          const api = { events: async () => new Response(pieces) };
          const event = (name, told) => resolve([name, told.job_id]);
          new m.Connection(api, { event, load: async () => {}, change: () => {} }).start();
        })
    """
    assert call(page, "connection.js", follow, list(text.encode())) == ["job", "grün-測試-🜚"]
