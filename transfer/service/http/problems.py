"""Errors to HTTP: the one table, and the problem documents that it leads to (RFC 9457).

Rules:
    - Every error of the product has a row of its own; a test walks the tree.
    - What the asker can mend (4xx) is told in words. What only the operator can mend (5xx) is named by its
      kind alone: the words are for the log, since they may hold paths and addresses.
    - One status is one kind: `type` is a URN that docs/serve.md lists, and `title` goes with it.

Does not: log, or know aiohttp's own exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from msgspec import Meta, Struct

from transfer import errors
from transfer.service.refusals import NoSuchJobError, NotNowError

MEDIA_TYPE: Final = "application/problem+json"
_URN: Final = "urn:transfer:problem:"

KINDS: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        400: ("malformed", "The request is not HTTP as it should be"),
        401: ("unauthorized", "A valid token is needed"),
        403: ("forbidden", "The token does not allow this"),
        404: ("not-found", "There is no such thing here"),
        405: ("method-not-allowed", "The method is not possible here"),
        408: ("too-slow", "The request did not arrive in time"),
        409: ("not-now", "This is not possible as things stand"),
        413: ("too-large", "The body is too large"),
        415: ("not-json", "The body is not said to be JSON"),
        417: ("expectation", "The expectation cannot be met"),
        422: ("invalid", "A parameter or the body is not valid"),
        500: ("internal", "The service failed"),
        502: ("store", "The object store answered with an error"),
        503: ("unavailable", "The service cannot answer now"),
    }
)
"""By status: the end of the type's URN, and the title."""

STATUSES: Final[Mapping[type[errors.TransferError], int]] = MappingProxyType(
    {
        errors.TransferError: 500,
        errors.UsageError: 422,
        errors.IntegrityError: 500,
        errors.FormatError: 500,
        errors.DeviceError: 503,
        errors.DeviceFullError: 503,
        errors.LockedError: 503,
        errors.AccessError: 502,
        errors.LedgerError: 503,
        errors.StoreError: 502,
        errors.StoreUnreachableError: 503,
        errors.BusyError: 503,
        errors.NotFoundError: 502,
        errors.PreconditionError: 502,
        errors.ArchivedError: 502,
        errors.ChecksumRejectedError: 502,
        NoSuchJobError: 404,
        NotNowError: 409,
    }
)


class Problem(Struct, frozen=True, kw_only=True):
    """A problem document (RFC 9457 §3.1).

    Attributes:
        instance: the path that was asked for, without its query.
    """

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    instance: str


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """A request gets a problem for its answer.

    Args:
        status: one of `KINDS`.
        detail: for whoever asked.
        headers: that the status calls for.
        closes: the connection is of no more use.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, closes: bool = False
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.closes = closes


def make_problem(status: int, detail: str, instance: str) -> Problem:
    """The document of a status of `KINDS`."""
    slug, title = KINDS[status]
    return Problem(type=_URN + slug, title=title, status=status, detail=detail, instance=instance)


def refusal_of(error: Exception) -> Refusal:
    """What to answer where an error came up; the words of a 5xx are left out."""
    if isinstance(error, Refusal):
        return error
    status = status_of(error)
    if status < 500:
        return Refusal(status, str(error))
    headers = {"Retry-After": "10"} if status == 503 else {}
    return Refusal(status, "the log of the service says more", headers=headers)


def status_of(error: Exception) -> int:
    """The status of an error of the product; 500 for any other, which is a fault of ours."""
    if not isinstance(error, errors.TransferError):
        return 500
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
