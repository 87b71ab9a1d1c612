"""Tells an endpoint that is lost from an object that it does not take.

A call fails only after the store's own retries. One such failure is the object's; many in a row, without a
call that went well between them, are the endpoint's: it is down, or it does not let us in any more. Then the
job ends, instead of failing a million objects one by one, each after minutes of patience.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from transfer.core.retry import is_transient
from transfer.errors import AccessError, NotFoundError, StoreUnreachableError, TransferError

T = TypeVar("T")

FAILURES_IN_A_ROW = 8
UNREACHABLE_IN_A_ROW = 3  # no answer at all, each time after all retries


class StoreLostError(Exception):
    """The endpoint is lost, as `error` tells; ends the job, passing by the handlers of single objects."""

    def __init__(self, error: TransferError) -> None:
        super().__init__(error.what)
        self.error = error


class EndpointHealth:
    """Watches every call to the store."""

    def __init__(self) -> None:
        self._in_a_row = 0

    async def watch(self, call: Awaitable[T]) -> T:
        """The result of a call.

        Raises:
            StoreLostError: it failed, and the endpoint is lost.
            TransferError: it failed, which says nothing about others.
        """
        try:
            result = await call
        except TransferError as error:
            self._judge(error)
            raise
        self._in_a_row = 0
        return result

    def _judge(self, error: TransferError) -> None:
        if isinstance(error, NotFoundError) and error.code == "NoSuchBucket":
            raise StoreLostError(error) from error
        if not isinstance(error, AccessError) and not is_transient(error):
            self._in_a_row = 0  # an answer about this object: the endpoint is there
            return
        self._in_a_row += 1
        is_silent = isinstance(error, StoreUnreachableError)
        if self._in_a_row >= (UNREACHABLE_IN_A_ROW if is_silent else FAILURES_IN_A_ROW):
            raise StoreLostError(error) from error
