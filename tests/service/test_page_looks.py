"""The page for everybody: contrast, keyboard, small screens, themes and motion, measured in a browser."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from selenium.webdriver.common.keys import Keys

from tests.service.browser import Page
from tests.service.page_stub import (
    OPERATE,
    StubService,
    make_device,
    make_entries,
    make_job,
    make_progress,
    make_tracking,
)
from transfer.ledger.phases import Phase
from transfer.service.views import Action, CountersView

pytest_plugins = ["tests.service.page_fixtures"]
pytestmark = pytest.mark.xdist_group("page")

replace = msgspec.structs.replace
WAY = ["2026-11-18T08:00:00Z", "2026-11-18T09:00:00Z", "2026-11-19T10:00:00Z"]
LONG = "W" * 68

# Every visible text against what is painted behind it, by WCAG 2.2: relative luminance, contrast ratio.
CONTRASTS = """
const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (color) => {
  paint.clearRect(0, 0, 1, 1);
  paint.fillStyle = color;
  paint.fillRect(0, 0, 1, 1);
  return [...paint.getImageData(0, 0, 1, 1).data];
};
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const color = rgba(getComputedStyle(e).backgroundColor);
    if (color[3] === 255) return color;
    if (color[3] > 0) throw new Error("half transparent: " + e.className);
  }
  return rgba("Canvas");
};
const light = (color) => {
  const [r, g, b] = color.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const found = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
  const value = contrast(rgba(getComputedStyle(element).color), behind(element));
  found.push([Math.round(value * 100) / 100, element.className + ": " + texts.currentNode.data.slice(0, 40)]);
}
return found;
"""


def tell_everything(stub: StubService) -> None:
    """Every state of devices and jobs, with the longest names there can be."""
    stub.failures["failed"] = [*make_entries(2), *make_entries(1, "x" * 500)]
    bad = CountersView(10**9, 10**16, 3, 10**8, 10**7)
    every = [Action.RESUME, Action.PAUSE, Action.RETRY, Action.CANCEL]
    busy = make_job("busy", phase=Phase.IMPORTING, progress=make_progress(0.4), actions=every)
    stub.tell(
        make_device("a-expected", state="expected", tracking=make_tracking(WAY, "2026-11-24T12:00:00Z")),
        make_device("arriving", state="arriving", reason="pack 3 is not here yet"),
        make_device(LONG, state="refused", reason="y" * 400, job="J" * 64, ordinal=2**31),
        make_device("accepted", job_id="failed"),
        make_device("gone", state="gone"),
        busy,
        replace(busy, job_id="waiting", waiting="the store is away " * 9),
        replace(busy, job_id="paused", paused=True),
        replace(busy, job_id="verifying", phase=Phase.VERIFYING, device_job="J" * 64, ordinal=2**31,
                folder=LONG, destination=f"s3://{'b' * 63}/{'p' * 900}", counters=bad,
                progress=make_progress(0.5, 10**6, files_total=10**9, bytes_s=1e15, remaining_s=3e6)),
        replace(busy, job_id="queued", phase=Phase.RECEIVED, progress=None),
        make_job("failed", phase=Phase.FAILED, error="z" * 300, counters=bad, actions=every),
        make_job("quarantined", phase=Phase.QUARANTINED, error="damaged", counters=bad),
        make_job("complete", phase=Phase.COMPLETE, folder=None, counters=bad),
        make_job("cancelled", phase=Phase.CANCELLED),
    )  # fmt: skip


@pytest.fixture
def full(screen: Page, stub: StubService) -> Page:
    """The page with everything on it, all failures fetched, everything unfolded."""
    tell_everything(stub)
    screen.wait_for("Cancelled", "#finished")
    screen.resize(1280, 6000)
    screen.wait_for("xxx", "#job-failed .rows")
    for fold in screen.visible(".fold"):
        fold.click()
    return screen


def assert_readable(page: Page) -> None:
    """All texts have a contrast of 4.5 at least."""
    contrasts: list[tuple[float, str]] = page.run(CONTRASTS)
    assert len(contrasts) > 5
    assert [text for value, text in contrasts if value < 4.5] == []


def begin_at_the_top(page: Page) -> None:
    """The next Tab leads to the first thing of the page."""
    page.run("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(full: Page, stub: StubService, scheme: Literal["light", "dark"]) -> None:
    full.emulate(scheme=scheme, reduced_motion=True)
    assert_readable(full)
    full.find("#job-busy [data-action=cancel]").click()
    full.find("#cancel .confirm")
    assert_readable(full)
    full.press(Keys.ESCAPE)
    full.allow(503, 401)
    stub.cut()
    full.wait_for("Not live", "#stale")
    assert_readable(full)
    stub.roles.clear()
    stub.mend()
    full.wait_for("not valid any more", "#token-problem")
    assert_readable(full)


@pytest.mark.parametrize("width", [320, 390, 640, 768, 961, 1025, 1280, 2560])
def test_nothing_is_wider_than_the_screen(full: Page, width: int) -> None:
    full.resize(width, 800)
    beyond = """
        const width = document.documentElement.clientWidth;
        const isBeyond = (e) => e.checkVisibility() && e.getBoundingClientRect().right > width + 0.5;
        const found = [...document.querySelectorAll("body *:not(.unseen)")].filter(isBeyond);
        return [document.scrollingElement.scrollWidth - width, found.map((e) => e.outerHTML.slice(0, 80))];
    """
    assert full.run(beyond) == [0, []]


def test_texts_of_one_card_do_not_lie_on_each_other(full: Page) -> None:
    overlaps = """
        const texts = "bdi, .ordinal, .badge, .value, .note, .amount, .lane, li, button, time, .word";
        const found = [];
        for (const card of document.querySelectorAll(".card")) {
          const boxes = [...card.querySelectorAll(texts)].filter((e) => e.checkVisibility())
            .map((e) => [e, e.getBoundingClientRect()]);
          for (const [a, x] of boxes) for (const [b, y] of boxes) {
            if (a === b || a.contains(b) || b.contains(a)) continue;
            const w = Math.min(x.right, y.right) - Math.max(x.left, y.left);
            const h = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
            if (w > 1 && h > 1) found.push(a.textContent.slice(0, 20) + " on " + b.textContent.slice(0, 20));
          }
        }
        return found;
    """
    for width in (320, 1280):
        full.resize(width, 900)
        assert full.run(overlaps) == []


def test_numbers_that_change_move_nothing(screen: Page, stub: StubService) -> None:
    places = """
        const parts = ".totals > div, .card, .card .figures > p, progress, .actions, .badge";
        const box = (e) => Object.values(e.getBoundingClientRect().toJSON()).map(Math.round);
        return [...document.querySelectorAll(parts)].map(box);
    """
    job = make_job("a", phase=Phase.IMPORTING, actions=[Action.PAUSE], counters=CountersView(8, 8, 0, 0, 0))
    stub.tell(make_device("a", job_id="a"), replace(job, progress=make_progress(0.0625)))
    screen.wait_for("6 %", "#job-a .figures")
    before = screen.run(places)
    nothing = {"bytes_s": None, "files_s": None, "remaining_s": None}
    small = {"bytes_s": 3.0, "files_s": None, "remaining_s": 4.0}
    for part, changes in ((0.5, {}), (1.0, small), (0.25, nothing)):
        progress = make_progress(part, **changes)
        stub.tell(replace(job, progress=progress, counters=CountersView(11_111, 1 << 40, 0, 0, 0)))
        screen.wait_for(f"{part:.0%}".replace("%", " %"), "#job-a .figures")
        assert screen.run(places) == before
    # Digits as wide as each other, in whatever typeface the system has.
    assert (
        screen.run("return getComputedStyle(document.querySelector('.value')).fontVariantNumeric")
        == "tabular-nums"
    )


def test_everything_is_reached_by_keyboard_and_the_focus_can_be_seen(full: Page) -> None:
    wanted = full.run("""
        const all = document.querySelectorAll("a[href], button, summary, input");
        return [...all].filter((e) => e.checkVisibility()).length;
    """)
    assert wanted > 40
    begin_at_the_top(full)
    reached: list[dict[str, Any]] = []
    for _ in range(wanted):
        full.press(Keys.TAB)
        reached.append(
            full.run("""
                const e = document.activeElement;
                const { outlineStyle, outlineWidth } = getComputedStyle(e);
                window.seen ??= new Set();
                seen.add(e);
                return { ring: outlineStyle + outlineWidth, seen: seen.size, name: e.outerHTML.slice(0, 60) };
            """)
        )
    assert "skip" in reached[0]["name"]
    assert [one for one in reached if one["ring"] != "solid2px"] == []
    assert reached[-1]["seen"] == wanted


def test_the_skip_link_leads_to_the_jobs(screen: Page) -> None:
    begin_at_the_top(screen)
    screen.press(Keys.TAB)
    screen.press(Keys.ENTER)
    screen.until("at the jobs", lambda: screen.run("return document.activeElement.id") == "jobs")


def test_buttons_name_their_job_and_regions_have_names(full: Page) -> None:
    nodes = full.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]
    names = [name for role, name in named if role == "button"]
    assert "Pause busy, device 1" in names
    assert "Details of complete, device 1" in names
    assert "Download report.html of failed, device 1" in names
    assert all(names)
    assert {("main", ""), ("banner", ""), ("region", "Jobs"), ("status", "")} <= set(named)
    assert "busy, device 1: imported" in [name for role, name in named if role == "progressbar"]
    assert "" not in [name for role, name in named if role in ("progressbar", "link", "heading", "region")]


def test_the_focus_stays_with_its_job_when_jobs_change_places(screen: Page, stub: StubService) -> None:
    job = make_job("b", phase=Phase.IMPORTING, created="2026-11-22T09:00:00Z", actions=[Action.PAUSE])
    stub.tell(make_job("a", phase=Phase.IMPORTING), job)
    screen.find("#job-b [data-action=pause]")
    screen.run("document.querySelector('#job-b [data-action=pause]').focus()")
    stub.tell(make_job("a", phase=Phase.RECEIVED))
    screen.wait_for("Queued", "#job-a")
    assert screen.run("return document.activeElement.dataset.action") == "pause"
    stub.tell(replace(job, phase=Phase.FAILED, actions=[]))
    screen.wait_for("Failed", "#job-b")
    assert screen.run("return document.activeElement.closest('.card').id") == "job-b"


def test_the_theme_is_that_of_the_system_until_another_is_chosen(screen: Page) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = screen.run(ground)
    screen.emulate(scheme="dark")
    dark = screen.run(ground)
    assert light != dark
    screen.find("#theme").click()
    assert screen.text("#theme") == "Light"
    assert screen.run(ground) == light
    screen.driver.refresh()
    screen.wait_for("Light", "#theme")
    assert screen.run(ground) == light
    screen.find("#theme").click()
    screen.emulate(scheme="light")
    assert screen.run(ground) == dark
    screen.find("#theme").click()
    assert screen.text("#theme") == "Auto"
    assert screen.run(ground) == light


def test_who_wants_no_motion_gets_none(full: Page) -> None:
    moving = """
        const all = [...document.querySelectorAll("*")].flatMap((e) => [
            getComputedStyle(e), getComputedStyle(e, "::-webkit-progress-value")]);
        return all.filter((s) => parseFloat(s.transitionDuration) > 0 || s.animationName !== "none").length;
    """
    assert full.run(moving) > 0
    full.emulate(reduced_motion=True)
    assert full.run(moving) == 0


def test_the_form_works_without_a_mouse_and_says_what_becomes_of_the_token(page: Page) -> None:
    page.find("#token")
    page.until("focus", lambda: page.run("return document.activeElement.id") == "token")
    assert "until the tab is closed" in page.text("#sign-in")
    page.press(OPERATE, Keys.TAB, Keys.NULL)
    page.press(Keys.ENTER)
    page.wait_for("Live", "#connection")
