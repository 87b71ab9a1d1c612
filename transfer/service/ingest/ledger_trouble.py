"""Errors of the ledger, told apart from those of a device or a store: they are the end of the service.

A batch that could not be written is lost, and nothing that follows may be written without it; so the process
ends, and its next start goes on where the ledger ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transfer.errors import TransferError, UsageError


class LedgerTroubleError(Exception):
    """The ledger failed with `error`; passes by the handlers of what may happen to a single job."""

    def __init__(self, error: TransferError) -> None:
        super().__init__(error.what)
        self.error = error


@contextmanager
def ledger_trouble() -> Iterator[None]:
    """Around calls of the ledger. What it calls a wrong question stays what it is.

    Raises:
        LedgerTroubleError: it failed.
    """
    try:
        yield
    except UsageError:
        raise
    except TransferError as error:
        raise LedgerTroubleError(error) from error
