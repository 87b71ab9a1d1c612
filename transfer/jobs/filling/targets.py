"""The devices of a job that were named: opened, held against each other, locked, and put in order.

A target is one ordinal of the job: a device, or with --copies its twins, which get the same packs. Earlier
devices of the set may be named too, sealed ones as well: they tell where the set stands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from transfer.core.records import Header
from transfer.device.custody import read_log
from transfer.device.device import Device, open_device
from transfer.device.encryption import Keys, require_resume_key, unlocked
from transfer.device.lock import locked
from transfer.device.take_back import take_back
from transfer.errors import DeviceError, UsageError
from transfer.jobs.filling.result import FillOptions
from transfer.jobs.filling.resume import ResumePoint, find_resume_point


@dataclass
class Target:
    """One ordinal of a job.

    Attributes:
        devices: one, or twins.
        points: where each stands, as soon as `find_points` was called; none of a sealed device that cannot be
            read here.
        deleted: uncommitted files that were deleted.
        is_current: nothing was written since `points` was read.
    """

    devices: list[Device]
    points: list[ResumePoint] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    is_current: bool = False

    @property
    def device(self) -> Device:
        """The first of them, by which all are meant."""
        return self.devices[0]

    @property
    def ordinal(self) -> int:
        """Which of the job."""
        return self.device.document.ordinal

    @property
    def name(self) -> str:
        """For people."""
        return " and ".join(device.root for device in self.devices)

    @property
    def is_sealed(self) -> bool:
        """Whether it takes no more data."""
        return any(device.is_sealed for device in self.devices)

    @property
    def point(self) -> ResumePoint | None:
        """Where it stands."""
        return self.points[0] if self.points else None

    def find_points(self, *, clean: bool, ours: Container[str] = ()) -> None:
        """Read where the last run ended; with `clean` delete what was not committed, and make twins equal.

        Args:
            clean: delete what was not committed.
            ours: ids of devices that this host has filled, and so may be twins at work.

        Raises:
            DeviceError: twins do not have the same packs.
            TransferError: as `find_resume_point`.
        """
        if any(device.is_locked for device in self.devices):
            return
        clean = clean and not self.is_sealed
        self.points = [find_resume_point(device, clean=clean) for device in self.devices]
        if len(self.points) > 1:
            self._make_equal(clean=clean, ours=ours)
        self.deleted += [name for point in self.points for name in point.deleted]
        self.is_current = clean

    def _make_equal(self, *, clean: bool, ours: Container[str]) -> None:
        """After a crash one twin may have a pack that the other has not: it goes."""
        counts = [point.sequence for point in self.points]
        least = min(counts)
        if max(counts) - least > 1 or (max(counts) > least and self.is_sealed):
            raise _not_equal(self, f"they have {' and '.join(map(str, counts))} packs")
        shapes = [[_shape(header) for header in point.manifest.headers[:least]] for point in self.points]
        if any(shape != shapes[0] for shape in shapes):
            raise _not_equal(self, "their packs hold different things")
        are_ours = all(device.document.device_id in ours for device in self.devices)
        if max(counts) > least == 0 and not are_ours:
            raise _not_equal(self, "one of them is empty")
        for place, point in enumerate(self.points):
            if point.sequence > least and clean:
                take_back(self.devices[place], least, least)
                found = find_resume_point(self.devices[place], clean=True)
                found.deleted += [*point.deleted, self.devices[place].layout.pack_name(least)]
                self.points[place] = found


def _shape(header: Header) -> tuple[object, ...]:
    """What twins have in common."""
    return (
        header.run,
        header.source,
        header.paths,
        header.entries,
        header.content_bytes,
        header.run_complete,
        header.ends_with_member,
    )


def _not_equal(target: Target, why: str) -> DeviceError:
    return DeviceError(
        f"devices {target.name} are no twins: {why}",
        remedy="copy to the one that has more by itself, or prepare empty devices and copy to them",
    )


def open_targets(roots: Sequence[str], options: FillOptions) -> list[Target]:
    """The devices by ordinal, twins together.

    Raises:
        UsageError: they are not devices of one job, or not as many of each ordinal as --copies says.
        DeviceError: one of them is no device, or the last one is sealed.
        AccessError: it is encrypted, and this host did not prepare it.
    """
    keys = Keys(state_directory=options.state_directory)
    devices = [unlocked(open_device(root), keys) for root in roots]
    _check_same_job(devices)
    by_ordinal = groupby(sorted(devices, key=_ordinal), key=_ordinal)
    targets = [Target(list(twins)) for _, twins in by_ordinal]
    for target in targets:
        _check_copies(target, options.copies)
    if all(target.is_sealed for target in targets):
        for device in targets[-1].devices:
            device.refuse_if_sealed()
    for target in targets:
        if not target.is_sealed:
            for device in target.devices:
                require_resume_key(device)
    return targets


@contextlib.contextmanager
def locked_targets(targets: Sequence[Target], verb: str) -> Iterator[None]:
    """Hold the locks of all that are to be written to.

    Raises:
        LockedError: another process works on one of them.
        DeviceError: it was sealed meanwhile, or its custody log is broken.
    """
    with contextlib.ExitStack() as locks:
        for target in targets:
            if target.is_sealed:
                continue
            for device in target.devices:
                locks.enter_context(locked(device.layout, verb))
                device.refuse_if_sealed()
                # To a broken log nothing can be added: better said now than in the end.
                read_log(device.layout)
        yield


def _ordinal(device: Device) -> int:
    return device.document.ordinal


def _check_same_job(devices: Sequence[Device]) -> None:
    first, seen = devices[0], dict[str, str]()
    for device in devices:
        document = device.document
        if document.job != first.document.job:
            raise UsageError(
                f"device {device.root} is of job {document.job}, {first.root} of job {first.document.job}",
                remedy="name devices of one job, or copy to each by itself",
            )
        if document.device_id in seen:
            raise UsageError(
                f"{seen[document.device_id]} and {device.root} are the same device",
                remedy="name each device once",
            )
        seen[document.device_id] = device.root


def _check_copies(target: Target, copies: int) -> None:
    count, first = len(target.devices), target.device.document
    if count == copies:
        for twin in target.devices[1:]:
            document = twin.document
            sizes = (document.chunk_size_bytes, document.batch_size_bytes, document.max_entries)
            if sizes != (first.chunk_size_bytes, first.batch_size_bytes, first.max_entries):
                raise UsageError(
                    f"devices {target.name} cannot get the same packs: their profiles cut them differently",
                    remedy="prepare twins with the same profile",
                )
        return
    if copies == 1:
        raise UsageError(
            f"devices {target.name} are both number {target.ordinal} of job {first.job}",
            remedy=f"prepare one of them with another --ordinal, or make them twins: --copies {count}",
        )
    what = f"--copies {copies} wants {copies} devices with ordinal {target.ordinal} of job {first.job}"
    raise UsageError(
        f"{what}, not {count}: {target.name}",
        remedy=f"prepare {copies} empty devices with the same --job and --ordinal",
    )
