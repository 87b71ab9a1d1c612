"""Options that several commands share, one name and one meaning each, and how their values are read.

A command takes them as annotated parameters, in any order:

    def copy(source: str, json: JsonOption = False, include: IncludeOption = None) -> None: ...

Texts that name files come from the command line with stray bytes escaped (PEP 383); `os.fsencode` gives the
bytes back, and is called where the value is used.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from transfer.errors import UsageError

if TYPE_CHECKING:
    from transfer.core.bandwidth import BandwidthLimit
    from transfer.core.filters import Filter, RuleFile
    from transfer.jobs.import_.options import IfExists, Symlinks

# Output.
JsonOption = Annotated[bool, typer.Option("--json", help="Print results and errors as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")]
NoProgressOption = Annotated[bool, typer.Option("--no-progress", help="No progress.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Say what would be done, and write nothing.")
]

# Work.
ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", metavar="NAME", help="Device profile: see 'transfer profiles', or a .toml file."
    ),
]
CopiesOption = Annotated[
    int,
    typer.Option(
        "--copies", min=1, max=8, metavar="N", help="Write the same packs to N devices with one ordinal each."
    ),
]
StripeOption = Annotated[
    bool, typer.Option("--stripe", help="Fill all devices at once, each with a part of the entries.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=256, help="How much to do at a time; default: by the processors."),
]
LevelOption = Annotated[
    int | None, typer.Option("--level", min=1, max=19, help="zstd level; default: the device profile's.")
]
BwlimitOption = Annotated[
    str | None,
    typer.Option(
        "--bwlimit", metavar="RATE", help="10M, up:down, off, or a timetable '08:00,512k 19:00,off'."
    ),
]

# Custody.
WhoOption = Annotated[
    str, typer.Option("--who", metavar="TEXT", help="Who answers for this, for the custody log.")
]
GuestWhoOption = Annotated[
    str | None,
    typer.Option(
        "--who",
        metavar="TEXT",
        help="Write to the device's custody log, with who answers for it; default: nothing is written.",
    ),
]
IgnoreCustodyOption = Annotated[
    bool,
    typer.Option(
        "--ignore-custody", help="Take devices although their custody logs are cut, edited or broken."
    ),
]

# Filters, as rclone has them.
IncludeOption = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="PATTERN", help="Take only files that match. Repeatable."),
]
IncludeFromOption = Annotated[
    list[str] | None, typer.Option("--include-from", metavar="FILE", help="Patterns to include, one a line.")
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PATTERN", help="Leave out files that match. Repeatable."),
]
ExcludeFromOption = Annotated[
    list[str] | None, typer.Option("--exclude-from", metavar="FILE", help="Patterns to exclude, one a line.")
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="RULE", help="'+ PATTERN' or '- PATTERN'; the first that matches decides."
    ),
]
FilterFromOption = Annotated[
    list[str] | None,
    typer.Option("--filter-from", metavar="FILE", help="Filter rules, one a line; - is stdin."),
]
MinSizeOption = Annotated[
    str | None,
    typer.Option("--min-size", metavar="SIZE", help="Leave out smaller files; a bare number is KiB."),
]
MaxSizeOption = Annotated[
    str | None,
    typer.Option("--max-size", metavar="SIZE", help="Leave out larger files; a bare number is KiB."),
]

# Object stores.
EndpointUrlOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url", metavar="URL", help="S3 endpoint; default: AWS_ENDPOINT_URL_S3, or AWS's own."
    ),
]
AwsProfileOption = Annotated[
    str | None, typer.Option("--aws-profile", metavar="NAME", help="Profile of the AWS configuration.")
]
RegionOption = Annotated[str | None, typer.Option("--region", metavar="REGION", help="Region of the bucket.")]
NoSignRequestOption = Annotated[
    bool, typer.Option("--no-sign-request", help="Ask without credentials, for public buckets.")
]

# The destination.
LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="FILE|URL",
        help="Where imports are recorded: a file, or postgresql://...; default: ledger.sqlite in the state "
        "directory.",
    ),
]
IfExistsOption = Annotated[
    str,
    typer.Option(
        "--if-exists",
        metavar="same|skip|overwrite|fail",
        help="Where the bucket has an object of the key: count it if it is the same, else fail (same); leave "
        "it; replace it; fail.",
    ),
]

StorageClassOption = Annotated[
    str,
    typer.Option(
        "--storage-class",
        metavar="keep|default|CLASS",
        help="What objects are stored as: exported ones as what they were (keep); all as the store has it by "
        "itself; all as CLASS.",
    ),
]

# A file of rules beyond this is not one of rules.
_MAX_RULE_FILE_BYTES = 4 * 1024 * 1024


def check_who(who: str | None) -> None:
    """Raise UsageError when an entry of a custody log has no place for the value of --who."""
    if who:
        from transfer.formats.custody import check_words

        check_words(who, "")


def read_bwlimit(text: str | None) -> BandwidthLimit | None:
    """The value of --bwlimit; None where there never is a limit."""
    from transfer.core.bandwidth import BandwidthLimit

    limit = BandwidthLimit.parse(text) if text is not None else None
    return None if limit is None or limit.is_off else limit


def read_filter(
    *,
    include: list[str] | None = None,
    include_from: list[str] | None = None,
    exclude: list[str] | None = None,
    exclude_from: list[str] | None = None,
    rules: list[str] | None = None,
    rules_from: list[str] | None = None,
    min_size: str | None = None,
    max_size: str | None = None,
) -> Filter:
    """The filter that the values of the options make up; reads the files that they name.

    Raises:
        UsageError: a wrong pattern, rule or size, or a file that cannot be read.
    """
    from transfer.core.filters import Filter

    return Filter.parse(
        include=include or (),
        include_from=_read_all(include_from, "--include-from"),
        exclude=exclude or (),
        exclude_from=_read_all(exclude_from, "--exclude-from"),
        rules=rules or (),
        rules_from=_read_all(rules_from, "--filter-from"),
        min_size_bytes=_read_size(min_size, "--min-size"),
        max_size_bytes=_read_size(max_size, "--max-size"),
    )


def _read_size(text: str | None, option: str) -> int | None:
    from transfer.core.sizes import KIB, parse_size

    # "off" and KiB for a bare number: rclone's habits for these two options.
    return (
        None if text is None or text.lower() == "off" else parse_size(text, what=option, bare_unit_bytes=KIB)
    )


def _read_all(names: list[str] | None, option: str) -> list[RuleFile]:
    from transfer.core.filters import RuleFile

    return [RuleFile(f"{option} {name}", _read(name, option)) for name in names or ()]


def _read(name: str, option: str) -> str:
    try:
        if name == "-":
            text = sys.stdin.buffer.read(_MAX_RULE_FILE_BYTES + 1)
        else:
            with open(os.fsencode(name), "rb") as file:
                text = file.read(_MAX_RULE_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{option}: cannot read {name}: {error.strerror}", remedy="name a readable file"
        ) from error
    if len(text) > _MAX_RULE_FILE_BYTES:
        raise UsageError(f"{option}: {name} is larger than 4 MiB", remedy="name a file of rules, one a line")
    # A byte order mark is no part of the first rule; names in rules need not be UTF-8.
    return text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def read_symlinks(text: str) -> Symlinks:
    """The value of --symlinks.

    Raises:
        UsageError: it is none.
    """
    from transfer.jobs.import_.options import Symlinks

    try:
        return Symlinks(text)
    except ValueError:
        what = f"--symlinks {text!r} is not possible"
        raise UsageError(what, remedy="say report, skip or rclone") from None


def read_if_exists(text: str) -> IfExists:
    """The value of --if-exists.

    Raises:
        UsageError: it is none.
    """
    from transfer.jobs.import_.options import IfExists

    try:
        return IfExists(text)
    except ValueError:
        what = f"--if-exists {text!r} is not possible"
        raise UsageError(what, remedy="say same, skip, overwrite or fail") from None


def read_storage_class(text: str) -> str:
    """The value of --storage-class: `keep`, `default`, or the name of one.

    Raises:
        UsageError: it is none of them.
    """
    import re

    if text not in ("keep", "default") and not re.fullmatch("[A-Z][A-Z0-9_-]{0,63}", text):
        what = f"--storage-class {text!r:.100} is not possible"
        raise UsageError(what, remedy="say keep, default, or the name of a class, such as STANDARD_IA")
    return text


def default_workers() -> int:
    """How much to do at a time when nobody says: the processors this process may use, at most 16."""
    return min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def rate_now(limit: BandwidthLimit | None, direction: Literal["up", "down"]) -> int | None:
    """What --bwlimit allows at this moment, bytes a second; its timetables are local time."""
    from datetime import datetime

    return None if limit is None else limit.rate_at(datetime.now(), direction)  # noqa: DTZ005
