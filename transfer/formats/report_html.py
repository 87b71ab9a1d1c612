"""report.html: a report as one page that a person can read, print and file away. Pure.

One file of its own: no script, no link, nothing fetched; a policy in it forbids what it does not need. Made
of an `ImportReport` alone, in bounded time, however long the lists beside it are. All words that come from
elsewhere pass through `markup`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from transfer.core.sizes import KIB, format_duration, format_rate, format_size
from transfer.formats.markup import Child, Markup, element, escape, join
from transfer.formats.report import CustodyEvent, ImportReport, Reason, ReportedEntry, ReportedFinding
from transfer.formats.report_chart import progress_chart
from transfer.formats.report_style import STYLE
from transfer.formats.report_words import HEADLINES, advice, count, lede, moment, verified

_MOST_GROUPS: Final = 12
_MOST_EXAMPLES: Final = 3
_MOST_EVENTS: Final = 24
_MOST_UPLOADS: Final = 10
_TEXT_CHARS: Final = 400
_NAME_CHARS: Final = 240

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def render_report(report: ImportReport) -> bytes:
    """The page of a report: a whole HTML document, UTF-8."""
    title = f"Import report: {_cut(report.job)} {report.ordinal}, {HEADLINES[report.state].lower()}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", Markup(escape(title))),
        element("style", Markup(STYLE)),
    )
    page = element("html", head, element("body", _sheet(report)), lang="en")
    return f"<!doctype html>\n{page.html}\n".encode()


def _sheet(report: ImportReport) -> Markup:
    why = element("p", _cut(report.error), class_="why") if report.error else None
    return element(
        "main",
        element("header", element("p", "Import report", class_="kicker"), element("p", _name_of(report))),
        element("h1", HEADLINES[report.state]),
        element("p", lede(report), class_="lede"),
        why,
        _figures(report),
        _steps(advice(report)),
        element("div", _source(report), _destination(report), class_="pair"),
        _section("What was verified", _said(verified(report))),
        _damage(report.findings),
        _not_sent("Not in the bucket", report.failures, report.failure_reasons, "failure.csv"),
        _not_sent("Left out", report.skipped, report.skipped_reasons, "skipped.csv"),
        _uploads(report.uploads_left),
        _passed_over(report),
        _progress(report),
        _custody(report.custody),
        _footer(report),
        class_=report.state,
    )


def _name_of(report: ImportReport) -> str:
    return f"Job {_cut(report.job)}, device {report.ordinal}"


def _section(heading: str, *content: Child) -> Markup:
    return element("section", element("h2", heading), *content)


def _said(sentences: Sequence[str]) -> Markup:
    return element("ul", *(element("li", sentence) for sentence in sentences), class_="said")


def _figures(report: ImportReport) -> Markup:
    figures = [
        _figure("Objects in the bucket", f"{report.objects:,}", _already(report)),
        _figure("Content", format_size(report.bytes), _exactly(report.bytes)),
        _figure("Time", _duration(report.elapsed_s), _of_attempt(report)),
    ]
    rates = _rates(report)
    if rates is not None:
        bytes_s, objects_s = rates
        figures.append(_figure("Rate", format_rate(bytes_s), f"{_rounded(objects_s)} objects a second"))
    if report.failures:
        size = sum(reason.bytes for reason in report.failure_reasons)
        figures.append(_figure("Not in the bucket", f"{report.failures:,}", format_size(size), class_="bad"))
    return element("dl", *figures, class_="figures")


def _figure(name: str, value: str, more: str, **attributes: str) -> Markup:
    below = element("dd", more) if more else None
    return element("div", element("dt", name), element("dd", value), below, **attributes)


def _exactly(size_bytes: int) -> str:
    return f"{size_bytes:,} bytes" if size_bytes >= KIB else ""


def _already(report: ImportReport) -> str:
    return f"{report.already:,} of them from before" if report.already else ""


def _of_attempt(report: ImportReport) -> str:
    return f"of attempt {report.attempts:,}" if report.attempts > 1 else ""


def _rates(report: ImportReport) -> tuple[float, float] | None:
    """Bytes and objects a second of what this attempt sent; None where that is not known or nothing."""
    sent = report.objects - report.already
    if report.elapsed_s <= 0 or sent <= 0 or (report.already and not report.bytes_already):
        return None
    return (report.bytes - report.bytes_already) / report.elapsed_s, sent / report.elapsed_s


def _uploads(left: Sequence[str]) -> Markup | None:
    if not left:
        return None
    shown = [element("li", _cut(upload), class_="name") for upload in left[:_MOST_UPLOADS]]
    more = len(left) - len(shown)
    rest = element("p", f"And {more:,} more, in report.json.", class_="quiet") if more else None
    return _section("Uploads left at the store", element("ul", *shown), rest)


def _steps(steps: Sequence[str]) -> Markup:
    typed = [element("li", _typed(step)) for step in steps]
    return _section("What to do next", element("ol", *typed, class_="steps"))


def _typed(step: str) -> Markup:
    """A step with what stands between backquotes as code; it is the program's own text."""
    pieces = step.split("`")
    return join(*(element("code", piece) if at % 2 else piece for at, piece in enumerate(pieces)))


def _source(report: ImportReport) -> Markup:
    return _facts(
        "From",
        ("Job", _cut(report.job)),
        ("Device", f"{report.ordinal}"),
        ("Device id", element("code", _cut(report.device_id))),
        ("Sealed", moment(report.device_sealed) if report.device_sealed else None),
        ("Signed by", _cut(report.signed_by) if report.signed_by else None),
        ("Seal BLAKE3", _digest(report.seal_blake3) if report.seal_blake3 else "not sealed"),
    )


def _destination(report: ImportReport) -> Markup:
    return _facts(
        "To",
        ("Bucket", _named(report.bucket)),
        ("Prefix", _named(report.prefix) if report.prefix else None),
        ("Endpoint", _cut(report.endpoint) or "Amazon S3"),
        ("Started", moment(report.started)),
        ("Ended", moment(report.finished) if report.state != "running" else None),
        ("Attempts", f"{report.attempts:,}" if report.attempts > 1 else None),
    )


def _facts(heading: str, *facts: tuple[str, Child]) -> Markup:
    rows = [join(element("dt", name), element("dd", value)) for name, value in facts if value is not None]
    return _section(heading, element("dl", *rows, class_="facts"))


def _digest(digest: str) -> Markup:
    """A digest in groups to be read aloud; copied, it has no spaces."""
    if not _DIGEST.fullmatch(digest):
        return _named(digest)
    groups = [element("span", digest[at : at + 8]) for at in range(0, len(digest), 8)]
    return element("div", *groups, class_="digest")


def _damage(findings: Sequence[ReportedFinding]) -> Markup | None:
    """What was wrong with the device, by kind."""
    if not findings:
        return None
    kinds: dict[str, list[ReportedFinding]] = {}
    for finding in findings:
        kinds.setdefault(finding.code, []).append(finding)
    groups = [
        _group(len(same), "found", _cut(code.replace("-", " ")), [_place(it) for it in same[:_MOST_EXAMPLES]])
        for code, same in kinds.items()
    ]
    return _section("Damage on the device", *_listed(groups, "report.json"))


def _place(finding: ReportedFinding) -> Markup:
    frame = f"frame {finding.frame:,}" if finding.frame is not None else ""
    where = ", ".join(filter(None, (finding.file, frame, finding.path)))
    detail = f" {_cut(finding.detail)}" if finding.detail else None
    return join(_named(where) if where else None, detail)


def _not_sent(heading: str, entries: int, reasons: Sequence[Reason], list_name: str) -> Markup | None:
    """Entries that are not in the bucket, by reason."""
    if not entries:
        return None
    groups = [
        _group(
            reason.entries,
            format_size(reason.bytes),
            _cut(reason.reason),
            [_entry(example, reason.reason) for example in reason.examples[:_MOST_EXAMPLES]],
        )
        for reason in reasons
    ]
    return _section(heading, *_listed(groups, list_name))


def _entry(entry: ReportedEntry, reason: str) -> Markup:
    """An example; with its error where that says more than the reason."""
    more = f" {_cut(entry.error)}" if entry.error != reason else ""
    return join(_named(entry.key), f" {format_size(entry.size_bytes)}{more}")


def _group(entries: int, below: str, what: str, examples: Sequence[Markup]) -> Markup:
    many = element("div", element("strong", f"{entries:,}"), element("span", below), class_="many")
    shown = element("ul", *(element("li", example) for example in examples)) if examples else None
    return element("li", many, element("div", element("p", what), shown, class_="what"))


def _listed(groups: Sequence[Markup], list_name: str) -> list[Markup]:
    """Groups, as many as a page takes, and where everything is."""
    left = len(groups) - _MOST_GROUPS
    more = f"{count(left, 'more kind')} and all entries are" if left > 0 else "All of them are"
    return [
        element("ul", *groups[:_MOST_GROUPS], class_="reasons"),
        element("p", f"{more} in ", element("code", list_name), ".", class_="quiet"),
    ]


def _passed_over(report: ImportReport) -> Markup | None:
    """What is no object by design: told, so that the counts of device and bucket can be brought together."""
    told = [
        (report.superseded, "file", "replaced by a later run of the device; only the newest was sent"),
        (report.folders_implied, "folder", "with content, for which a bucket has no object of its own"),
        (report.delete_markers, "delete marker", "between versions, as at the source; each is in the bucket"),
        (report.versions_left_out, "older version", "of objects left out, as the bucket keeps no versions"),
        (report.deleted_left_out, "key", "that was deleted last at the source, left out likewise"),
        (report.tags_omitted, "object", "without its tags, which could not be read when it was exported"),
        (report.symlinks_skipped, "symbolic link", "left out as asked"),
    ]
    said = [f"{count(number, noun)}: {why}." for number, noun, why in told if number]
    return _section("What has no object of its own", _said(said)) if said else None


def _progress(report: ImportReport) -> Markup | None:
    chart = progress_chart(report.samples)
    return None if chart is None else _section("Progress", chart)


def _custody(events: Sequence[CustodyEvent]) -> Markup | None:
    """The way of the device, the newest events where there are many."""
    if not events:
        return None
    earlier = len(events) - _MOST_EVENTS
    before = element("p", f"{count(earlier, 'event')} before these.", class_="quiet") if earlier > 0 else None
    shown = [_event(event) for event in events[-_MOST_EVENTS:]]
    return _section("Custody so far", before, element("ol", *shown, class_="custody"))


def _event(event: CustodyEvent) -> Markup:
    state = event.state.replace("-", " ")
    lines = [element("span", piece) for piece in _day_and_time(event.time)]
    if event.simulated is not None:
        day, *_ = _day_and_time(event.simulated)
        lines += [element("span", piece, class_="simulated") for piece in ("simulated", day)]
    return element("li", element("strong", _cut(state[:1].upper() + state[1:])), *lines)


def _day_and_time(time: str) -> list[str]:
    return moment(time).removesuffix(" UTC").split(" ", 1)


def _footer(report: ImportReport) -> Markup:
    by = " ".join(filter(None, (_cut(report.program), f"on {_cut(report.host)}" if report.host else "")))
    when = f" {moment(report.written)}" if report.written else ""
    files = "report.json has the same as data; success.csv, failure.csv and skipped.csv have a line an entry."
    return element("footer", f"Written{when}{f' by {by}' if by else ''}. Times are in UTC. {files}")


def _named(name: str) -> Markup:
    """A name that somebody else chose: kept apart from the text around it, its middle left out if long."""
    return element("bdi", _cut(name, _NAME_CHARS), class_="name")


def _cut(text: str, limit_chars: int = _TEXT_CHARS) -> str:
    half = limit_chars // 2
    return text if len(text) <= limit_chars else f"{text[:half]} \u2026 {text[-half:]}"


def _duration(time_s: float) -> str:
    return f"{time_s:.1f} s" if time_s < 9.95 else format_duration(time_s)


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number >= 9.95 else f"{number:.1f}"
