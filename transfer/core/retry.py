"""Whether a failed request is worth another attempt, and how long to wait before it.

`classify` is the one place where that is decided. The wait is exponential with full jitter (a random share of
the ceiling), so that many workers thrown back at once do not come back at once.

Not here: sleeping, counting attempts against the clock, or sending anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

from transfer.errors import BusyError, StoreError, StoreUnreachableError, TransferError


class Verdict(Enum):
    """What to do about a failed request."""

    RETRY = "retry"
    GIVE_UP = "give up"
    REFRESH_CREDENTIALS = "refresh the credentials, then retry"
    SET_CLOCK = "the clock of this machine is wrong"
    OTHER_REGION = "the bucket is in another region"


_BY_CODE = {
    # Bytes were damaged on their way: the same bytes again may arrive whole.
    "BadDigest": Verdict.RETRY,
    "XAmzContentSHA256Mismatch": Verdict.RETRY,
    "XAmzContentChecksumMismatch": Verdict.RETRY,
    "IncompleteBody": Verdict.RETRY,
    # The store's own trouble, sometimes told with a 4xx status.
    "InternalError": Verdict.RETRY,
    "OperationAborted": Verdict.RETRY,
    "RequestLimitExceeded": Verdict.RETRY,
    "RequestTimeout": Verdict.RETRY,
    "ServiceUnavailable": Verdict.RETRY,
    "SlowDown": Verdict.RETRY,
    "Throttling": Verdict.RETRY,
    "ThrottlingException": Verdict.RETRY,
    "TooManyRequests": Verdict.RETRY,
    "ExpiredToken": Verdict.REFRESH_CREDENTIALS,
    "ExpiredTokenException": Verdict.REFRESH_CREDENTIALS,
    "RequestExpired": Verdict.SET_CLOCK,
    "RequestTimeTooSkewed": Verdict.SET_CLOCK,
    "PermanentRedirect": Verdict.OTHER_REGION,
    "TemporaryRedirect": Verdict.OTHER_REGION,
    "AuthorizationHeaderMalformed": Verdict.OTHER_REGION,
    "IllegalLocationConstraintException": Verdict.OTHER_REGION,
    # No patience helps against these: nothing answers with TLS we trust, or the feature is not there.
    "TlsError": Verdict.GIVE_UP,
    "NotImplemented": Verdict.GIVE_UP,
}
_BY_STATUS = {
    301: Verdict.OTHER_REGION,
    307: Verdict.OTHER_REGION,
    408: Verdict.RETRY,
    429: Verdict.RETRY,
    501: Verdict.GIVE_UP,
    505: Verdict.GIVE_UP,
}


def classify(status: int, code: str = "") -> Verdict:
    """Judge an answer by the store's code, or, where that is unknown, by its HTTP status.

    Args:
        status: HTTP status; 0 where there was no answer at all.
        code: as in `<Code>SlowDown</Code>`; may be empty.
    """
    if verdict := _BY_CODE.get(code) or _BY_STATUS.get(status):
        return verdict
    return Verdict.RETRY if status == 0 or status >= 500 else Verdict.GIVE_UP


def is_transient(error: TransferError) -> bool:
    """Whether the same request, sent again, may go well."""
    if isinstance(error, StoreUnreachableError):
        return classify(0, error.code) is Verdict.RETRY
    if isinstance(error, StoreError) and (error.status or error.code):
        return classify(error.status, error.code) is Verdict.RETRY
    return False


def backoff(
    random: Callable[[], float], *, retries: int, base_s: float = 0.2, ceiling_s: float = 20.0
) -> Iterator[float]:
    """The waits between attempts, in seconds: as many as there are retries.

    Args:
        random: gives numbers from 0 (included) to 1.
        retries: attempts after the first.
        base_s: ceiling of the first wait; every further one doubles it.
        ceiling_s: no wait is longer.
    """
    for attempt in range(retries):
        yield random() * min(ceiling_s, base_s * 2.0**attempt)


def wait_s(jittered_s: float, error: TransferError, *, ceiling_s: float = 60.0) -> float:
    """The wait before the next attempt: the jittered one, or longer where the store asks for it."""
    asked = error.retry_after_s if isinstance(error, BusyError) else None
    return max(jittered_s, min(asked or 0.0, ceiling_s))


def parse_retry_after(value: str) -> float | None:
    """Seconds of a `Retry-After` header (RFC 9110 §10.2.3); None for its date form, which needs a clock."""
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 6 else None
