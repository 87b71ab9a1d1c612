"""What came of a restore: counts, and the first entries that did not come back as they should."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from transfer.core.paths import display
from transfer.core.progress import Progress
from transfer.device.signature import SignedBy
from transfer.jobs.verify.findings import Finding

MAX_LISTED = 1000
_TOLD_EVERY = 64


class Unrestored(Struct, frozen=True):
    """An entry that is not there as the device has it.

    Attributes:
        path: as display text.
        error: why.
        is_damage: the device is to blame, not the directory.
    """

    path: str
    error: str
    is_damage: bool = False


class Restored(Struct, frozen=True, kw_only=True):
    """A device that took part, by what somebody can compare with what was written down when it left.

    Attributes:
        device: its folder.
        seal_blake3: empty where it is not sealed.
        custody_entry: number of the last entry of its custody log; -1 where there is none, or it is broken.
        custody_blake3: digest of that entry, by which all of the log is known; empty where it is broken.
    """

    device: str
    device_id: str
    job: str
    ordinal: int
    generation: int
    seal_blake3: str
    custody_entry: int = -1
    custody_blake3: str = ""
    signed_by: SignedBy | None = None


class Outcome:
    """Counts of one restore; threads may add to it.

    Attributes:
        entries: files, hard links, symbolic links and folders that were brought.
        bytes: of the content that was written.
        already: files and links that were there before, the same.
        skipped: entries left out, because `--if-exists` leaves what is there.
        failed: entries that are not there as they should; `failures` has the first MAX_LISTED.
        damaged: how many of them are the device's fault.
        incomplete: entries whose owner, rights, times or attributes could not all be set; `notes` has the
            first MAX_LISTED.
        findings: what is wrong with the devices, the first MAX_LISTED.
        devices: that took part, oldest first.
        bagged_files, bagged_bytes: payload of the bag, where one was made.
        bag_misread: payload files that not all readers of bags find by the manifest.
        missing_devices: ordinals of the job that are known of, and were not given.
        later_devices: there may be others behind the last of these.
    """

    def __init__(self, observe: Callable[[Progress], None]) -> None:
        self.entries = self.bytes = self.already = self.skipped = 0
        self.failed = self.damaged = self.incomplete = self.found_count = 0
        self.total_files = self.total_bytes = 0
        self.done_bytes = 0
        self.failures: list[Unrestored] = []
        self.notes: list[Unrestored] = []
        self.findings: list[Finding] = []
        self.bagged_files = self.bagged_bytes = self.bag_misread = 0
        self.devices: list[Restored] = []
        self.missing_devices: list[int] = []
        self.later_devices = False
        self._observe = observe
        self._lock = threading.Lock()
        self._untold = 0

    @property
    def exit_code(self) -> int:
        """As README lists them: 4 damaged, 3 done in part, 0 done."""
        if self.damaged or self.found_count:
            return 4
        lacks_devices = len(self.devices) > 1 and bool(self.missing_devices)
        return 3 if self.failed or self.incomplete or lacks_devices else 0

    def found(self, finding: Finding) -> None:
        """Something is wrong with the device."""
        with self._lock:
            self.found_count += 1
            if len(self.findings) < MAX_LISTED:
                self.findings.append(finding)

    def fail(self, path: bytes, error: str, *, is_damage: bool = False) -> None:
        """An entry is not restored."""
        with self._lock:
            self.failed += 1
            self.damaged += is_damage
            if len(self.failures) < MAX_LISTED:
                self.failures.append(Unrestored(display(path), error, is_damage))

    def note(self, path: bytes, problems: list[str]) -> None:
        """An entry is there, but not all that goes with it could be set."""
        if not problems:
            return
        with self._lock:
            self.incomplete += 1
            if len(self.notes) < MAX_LISTED:
                self.notes.append(Unrestored(display(path), "; ".join(problems)))

    def wrote(self, path: bytes, size_bytes: int) -> None:
        """An entry got its name."""
        with self._lock:
            self.entries += 1
            self.bytes += size_bytes
            self.done_bytes += size_bytes
        self._tell(path)

    def wrote_many(self, path: bytes, files: int, size_bytes: int) -> None:
        """Several files got their names; `path` is one of them."""
        with self._lock:
            self.entries += files
            self.bytes += size_bytes
            self.done_bytes += size_bytes
        self._observe(self.progress(path))

    def was_there(self, path: bytes, size_bytes: int) -> None:
        """An entry was restored before."""
        with self._lock:
            self.already += 1
            self.done_bytes += size_bytes
        self._tell(path)

    def left(self) -> None:
        """What is there stays."""
        with self._lock:
            self.skipped += 1

    def progress(self, path: bytes, more_bytes: int = 0) -> Progress:
        """How far it is, with so many bytes of a file that has no name yet."""
        return Progress(
            phase="restore",
            files_done=self.entries + self.already,
            bytes_done=self.done_bytes + more_bytes,
            files_total=self.total_files,
            bytes_total=self.total_bytes,
            failures=self.failed,
            current_path=path,
        )

    def tell(self, path: bytes, more_bytes: int) -> None:
        """A large file goes on."""
        self._observe(self.progress(path, more_bytes))

    def _tell(self, path: bytes) -> None:
        self._untold += 1
        if self._untold >= _TOLD_EVERY:
            self._untold = 0
            self._observe(self.progress(path))
