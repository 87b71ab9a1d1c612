"""What a restore would do: the same look at the directory, but no pack is read and nothing is written."""

from __future__ import annotations

import contextlib
import os

from msgspec import Struct, field

from transfer.core.paths import display
from transfer.core.records import Directory, Entry, Failed, File, Hardlink, Skipped, Symlink
from transfer.jobs.import_.arrival import merged, receive
from transfer.jobs.import_.entries import is_wanted
from transfer.jobs.import_.others import missing_reason
from transfer.jobs.restore.job import opened_directory
from transfer.jobs.restore.judging import Verdict, judge, judge_symlink, refusal
from transfer.jobs.restore.options import IfExists, RestoreOptions
from transfer.jobs.restore.outcome import MAX_LISTED, Unrestored
from transfer.jobs.restore.tree import ObstacleError, Tree, check_name, look_at, split, target_of
from transfer.jobs.restore.trouble import reason_of


class Measured(Struct):
    """What would be written, and what could not be.

    Attributes:
        entries, bytes: of files, links and folders; those that are there and replaced among them.
        already: files and hard links that are there, the same.
        skipped: that `--if-exists` leaves as they are.
        refused: the first MAX_LISTED of `refusals`.
        findings: what is wrong with the device, as text.
    """

    entries: int = 0
    bytes: int = 0
    already: int = 0
    skipped: int = 0
    refusals: int = 0
    refused: list[Unrestored] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def refuse(self, path: str, error: str) -> None:
        """An entry, as display text, that could not be restored."""
        self.refusals += 1
        if len(self.refused) < MAX_LISTED:
            self.refused.append(Unrestored(path, error))

    def accept(self, size_bytes: int) -> None:
        """An entry that would be written."""
        self.entries += 1
        self.bytes += size_bytes


def measure(root: str, directory: str, options: RestoreOptions) -> Measured:
    """Go through the merged view of a device.

    Raises:
        TransferError: as the restore would.
    """
    measured = Measured()
    with opened_directory(directory, root) as descriptor:
        arrival = receive(
            root,
            options.incomplete,
            lambda finding: measured.findings.append(str(finding)),
            options.keys,
            options.signers,
        )
        tree = Tree(descriptor)
        try:
            for path, record, _ in merged(arrival.manifest):
                size = record.size_bytes if isinstance(record, File | Hardlink) else None
                if is_wanted(path, size, options.filter):
                    _one(measured, tree, path, record, options.if_exists)
        finally:
            tree.close()
    return measured


def _one(measured: Measured, tree: Tree, path: bytes, record: Entry, policy: IfExists) -> None:
    match record:
        case Failed() | Skipped():
            measured.refuse(display(path), missing_reason(record))
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
        verdict = judge(record, size_bytes, there, policy)
    if verdict is Verdict.DONE:
        measured.already += 1
    elif verdict is Verdict.SKIP:
        measured.skipped += 1
    elif verdict is Verdict.REFUSE and there is not None:
        measured.refuse(display(path), refusal(there))
    else:
        measured.accept(size_bytes)
