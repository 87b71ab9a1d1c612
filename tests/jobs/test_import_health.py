"""When failures are the endpoint's, and when they are an object's."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from transfer.errors import (
    AccessError,
    ChecksumRejectedError,
    NotFoundError,
    StoreError,
    StoreUnreachableError,
    TransferError,
)
from transfer.jobs.import_.health import EndpointHealth, StoreLostError

BUSY = StoreError("busy", status=503, code="SlowDown")
LOSING = [AccessError("no"), BUSY]
SINGLE = [StoreError("bad", status=400, code="InvalidArgument"), NotFoundError("no such upload", status=404)]


async def _fail(error: TransferError) -> None:
    raise error


async def _succeed() -> int:
    return 7


async def _fails(health: EndpointHealth, call: Awaitable[object]) -> type[BaseException]:
    with pytest.raises((StoreLostError, TransferError)) as raised:
        await health.watch(call)
    return raised.type


@pytest.mark.parametrize("error", LOSING, ids=lambda error: type(error).__name__)
async def test_many_failures_in_a_row_are_the_endpoints(error: TransferError) -> None:
    health = EndpointHealth()
    kinds = [await _fails(health, _fail(error)) for _ in range(8)]
    assert kinds == [type(error)] * 7 + [StoreLostError]


async def test_no_answer_at_all_is_believed_sooner() -> None:
    health = EndpointHealth()
    kinds = [await _fails(health, _fail(StoreUnreachableError("gone"))) for _ in range(3)]
    assert kinds == [StoreUnreachableError, StoreUnreachableError, StoreLostError]


async def test_one_success_between_them_and_they_are_not() -> None:
    health = EndpointHealth()
    for _ in range(8):
        for error in (StoreUnreachableError("gone"), *LOSING * 3):
            assert await _fails(health, _fail(error)) is type(error)
        assert await health.watch(_succeed()) == 7


@pytest.mark.parametrize("error", SINGLE, ids=lambda error: type(error).__name__)
async def test_an_answer_about_one_object_shows_that_the_endpoint_is_there(error: TransferError) -> None:
    health = EndpointHealth()
    for _ in range(5):
        for _ in range(7):
            await _fails(health, _fail(BUSY))
        assert await _fails(health, _fail(error)) is type(error)


async def test_a_bucket_that_is_gone_is_the_end_at_once() -> None:
    gone = NotFoundError("no bucket", status=404, code="NoSuchBucket")
    assert await _fails(EndpointHealth(), _fail(gone)) is StoreLostError


async def test_damage_on_the_way_counts_as_passing() -> None:
    rejected = ChecksumRejectedError("other bytes", status=400, code="BadDigest")
    health = EndpointHealth()
    kinds = {await _fails(health, _fail(rejected)) for _ in range(7)}
    assert kinds == {ChecksumRejectedError}
    assert await _fails(health, _fail(rejected)) is StoreLostError
