"""An import that ends early, at any call to the store and in any way, and then is started again.

The law is in `attempts`: the bucket, the ledger and the report end as if nothing had happened; no object that
was in the bucket and no part that ledger and store knew is sent again; no upload is left.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.attempts import (
    WAYS,
    Site,
    check_complete,
    check_left,
    check_next_attempt,
    end_early,
    new_site,
)

pytestmark = pytest.mark.usefixtures("no_loose_ends")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("way", WAYS)
async def test_wherever_it_ends_the_next_attempt_goes_on(
    undisturbed: Site, tmp_path: Path, way: str, after: bool
) -> None:
    # A kill is tried at every call, the other two at each second one: before the odd and after the even.
    step = 1 if way == "killed" else 2
    nth, parked, passed_over = 0 if step == 1 or after else -1, 0, 0
    while True:
        nth += step
        first = new_site(undisturbed.device, tmp_path / f"{nth}")
        site, watched = await end_early(first, way, nth, after=after)
        if watched.struck is None:
            break
        await check_left(site, watched)
        parked += bool(await site.left())
        passed_over += bool(await site.known_parts())
        await check_next_attempt(site, undisturbed)
    assert nth > 30, "so few calls: the source does not try much"
    # How many ends fall inside an open upload depends on which of the concurrent calls is the nth.
    assert parked * step > 5
    assert passed_over >= 1
    await check_complete(site, undisturbed)
