"""The whole check of a device before its first object is sent, in a thread that can be told to stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from transfer.core.progress import Progress
from transfer.device.encryption import NO_KEYS, Keys
from transfer.formats.allowed_signers import AllowedSigners
from transfer.jobs.verify.findings import Finding
from transfer.jobs.verify.job import Verification, verify

_SHOWN_FINDINGS = 3


class _StoppedError(Exception):
    """Nobody waits for the result any more."""


async def verify_whole(
    root: str,
    workers: int,
    observe: Callable[[Progress], None],
    keys: Keys = NO_KEYS,
    signers: AllowedSigners | None = None,
) -> Verification:
    """Read every pack, open every frame, compare it all with seal and manifest.

    Args:
        root: of the device.
        workers: threads that decompress and check.
        observe: told how far it is, in stored bytes; called in another thread.
        keys: what opens it, if it is encrypted.
        signers: whose signatures count; None: it need not be signed.

    Raises:
        DeviceError: the device cannot be read.
    """
    stopped = threading.Event()

    def observe_until_stopped(progress: Progress) -> None:
        if stopped.is_set():
            raise _StoppedError
        observe(progress)

    def ignore(finding: Finding) -> None:
        """All are in the result."""

    check = asyncio.to_thread(
        verify,
        root,
        deep=True,
        observe=observe_until_stopped,
        on_finding=ignore,
        workers=workers,
        keys=keys,
        signers=signers,
    )
    task = asyncio.ensure_future(check)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait([task])  # it ends with the block that it is reading
        task.exception()
        raise


def told(verification: Verification) -> str:
    """What is wrong with a device, for people."""
    shown = "; ".join(str(finding) for finding in verification.findings[:_SHOWN_FINDINGS])
    more = verification.count - min(verification.count, _SHOWN_FINDINGS)
    return f"the device is damaged: {shown}" + (f"; and {more} more findings" if more else "")
