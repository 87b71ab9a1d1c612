"""What a report says in plain words: how it ended, what was verified, what to do next. Pure.

Nothing here claims more than the report has: "complete" is said of what the device holds, "verified" of what
was compared with a digest, and by whom.
"""

from __future__ import annotations

from datetime import UTC, datetime

from transfer.core.sizes import format_size
from transfer.formats.report import ImportReport

HEADLINES = {
    "running": "Still running",
    "complete": "Complete",
    "partial": "Incomplete",
    "damaged": "Damaged",
    "interrupted": "Interrupted",
    "failed": "Failed",
}

_MOMENT_CHARS = 64
_NAME_CHARS = 64

_COMPARED = {
    "CRC64NVME": "The store compared each object that it took with its CRC64NVME checksum.",
    "CRC32C": "The store compared each object that it took with its CRC32C checksum.",
    "MD5": "The store compared all that it took with MD5 sums.",
    "none": (
        "The store compared nothing: it knows no checksums. All there was to look at were the ETags that it "
        "gave back."
    ),
    "": "It is not known whether the store compared anything.",
}


def lede(report: ImportReport) -> str:
    """What the headline means, in a sentence or two."""
    objects = f"{count(report.objects, 'object')} {_are(report.objects)} in the bucket"
    they = "it" if report.failures == 1 else "they"
    missing = (
        f"{count(report.failures, 'entry')} {_are(report.failures)} not in the bucket as {they} should be."
    )
    match report.state:
        case "running":
            return f"As of {moment(report.written)}, {objects}."
        case "complete":
            return _complete(report)
        case "partial":
            return f"{missing} All that was read from the device is what its manifest says."
        case "damaged":
            said = "The device is not what its manifest says. Only what its digests confirm was imported."
            return f"{said} {missing}" if report.failures else said
        case "interrupted":
            return f"The import was stopped before its end. {_capital(objects)}."
        case "failed":
            return f"The import could not come to its end. {_capital(objects)}."


def _complete(report: ImportReport) -> str:
    if not report.objects:
        return "Nothing that was asked for on this device becomes an object, so none was written."
    versions = report.versions_left_out or report.deleted_left_out
    left_out = report.skipped or report.symlinks_skipped or versions
    but = ", but for those that were knowingly left out" if left_out else ""
    if not report.seal_blake3:
        unsealed = "The device was not sealed: more may have been meant to be there."
        return f"Every entry that was found on the device is in the bucket{but}. {unsealed}"
    return f"Every entry of the device is in the bucket{but}."


def verified(report: ImportReport) -> list[str]:
    """What was compared with what, a sentence each."""
    said = []
    if report.bytes_verified:
        size = format_size(report.bytes_verified)
        when = ", in this attempt or an earlier one," if report.already else ""
        said.append(
            f"On the device, {size} of content were read{when} and have the digests of its manifest (BLAKE3)."
        )
    if report.objects > report.already:
        by = report.verified_by[:_NAME_CHARS]
        said.append(_COMPARED.get(by, f"The store compared each object by what it calls {by}."))
    if report.already:
        were = "was" if report.already == 1 else "were"
        before = f"{count(report.already, 'object')} {were} in the bucket before this attempt"
        said.append(f"{before}: sent by an earlier one, or found to be the same.")
    if not said:
        said.append("Nothing was sent, so there was nothing to compare.")
    if not report.seal_blake3:
        said.append("The device was not sealed: nothing says that all of it is there.")
    return said


def advice(report: ImportReport) -> list[str]:
    """What to do next, step by step; what stands between backquotes is to be typed or a file's name."""
    steps = []
    if report.state == "running":
        steps.append("If no import is under way, it was stopped: start it again, it goes on where it was.")
    if report.state in ("interrupted", "failed"):
        steps.append("Start the same import again: it goes on and sends no finished object twice.")
    if report.failures and report.state != "running":
        steps.append(
            "Read `failure.csv`. Where the reason has gone, start the same import again: it sends only what "
            "is missing."
        )
    if report.repair_files:
        steps.append(_repair(report.repair_files))
    if report.uploads_left:
        steps.append("Remove the uploads listed below from the store: their parts take room there.")
    return [*steps, *_source(report)]


def _repair(files: int) -> str:
    names = "`repair.txt` says" if files == 1 else f"`repair.txt` and its continuations, {files} files, say"
    return (
        f"{names} what has to be copied again. At the source, on a newly prepared device: "
        "`transfer copy --include-from repair.txt SOURCE DEVICE`. Seal it, ship it and import it to the same "
        "place."
    )


def _source(report: ImportReport) -> list[str]:
    if report.state != "complete" or report.failures:
        return ["Keep the source and the device until all of it is in the bucket."]
    if report.objects > report.already and report.verified_by in ("none", ""):
        return ["Before the source is deleted, read objects back and compare them: the store may not have."]
    return ["File this page with `report.json` and `success.csv`."]


def moment(text: str) -> str:
    """A time of the report as people read it; what is none stays as it is, but for its length."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return text[:_MOMENT_CHARS]
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def count(number: int, noun: str) -> str:
    """A number of things: "1 object", "1,204 objects", "no objects"."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}" if number else f"no {plural}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
