"""certify --check: months later, is what was certified still there? The device is not needed.

The companion of the certificate and the bucket's listing are merged. Size and ETag as they were certified:
the store says that the object is the one of then. Another ETag, or none: a HEAD's checksum is compared with
the certified one, or, where that was asked for, the bytes. What then is not proved to be the same counts as
different: it was written anew since.

What this rests on is the store's word: it answers from its records, and reads its disks only for a download.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from transfer.core.progress import Progress
from transfer.formats.certificate_entries import CertifiedObject, Line
from transfer.jobs.certify.papers import Paper, open_entries
from transfer.jobs.comparing.examiner import Examiner
from transfer.jobs.comparing.listing import Listing
from transfer.jobs.comparing.ordered import ordered
from transfer.jobs.comparing.originals import Content
from transfer.jobs.import_.health import EndpointHealth, StoreLostError
from transfer.stores.contract import ListedObject, Store

MAX_LISTED = 1000

How: TypeAlias = Literal["etag", "checksum", "download", "empty"]
Wrong: TypeAlias = Literal["missing", "different", "unproved"]


class Seen(Struct, frozen=True):
    """What became of one object; `how` it was seen to be the same, or what is wrong."""

    key: str
    size_bytes: int
    how: How | None = None
    wrong: Wrong | None = None
    reason: str = ""


class WrongObject(Struct, frozen=True):
    """An object that is not what was certified, or of which nobody can say it."""

    key: str
    state: Wrong
    reason: str


@dataclass
class Checked:
    """What came of it.

    Attributes:
        same: by the way in which it was seen.
        wrong: how many are not, by what is wrong.
        first: the first of those, in order.
        other_objects: under the prefix, and not certified.
    """

    same: dict[How, int] = field(default_factory=dict)
    wrong: dict[Wrong, int] = field(default_factory=dict)
    first: list[WrongObject] = field(default_factory=list)
    objects: int = 0
    bytes: int = 0
    other_objects: int = 0

    def take(self, seen: Seen) -> None:
        """Count one."""
        self.objects += 1
        self.bytes += seen.size_bytes
        if seen.how is not None:
            self.same[seen.how] = self.same.get(seen.how, 0) + 1
        elif seen.wrong is not None:
            self.wrong[seen.wrong] = self.wrong.get(seen.wrong, 0) + 1
            if len(self.first) < MAX_LISTED:
                self.first.append(WrongObject(seen.key, seen.wrong, seen.reason))


async def check(
    paper: Paper,
    store: Store,
    *,
    download: bool = False,
    requests: int = 64,
    observe: Callable[[Progress], None] = lambda progress: None,
) -> Checked:
    """Hold a bucket against a certificate.

    Args:
        paper: the certificate.
        store: the bucket that it names.
        download: read the objects that neither ETag nor checksum tells.
        requests: under way at once.
        observe: told how far it is.

    Raises:
        IntegrityError: the companion is not the one that was signed.
        TransferError: the bucket cannot be read.
    """
    health = EndpointHealth()
    examiner = Examiner(store, health, download=download)
    listing = Listing(store, paper.certificate.prefix)
    checked = Checked()

    async def begin(line: CertifiedObject) -> Coroutine[Any, Any, Seen]:
        return _look(line, await listing.find(line.key), examiner)

    try:
        with open_entries(paper) as lines:
            async with aclosing(ordered(_certified(lines), begin, requests)) as results:
                async for seen in results:
                    checked.take(seen)
                    observe(_progress(paper, checked, seen))
        await listing.finish()
    except StoreLostError as lost:
        raise lost.error from None
    finally:
        await listing.aclose()
    checked.other_objects = listing.others
    return checked


def _certified(lines: Iterator[Line]) -> Iterator[CertifiedObject]:
    return (line for line in lines if isinstance(line, CertifiedObject))


async def _look(line: CertifiedObject, listed: ListedObject | None, examiner: Examiner) -> Seen:
    seen = Seen(line.key, line.size_bytes)
    if listed is not None and listed.size_bytes == line.size_bytes:
        if not line.size_bytes:
            return Seen(seen.key, seen.size_bytes, "empty")
        if listed.etag and listed.etag == line.etag:
            return Seen(seen.key, seen.size_bytes, "etag")
    content = Content(line.size_bytes, line.blake3, line.crc64nvme, line.crc32c)
    found = await examiner.examine(line.key, content, listed)
    if found.evidence is not None:
        how: How = found.evidence if found.evidence in ("download", "empty") else "checksum"
        return Seen(seen.key, seen.size_bytes, how)
    if found.info is not None and found.state == "unproved":
        reason = f"it was written anew since (its ETag is another), and {found.reason}"
        return Seen(seen.key, seen.size_bytes, wrong="different", reason=reason)
    wrong: Wrong = found.state if found.state in ("missing", "different") else "unproved"
    return Seen(seen.key, seen.size_bytes, wrong=wrong, reason=found.reason)


def _progress(paper: Paper, checked: Checked, seen: Seen) -> Progress:
    return Progress(
        "check",
        files_done=checked.objects,
        bytes_done=checked.bytes,
        files_total=paper.certificate.objects,
        bytes_total=paper.certificate.bytes,
        failures=sum(checked.wrong.values()),
        current_path=seen.key.encode(),
    )
