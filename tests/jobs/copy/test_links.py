"""Which links a pass records again because of what the pass before stored anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from transfer.jobs.copy.links import LinkTable


@pytest.fixture
def links() -> Iterator[LinkTable]:
    with closing(LinkTable()) as table:
        table.start_pass(())
        yield table


def test_a_link_that_was_kept_before_its_target_was_stored_anew_is_stale_in_the_next_pass(
    links: LinkTable,
) -> None:
    links.keep(b"z link", b"file")
    links.keep(b"z other link", b"other")
    links.mark_stored_anew(b"file")
    assert links.wants_another_pass()
    links.start_pass(())
    assert links.is_stale(b"z link")
    assert not links.is_stale(b"z other link")
    assert not links.is_stored_anew(b"file")
    assert not links.wants_another_pass()
    links.start_pass(())
    assert not links.is_stale(b"z link")


def test_a_link_that_was_recorded_behind_its_target_is_not_recorded_again(links: LinkTable) -> None:
    links.mark_stored_anew(b"folder/file")
    assert links.is_stored_anew(b"folder/file")  # the link behind it is recorded in this very pass
    assert links.wants_another_pass()  # because of the folder
    links.start_pass(())
    assert links.is_outdated(b"folder/")
    assert not links.is_stale(b"folder/link")
    assert not links.is_stored_anew(b"folder/file")
