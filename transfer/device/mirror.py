"""Writing the same packs to several devices in lock-step, each encrypted for its own recipients where it is.

Whatever is decided (that a pack is full, that a device is) is decided for all of them together, so that at
any moment they have the same packs, or, between two commits, some of them one more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn, TypeVar

from transfer.device.disk import FULL_ERRNOS, device_errors
from transfer.device.open_pack import Piece
from transfer.device.writer import DeviceWriter
from transfer.errors import DeviceFullError

Value = TypeVar("Value")


class MirrorWriter:
    """Several writers as one; used from one thread, it writes in a thread for each.

    Args:
        writers: of devices that have the same packs.
    """

    def __init__(self, writers: Sequence[DeviceWriter]) -> None:
        self._writers = writers
        self._threads = ThreadPoolExecutor(len(writers), thread_name_prefix="twin")

    @property
    def sequence(self) -> int:
        """Number of the next pack."""
        return self._writers[0].sequence

    @property
    def run_is_open(self) -> bool:
        """Whether the run has brought anything that is to be ended."""
        return self._writers[0].run_is_open

    @run_is_open.setter
    def run_is_open(self, is_open: bool) -> None:
        for writer in self._writers:
            writer.run_is_open = is_open

    @property
    def ends_when_full(self) -> bool:
        """As `DeviceWriter` says."""
        return self._writers[0].ends_when_full

    @ends_when_full.setter
    def ends_when_full(self, ends: bool) -> None:
        for writer in self._writers:
            writer.ends_when_full = ends

    def append(self, piece: Piece) -> None:
        """As `DeviceWriter.append`."""
        if any(writer.wants_roll(piece) for writer in self._writers):
            self._commit_or_stop()
        if not all(self._each(lambda writer: writer.has_room_for(piece))):
            self.stop_full()
        try:
            self._each(lambda writer: writer.put(piece))
        except OSError as error:
            _raise_unless_full(error)
            self._each(DeviceWriter.abandon)  # some have the piece and some have not
            self.stop_full()

    def room_bytes(self) -> int:
        """What surely goes onto each of them."""
        return min(writer.room_bytes() for writer in self._writers)

    def finish(self, *, continues: bool = False) -> None:
        """As `DeviceWriter.finish`."""
        if not self.run_is_open:
            self.abandon()
            return
        self._commit_or_stop(run_complete=True, continues=continues)

    def pause(self) -> None:
        """As `DeviceWriter.pause`."""
        if self._writers[0].has_anything:
            self._commit_or_stop()
        else:
            self.abandon()

    def abandon(self) -> None:
        """As `DeviceWriter.abandon`."""
        self._each(DeviceWriter.abandon)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True)

    def stop_full(self, *, continues: bool = True) -> NoReturn:
        """As `DeviceWriter.stop_full`: all of them end where the smallest one is full."""
        self._each(DeviceWriter.free_reserve)
        may_end = all(self._each(DeviceWriter.drop_member))
        if may_end and not self._end(continues=continues):
            self._end(continues=continues)  # without what did not fit
        roots = ", ".join(writer.device.root for writer in self._writers)
        raise DeviceFullError(
            f"one of the devices {roots} is full", remedy="seal them and continue on others"
        )

    def _end(self, *, continues: bool) -> bool:
        """End the run on all of them, or on none; whether that was done."""
        if any(writer.is_broken for writer in self._writers):
            self.abandon()
        before = [writer.sequence for writer in self._writers]
        try:
            self._each(lambda writer: writer.end(continues=continues))
        except OSError as error:
            _raise_unless_full(error)
        else:
            return True
        for writer, sequence in zip(self._writers, before, strict=True):
            writer.abandon()
            if writer.sequence > sequence:
                writer.take_back_last()
        return False

    def _commit_or_stop(self, *, run_complete: bool = False, continues: bool = False) -> None:
        before = [writer.sequence for writer in self._writers]
        try:
            self._each(lambda writer: writer.commit(run_complete=run_complete, continues=continues))
        except OSError as error:
            _raise_unless_full(error)
            for writer, sequence in zip(self._writers, before, strict=True):
                if writer.sequence > sequence:
                    writer.take_back_last()
                writer.abandon()
            self.stop_full()

    def _each(self, step: Callable[[DeviceWriter], Value]) -> list[Value]:
        """Do it to all at once; waits for all, and raises the gravest error.

        Raises:
            OSError: a device is full.
            DeviceError: a device failed.
        """
        tasks = [self._threads.submit(_step, step, writer) for writer in self._writers]
        errors = [error for task in tasks if (error := task.exception()) is not None]
        if errors:
            raise min(errors, key=lambda error: isinstance(error, OSError))
        return [task.result() for task in tasks]


def _step(step: Callable[[DeviceWriter], Value], writer: DeviceWriter) -> Value:
    """One step on one device; that it is full comes out as it is, all else by the device's name."""
    try:
        return step(writer)
    except OSError as error:
        if error.errno in FULL_ERRNOS:
            raise
        with device_errors(writer.device.root):
            raise


def _raise_unless_full(error: OSError) -> None:
    if error.errno not in FULL_ERRNOS:
        raise error
