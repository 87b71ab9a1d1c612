"""Jobs that SIGTERM ends as an interrupt from the terminal does: cleanly, with what was done kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from transfer.cli.console import Console
    from transfer.core.progress import Progress

Value = TypeVar("Value")


def interruptible(
    console: Console, start: Callable[[Callable[[Progress], None]], Coroutine[Any, Any, Value]]
) -> Value:
    """Run a job with its progress shown.

    Raises:
        KeyboardInterrupt: it was interrupted, in either way.
    """
    import asyncio
    import signal

    async def run(show: Callable[[Progress], None]) -> Value:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await start(show)

    with console.progress() as show:
        try:
            return asyncio.run(run(show))
        except asyncio.CancelledError:  # by SIGTERM; an interrupt from the terminal is a KeyboardInterrupt
            raise KeyboardInterrupt from None
