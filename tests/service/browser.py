"""A real browser for the tests of the page: Debian's headless Chromium, driven through WebDriver.

    with chromium() as driver:
        page = Page(driver, "http://127.0.0.1:1234/")

A `Page` waits for what it looks for, and knows everything the browser complained of: errors of scripts and
violations of the page's policy are always failures, failed requests unless the test names their status.
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.tools import require_tool

TIMEOUT_S = 60.0
_POLL_S = 0.02  # another process: there is no event to wait for
_T = TypeVar("_T")


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A headless browser with a profile of its own, which is gone when the block is left."""
    options = ChromeOptions()
    options.binary_location = require_tool("chromium")
    service = ChromeService(executable_path=require_tool("chromedriver"))
    with tempfile.TemporaryDirectory() as profile:
        for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", f"user-data-dir={profile}"):
            options.add_argument(f"--{argument}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options=options, service=service)
        try:
            yield driver
        finally:
            driver.quit()


class Page:
    """The page in a window."""

    def __init__(self, driver: Chrome, url: str, *, width: int = 1280, height: int = 900) -> None:
        self.driver = driver
        self.url = url
        self.allowed_statuses: set[int] = set()
        self._complaints: list[dict[str, Any]] = []
        driver.get_log("browser")  # what an earlier page left behind
        self.resize(width, height)
        self.emulate()
        driver.get(url)

    def resize(self, width: int, height: int, *, scale: float = 1, mobile: bool = False) -> None:
        """The size of the screen, in CSS pixels; a window cannot be as narrow as a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def emulate(self, *, scheme: Literal["light", "dark"] = "light", reduced_motion: bool = False) -> None:
        """What the system of the person wants."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def sign_in(self, token: str) -> None:
        """Give a token to the form."""
        field = self.find("#token")
        field.clear()
        field.send_keys(token, Keys.ENTER)

    def until(self, what: str, condition: Callable[[], _T]) -> _T:
        """Wait until a condition holds; `what` says so in the failure."""
        # An element that was there is drawn anew, or not there yet: look again.
        ignored = (NoSuchElementException, StaleElementReferenceException)
        wait = WebDriverWait(self.driver, TIMEOUT_S, poll_frequency=_POLL_S, ignored_exceptions=ignored)
        try:
            return wait.until(lambda _driver: condition())
        except TimeoutException:
            raise AssertionError(f"never: {what}; complaints: {self.complaints()}") from None

    def find(self, selector: str) -> WebElement:
        """The first visible element."""
        found = self.until(f"visible {selector}", lambda: self.visible(selector))
        return found[0]

    def visible(self, selector: str) -> list[WebElement]:
        """All elements that are visible now."""
        return [e for e in self.driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()]

    def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        return self.find(selector).text

    def wait_for(self, text: str, selector: str = "body") -> None:
        """Wait until a text can be read, in the first visible element of a selector that has it."""
        self.until(f"{text!r} in {selector}", lambda: any(text in e.text for e in self.visible(selector)))

    def wait_without(self, text: str, selector: str = "body") -> None:
        """Wait until a text cannot be read any more."""
        self.until(f"no {text!r}", lambda: not any(text in e.text for e in self.visible(selector)))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page; a promise is awaited."""
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def screenshot(self, path: Path, *, full: bool = False) -> None:
        """What is to be seen, as PNG; `full`: down to the end of the page."""
        told = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": full})
        path.write_bytes(base64.b64decode(told["data"]))

    def allow(self, *statuses: int) -> None:
        """Requests may fail with these statuses; 0 stands for a service that is not there."""
        self.allowed_statuses.update(statuses)

    def complaints(self) -> list[str]:
        """What the browser complained of, but for what is allowed."""
        self._complaints += self.driver.get_log("browser")
        return [entry["message"] for entry in self._complaints if not self._is_allowed(entry)]

    def _is_allowed(self, entry: dict[str, Any]) -> bool:
        if entry["source"] != "network":
            return False
        found = re.search(r"status of (\d+)|net::ERR_", entry["message"])
        return found is not None and int(found[1] or 0) in self.allowed_statuses

    def allow_downloads(self, directory: Path) -> None:
        """Downloads go into a directory."""
        told = {"behavior": "allow", "downloadPath": str(directory)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", told)
