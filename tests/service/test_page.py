"""The page in a real browser: what it shows of the dock, and what it lets a person do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.service.browser import Page
from tests.service.page_stub import (
    GIB,
    READ,
    StubService,
    make_device,
    make_entries,
    make_job,
    make_progress,
    make_tracking,
)
from transfer.ledger.phases import Phase
from transfer.service.views import Action, CountersView, EntryView

pytest_plugins = ["tests.service.page_fixtures"]
pytestmark = pytest.mark.xdist_group("page")

ALL = [Action.PAUSE, Action.CANCEL]
HOSTILE = "<img src=x onerror=alert(1)>"
replace = msgspec.structs.replace


def test_an_empty_dock_says_what_to_do(screen: Page) -> None:
    screen.wait_for("No job yet", "#no-jobs")
    assert "transfer ship DEVICE DOCK" in screen.text("#no-jobs")
    assert "No device is here" in screen.text("#no-devices")
    assert screen.text("#total-devices") == "0"


def test_a_device_is_shown_from_its_arrival_to_the_end_of_its_job(screen: Page, stub: StubService) -> None:
    stub.tell(make_device("survey", state="arriving", reason="pack 3 of 9 is not here yet"))
    screen.wait_for("Arriving", ".device .badge")
    assert "pack 3 of 9 is not here yet" in screen.text(".device")
    job = make_job("survey", phase=Phase.IMPORTING, progress=make_progress(0.5), actions=ALL)
    stub.tell(make_device("survey", job_id="survey"), job)
    screen.wait_for("Job: importing, 50 %", ".device")
    card = screen.text("#job-survey")
    assert "s3://archive/survey/" in card
    assert "50 %\nimported, 6,000 of 12,000 files" in card
    assert "212 MiB/s\n18 files/s" in card
    assert "6 min left" in card
    assert "Verified\n79.0 GiB of 149 GiB\nImported\n74.5 GiB of 149 GiB" in card
    bars = [bar.get_attribute("value") for bar in screen.visible("#job-survey progress")]
    assert bars == ["0.53", "0.5"]
    done = replace(
        job, phase=Phase.COMPLETE, progress=None, counters=CountersView(12_000, 149 * GIB, 0, 0, 0)
    )
    stub.tell(replace(done, actions=[]))
    screen.wait_for("Complete", "#finished .badge")
    assert "12,000 objects, 149 GiB" in screen.text("#job-survey .summary")
    assert screen.text("#total-moving") == "0"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"remaining_s": None}, "no estimate yet"),
        ({"bytes_s": None, "files_s": None}, "no rate yet"),
        ({"bytes_total": 0, "bytes_imported": 0, "bytes_verified": 0}, "50 %"),  # empty files alone
    ],
)
def test_what_is_not_known_is_not_made_up(
    screen: Page, stub: StubService, changes: dict[str, Any], said: str
) -> None:
    stub.tell(make_job("a", phase=Phase.IMPORTING, progress=make_progress(0.5, **changes)))
    screen.wait_for(said, "#job-a .figures")


def test_the_end_of_a_verification_is_not_the_end_of_its_job(screen: Page, stub: StubService) -> None:
    stub.tell(
        make_job(
            "a", phase=Phase.VERIFYING, progress=make_progress(0, bytes_verified=50 * GIB, remaining_s=300)
        )
    )
    screen.wait_for("at least 5 min", "#job-a .figures")
    assert "33 %\nverified" in screen.text("#job-a .figures")
    assert screen.text("#total-end").startswith("after ")


def test_all_is_done_when_the_last_is_and_later_where_one_waits(screen: Page, stub: StubService) -> None:
    stub.tell(
        make_job("a", phase=Phase.IMPORTING, progress=make_progress(0.5, remaining_s=60)),
        make_job("b", phase=Phase.IMPORTING, progress=make_progress(0.5, remaining_s=7200)),
    )
    screen.wait_for("in 2 h 00 min", "#note-end")
    assert screen.text("#total-rate") == "424 MiB/s"
    stub.tell(make_job("b", phase=Phase.IMPORTING, waiting="no room", progress=make_progress(0.5)))
    screen.wait_for("at least 1 min", "#note-end")
    assert "no room" in screen.text("#job-b .plate")
    assert "no estimate while it waits" in screen.text("#job-b .figures")


def test_a_job_that_waits_says_until_when_by_the_clock_of_who_looks(screen: Page, stub: StubService) -> None:
    script = "Emulation.setTimezoneOverride"
    screen.driver.execute_cdp_cmd(script, {"timezoneId": "Asia/Tokyo"})
    screen.driver.refresh()  # clocks are made when the page is
    stub.tell(
        make_job("a", phase=Phase.IMPORTING, waiting="the store is away; tried again at 2026-02-03T19:41:00Z")
    )
    screen.wait_for("the store is away; tried again at 4 Feb", "#job-a .plate")
    assert "04:41" in screen.text("#job-a .plate")
    screen.driver.execute_cdp_cmd(script, {"timezoneId": ""})


def test_a_refused_device_says_why_and_counts_as_one_that_needs_attention(
    screen: Page, stub: StubService
) -> None:
    stub.tell(
        make_device("a"), make_device("b", state="refused", reason="no SEAL.json", job=None, size_bytes=None)
    )
    screen.wait_for("no SEAL.json", ".device .plate")
    assert [title.text for title in screen.visible("#dock h3")] == ["b", "a"]
    assert screen.text("#total-attention") == "1"
    assert "1 device" in screen.text("#note-attention")
    assert screen.driver.title == "1 need attention · Ingest dock"


def test_the_way_of_a_shipment_is_a_line_of_steps_with_times(screen: Page, stub: StubService) -> None:
    way = ["2026-11-18T08:00:00Z", "2026-11-18T09:00:00Z", "2026-11-19T10:00:00Z"]
    due = "2026-11-24T12:00:00Z"
    stub.tell(make_device("a", state="expected", tracking=make_tracking(way, due)))
    screen.wait_for("In transit, due 24 Nov", ".tracking summary")
    steps = screen.visible(".steps li")
    assert [step.get_attribute("data-reached") for step in steps] == ["yes", "yes", "yes", "no", "no"]
    assert [step.get_attribute("aria-current") for step in steps] == [None, None, "step", None, None]
    assert [time.get_attribute("datetime") for time in screen.visible(".steps time")] == way
    papers = [*way, "2026-11-24T12:00:00Z", "2026-11-24T12:30:00Z"]
    real = [*way, "2026-11-19T10:00:03Z", "2026-11-19T10:00:04Z"]
    stub.tell(make_device("a", tracking=make_tracking(real, due, simulated=papers)))
    screen.wait_for("Docked 24 Nov", ".tracking summary")
    assert not screen.visible(".steps")  # folded up, now that it is here
    screen.find(".tracking summary").click()
    assert "the drill itself went faster" in screen.text(".tracking")


def test_what_others_named_is_text_and_turns_nothing_around(screen: Page, stub: StubService) -> None:
    key = f"{HOSTILE}\u202egpj.exe"
    tracking = make_tracking(["2026-11-18T08:00:00Z"], "not a time")
    stub.failures["a"] = [EntryView(key, 1, "", "", HOSTILE), EntryView("x" * 1024, 1, "", "", "y" * 2000)]
    stub.tell(
        make_device(HOSTILE, job=HOSTILE, state="refused", reason=f"{HOSTILE}\x1b[31m", device_id=HOSTILE,
                    tracking=replace(tracking, source=HOSTILE, shipment_id=HOSTILE)),
        make_job("a", device_job=HOSTILE, folder=HOSTILE, destination=f"s3://{HOSTILE}", error=HOSTILE,
                 phase=Phase.FAILED, counters=CountersView(0, 0, 2, 0, 0), actions=[Action.RETRY]),
        make_job("b", device_job=HOSTILE, phase=Phase.IMPORTING, waiting=HOSTILE),
    )  # fmt: skip
    screen.wait_for(f"{HOSTILE}\\u202egpj.exe", "#job-a .rows")
    assert f"{HOSTILE}\\x1b[31m" in screen.text(".device .plate")
    assert not screen.driver.find_elements(By.CSS_SELECTOR, "main img, main script")
    assert "\u202e" not in screen.run("return document.documentElement.outerHTML")


def test_failures_are_fetched_when_somebody_looks_and_a_page_at_a_time(
    screen: Page, stub: StubService
) -> None:
    stub.failures["a"] = make_entries(45)
    failing = make_job("a", phase=Phase.IMPORTING, counters=CountersView(9, 9, 45, 0, 0))
    stub.tell(failing)
    screen.wait_for("45 failures", "#job-a .toggle")
    assert not [asked for asked in stub.asked if "failures" in asked]
    screen.find("#job-a .toggle").click()
    screen.until("20 rows", lambda: len(screen.visible("#job-a .rows li")) == 20)
    assert "pack 3 frame 12: BLAKE3 differs" in screen.text("#job-a .rows")
    for rows in (40, 45):
        screen.find("#job-a .failures .more").click()
        screen.until(f"{rows} rows", lambda rows=rows: len(screen.visible("#job-a .rows li")) == rows)  # type: ignore[misc]
    assert not screen.visible("#job-a .failures .more")
    # More fall: what is shown stays, and more can be asked for.
    stub.failures["a"] = make_entries(46)
    stub.tell(replace(failing, counters=CountersView(9, 9, 46, 0, 0)))
    screen.wait_for("1 left", "#job-a .failures .more")
    assert len(screen.visible("#job-a .rows li")) == 45


def test_a_job_that_needs_attention_shows_its_failures_by_itself(screen: Page, stub: StubService) -> None:
    stub.failures["a"] = make_entries(1, "the store has no room")
    moving = make_job("a", phase=Phase.IMPORTING, counters=CountersView(9, 9, 1, 0, 0))
    stub.tell(moving)
    screen.wait_for("1 failure", "#job-a .toggle")
    stub.tell(replace(moving, phase=Phase.QUARANTINED, error="1 file is damaged"))
    screen.wait_for("the store has no room", "#attention .rows")
    assert "1 file is damaged" in screen.text("#attention .plate")


def test_failures_that_are_tried_again_are_forgotten(screen: Page, stub: StubService) -> None:
    stub.failures["a"] = make_entries(2, "no room")
    failed = make_job("a", phase=Phase.FAILED, counters=CountersView(9, 9, 2, 0, 0))
    stub.tell(failed)
    screen.wait_for("no room", "#job-a .rows")
    stub.tell(replace(failed, phase=Phase.IMPORTING, counters=CountersView(9, 9, 0, 0, 0)))
    screen.wait_for("0 failed", "#job-a .counters")
    stub.failures["a"] = make_entries(1, "still no room")
    stub.tell(replace(failed, counters=CountersView(9, 9, 1, 0, 0)))
    screen.wait_for("still no room", "#job-a .rows")
    assert len(screen.visible("#job-a .rows li")) == 1


def test_pause_and_resume_ask_the_service_and_show_its_answer(screen: Page, stub: StubService) -> None:
    moving = make_job("a", phase=Phase.IMPORTING, progress=make_progress(0.5), actions=ALL)
    paused = replace(moving, paused=True, progress=None, actions=[Action.RESUME, Action.CANCEL])
    stub.answers = {Action.PAUSE: lambda _job: paused, Action.RESUME: lambda _job: moving}
    stub.tell(moving)
    screen.find("[data-action=pause]").click()
    screen.wait_for("Paused", "#job-a .badge")
    assert "POST /v1/jobs/a/pause" in stub.asked
    assert not screen.visible("[data-action=pause]")
    screen.find("[data-action=resume]").click()
    screen.wait_for("Importing", "#job-a .badge")


def test_cancel_asks_first(screen: Page, stub: StubService) -> None:
    moving = make_job("a", phase=Phase.IMPORTING, actions=ALL)
    stub.answers = {Action.CANCEL: lambda job: replace(job, phase=Phase.CANCELLED, actions=[])}
    stub.tell(moving)
    screen.find("[data-action=cancel]").click()
    assert "Cancel the import of a, device 1?" in screen.text("#cancel")
    screen.press(Keys.ENTER)  # the focus is on the harmless one
    screen.until("the question is gone", lambda: not screen.visible("#cancel"))
    screen.find("[data-action=cancel]").click()
    screen.press(Keys.ESCAPE)
    screen.until("the question is gone", lambda: not screen.visible("#cancel"))
    assert not [asked for asked in stub.asked if asked.startswith("POST")]
    screen.find("[data-action=cancel]").click()
    screen.find("#cancel .confirm").click()
    screen.wait_for("Cancelled", "#job-a .badge")


def test_what_the_service_will_not_do_is_said_at_the_job(screen: Page, stub: StubService) -> None:
    screen.allow(409)
    stub.answers = {Action.RETRY: (409, "Its device is not in the dock.")}
    stub.tell(make_job("a", phase=Phase.FAILED, error="device gone", actions=[Action.RETRY]))
    screen.find("[data-action=retry]").click()
    screen.wait_for("Not taken up again: Its device is not in the dock.", "#job-a .problem")
    assert screen.find("[data-action=retry]").get_attribute("aria-disabled") is None


def test_who_may_only_look_sees_no_buttons_that_change_anything(page: Page, stub: StubService) -> None:
    stub.tell(make_job("a", phase=Phase.FAILED, error="full", actions=[Action.RETRY, Action.CANCEL]))
    page.sign_in(READ)
    page.wait_for("full", "#job-a")
    assert "may look" in page.text("#who")
    assert not page.visible("[data-action]")


def test_the_files_of_a_report_are_downloaded_with_the_token(
    screen: Page, stub: StubService, tmp_path: Path
) -> None:
    screen.allow_downloads(tmp_path)
    screen.allow(404)
    stub.files["a"] = {"report.html": b"<h1>Report</h1>", "report.json": b"{}", "failure.csv": b"key\n"}
    stub.tell(make_job("a", device_job="survey/..", phase=Phase.FAILED, counters=CountersView(1, 1, 1, 0, 0)))
    for name, content in stub.files["a"].items():
        screen.find(f"#job-a [data-file='{name}']").click()
        saved = tmp_path / f"survey_..-1-{name}"
        screen.until(f"{saved} is there", lambda saved=saved: saved.exists())  # type: ignore[misc]
        assert saved.read_bytes() == content
    assert not screen.visible("[data-file='skipped.csv']")  # nothing was
    screen.find("#job-a [data-file='success.csv']").click()
    screen.wait_for("success.csv could not be fetched. It is not written yet.", "#job-a")


def test_a_finished_job_unfolds_and_stays_so(screen: Page, stub: StubService) -> None:
    done = make_job("a", phase=Phase.COMPLETE, counters=CountersView(7, 7, 0, 3, 0))
    stub.tell(done)
    screen.find("#job-a .fold").click()
    assert "3 skipped" in screen.text("#job-a .counters")
    stub.tell(replace(done, counters=CountersView(7, 7, 0, 4, 0)))
    screen.wait_for("4 skipped", "#job-a .counters")
    assert screen.find("#job-a .fold").get_attribute("aria-expanded") == "true"


def test_older_jobs_come_page_by_page(screen: Page, stub: StubService) -> None:
    stub.older = [
        make_job(f"old-{number}", phase=Phase.COMPLETE, changed=f"2026-01-01T00:00:{number % 60:02}Z")
        for number in range(70)
    ]
    screen.driver.refresh()
    screen.find("#older").click()
    screen.until("50 jobs", lambda: len(screen.visible("#finished .job")) == 50)
    screen.find("#older").click()
    screen.until("70 jobs", lambda: len(screen.visible("#finished .job")) == 70)
    assert not screen.visible("#older")


def test_thousands_of_devices_and_jobs_leave_the_page_at_hand(screen: Page, stub: StubService) -> None:
    screen.run("""
        window.longest = 0;
        let last = performance.now();
        setInterval(() => {
          longest = Math.max(longest, performance.now() - last);
          last = performance.now();
        }, 5);
    """)
    devices = [make_device(f"device-{number:04}", job_id=f"j{number}") for number in range(4000)]
    jobs = [
        make_job(
            f"j{number}",
            phase=Phase.IMPORTING,
            progress=make_progress(0.1),
            created=f"2026-01-01T00:{number:04}",
        )
        for number in range(4000)
    ]
    stub.tell(*devices, *jobs)
    screen.wait_for("4,000", "#total-devices")
    for part in (0.25, 0.5, 0.75):  # everything moves
        stub.tell(*(replace(job, progress=make_progress(part)) for job in jobs))
        screen.wait_for(f"{part:.0%}".replace("%", " %"), "#job-j29 .figures")
    assert screen.run("return longest") < 2500  # of a machine that does other things as well
    assert len(screen.driver.find_elements(By.CSS_SELECTOR, ".card")) == 70  # 30 jobs and 40 devices
    screen.find("#dock > .more").click()
    screen.until("more devices", lambda: len(screen.visible(".device")) == 80)
    assert "3,920 left" in screen.text("#dock > .more")
    # A job that is not among those shown is brought before the eyes.
    screen.find(".device:nth-child(70) .link a").click()
    screen.until(
        "the job", lambda: screen.run("return document.activeElement.closest('.card').id") == "job-j69"
    )


def test_phases_are_announced_and_numbers_are_not(screen: Page, stub: StubService) -> None:
    screen.run("""
        window.said = [];
        const announcer = document.getElementById("announcer");
        new MutationObserver(() => said.push(announcer.textContent)).observe(announcer, { childList: true });
    """)
    job = make_job("a", phase=Phase.IMPORTING, progress=make_progress(0.1))
    stub.tell(job)
    screen.until("it is said", lambda: screen.run("return said") == ["a, device 1: importing"])
    for part in (0.25, 0.5):
        stub.tell(replace(job, progress=make_progress(part)))
        screen.wait_for(f"{part:.0%}".replace("%", " %"), "#job-a .figures")
    stub.tell(*(make_job(f"b{number}", phase=Phase.IMPORTING) for number in range(9)))
    screen.until("one sentence", lambda: screen.run("return said")[1:] == ["9 changes at the dock"])
    stub.tell(replace(job, phase=Phase.COMPLETE, progress=None))
    screen.until("the end", lambda: screen.run("return said")[2:] == ["a, device 1: complete"])
