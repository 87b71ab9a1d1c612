"""The page: whole, harmless whatever the names say, and never claiming more than the report has."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transfer.core.samples import Sample
from transfer.formats.report import (
    CustodyEvent,
    ImportReport,
    Reason,
    ReportedEntry,
    ReportedFinding,
    State,
    encode_report,
)
from transfer.formats.report_html import render_report

STATES: tuple[State, ...] = get_args(State)
SEAL = "0123456789abcdef" * 4
ANY = st.text(st.characters(), min_size=1, max_size=30) | st.text(
    st.sampled_from("<>&\"'/= `\n\u202e\0"), min_size=1
)
EMPTY = {"meta", "wbr"}
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "header",
    "section",
    "footer",
    "div",
    "p",
    "span",
}
TAGS |= {
    "h1",
    "h2",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "strong",
    "code",
    "bdi",
    "svg",
    "text",
    "line",
    "circle",
}
TAGS |= {"polygon", "polyline"}
ATTRIBUTES = {"class", "lang", "charset", "http-equiv", "content", "name", "role", "viewbox", "points", "r"}
ATTRIBUTES |= {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy"}


def report(**fields: Any) -> ImportReport:
    told: dict[str, Any] = {
        "state": "complete",
        "device_id": "5f0d6a52-9a0e-4c6b-9f5d-0f1f6d1c2b3a",
        "job": "survey-2026",
        "ordinal": 1,
        "seal_blake3": SEAL,
        "bucket": "archive",
        "prefix": "survey/",
        "endpoint": "https://s3.example:9000",
        "started": "2026-05-04T16:27:02Z",
        "finished": "2026-05-04T19:32:21Z",
        "elapsed_s": 100.0,
        "verified_by": "CRC64NVME",
        "objects": 2000,
        "bytes": 400 << 20,
        "failures": 0,
        "superseded": 0,
        "folders_implied": 0,
        "symlinks_skipped": 0,
        "findings": [],
        "uploads_left": [],
        "bytes_verified": 400 << 20,
        "device_sealed": "2026-05-04T16:20:41Z",
        "written": "2026-05-04T19:32:21Z",
    }
    return ImportReport(**(told | fields))


class Page(HTMLParser):
    """What an independent parser sees: balanced tags of known kinds, and the text."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.pieces: list[str] = []
        self.feed(content.decode())
        self.close()
        assert self.open == []
        assert {tag for tag, _ in self.tags} <= TAGS
        assert {name for _, attributes in self.tags for name, _ in attributes} <= ATTRIBUTES

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def handle_decl(self, decl: str) -> None:
        assert decl == "doctype html"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.pieces.append(data)


def page(**fields: Any) -> Page:
    return Page(render_report(report(**fields)))


def hostile(text: str, **fields: Any) -> ImportReport:
    """A report with one text wherever somebody else may choose it."""
    entry = ReportedEntry(text, 1, text)
    return report(
        device_id=text,
        job=text,
        bucket=text,
        prefix=text,
        endpoint=text,
        verified_by=text,
        error=text,
        host=text,
        program=text,
        failures=1,
        skipped=1,
        findings=[ReportedFinding(code=text, file=text, frame=1, path=text, detail=text)],
        uploads_left=[text],
        failure_reasons=[Reason(text, 1, 1, [entry])],
        skipped_reasons=[Reason(text, 1, 1, [entry])],
        failure_examples=[entry],
        **fields,
    )


@settings(max_examples=50)
@given(text=ANY, state=st.sampled_from(STATES))
@example(text='<script>alert(1)</script><img src=x onerror="x">', state="damaged")
@example(text="</title></style></main><!--", state="partial")
@example(text="\u202e\x1b[2J\x00\ud800\u2028", state="failed")
def test_no_text_changes_what_the_page_is_made_of(text: str, state: State) -> None:
    content = render_report(hostile(text, state=state))
    assert all(c == "\n" or c.isprintable() for c in content.decode())
    escapes = ("span", (("class", "escape"),))
    tags = [tag for tag in Page(content).tags if tag != escapes]
    assert tags == Page(render_report(hostile("x" * len(text), state=state))).tags


@settings(max_examples=30)
@given(text=ANY)
def test_times_that_are_none(text: str) -> None:
    custody = [CustodyEvent(text, text, text)]
    Page(
        render_report(report(started=text, finished=text, written=text, device_sealed=text, custody=custody))
    )


def test_nothing_is_fetched_and_nothing_runs() -> None:
    content = render_report(
        report(samples=[Sample(0, 0, 0), Sample(1, 1, 1)], custody=[CustodyEvent("a", "b")])
    ).decode()
    policies = [dict(attributes) for tag, attributes in Page(content.encode()).tags if tag == "meta"]
    assert any((policy.get("content") or "").startswith("default-src 'none';") for policy in policies)
    outside_text = (
        "".join(re.findall(r"<[^>]*>", content)) + re.findall(r"<style>(.*)</style>", content, re.DOTALL)[0]
    )
    assert not re.search(r"//|url\(|@import|javascript|expression", outside_text)


def test_names_are_whole_or_visibly_cut() -> None:
    entries = [ReportedEntry("a&b  <c>", 0, "why"), ReportedEntry("k" * 500 + "e" * 524, 0, "why")]
    seen = page(state="partial", failures=2, failure_reasons=[Reason("why", 2, 0, entries)])
    assert "a&b  <c>" in seen.pieces
    assert "k" * 120 + " … " + "e" * 120 in seen.pieces
    assert max(map(len, seen.pieces)) < 500


HEADLINES = {
    "running": "Still running As of 2026-05-04 19:32:21 UTC, 2,000 objects are in the bucket.",
    "complete": "Complete Every entry of the device is in the bucket.",
    "partial": "Incomplete 3 entries are not in the bucket as they should be. All that was read from the "
    "device is what its manifest says.",
    "damaged": "Damaged The device is not what its manifest says. Only what its digests confirm was "
    "imported. 3 entries are not in the bucket as they should be.",
    "interrupted": "Interrupted The import was stopped before its end. 2,000 objects are in the bucket.",
    "failed": "Failed The import could not come to its end. 2,000 objects are in the bucket.",
}


@pytest.mark.parametrize("state", STATES)
def test_how_it_ended(state: State) -> None:
    seen = page(state=state, failures=0 if state == "complete" else 3)
    assert HEADLINES[state] in seen.text
    assert ("Every entry" in seen.text) == (state == "complete")
    assert ("Ended" in seen.pieces) == (state != "running")
    assert ("Keep the source and the device" in seen.text) == (state != "complete")
    assert ("Start the same import again" in seen.text) == (state in ("interrupted", "failed"))
    assert ("main", (("class", state),)) in seen.tags


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"skipped": 1},
            "Every entry of the device is in the bucket, but for those that were knowingly left out.",
        ),
        ({"symlinks_skipped": 1}, "is in the bucket, but for those that were knowingly left out."),
        (
            {"seal_blake3": ""},
            "Every entry that was found on the device is in the bucket. The device was not sealed",
        ),
        ({"objects": 0, "bytes": 0}, "Nothing that was asked for on this device becomes an object"),
        ({"already": 2000}, "Every entry of the device is in the bucket."),
    ],
)
def test_complete_says_of_what(fields: dict[str, Any], said: str) -> None:
    assert said in page(**fields).text


@pytest.mark.parametrize(
    ("fields", "said", "not_said"),
    [
        ({}, "400 MiB of content were read and have the digests", "compared nothing"),
        ({}, "The store compared each object that it took with its CRC64NVME checksum.", "ETags"),
        ({"verified_by": "MD5"}, "The store compared all that it took with MD5 sums.", "CRC"),
        ({"verified_by": "none"}, "The store compared nothing", "checksum."),
        (
            {"verified_by": "none"},
            "Before the source is deleted, read objects back and compare them",
            "File this",
        ),
        ({"verified_by": ""}, "not known whether the store compared", "The store compared"),
        ({"verified_by": ""}, "read objects back and compare them", "File this"),
        ({"verified_by": "odd"}, "compared each object by what it calls odd.", "CRC"),
        ({"verified_by": "", "already": 2000}, "File this", "read objects back"),
        ({"bytes_verified": 0}, "The store compared", "have the digests"),
        ({"objects": 0, "bytes_verified": 0}, "there was nothing to compare", "The store compared"),
        (
            {"already": 1, "objects": 1},
            "1 object was in the bucket before this attempt: sent by an earlier one, or found to be the",
            "The store compared",
        ),
        ({"seal_blake3": ""}, "nothing says that all of it is there", "Seal BLAKE3 0"),
    ],
)
def test_no_more_is_claimed_than_was_verified(fields: dict[str, Any], said: str, not_said: str) -> None:
    text = page(**fields).text
    assert said in text
    assert not_said not in text


def test_figures() -> None:
    text = page(
        already=7,
        bytes_already=200 << 20,
        failures=12,
        failure_reasons=[Reason("why", 12, 3 << 20, [])],
        state="partial",
    ).text
    assert "Objects in the bucket 2,000 7 of them from before" in text
    assert "Content 400 MiB 419,430,400 bytes" in text
    assert "Time 1 min 40 s" in text
    assert "Rate 2.00 MiB/s 20 objects a second" in text
    assert "Not in the bucket 12 3.00 MiB" in text


def test_the_rate_is_that_of_what_this_attempt_sent() -> None:
    """What was there before took none of its time."""
    assert "Rate 4.00 MiB/s 20 objects a second" in page().text
    told = page(attempts=2, already=1000, bytes_already=300 << 20).text
    assert "Rate 1.00 MiB/s 10 objects a second" in told
    assert "of attempt 2" in told
    assert "Rate" not in page(already=1000).pieces
    assert "Rate" not in page(already=2000, bytes_already=400 << 20).pieces
    assert "Rate" not in page(elapsed_s=0.0).pieces


def test_digests_in_groups_that_copy_as_one() -> None:
    seen = page()
    assert [piece for piece in seen.pieces if piece in SEAL and len(piece) == 8] == re.findall("." * 8, SEAL)
    assert SEAL in "".join(seen.pieces)


def test_reasons_with_counts_and_examples() -> None:
    entries = [ReportedEntry(f"key {number}", number, f"why {number}") for number in range(9)]
    reasons = [Reason(f"reason {number}", 1000 - number, 2048, entries) for number in range(20)]
    text = page(state="partial", failures=17_000, failure_reasons=reasons).text
    assert "1,000 2.00 KiB reason 0 key 0 0 B why 0 key 1 1 B why 1 key 2 2 B why 2 999" in text
    assert "reason 11" in text
    assert "reason 12" not in text
    assert "8 more kinds and all entries are in failure.csv ." in text


def test_what_was_left_out_and_why() -> None:
    reasons = [Reason("not asked for", 5, 10, [])]
    text = page(skipped=5, skipped_reasons=reasons, superseded=1, folders_implied=2, symlinks_skipped=3).text
    assert "Left out 5 10 B not asked for All of them are in skipped.csv ." in text
    assert "1 file: replaced by a later run of the device" in text
    assert "2 folders: with content" in text
    assert "3 symbolic links: left out as asked." in text


def test_damage_by_kind() -> None:
    findings = [ReportedFinding(code="pack-altered", file="packs/1", frame=number) for number in range(1000)]
    findings += [ReportedFinding(code="segment-missing", file="segments/2", detail="gone")]
    text = page(state="damaged", findings=findings, repair_files=1).text
    assert (
        "1,000 found pack altered packs/1, frame 0 packs/1, frame 1 packs/1, frame 2 1 found segment missing"
        in text
    )
    assert "segments/2 gone" in text
    assert "repair.txt says what has to be copied again" in text
    assert "repair.txt" not in page(state="damaged", findings=findings).text


def test_uploads_left() -> None:
    text = page(state="partial", uploads_left=[f"key {number}: no answer" for number in range(12)]).text
    assert "key 9: no answer And 2 more, in report.json." in text
    assert "Remove the uploads listed below" in text


def test_custody_so_far() -> None:
    told = CustodyEvent("with-customer", "2026-05-04T16:22:00Z", "2026-05-06T01:02:03Z")
    assert "With customer 2026-05-04 16:22:00 simulated 2026-05-06" in page(custody=[told]).text
    many = page(custody=[CustodyEvent(f"event {number}", "") for number in range(100)]).text
    assert "76 events before these. Event 76" in many


def test_a_report_however_large_makes_a_page_that_is_not() -> None:
    long = "n" * 100_000
    entry = ReportedEntry(long, 1, long)
    content = render_report(
        report(
            state="damaged",
            error=long,
            failures=10**9,
            failure_reasons=[Reason(f"{number}{long}", 1, 1, [entry] * 100) for number in range(100)],
            findings=[
                ReportedFinding(code=f"{number}{long}", file=long, path=long) for number in range(1000)
            ],
            uploads_left=[long] * 1000,
            custody=[CustodyEvent(long, long, long)] * 1000,
            samples=[Sample(number, number, number) for number in range(5000)],
        )
    )
    assert len(content) < 200_000


def test_the_page_is_made_from_what_report_json_has() -> None:
    told = hostile(
        "a name", samples=[Sample(0, 0, 0), Sample(1, 1, 1)], custody=[CustodyEvent("sealed", "2026", None)]
    )
    again = msgspec.json.decode(encode_report(told), type=ImportReport)
    assert again == told
    assert render_report(again) == render_report(told)
