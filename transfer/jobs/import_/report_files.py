"""The report directory of an import: what became of every entry, written as it goes.

    report.json, report.html   how far it is, at each `update`; at the end, how it ended
    success.csv, failure.csv, skipped.csv   a line for each entry
    repair.txt                 patterns for `transfer copy`; only where something has to be copied again

What can be relied on, whenever the process is killed:

    - All files are made aside, as NAME.partial, until the first `update` (or a `finish` without one) puts
      them in place of an older report. Until then that stays as it is. The caller first hands over all that
      earlier attempts have settled, then calls `update`: so no list ever becomes shorter than what is done.
    - From then on report.json is always whole. It says `running` and when it was written; only `finish` says
      anything else. It comes before the lists when an older report is replaced: no word on how an import
      ended ever stands beside the lists of another. report.html is made from the same values, just before it.
    - Lists hold whole lines, the last one excepted, which may be cut off. Failures and repairs are handed to
      the system at once, the others with each `update` and each 64 KiB. That comes before report.json is
      written: its counts never tell of lines that are not there, but for the moment of replacing.
    - After a loss of power, lists may lack what was written since they were begun; they are forced to the
      disk at the end. The next attempt writes all of it anew.

A disk that is full or not writable makes the call raise TransferError and loses nothing of what was handed
over before: `update` may be called again, and `finish` tries everything once more. Only the line of a call
that raised may be missing. Lists that are not whole in the end are told of in report.json as its `error`, if
that can be written; where it cannot, the last one that was stays.

`update` and `finish` wait for the disk, so they are best called in a thread, one at a time; the other methods
may be called meanwhile. Does not: guard against two imports with the same report directory.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from transfer.device.clock import timestamp
from transfer.errors import TransferError, UsageError
from transfer.formats.report import COLUMNS, ImportReport, csv_line, encode_report
from transfer.formats.report_html import render_report
from transfer.jobs.import_.report_lists import PARTIAL, ListFile, RepairList
from transfer.jobs.import_.report_tally import Tally

REPORT_NAME: Final = "report.json"
PAGE_NAME: Final = "report.html"
SUCCESS_NAME: Final = "success.csv"
FAILURE_NAME: Final = "failure.csv"
SKIPPED_NAME: Final = "skipped.csv"

_REPAIR_NAME: Final = re.compile(r"repair(-[0-9]+)?\.txt")


class ReportFiles:
    """The files of a report directory.

    Raises:
        UsageError: the directory cannot be made or written to.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._lists: list[ListFile] = []
        self._is_published = False
        self._repair = RepairList(self._make)
        self._failures, self._skips = Tally(), Tally()
        head = csv_line(*COLUMNS)
        try:
            os.makedirs(directory, exist_ok=True)
            self._success = self._make(SUCCESS_NAME, head)
            self._failure = self._make(FAILURE_NAME, head)
            self._skipped = self._make(SKIPPED_NAME, head)
            self._flush()
        except OSError as error:
            for made in self._lists:
                with contextlib.suppress(OSError):
                    made.close()
            what = f"report directory {directory} cannot be written: {error.strerror}"
            raise UsageError(what, remedy="name another directory with --report") from None

    def success(self, bucket: str, key: str, size_bytes: int, blake3: str) -> None:
        """An object is in the bucket: a line of success.csv.

        Raises:
            TransferError: it cannot be written.
        """
        with self._errors(), self._lock:
            self._success.add(csv_line(bucket, key, str(size_bytes), blake3, ""))

    def failure(self, bucket: str, key: str, size_bytes: int, blake3: str, error: str) -> None:
        """An entry is not in the bucket: a line of failure.csv, at once.

        Raises:
            TransferError: it cannot be written.
        """
        with self._errors(), self._lock:
            self._failure.add(csv_line(bucket, key, str(size_bytes), blake3, error))
            self._failures.add(bucket, key, size_bytes, error)
            self._failure.flush()

    def skipped(self, bucket: str, key: str, size_bytes: int, blake3: str, reason: str) -> None:
        """An entry was knowingly left out: a line of skipped.csv.

        Raises:
            TransferError: it cannot be written.
        """
        with self._errors(), self._lock:
            self._skipped.add(csv_line(bucket, key, str(size_bytes), blake3, reason))
            self._skips.add(bucket, key, size_bytes, reason)

    def repair(self, path: bytes) -> None:
        """An entry has to be copied again: a pattern in repair.txt, at once.

        Args:
            path: on the device; a directory's ends in "/".

        Raises:
            TransferError: it cannot be written.
        """
        with self._errors(), self._lock:
            self._repair.path(path)
            self._publish_new()

    def repair_note(self, text: str) -> None:
        """Something that no pattern can say, such as a lost segment: a comment in repair.txt, at once.

        Raises:
            TransferError: it cannot be written.
        """
        with self._errors(), self._lock:
            self._repair.note(text)
            self._publish_new()

    def update(self, report: ImportReport) -> None:
        """Put everything down as it stands.

        Args:
            report: examples and reasons need not be filled in, they come from the lists.

        Raises:
            TransferError: something could not be written; the report before it is still there.
        """
        with self._errors():
            with self._lock:
                self._flush()
            self._write(replace(report, state="running"))
            with self._lock:
                self._publish()

    def finish(self, report: ImportReport) -> None:
        """Close the lists and put the last report in place; that also where a list could not be written.

        Args:
            report: as for `update`.

        Raises:
            TransferError: something could not be written.
        """
        with self._errors():
            if not self._is_published:
                self._write(replace(report, state="running"))
            failed = self._close()
            if failed is not None:
                lost = f"the lists beside this report are not complete: {failed.strerror}"
                report = replace(report, error=f"{report.error}; {lost}" if report.error else lost)
            self._write(report)
            self._settle_names()
            if failed is not None:
                raise failed

    def _close(self) -> OSError | None:
        """Close all lists and put them in place, whatever happens; the first error."""
        failed: OSError | None = None
        with self._lock:
            for step in [*(file.close for file in self._lists), self._publish]:
                try:
                    step()
                except OSError as error:
                    failed = failed or error
        return failed

    def _flush(self) -> None:
        for file in self._lists:
            file.flush()

    def _make(self, name: str, head: bytes) -> ListFile:
        made = ListFile(self._directory, name, head)
        self._lists.append(made)
        return made

    def _publish(self) -> None:
        """Take the place of an older report. `_write` came before: its end is not told of any more."""
        for file in self._lists:
            file.publish()
        if not self._is_published:
            ours = {file.name for file in self._lists}
            for name in os.listdir(self._directory):
                if _REPAIR_NAME.fullmatch(name) and name not in ours:
                    os.unlink(os.path.join(self._directory, name))
        self._is_published = True

    def _publish_new(self) -> None:
        """A list that was made later than the others stands beside them."""
        if self._is_published:
            self._publish()

    def _write(self, report: ImportReport) -> None:
        with self._lock:
            report = replace(
                report,
                written=timestamp(),
                failure_examples=self._failures.examples.copy(),
                skipped_examples=self._skips.examples.copy(),
                failure_reasons=self._failures.reasons(),
                skipped_reasons=self._skips.reasons(),
                repair_files=len(self._repair.files()),
            )
        self._replace(PAGE_NAME, render_report(report))
        self._replace(REPORT_NAME, encode_report(report))

    def _replace(self, name: str, content: bytes) -> None:
        place = os.path.join(self._directory, name)
        try:
            with open(place + PARTIAL, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(place + PARTIAL, place)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(place + PARTIAL)  # a full disk needs the room
            raise

    def _settle_names(self) -> None:
        """Make the renames outlast a loss of power."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"report directory {self._directory} cannot be written: {error.strerror}"
            raise TransferError(what, remedy="make room, or name another directory with --report") from None
