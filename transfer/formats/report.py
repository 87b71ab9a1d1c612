"""The report of an import: report.json and the lists beside it. What each holds, as values and lines.

A report is bounded however large the device is: what can be long is listed in full in the CSV files, and
report.json has the first of it and the counts. Whatever comes from a device or a store is text that somebody
else chose; nothing here is safe to be shown unescaped.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from transfer.core.samples import Sample

_SPECIAL = re.compile('[",\r\n]|^\\s|\\s$')

Number = Annotated[int, Meta(ge=0)]

COLUMNS = ("bucket", "key", "size", "checksum", "error")
"""Of all CSV files; `checksum` is the BLAKE3 of the content, `error` is empty in success.csv and says why not
in the others."""

MAX_EXAMPLES = 100
"""Of the entries of a kind, in report.json."""
EXAMPLES_A_REASON = 3
MAX_REASONS = 50
"""That are told apart; others are counted together."""
OTHER_REASONS = "other reasons"

State = Literal["running", "complete", "partial", "damaged", "interrupted", "failed"]


class ReportedFinding(Struct, kw_only=True, omit_defaults=True):
    """What was wrong with the device itself."""

    code: str
    file: str = ""
    frame: int | None = None
    path: str = ""
    detail: str = ""


class ReportedEntry(Struct, frozen=True):
    """An entry that was not sent; `error` says why. Long texts are cut, the CSV files have them whole."""

    key: str
    size_bytes: Number
    error: str


class Reason(Struct, frozen=True):
    """Why entries were not sent, how many of them, and the first few."""

    reason: str
    entries: Number
    bytes: Number
    examples: list[ReportedEntry]


class CustodyEvent(Struct, frozen=True):
    """Something that happened to the device on its way.

    Attributes:
        state: `prepared`, `sealed`, `with-customer`, `docked`, `import started` and so on.
        time: by the clock of the host, RFC 3339.
        simulated: by the papers of a simulated carrier, RFC 3339; null where there was none.
    """

    state: str
    time: str
    simulated: str | None = None


class ImportReport(Struct, kw_only=True):
    """report.json.

    Attributes:
        state: `running`: it was written on the way, at `written`, and an import that was killed leaves it so;
            `complete`: every entry of the device is in the bucket; `partial`: all that the device holds is
            valid, but failure.csv lists what is not in the bucket; `damaged`: something on the device was not
            what its manifest says; `interrupted`, `failed`: the import did not come to its end.
        seal_blake3: of SEAL.json; empty for a device that is not sealed.
        objects, bytes: in the bucket, as they should be.
        verified_by: the checksum that the store compared each object with on its side; `none`: nothing but
            ETags.
        superseded: files that a later run of the device replaced, not sent.
        folders_implied: folders with content, which a bucket has no object for.
        findings: what was wrong with the device, at most 1,000.
        uploads_left: uploads in parts that the store could not be made to give up, and why.
        error: what ended the import early.
        already: how many of `objects` were there before this attempt: sent by an earlier one, or found to be
            the same.
        bytes_already: of `bytes`, what those have.
        skipped: entries that were knowingly left out, listed in skipped.csv.
        attempts: how often the import was begun.
        bytes_verified: content read from the device that has the digests of its manifest.
        samples: how far it was, over the time of the newest attempt; at most 240.
        custody: what happened to the device so far, oldest first.
        failure_examples, skipped_examples: the first 100 of each.
        failure_reasons, skipped_reasons: all of each, by reason; most frequent first.
        repair_files: how many files say what has to be copied again: repair.txt, repair-2.txt and so on.
        device_sealed: when; empty for a device that is not sealed.
        signed_by: whose signature the seal has, and the key; empty where nobody vouches for it.
        devices_seen, devices_missing: ordinals of the device's job that have been at the destination, and
            those that have not.
        devices_listed: these are all there are, by the seal of the last one.
        delete_markers: in the bucket, as they should be.
        versions_left_out: older versions of objects, which a bucket that keeps none has no place for.
        deleted_left_out: keys that were deleted last, for the same reason.
        tags_omitted: objects that lack their tags, as these could not be read when they were exported.
        host, program: what ran the import, and the version of it.
        written: when this file was.
    """

    format: Literal["transfer-import-report"] = "transfer-import-report"
    format_version: int = 1
    state: State
    device_id: str
    job: str
    ordinal: int
    seal_blake3: str
    bucket: str
    prefix: str
    endpoint: str
    started: str
    finished: str
    elapsed_s: float
    verified_by: str
    objects: Number
    bytes: Number
    failures: Number
    superseded: Number
    folders_implied: Number
    symlinks_skipped: Number
    findings: list[ReportedFinding]
    uploads_left: list[str]
    error: str = ""
    already: Number = 0
    bytes_already: Number = 0
    skipped: Number = 0
    attempts: Number = 1
    bytes_verified: Number = 0
    samples: list[Sample] = []
    custody: list[CustodyEvent] = []
    failure_examples: list[ReportedEntry] = []
    skipped_examples: list[ReportedEntry] = []
    failure_reasons: list[Reason] = []
    skipped_reasons: list[Reason] = []
    repair_files: Number = 0
    device_sealed: str = ""
    signed_by: str = ""
    devices_seen: list[Number] = []
    devices_missing: list[Number] = []
    devices_listed: bool = False
    delete_markers: Number = 0
    versions_left_out: Number = 0
    deleted_left_out: Number = 0
    tags_omitted: Number = 0
    host: str = ""
    program: str = ""
    written: str = ""


def encode_report(report: ImportReport) -> bytes:
    """report.json's bytes."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def csv_line(*fields: str) -> bytes:
    """One line of a CSV file (RFC 4180), UTF-8; what is no Unicode is escaped."""
    line = ",".join(fields)
    if not _is_plain(line, len(fields)):
        line = ",".join(map(_quoted, fields))
    return f"{line}\n".encode(errors="backslashreplace")


def _is_plain(line: str, fields: int) -> bool:
    """Whether no field of a line needs quotes, asked of all at once: nearly all lines are so, of millions."""
    return (
        line.isprintable()  # the one white space left is the space
        and '"' not in line
        and line.count(",") == fields - 1
        and ", " not in line
        and " ," not in line
        and not line.startswith(" ")
        and not line.endswith(" ")
    )


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text
