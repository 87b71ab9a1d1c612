"""The page of a real `transfer serve`: devices are brought to its dock, a person watches and acts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.jobs.buckets import Bucket, make_bucket
from tests.jobs.shipment import files_of, transfer
from tests.service.browser import Page
from tests.simulators.servers import S3Server, program, rclone_s3

pytest_plugins = ["tests.service.page_fixtures"]
pytestmark = pytest.mark.xdist_group("page")

Serve = Callable[..., Page]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with rclone_s3(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def bucket(server: S3Server, request: pytest.FixtureRequest) -> Bucket:
    name = "page-" + request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    return make_bucket(server, name, "rclone")


@pytest.fixture
def serve(bucket: Bucket, dock: Path, tmp_path: Path, browser: Chrome) -> Iterator[Serve]:
    """Start `transfer serve` on the dock, open its page in the browser and sign in as an operator."""
    state = tmp_path / "state"
    with ExitStack() as running:

        def start(*arguments: str) -> Page:
            added = transfer("tokens", "add", "rack", "--role", "operate", "--state", state, "--json")
            url = running.enter_context(_serving(bucket, dock, state, *arguments))
            page = Page(browser, url)
            running.callback(browser.get, "about:blank")
            page.sign_in(added.document["token"])
            page.wait_for("Live", "#connection")
            return page

        yield start


@contextmanager
def _serving(bucket: Bucket, dock: Path, state: Path, *arguments: str) -> Iterator[str]:
    place = ["--dock", str(dock), "--bucket", f"s3://{bucket.name}/in", "--state", str(state)]
    endpoint = ["--endpoint-url", bucket.server.endpoint_url, "--port", "0", "--settle", "1s"]
    with (
        (state.parent / "serve.log").open("wb") as log,
        subprocess.Popen(
            [program("transfer"), "serve", *place, *endpoint, "--workers", "2", "--json", *arguments],
            env={**os.environ, **bucket.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["listening"]
        finally:
            process.terminate()
            code = process.wait(30)
    assert code == 0


def test_a_device_is_shown_through_to_complete(
    serve: Serve, pristine: Path, site: Path, dock: Path, bucket: Bucket, tmp_path: Path
) -> None:
    page = serve("--bwlimit", "300k")
    assert "No job yet" in page.text("#no-jobs")
    assert transfer("ship", pristine, dock, "--days", "2", "-q").code == 0
    page.wait_for("Importing", ".job .badge")
    page.wait_for("Accepted", ".device .badge")
    assert f"s3://{bucket.name}/in" in page.text(".job .route")
    page.find("[data-action=pause]").click()
    page.wait_for("Paused", ".job .badge")
    page.find("[data-action=resume]").click()
    page.wait_for("Complete", ".job .badge")

    files = files_of(site / "source", "in/")
    assert f"{len(files)} objects" in page.text(".job .summary")
    assert {key: bucket.read(key) for key in bucket.listed()} == files
    page.wait_for("Docked", ".tracking summary")
    page.allow_downloads(tmp_path)
    page.find(".job .fold").click()
    page.find(".job [data-file='success.csv']").click()
    saved = tmp_path / "test-1-success.csv"
    page.until("the download", saved.exists)
    assert all(key in saved.read_text() for key in files)
    assert page.complaints() == []


def test_a_damaged_device_shows_why(serve: Serve, pristine: Path, dock: Path, bucket: Bucket) -> None:
    assert (
        transfer("ship", pristine, dock, "--days", "2", "--fault", "bitflip:1", "--seed", "7", "-q").code == 0
    )
    page = serve()
    page.wait_for("Quarantined", "#attention .job .badge")
    page.until("the failures", lambda: page.visible("#attention .rows li"))
    failed = {row.text.splitlines()[0] for row in page.visible("#attention .rows li")}
    assert failed
    assert not failed & bucket.listed()
    assert "damaged" in page.text("#attention .rows .why")
    assert page.text("#attention .plate")
    page.find("[data-file='repair.txt']")
    assert page.text("#total-attention") == "1"
    assert page.complaints() == []


def test_a_device_that_is_not_sealed_is_refused_with_a_reason(
    serve: Serve, pristine: Path, dock: Path
) -> None:
    page = serve()
    (dock / "half").mkdir()
    (dock / "half" / "DEVICE.json").write_bytes((pristine / "DEVICE.json").read_bytes())
    page.wait_for("Refused", ".device .badge")
    assert "seal" in page.text(".device .plate").lower()
    assert "No job yet" in page.text("#no-jobs")
    assert page.complaints() == []
