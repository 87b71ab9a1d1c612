"""The report directory of an import: lists that grow as entries are settled, and report.json at the end.

While an import runs there is no report.json: who finds one knows that the import before it came to its end.
An old report in the same directory is replaced.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from transfer.errors import TransferError, UsageError
from transfer.formats.report import COLUMNS, ImportReport, csv_line, encode_report

REPORT_NAME, SUCCESS_NAME, FAILURE_NAME = "report.json", "success.csv", "failure.csv"
_FLUSH_LINES = 256


class ReportFiles:
    """The open files of a report directory.

    Raises:
        UsageError: the directory cannot be made or written to.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._since_flush = 0
        try:
            os.makedirs(directory, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, REPORT_NAME))
            self._success = self._open(SUCCESS_NAME)
            self._failure = self._open(FAILURE_NAME)
        except OSError as error:
            what = f"report directory {directory} cannot be written: {error.strerror}"
            raise UsageError(what, remedy="name another directory with --report") from None

    def _open(self, name: str) -> BinaryIO:
        file = open(os.path.join(self._directory, name), "wb")  # noqa: SIM115 - closed by `finish`
        file.write(csv_line(*COLUMNS))
        return file

    def success(self, bucket: str, key: str, size_bytes: int, blake3: str) -> None:
        """A line of success.csv.

        Raises:
            TransferError: it cannot be written.
        """
        with self._errors():
            self._success.write(csv_line(bucket, key, str(size_bytes), blake3, ""))
            self._since_flush += 1
            if self._since_flush >= _FLUSH_LINES:
                self._success.flush()
                self._since_flush = 0

    def failure(self, bucket: str, key: str, size_bytes: int, blake3: str, error: str) -> None:
        """A line of failure.csv, on the disk at once.

        Raises:
            TransferError: it cannot be written.
        """
        with self._errors():
            self._failure.write(csv_line(bucket, key, str(size_bytes), blake3, error))
            self._failure.flush()

    def finish(self, report: ImportReport) -> None:
        """Close the lists and put report.json in place; that also where a list could not be written.

        Raises:
            TransferError: something could not be written.
        """
        with self._errors():
            try:
                with self._success, self._failure:
                    pass
            finally:
                self._write(encode_report(report))

    def _write(self, content: bytes) -> None:
        path = os.path.join(self._directory, REPORT_NAME)
        with open(path + ".partial", "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".partial", path)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"report directory {self._directory} cannot be written: {error.strerror}"
            raise TransferError(what, remedy="make room, or name another directory with --report") from None
