"""The page and its token, and the page and its connection: what is not live is never shown as live."""

from __future__ import annotations

import msgspec
import pytest

from tests.service.browser import Page
from tests.service.page_stub import OPERATE, StubService, make_device, make_job, make_progress
from transfer.ledger.phases import Phase
from transfer.service.views import Action

pytest_plugins = ["tests.service.page_fixtures"]
pytestmark = pytest.mark.xdist_group("page")

replace = msgspec.structs.replace


@pytest.mark.parametrize("token", ["trt_wrong", "trt_späť", "two words", "x" * 256])
def test_a_wrong_token_is_refused_in_words_and_not_kept(page: Page, stub: StubService, token: str) -> None:
    page.allow(401)
    page.sign_in(token)
    page.wait_for("This token is not valid here.", "#token-problem")
    assert page.run("return sessionStorage.length + localStorage.length") == 0
    page.sign_in(OPERATE)
    page.wait_for("Live", "#connection")


def test_a_good_token_is_kept_for_the_tab_alone_until_it_signs_out(screen: Page) -> None:
    assert screen.run("return [Object.values(sessionStorage), Object.values(localStorage)]") == [
        [OPERATE],
        [],
    ]
    assert OPERATE not in screen.run("return document.documentElement.outerHTML + location + document.cookie")
    screen.driver.refresh()
    screen.wait_for("Live", "#connection")
    screen.find("#sign-out").click()
    screen.find("#token")
    assert screen.run("return sessionStorage.length") == 0
    screen.driver.refresh()
    screen.find("#token")


def test_a_service_that_does_not_answer_is_no_wrong_token(page: Page, stub: StubService) -> None:
    page.allow(503)
    stub.cut()
    page.sign_in(OPERATE)
    page.wait_for("The service stops.", "#token-problem")
    stub.mend()
    page.find("#sign-in .primary").click()
    page.wait_for("Live", "#connection")


def test_a_token_that_is_revoked_later_brings_the_form_back(screen: Page, stub: StubService) -> None:
    stub.tell(make_device("secret"), make_job("secret", phase=Phase.IMPORTING, actions=[Action.PAUSE]))
    screen.wait_for("secret", "#dock")
    screen.allow(401)
    stub.roles.clear()
    screen.find("[data-action=pause]").click()
    screen.wait_for("not valid any more", "#token-problem")
    assert "secret" not in screen.run("return document.documentElement.outerHTML")
    assert screen.run("return sessionStorage.length") == 0
    screen.until("nobody follows", lambda: not stub.watchers)


def test_a_token_that_expires_is_noticed_at_the_next_connection(screen: Page, stub: StubService) -> None:
    screen.allow(401)
    stub.roles.clear()
    stub.end_streams()
    screen.wait_for("not valid any more", "#token-problem")


def test_a_lost_connection_is_shown_and_taken_up_again(screen: Page, stub: StubService) -> None:
    job = make_job("a", phase=Phase.IMPORTING, progress=make_progress(0.25))
    stub.tell(make_device("a"), make_device("b"), job)
    screen.wait_for("212 MiB/s", "#total-rate")
    screen.allow(503)
    stub.cut()
    screen.wait_for("Reconnecting since", "#connection")
    screen.wait_for("The service stops.", "#stale")
    assert "Not live: last news" in screen.text("#stale")
    screen.wait_for("not live", "#note-rate")
    assert "MiB/s" not in screen.text("#total-rate")
    # What happens meanwhile is there when it is live again: changed, come, and gone.
    stub.tell(replace(job, progress=make_progress(0.75)), make_device("c"))
    del stub.devices["b"]
    stub.mend()
    screen.find("#stale button").click()
    screen.wait_for("Live", "#connection")
    screen.wait_for("75 %", "#job-a .figures")
    screen.until("a and c", lambda: [title.text for title in screen.visible("#dock h3")] == ["a", "c"])
    assert not screen.visible("#stale")


def test_a_service_that_stops_in_order_is_found_again_without_a_hand(screen: Page, stub: StubService) -> None:
    stub.end_streams()
    screen.wait_for("Reconnecting", "#connection")
    screen.wait_for("Live", "#connection")


def test_silence_is_shown_as_silence(page: Page, stub: StubService) -> None:
    # A clock that the test can put forward, under a page that has not yet looked at it.
    script = "window.forward = 0; const now = Date.now; Date.now = () => now() + forward;"
    told = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    page.driver.refresh()
    page.sign_in(OPERATE)
    page.wait_for("Live", "#connection")
    page.run("forward = 25_000")
    page.wait_for("No news", "#connection")
    assert "last news 25 s ago" in page.text("#stale")
    page.wait_for("not live", "#note-rate")
    stub.send_raw(b": alive\n\n")
    page.wait_for("Live", "#connection")
    # Silence beyond all patience: the connection is given up and made anew.
    asked = stub.asked.count("GET /v1/events")
    page.run("forward = 100_000")
    page.until("a new connection", lambda: stub.asked.count("GET /v1/events") > asked)
    page.wait_for("Live", "#connection")
    page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", told)


def test_events_come_in_any_pieces(screen: Page, stub: StubService) -> None:
    encoded = msgspec.json.encode(make_device("grün-測試", state="arriving", reason="é"))
    event = b"event: device\r\ndata: " + encoded + b"\r\n\r\n"
    stub.send_raw(*(event[start : start + 3] for start in range(0, len(event), 3)))
    screen.wait_for("grün-測試", "#dock h3")


def test_nonsense_on_the_stream_is_a_broken_connection(screen: Page, stub: StubService) -> None:
    stub.send_raw(b"event: job\ndata: {nonsense\n\n")
    screen.wait_for("The connection broke off.", "#stale")
    screen.wait_for("Live", "#connection")
