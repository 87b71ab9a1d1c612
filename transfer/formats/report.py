"""The report of an import: report.json, success.csv, failure.csv. What each holds, as values and lines."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

_SPECIAL = re.compile('[",\r\n]|^\\s|\\s$')

Number = Annotated[int, Meta(ge=0)]

COLUMNS = ("bucket", "key", "size", "checksum", "error")
"""Of both CSV files; `checksum` is the BLAKE3 of the content, `error` is empty in success.csv."""


class ReportedFinding(Struct, kw_only=True, omit_defaults=True):
    """What was wrong with the device itself."""

    code: str
    file: str = ""
    frame: int | None = None
    path: str = ""
    detail: str = ""


class ImportReport(Struct, kw_only=True):
    """report.json.

    Attributes:
        state: `complete`: every entry of the device is in the bucket; `partial`: all that the device holds is
            valid, but failure.csv lists what is not in the bucket; `damaged`: something on the device was not
            what its manifest says; `interrupted`, `failed`: the import did not come to its end.
        seal_blake3: of SEAL.json; empty for a device that is not sealed.
        objects, bytes: written to the bucket.
        verified_by: the checksum that the store compared each object with on its side; `none`: nothing but
            ETags.
        superseded: files that a later run of the device replaced, not sent.
        folders_implied: folders with content, which a bucket has no object for.
        findings: what was wrong with the device, at most 1,000.
        uploads_left: uploads in parts that the store could not be made to give up, and why.
        error: what ended the import early.
    """

    format: Literal["transfer-import-report"] = "transfer-import-report"
    format_version: int = 1
    state: Literal["complete", "partial", "damaged", "interrupted", "failed"]
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


def encode_report(report: ImportReport) -> bytes:
    """report.json's bytes."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def csv_line(*fields: str) -> bytes:
    """One line of a CSV file (RFC 4180), UTF-8; what is no Unicode is escaped."""
    return (",".join(map(_quoted, fields)) + "\n").encode(errors="backslashreplace")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text
