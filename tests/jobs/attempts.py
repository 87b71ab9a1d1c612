"""Attempts at one import, and the law that they keep: what was done once is not done again.

An attempt is ended early in three ways: its endpoint is lost, it is cancelled, it is killed. Killed means:
bucket and ledger are those of a moment (a copy of both), and whatever the process did after it never was.
"""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.jobs.memory_import import LIMITS, OPTIONS, Imported, import_to_memory, objects_in
from tests.jobs.shipment import read_rows
from tests.jobs.watched_store import Call, WatchedStore
from transfer.errors import StoreUnreachableError
from transfer.jobs.import_.options import ImportOptions, Symlinks
from transfer.ledger.ledger import Ledger
from transfer.stores.memory import MemoryStore

WAYS = ("lost", "cancelled", "killed")
ALL = replace(OPTIONS, symlinks=Symlinks.RCLONE)
_LOST = StoreUnreachableError("the endpoint does not answer")
_SENT = ("put", "copy", "create_upload", "complete_upload")


@dataclass
class Site:
    """Where a device is imported: a bucket and a ledger.

    Attributes:
        options: of every attempt.
        flush_rows: of the ledger; few, so that rows are durable soon.
    """

    device: Path
    place: Path
    store: MemoryStore
    options: ImportOptions = ALL
    flush_rows: int = 4

    @property
    def ledger(self) -> Path:
        """Its file."""
        return self.place / "ledger"

    @property
    def report(self) -> Path:
        """The report's folder."""
        return self.place / "report"

    async def attempt(self, store: Any = None, **changes: Any) -> Imported:
        """Import, or go on with it, through a decorator of the store."""
        told = {"options": self.options, "flush_rows": self.flush_rows, "flush_after_s": 0.001} | changes
        return await import_to_memory(
            self.device, store=store or self.store, ledger=self.ledger, report=self.report, **told
        )

    async def watched(self, **changes: Any) -> tuple[Imported, WatchedStore]:
        """As `attempt`, and what it asked of the store."""
        watched = WatchedStore(self.store)
        return await self.attempt(watched, **changes), watched

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What SQLite itself says of the ledger, which nobody has open."""
        with closing(sqlite3.connect(self.ledger)) as ledger:
            return ledger.execute(sql).fetchall()

    def change(self, sql: str, *values: Any) -> None:
        """Make the ledger say something else."""
        with closing(sqlite3.connect(self.ledger)) as ledger, ledger:
            ledger.execute(sql, values)

    def entries(self) -> list[tuple[Any, ...]]:
        """All that is recorded of entries."""
        columns = "sequence, position, state, key, size_bytes, hex(blake3), etag, error"
        return self.rows(f"SELECT {columns} FROM objects ORDER BY 1, 2")

    def begun(self) -> list[tuple[str, str]]:
        """Key and id of the uploads that are recorded as begun."""
        return self.rows("SELECT key, upload_id FROM uploads ORDER BY 1, 2")

    async def left(self) -> list[tuple[str, str]]:
        """Key and id of the uploads that the store has."""
        return sorted([(one.key, one.upload_id) async for one in self.store.list_uploads()])

    async def known_parts(self) -> set[Call]:
        """The parts that the ledger and the store both have, as the calls that would send them again."""
        found: set[Call] = set()
        statement = "SELECT key, upload_id, p.number, etag FROM uploads u JOIN parts p ON p.upload = u.number"
        for key, upload_id, number, etag in self.rows(statement):
            with suppress(KeyError):
                part, _ = self.store._uploads[upload_id].parts[number]
                if part.etag == etag:
                    found.add(Call("put_part", key, upload_id, number))
        return found

    async def etags(self) -> dict[str, str]:
        """Key to ETag of all that is in the bucket."""
        return {item.key: item.etag async for item in self.store.list()}

    def moment(self, place: Path) -> Site:
        """Bucket and ledger as they are now, also in the middle of an attempt."""
        place.mkdir()
        # Nothing is moved from the log to the file before an attempt ends, so the file is at rest.
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{self.ledger}{suffix}", f"{place}/ledger{suffix}")
        return Site(self.device, place, copy.deepcopy(self.store), self.options, self.flush_rows)


def new_site(device: Path, place: Path, options: ImportOptions = ALL) -> Site:
    """A new bucket, and no ledger yet."""
    place.mkdir(parents=True)
    return Site(device, place, MemoryStore(limits=LIMITS), options)


async def end_early(site: Site, way: str, nth: int, *, after: bool) -> tuple[Site, WatchedStore]:
    """An attempt that ends at the call number `nth`; without a process, each second one right behind a flush.

    Returns:
        bucket and ledger as they are then, and what was asked of the store; its `struck` is None where there
        were not so many calls.
    """
    ledgers: list[Ledger] = []
    moments: list[Site] = []
    watched = WatchedStore(site.store, nth, after=after)
    task = asyncio.ensure_future(site.attempt(watched, on_open=ledgers.append))

    async def cancel() -> None:
        task.cancel()

    async def kill() -> None:
        if nth % 2:
            await ledgers[0].recorder.flush()
        moments.append(site.moment(site.place.with_name(site.place.name + "-killed")))
        task.cancel()

    match way:
        case "lost":
            watched.then = _LOST
        case "cancelled":
            watched.strike = cancel
        case "killed":
            watched.strike = kill
    await asyncio.wait([task])
    if watched.struck is None or way == "lost":
        task.result()
    return (moments or [site])[0], watched


async def check_left(site: Site, watched: WatchedStore) -> None:
    """What the store has of uploads is what the ledger records; what was not recorded is known by its key."""
    left, begun, etags = await site.left(), site.begun(), await site.etags()
    keys_without_id = {key for key, upload_id in begun if not upload_id}
    assert all(one in begun or one[0] in keys_without_id for one in left), (left, begun)
    gone = {key for key, upload_id in begun if upload_id and (key, upload_id) not in left}
    aborted = {call.key for call in watched.named("abort_upload")}
    assert gone <= etags.keys() | aborted, "an upload that is neither open, nor completed, nor aborted"


async def check_next_attempt(site: Site, undisturbed: Site) -> Imported:
    """The next attempt comes to the end of it all, and does nothing twice."""
    objects, parts = await site.etags(), await site.known_parts()
    imported, watched = await site.watched()
    assert (imported.error, imported.failed, imported.codes) == (None, {}, set())
    again = [call for call in watched.named(*_SENT) if call.key in objects]
    assert again == [], "what was complete is sent again"
    assert parts.isdisjoint(watched.calls), "a part that was there is sent again"
    await check_complete(site, undisturbed)
    assert imported.outcome.already == len(objects)
    return imported


async def check_complete(site: Site, undisturbed: Site) -> None:
    """Bucket, ledger and report are as after an import that nothing disturbed."""
    expected = await objects_in(undisturbed.store)
    assert await objects_in(site.store) == expected
    for key in expected:
        ours, theirs = await site.store.head(key), await undisturbed.store.head(key)
        assert (ours.metadata, ours.etag) == (theirs.metadata, theirs.etag)
    assert await site.left() == site.begun() == site.rows("SELECT * FROM parts") == []
    assert site.entries() == undisturbed.entries()
    assert site.rows("SELECT phase, objects, bytes, failed, skipped FROM jobs") == [
        ("complete", len(expected), sum(map(len, expected.values())), 0, 0)
    ]
    packs = "SELECT sequence FROM packs ORDER BY 1"
    assert site.rows(packs) == undisturbed.rows(packs) != []
    assert read_rows(site.report / "success.csv").keys() == expected.keys()
    assert read_rows(site.report / "failure.csv") == {}


def fill_source(root: Path) -> Path:
    """Files of all kinds that import tells apart; `SIZES` cuts large ones into parts of two chunks."""
    from tests.simulators.trees import large_file

    for folder in ("a/b", "empty/inner", "z"):
        (root / folder).mkdir(parents=True)
    for number in range(12):
        (root / f"a/small {number}").write_bytes(b"%d" % number * number)
    for name, size in (("a/b/one part", 65 << 10), ("large", (500 << 10) + 3), ("z/large", 384 << 10)):
        large_file(os.fsencode(root / name), size, seed=size)
    os.link(root / "large", root / "z/link to large")
    os.link(root / "a/small 3", root / "z/link to small")
    (root / "symlink").symlink_to("a/small 1")
    return root
