"""The records against their rules, segment after segment; where that is asked for, beside their frames."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec.structs import replace

from transfer.core.records import Failed, Hardlink, Skipped
from transfer.core.stream_rules import StreamRules
from transfer.device.device import Device
from transfer.device.frame_stream import FrameGroup, frame_groups
from transfer.errors import DeviceError, IntegrityError
from transfer.jobs.verify.findings import Finding, Report
from transfer.jobs.verify.stored import StoredFiles, report_unreadable

if TYPE_CHECKING:
    from transfer.jobs.verify.frames import FrameCheck


class RecordCheck:
    """Checks segment after segment.

    Args:
        device: which.
        files: what seal and segments say of it.
        report: told every finding, from the calling thread alone.
        frames: opens the frames; None: they stay closed.

    Attributes:
        records, failed, skipped, hard_links: how many were read.
        unfollowed: the segments that could not be followed to their end.
    """

    def __init__(
        self, device: Device, files: StoredFiles, report: Report, frames: FrameCheck | None = None
    ) -> None:
        self._device = device
        self._files = files
        self._report = report
        self._frames = frames
        self._rules = StreamRules(device.document.chunk_size_bytes)
        self._is_stopped = False
        self.records = self.failed = self.skipped = self.hard_links = 0
        self.unfollowed: set[int] = set()

    def stop(self) -> None:
        """Have `check` end early, which runs in another thread: nobody wants to know any more."""
        self._is_stopped = True

    def check(self) -> None:
        """Check all segments.

        Raises:
            DeviceError: the device is gone.
        """
        frames = self._frames
        for number in sorted(self._files.headers):
            if self._is_stopped:
                return
            if self._rules.sequence != number - 1 or number - 1 in self.unfollowed:
                self._rules = self._rules_before(number)
                if frames is not None:
                    frames.forget_file()
            with frames.pack(number) if frames is not None else nullcontext():
                self._check(number)

    def _rules_before(self, number: int) -> StreamRules:
        """Rules that expect this segment, though what stood before it is not known."""
        header = self._files.headers[number]
        nothing = {"first_path": "", "first_path_base64": "", "last_path": "", "last_path_base64": ""}
        unknown = replace(header, sequence=number - 1, **nothing)
        rules = StreamRules(self._device.document.chunk_size_bytes)
        rules.skip_to(self._files.headers.get(number - 1, unknown), header)
        return rules

    def _check(self, number: int) -> None:
        """Follow the records of a segment, and its pack beside them."""
        try:
            for group in frame_groups(self._device, number, self._rules):
                self._count(group)
                if self._frames is not None:
                    self._frames.take(group)
                if self._is_stopped:
                    return
        except IntegrityError as error:
            self.unfollowed.add(number)
            detail = str(error).removeprefix(f"segment {number}: ")
            name = self._device.layout.segment_file(number)
            self._report(Finding(code="segment-invalid", file=name, detail=detail))
        except DeviceError as error:
            self.unfollowed.add(number)
            report_unreadable(self._device, self._device.layout.segment_file(number), error, self._report)
        if self._frames is not None:
            self._frames.end(number, is_followed=number not in self.unfollowed)

    def _count(self, group: FrameGroup) -> None:
        kinds = Counter(map(type, group.records))
        self.records += len(group.records)
        self.failed += kinds[Failed]
        self.skipped += kinds[Skipped]
        self.hard_links += kinds[Hardlink]
