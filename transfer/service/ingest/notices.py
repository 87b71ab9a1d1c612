"""What the kernel tells of a dock: which of its folders something changed in. Through inotify, by watchfiles.

It may miss things: network mounts tell nothing, a queue that overflows loses, watches run out. So nobody may
rely on it; whoever listens looks at the whole dock now and then. It tells when it is in doubt: when it begins
to listen, as it never heard of what was before, and every few seconds while it cannot.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from logging import Logger

from watchfiles import Change, awatch

_STEP_MS, _TURN_MS = 50, 1000
_AGAIN_S = 10.0


class Notices:
    """Listens at a dock, again and again.

    Args:
        root: of the dock; resolved, as the kernel names it.
        on_change: told the name of a folder of the dock in which something changed.
        on_doubt: told that anything may have changed.
        log: told when it cannot.
    """

    def __init__(
        self, root: str, on_change: Callable[[str], None], on_doubt: Callable[[], None], log: Logger
    ) -> None:
        self._root = root
        self._on_change = on_change
        self._on_doubt = on_doubt
        self._log = log
        self._stop = asyncio.Event()
        self._again = asyncio.Event()

    def restart(self) -> None:
        """Another folder is at the dock's place: the kernel would go on to tell of the one before."""
        self._stop.set()
        self._again.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        told = ""
        while True:
            self._again.clear()
            try:
                await self._listen()
                told = ""
            # OSError: the dock is away, or there are no watches left. But a name in it that is no UTF-8 ends
            # the watcher too, as an internal error in a group; and whatever it is, the dock is looked at.
            except Exception as error:
                reason = f"{type(_first_of(error)).__name__}: {_first_of(error)}"
                if reason != told:
                    self._log.warning("changes are only seen by looking at the dock: %s", reason)
                told = reason
                self._on_doubt()
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await self._again.wait()

    async def _listen(self) -> None:
        """Listen until something is wrong, or `restart` is called."""
        stop = self._stop = asyncio.Event()
        # The watcher would be content with a folder that is not there.
        await asyncio.to_thread(os.stat, self._root)
        watcher = awatch(
            self._root,
            watch_filter=self._is_wanted,
            step=_STEP_MS,
            rust_timeout=_TURN_MS,
            yield_on_timeout=True,
            stop_event=stop,
            ignore_permission_denied=True,
        )
        try:
            has_begun = False
            async for changes in watcher:
                if not has_begun:
                    has_begun = True
                    self._on_doubt()
                for name in {self._folder(path) for _, path in changes}:
                    self._on_change(name)
        finally:
            stop.set()  # the thread would only end with its turn
            await watcher.aclose()

    def _is_wanted(self, _change: Change, path: str) -> bool:
        return bool(self._folder(path))

    def _folder(self, path: str) -> str:
        """The name of the folder of the dock that a path is in, or is."""
        return os.path.relpath(path, self._root).partition("/")[0] if path != self._root else ""


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
