"""Fixtures of the tests of the page; a test module takes them by `pytest_plugins`.

One browser for the session, so those modules go into one group of pytest-xdist. Every stub has a port of its
own, hence every test an origin of its own: nothing that a page keeps reaches the next test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.service.browser import Page, chromium
from tests.service.page_stub import OPERATE, StubService, stub_service


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def stub() -> Iterator[StubService]:
    with stub_service() as stub:
        yield stub


@pytest.fixture
def page(browser: Chrome, stub: StubService) -> Iterator[Page]:
    """The page of the stub, before anybody signed in; the browser must not complain of it."""
    page = Page(browser, stub.url)
    yield page
    assert page.complaints() == []
    browser.get("about:blank")


@pytest.fixture
def screen(page: Page) -> Page:
    """The page of the stub, live, in the eyes of somebody who may operate."""
    page.sign_in(OPERATE)
    page.wait_for("Live", "#connection")
    return page
