"""What the service cannot do that was asked of it, and why."""

from __future__ import annotations

from transfer.errors import TransferError


class NoSuchJobError(TransferError):
    """The ledger has no job of this id."""


class NotNowError(TransferError):
    """The job is in no state for this action; `what` says why, so that a person understands it."""
