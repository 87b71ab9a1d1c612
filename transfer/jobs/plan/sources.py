"""Where the entries come from: a folder, walked as copy does it, or a bucket, listed as export does it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator

from transfer.errors import UsageError
from transfer.jobs.copy.walk import Found, Kind, Walk, WalkOptions
from transfer.jobs.export.finding import Finder
from transfer.jobs.export.inventory_files import Report
from transfer.jobs.export.options import ExportOptions
from transfer.jobs.export.wanted import Wanted
from transfer.jobs.plan.options import PlanOptions
from transfer.jobs.plan.tally import Tally
from transfer.stores.contract import Store
from transfer.stores.values import ARCHIVE_CLASSES

_LONGEST_NAME_BYTES = 4000  # that the system is asked about in one piece


def take_folder(source: bytes, options: PlanOptions, tally: Tally) -> Iterator[bytes]:
    """Walk a folder into the tally; gives the path at hand, entry by entry.

    Raises:
        UsageError: it cannot be read, or is no folder.
    """
    if not os.path.isdir(source):
        problem = "is not a folder" if os.path.lexists(source) else "does not exist"
        remedy = "name the folder or s3://BUCKET/PREFIX that is to be copied"
        raise UsageError(f"source {os.fsdecode(source)} {problem}", remedy=remedy)
    walk = Walk(source, WalkOptions(options.filter, options.follow_links, options.one_file_system))
    asks = os.geteuid() != 0  # root may read everything
    try:
        for found in walk.entries():
            if asks and found.kind is Kind.FILE and _is_closed(source, found.path):
                tally.problem("failed", found.path, "unreadable")
            else:
                _take(found, tally)
            yield found.path
    except OSError as error:
        what = f"the source cannot be read: {error.strerror or error}"
        raise UsageError(what, remedy="check its path and rights") from error


def _take(found: Found, tally: Tally) -> None:
    status = found.status
    match found.kind:
        case Kind.FILE if status is not None:
            inode = (status.st_dev, status.st_ino) if status.st_nlink > 1 else None
            tally.file(found.path, status.st_size, inode)
        case Kind.DIRECTORY:
            tally.folder(found.path)
        case Kind.SYMLINK:
            tally.symlink(found.path)
        case Kind.SKIPPED:
            tally.problem("skipped", found.path, found.reason)
        case _:
            tally.problem("failed", found.path, found.reason)


def _is_closed(source: bytes, path: bytes) -> bool:
    whole = os.path.join(source, path)
    return len(whole) < _LONGEST_NAME_BYTES and not os.access(whole, os.R_OK, effective_ids=True)


def wanted_of(store: Store, options: ExportOptions, report: Report | None) -> AsyncGenerator[Wanted]:
    """All that an export with these options wants of a bucket, in order.

    Raises:
        TransferError: the store does not list.
    """
    finder = Finder(store, options, report, after=b"", until=None, inclusive=False, fresh=False)
    return finder.wanted()


async def take_bucket(wanted: AsyncGenerator[Wanted], tally: Tally) -> AsyncGenerator[bytes]:
    """Take what an export would want into the tally; gives the path at hand, object by object.

    Raises:
        TransferError: the store does not list.
    """
    async for item in wanted:
        if item.reason:
            tally.problem("failed", item.path, item.detail or item.reason)
        elif item.is_marker:
            tally.marker(item.path)
        elif item.storage_class in ARCHIVE_CLASSES:
            tally.problem("archived", item.path, f"in {item.storage_class}", item.size_bytes)
        else:
            tally.file(item.path, max(0, item.size_bytes))
        yield item.path
