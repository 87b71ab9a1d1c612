"""What a restore would do: the same look at the directory, but no pack is read and nothing is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from contextlib import ExitStack

from msgspec import Struct, field

from transfer.core.merge import merge_runs
from transfer.core.paths import display
from transfer.core.records import Directory, Entry, Failed, File, Hardlink, Skipped, Symlink
from transfer.jobs.import_.entries import missing_reason
from transfer.jobs.restore.arrivals import arrivals_of
from transfer.jobs.restore.choice import Choice
from transfer.jobs.restore.if_exists import IfExists
from transfer.jobs.restore.judging import Verdict, judge, judge_symlink, refusal
from transfer.jobs.restore.naming import places_of
from transfer.jobs.restore.options import RestoreOptions
from transfer.jobs.restore.outcome import MAX_LISTED, Outcome, Unrestored
from transfer.jobs.restore.places import Places, facts_of, is_folder
from transfer.jobs.restore.target import opened_directory
from transfer.jobs.restore.tree import ObstacleError, Tree, check_name, look_at, new_mark, split, target_of
from transfer.jobs.restore.trouble import reason_of
from transfer.jobs.restore.units import units_of


class Measured(Struct):
    """What would be written, and what could not be.

    Attributes:
        entries, bytes: of files, links and folders; those that are there and replaced among them.
        already: files and hard links that are there, the same.
        skipped: that `--if-exists` leaves as they are.
        refused: the first MAX_LISTED of `refusals`.
        findings: what is wrong with the devices, as text.
        missing_devices: ordinals of the job that are known of, and were not given.
        later_devices: there may be others behind the last of these.
    """

    entries: int = 0
    bytes: int = 0
    already: int = 0
    skipped: int = 0
    refusals: int = 0
    refused: list[Unrestored] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    missing_devices: list[int] = field(default_factory=list)
    later_devices: bool = False

    def refuse(self, path: str, error: str) -> None:
        """An entry, as display text, that could not be restored."""
        self.refusals += 1
        if len(self.refused) < MAX_LISTED:
            self.refused.append(Unrestored(path, error))

    def accept(self, size_bytes: int) -> None:
        """An entry that would be written."""
        self.entries += 1
        self.bytes += size_bytes


def measure(roots: Sequence[str], directory: str, options: RestoreOptions) -> Measured:
    """Go through the merged view of the devices.

    Raises:
        TransferError: as the restore would.
    """
    outcome = Outcome(lambda progress: None)
    measured = Measured()
    with opened_directory(directory, roots) as descriptor, ExitStack() as stack:
        choice = Choice(options.filter, options.paths)
        arrivals = arrivals_of(roots, options, outcome)
        units = units_of(arrivals, lambda header: choice.touches(header.paths))
        places = places_of(arrivals, descriptor, new_mark(), options, stack)
        tree = Tree(descriptor)
        stack.callback(tree.close)
        for path, record in merge_runs([unit.records() for unit in units]):
            size = record.size_bytes if isinstance(record, File | Hardlink) else None
            is_object = places.has_keys and isinstance(record, Failed | Skipped)
            if choice.has(path, size, is_object=is_object) and _is_newest(path, record, places):
                _one(measured, tree, places.of(path, record), record, options.if_exists)
    measured.findings = [str(finding) for finding in outcome.findings]
    measured.missing_devices, measured.later_devices = outcome.missing_devices, outcome.later_devices
    return measured


def _is_newest(path: bytes, record: Entry, places: Places) -> bool:
    facts = facts_of(record)
    return facts is None or not facts.history or places.is_newest(path, facts.version_id)


def _one(measured: Measured, tree: Tree, path: bytes, record: Entry, policy: IfExists) -> None:
    match record:
        case Failed() | Skipped():
            measured.refuse(display(path), missing_reason(record))
        case File() if is_folder(record):
            measured.accept(0)
        case File() | Hardlink() | Symlink():
            size = 0 if isinstance(record, Symlink) else record.size_bytes
            try:
                _judge(measured, tree, path, record, size, policy)
            except ObstacleError as obstacle:
                if policy is IfExists.OVERWRITE:
                    measured.accept(size)
                else:
                    measured.refuse(display(path), str(obstacle))
            except OSError as error:
                measured.refuse(display(path), reason_of(error))
        case Directory():
            measured.accept(0)
        case _:
            pass


def _judge(
    measured: Measured,
    tree: Tree,
    path: bytes,
    record: File | Hardlink | Symlink,
    size_bytes: int,
    policy: IfExists,
) -> None:
    folder, name = split(path)
    check_name(name)
    there: os.stat_result | None = None
    leads_to = b""
    with contextlib.suppress(FileNotFoundError):  # not even its folder is there
        descriptor = tree.folder(folder)
        there = look_at(name, descriptor)
        leads_to = target_of(name, descriptor, there)
    if isinstance(record, Symlink):
        verdict = judge_symlink(record, leads_to, there, policy)
    else:
        verdict = judge(record.mtime_ns, size_bytes, there, policy)
    if verdict is Verdict.DONE:
        measured.already += 1
    elif verdict is Verdict.SKIP:
        measured.skipped += 1
    elif verdict is Verdict.REFUSE and there is not None:
        measured.refuse(display(path), refusal(there))
    else:
        measured.accept(size_bytes)
