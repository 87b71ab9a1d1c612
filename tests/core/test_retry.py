from __future__ import annotations

import itertools
import random

import pytest

from transfer.core.retry import (
    Verdict,
    backoff,
    classify,
    is_transient,
    parse_retry_after,
    wait_s,
)
from transfer.errors import (
    AccessError,
    BusyError,
    ChecksumRejectedError,
    IntegrityError,
    NotFoundError,
    StoreError,
    StoreUnreachableError,
)

TABLE = {
    (0, ""): Verdict.RETRY,
    (0, "TlsError"): Verdict.GIVE_UP,
    (200, "InternalError"): Verdict.RETRY,
    (301, "PermanentRedirect"): Verdict.OTHER_REGION,
    (301, ""): Verdict.OTHER_REGION,
    (307, ""): Verdict.OTHER_REGION,
    (400, "AuthorizationHeaderMalformed"): Verdict.OTHER_REGION,
    (400, "ExpiredToken"): Verdict.REFRESH_CREDENTIALS,
    (400, "RequestTimeout"): Verdict.RETRY,
    (400, "BadDigest"): Verdict.RETRY,
    (400, "EntityTooLarge"): Verdict.GIVE_UP,
    (400, ""): Verdict.GIVE_UP,
    (403, "AccessDenied"): Verdict.GIVE_UP,
    (403, "RequestTimeTooSkewed"): Verdict.SET_CLOCK,
    (404, "NoSuchKey"): Verdict.GIVE_UP,
    (408, ""): Verdict.RETRY,
    (412, "PreconditionFailed"): Verdict.GIVE_UP,
    (429, ""): Verdict.RETRY,
    (500, "InternalError"): Verdict.RETRY,
    (500, ""): Verdict.RETRY,
    (501, "NotImplemented"): Verdict.GIVE_UP,
    (501, ""): Verdict.GIVE_UP,
    (502, ""): Verdict.RETRY,
    (503, "SlowDown"): Verdict.RETRY,
    (503, ""): Verdict.RETRY,
    (504, ""): Verdict.RETRY,
}


@pytest.mark.parametrize(("status", "code"), TABLE)
def test_verdicts(status: int, code: str) -> None:
    assert classify(status, code) is TABLE[status, code]


def test_which_errors_pass() -> None:
    assert is_transient(StoreUnreachableError("reset"))
    assert is_transient(BusyError("slow down", status=503, code="SlowDown"))
    assert is_transient(ChecksumRejectedError("damaged", status=400, code="BadDigest"))
    assert is_transient(StoreError("oops", status=500))
    assert not is_transient(StoreUnreachableError("no trust", code="TlsError"))
    assert not is_transient(StoreError("the answer is not one of S3"))
    assert not is_transient(NotFoundError("gone", status=404, code="NoSuchKey"))
    assert not is_transient(AccessError("denied"))
    assert not is_transient(IntegrityError("wrong"))


def test_waits_double_up_to_the_ceiling() -> None:
    waits = backoff(lambda: 1.0, retries=9, base_s=0.5, ceiling_s=20)
    assert [*waits] == [0.5, 1, 2, 4, 8, 16, 20, 20, 20]


def test_waits_are_jittered_over_their_whole_range() -> None:
    rng = random.Random(1)
    firsts = [next(backoff(rng.random, retries=1, base_s=1.0)) for _ in range(1000)]
    assert min(firsts) < 0.05
    assert max(firsts) > 0.95
    assert abs(sum(firsts) / 1000 - 0.5) < 0.05


def test_waits_of_a_very_long_row_do_not_overflow() -> None:
    last = [*itertools.islice(backoff(lambda: 1.0, retries=2000), 1000, 1001)]
    assert last == [20.0]


def test_the_store_may_ask_for_a_longer_wait_but_not_for_hours() -> None:
    assert wait_s(1.5, StoreError("x", status=500)) == 1.5
    assert wait_s(1.5, BusyError("x", retry_after_s=7)) == 7
    assert wait_s(9.5, BusyError("x", retry_after_s=7)) == 9.5
    assert wait_s(1.5, BusyError("x")) == 1.5
    assert wait_s(1.5, BusyError("x", retry_after_s=86_400)) == 60


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7), ("0", 0), ("", None), ("-1", None), ("1.5", None), ("٣", None), ("9" * 7, None),
     ("Fri, 24 May 2013 00:00:00 GMT", None)],
)  # fmt: skip
def test_retry_after(value: str, expected: float | None) -> None:
    assert parse_retry_after(value) == expected
