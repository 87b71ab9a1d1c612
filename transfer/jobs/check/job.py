"""check, the job: devices against a bucket or a folder; what comes of it is counted, and listed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace

from transfer.core.filters import Filter
from transfer.core.progress import Progress
from transfer.device.layout import DEVICE_NAME, SEGMENTS
from transfer.device.path_table import PathTable
from transfer.errors import UsageError
from transfer.jobs.check.bucket import BucketCheck
from transfer.jobs.check.devices import Devices, LinkContents, open_devices, sizes_only
from transfer.jobs.check.folder import folder_results
from transfer.jobs.check.keyed import KeyedFolder
from transfer.jobs.check.lists import ListPaths, Lists
from transfer.jobs.check.looking import FolderLook, OverError
from transfer.jobs.check.options import CheckOptions
from transfer.jobs.check.pairing import Held, Pair, by_path, fits, held_entries
from transfer.jobs.check.results import Checked, Seen
from transfer.jobs.comparing.expected import Expectation, LinkContent, Listed, newest
from transfer.jobs.comparing.older import OlderVersions
from transfer.jobs.copy.walk import Found, Walk, WalkOptions
from transfer.jobs.import_.health import StoreLostError
from transfer.jobs.import_.listed_objects import load
from transfer.jobs.import_.options import ImportOptions
from transfer.jobs.import_.targets import Targets
from transfer.stores.contract import Store

_TOLD_EVERY = 64


@dataclass(frozen=True)
class BucketPlace:
    """A bucket, and the beginning of all keys in it; empty, or as `folder_prefix` gives it."""

    store: Store
    name: str
    prefix: str = ""


@dataclass(frozen=True)
class FolderPlace:
    """A folder."""

    path: str


@dataclass
class Check:
    """One check.

    Args:
        roots: of devices of one job.
        place: what they are compared with.
        options: see there.
        lists: where every entry is named.
        observe: told how far it is, from any thread.
    """

    roots: Sequence[str]
    place: BucketPlace | FolderPlace
    options: CheckOptions
    lists: ListPaths = field(default_factory=ListPaths)
    observe: Callable[[Progress], None] = lambda progress: None
    _checked: Checked = field(default_factory=Checked, init=False)
    _read_bytes: int = field(default=0, init=False)
    _total: Progress = field(default_factory=lambda: Progress("check"), init=False)

    async def run(self) -> Checked:
        """Carry it out.

        Raises:
            TransferError: a device, the bucket, the folder or a list cannot be read or written.
        """
        if isinstance(self.place, FolderPlace):
            _refuse_folder(self.place.path)
        devices = await asyncio.to_thread(
            open_devices, self.roots, self.options, self._checked.defects.append
        )
        self._checked.notes += devices.notes()
        self._total = Progress("check", files_total=devices.files, bytes_total=devices.bytes)
        with ExitStack() as stack:
            lists = stack.enter_context(Lists(self.lists))
            content = await self._link_content(devices, stack)
            try:
                await self._take(self._results(devices, content, stack), lists)
            except StoreLostError as lost:
                raise lost.error from None
        return self._checked

    async def _link_content(self, devices: Devices, stack: ExitStack) -> LinkContent:
        if self.options.quick:
            return sizes_only
        contents = LinkContents([stack.enter_context(PathTable()) for _ in devices.arrivals])
        await asyncio.to_thread(contents.find, devices)
        return contents.of

    async def _take(self, results: AsyncGenerator[Seen], lists: Lists) -> None:
        checked = self._checked
        self._tell(b"")
        async with aclosing(results):
            async for seen in results:
                checked.take(seen)
                lists.write(seen)
                if not checked.entries % _TOLD_EVERY:
                    self._tell(seen.path)
        self._tell(b"")

    def _results(self, devices: Devices, content: LinkContent, stack: ExitStack) -> AsyncGenerator[Seen]:
        if isinstance(self.place, BucketPlace):
            return self._bucket(self.place, devices, content, stack)
        return self._folder(self.place, devices, content, stack)

    async def _bucket(
        self, place: BucketPlace, devices: Devices, content: LinkContent, stack: ExitStack
    ) -> AsyncGenerator[Seen]:
        options = self.options
        like_import = ImportOptions(
            bucket=place.name,
            prefix=place.prefix,
            filter=options.filter,
            symlinks=options.symlinks,
            requests=options.requests,
        )
        listed = await _listed(devices, like_import, stack) if options.objects else None
        older = self._older(devices)
        expectation = Expectation(iter(older), like_import, content, is_lenient=True, listed=listed)
        check = BucketCheck(
            place.store,
            place.prefix,
            options.filter,
            quick=options.quick,
            download=options.download,
            download_all=options.download_all,
            one_way=options.one_way,
            requests=options.requests,
            tell=self._read,
        )
        async with aclosing(check.results(expectation)) as results:
            async for seen in results:
                yield seen
        self._checked.symlinks_left_out = expectation.symlinks_left_out
        self._checked.older_versions = older.count

    async def _folder(
        self, place: FolderPlace, devices: Devices, content: LinkContent, stack: ExitStack
    ) -> AsyncGenerator[Seen]:
        options, folder = self.options, os.fsencode(place.path)
        look = FolderLook(
            folder,
            quick=options.quick,
            one_way=options.one_way,
            follow_links=options.follow_links,
            tell=self._read,
        )
        older = self._older(devices)
        held = held_entries(newest(iter(older)), options.filter, content)
        is_keyed = devices.have_keys or options.escaped_names
        found = self._walk(place, Filter() if is_keyed else options.filter)
        if is_keyed:
            tables = [stack.enter_context(PathTable()) for _ in range(4)]
            keyed = KeyedFolder(options.filter, *tables)
            self._checked.notes += await asyncio.to_thread(keyed.learn, os.fsencode(place.path))
            pairs = _by_key(keyed, found, held, look)
        else:
            pairs = by_path(held, found)
        wanted = (pair for pair in pairs if fits(pair, options.filter))
        try:
            async with aclosing(folder_results(wanted, look, options.workers)) as results:
                async for seen in results:
                    yield seen
        except OverError:  # it was this that called it off, and something else that ended it
            raise asyncio.CancelledError from None
        self._checked.older_versions = older.count

    def _older(self, devices: Devices) -> OlderVersions:
        return OlderVersions(devices.entries(), self.options.filter.accepts_file)

    def _walk(self, place: FolderPlace, rules: Filter) -> Iterator[Found]:
        """The folder, by names alone: what a size leaves out is known when both sides are."""
        options = self.options
        names_alone = replace(rules, min_size_bytes=None, max_size_bytes=None)
        told = WalkOptions(
            names_alone, follow_links=options.follow_links, one_file_system=options.one_file_system
        )
        try:
            yield from Walk(os.fsencode(place.path), told).entries()
        except OSError as error:
            what = f"cannot read {place.path}: {error.strerror}"
            raise UsageError(what, remedy="name a folder that exists and may be read") from None

    def _read(self, count: int) -> None:
        """Content was read; from any thread."""
        self._read_bytes += count
        self._tell(b"")

    def _tell(self, path: bytes) -> None:
        checked = self._checked
        told = replace(  # hard links are content once more, which no total counts
            self._total,
            files_done=checked.compared,
            bytes_done=min(max(checked.bytes, self._read_bytes), self._total.bytes_total or 0),
            failures=checked.compared - sum(checked.same.values()),
            current_path=path,
        )
        self.observe(told)


async def _listed(devices: Devices, options: ImportOptions, stack: ExitStack) -> Listed:
    """What the list of objects says that one of the devices has.

    Raises:
        UsageError: none has one.
        TransferError: it is damaged, or cannot be read.
    """
    refusal: UsageError | None = None
    for arrival in devices.arrivals:
        try:
            objects = await load(arrival, options, stack.enter_context(PathTable()))
        except UsageError as error:
            refusal = refusal or error
        else:
            return Listed(Targets(options, objects), objects, stack.enter_context(PathTable()))
    raise refusal or UsageError("there is no device")


def _by_key(
    keyed: KeyedFolder, found: Iterator[Found], held: Iterator[Held], look: FolderLook
) -> Iterator[Pair]:
    keyed.lay_down(found, lambda: look.is_over)
    yield from keyed.pairs(held)


def _refuse_folder(path: str) -> None:
    if not os.path.isdir(os.fsencode(path)):
        raise UsageError(f"{path} is no folder", remedy="name a folder, or a bucket as s3://bucket/prefix")
    if os.path.lexists(os.path.join(path, DEVICE_NAME)) and os.path.isdir(os.path.join(path, SEGMENTS)):
        what = f"{path} is a device: what is it to be compared with?"
        raise UsageError(what, remedy="name a folder or a bucket behind the devices")
