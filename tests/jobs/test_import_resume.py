"""What an import makes of what earlier attempts left, and of what others did to it in the meantime."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.attempts import (
    ALL,
    Site,
    check_complete,
    check_next_attempt,
    end_early,
    new_site,
)
from tests.jobs.memory_import import objects_in
from tests.jobs.watched_store import Call, WatchedStore
from transfer.core.filters import Filter
from transfer.core.object_metadata import ObjectMetadata
from transfer.errors import AccessError, NotFoundError, StoreUnreachableError
from transfer.jobs.import_.options import IfExists, ImportOptions
from transfer.ledger.phases import Phase
from transfer.stores.checksums import checksums_of
from transfer.stores.contract import BegunUpload, ObjectInfo
from transfer.stores.memory import MemoryStore
from transfer.stores.retrying import RetryingStore, RetryPolicy

pytestmark = pytest.mark.usefixtures("no_loose_ends")
LARGE = (500 << 10) + 3
_WRITES = ("put", "copy", "create_upload", "put_part", "complete_upload")


@pytest.fixture
def site(varied_device: Path, tmp_path: Path) -> Site:
    return new_site(varied_device, tmp_path / "site")


async def _imported(site: Site) -> None:
    imported = await site.attempt()
    assert (imported.error, imported.failed) == (None, {})


async def _cut(site: Site, name: str, count: int) -> Site:
    """Cancelled right behind the call of this name, the `count`-th one."""
    imported, watched = await new_site(site.device, site.place / "counting", site.options).watched()
    assert imported.error is None
    numbers = [number for number, call in enumerate(watched.calls, 1) if call.name == name]
    cut, watched = await end_early(site, "cancelled", numbers[count - 1], after=True)
    assert watched.struck is not None
    assert watched.struck.name == name
    return cut


def _leaving_out(*patterns: str) -> ImportOptions:
    return replace(ALL, filter=Filter.parse(exclude=patterns))


async def test_importing_twice_changes_nothing_and_opens_no_pack(
    site: Site, undisturbed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _imported(site)
    opened: list[str] = []
    monkeypatch.setattr("transfer.jobs.import_.packs.open_regular", opened.append)
    before = site.entries()
    again, watched = await site.watched()
    assert {call.name for call in watched.calls} == {"probe", "list"}
    assert opened == []
    assert (again.outcome.already, again.outcome.objects) == (len(again.objects), len(again.objects))
    assert site.entries() == before
    await check_complete(site, undisturbed)


async def test_an_import_that_is_cut_again_and_again_comes_to_its_end(site: Site, undisturbed: Site) -> None:
    sent: list[Call] = []
    for attempts in range(1, 40):
        done, parts = await site.etags(), set() if attempts == 1 else await site.known_parts()
        _, watched = await end_early(site, "cancelled", 10, after=True)
        assert [call for call in watched.named("put", "copy", "complete_upload") if call.key in done] == []
        assert parts.isdisjoint(watched.calls)
        sent += watched.named("put_part")
        if watched.struck is None:
            break
    assert attempts > 3
    await check_complete(site, undisturbed)
    assert len(sent) <= 7 + 2 * attempts, "much more than what was under way at each cut was sent again"


async def test_only_what_is_missing_of_a_large_file_is_read_and_sent(
    site: Site, undisturbed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _cut(site, "put_part", 3)
    known = await site.known_parts()
    assert len(known) == 3
    opened: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "transfer.jobs.import_.packs.content_defect",
        lambda record, _: opened.append((record.path, getattr(record, "index", -1))),
    )
    imported, watched = await site.watched()
    assert (imported.error, imported.failed) == (None, {})
    assert {(call.key, call.number) for call in watched.named("put_part")} == {
        *((call.key, call.number) for call in (Call("put_part", "large", "", n) for n in range(1, 5))),
        *(("z/large", n) for n in range(1, 4)),
    } - {(call.key, call.number) for call in known}
    passed_over = {(call.key, 2 * (call.number - 1) + n) for call in known for n in (0, 1)}
    assert passed_over.isdisjoint(opened)
    await check_complete(site, undisturbed)


async def test_an_upload_that_the_store_lost_is_begun_anew(site: Site, undisturbed: Site) -> None:
    await _cut(site, "put_part", 3)
    for key, upload_id in await site.left():
        await site.store.abort_upload(key, upload_id)
    await check_next_attempt(site, undisturbed)


async def test_a_part_that_somebody_replaced_is_sent_again(site: Site, undisturbed: Site) -> None:
    await _cut(site, "put_part", 3)
    (key, upload_id), *_ = await site.left()
    other = b"x" * (128 << 10)
    await site.store.put_part(key, upload_id, 1, [other], checksums=checksums_of([other]))
    assert Call("put_part", key, upload_id, 1) not in await site.known_parts()
    await check_next_attempt(site, undisturbed)


async def test_parts_that_cannot_be_listed_are_sent_again_to_the_same_upload(
    site: Site, undisturbed: Site
) -> None:
    await _cut(site, "put_part", 3)
    left = await site.left()

    class Mute(WatchedStore):
        async def _strike_at(self, number: int) -> None:
            if self.calls[number - 1].name == "list_parts":
                from transfer.errors import StoreError

                raise StoreError("not implemented", status=501, code="NotImplemented")

    watched = Mute(site.store)
    imported = await site.attempt(watched)
    assert (imported.error, imported.failed) == (None, {})
    assert {(call.key, call.upload_id) for call in watched.named("complete_upload")} >= set(left)
    await check_complete(site, undisturbed)


async def test_an_upload_without_a_name_is_found_and_another_writers_is_left(
    site: Site, undisturbed: Site
) -> None:
    """The process ends between the store's answer and the ledger's record of it."""
    site.store._now = lambda: datetime.now(UTC) - timedelta(hours=2)
    older = (await site.store.create_upload("large")).upload_id
    site.store._now = lambda: datetime.now(UTC)
    elsewhere = (await site.store.create_upload("large and more")).upload_id
    numbers = range(1, 40)
    for nth in numbers:
        first = new_site(site.device, site.place / f"{nth}")
        first.store = site.moment(site.place / f"moment {nth}").store
        killed, watched = await end_early(first, "killed", nth, after=True)
        if watched.struck == Call("create_upload", "large"):
            break
    assert ("large", "") in killed.begun()
    assert len(await killed.left()) == 3
    again = await killed.attempt()
    assert (again.error, again.failed) == (None, {})
    assert await killed.left() == [("large", older), ("large and more", elsewhere)]
    assert await objects_in(killed.store) == await objects_in(undisturbed.store)


class _LosesAnswers(WatchedStore):
    """Begins every upload, and loses the first answer for each key."""

    async def create_upload(self, key: str, *, metadata: ObjectMetadata) -> BegunUpload:
        begun = await super().__getattr__("create_upload")(key, metadata=metadata)
        if self.calls.count(Call("create_upload", key)) == 1:
            raise StoreUnreachableError("cut")
        return begun


async def test_an_upload_whose_answer_was_lost_and_that_was_asked_for_again_is_not_left(
    site: Site, undisturbed: Site
) -> None:
    elsewhere = (await site.store.create_upload("large and more")).upload_id
    losing = _LosesAnswers(site.store)
    imported = await site.attempt(RetryingStore(losing, RetryPolicy(base_s=0)))
    assert (imported.error, imported.failed) == (None, {})
    assert len(losing.named("create_upload")) == 2 * len({call.key for call in losing.named("create_upload")})
    assert await site.left() == [("large and more", elsewhere)]
    await site.store.abort_upload("large and more", elsewhere)
    await check_complete(site, undisturbed)


@pytest.mark.parametrize("keys", [["a/small 3"], ["large"], ["large", "z/link to large"], ["empty/inner/"]])
async def test_what_was_deleted_is_sent_again_and_nothing_else(
    site: Site, undisturbed: Site, keys: list[str]
) -> None:
    await _imported(site)
    for key in keys:
        await site.store.delete(key)
    imported, watched = await site.watched()
    assert (imported.error, imported.failed) == (None, {})
    assert {call.key for call in watched.named(*_WRITES)} == set(keys)
    await check_complete(site, undisturbed)


async def test_a_link_that_was_deleted_is_copied_from_the_file_that_is_there(
    site: Site, undisturbed: Site
) -> None:
    await _imported(site)
    await site.store.delete("z/link to large")
    _, watched = await site.watched()
    assert watched.named(*_WRITES) == [Call("copy", "z/link to large")]
    await check_complete(site, undisturbed)


@pytest.mark.parametrize("first", [["/large"], ["/z/**"], ["small*"], ["/large", "/a/**"]])
async def test_filters_may_differ_between_attempts(site: Site, undisturbed: Site, first: list[str]) -> None:
    """Also where a link stood in for its file: the file's record is then that of another key."""
    site.options = _leaving_out(*first)
    await _imported(site)
    site.options = ALL
    await check_next_attempt(site, undisturbed)
    site.options = _leaving_out("/large", "symlink")
    imported, watched = await site.watched()
    assert watched.named(*_WRITES) == []
    assert (imported.error, imported.failed) == (None, {})


class NoSums(MemoryStore):
    """Tells no checksums, and makes ETags that are no digests."""

    async def head(self, key: str) -> ObjectInfo:
        return replace(await super().head(key), crc64nvme=None, crc32c=None)


async def test_what_is_recorded_of_one_key_says_nothing_of_another(site: Site) -> None:
    """`large` was sent; now the filter leaves it out, and a link stands in whose key is somebody else's."""
    site.store = NoSums()
    site.store._limits = ALL.limits
    site.options = _leaving_out("/z/link to large")
    await _imported(site)
    other = [b"x" * LARGE]
    await site.store.put("z/link to large", other, checksums=checksums_of(other))
    site.options = _leaving_out("/large")
    imported = await site.attempt()
    assert imported.failed.keys() == {"z/link to large"}
    assert imported.objects["z/link to large"] == other[0]


class WriteOnly(WatchedStore):
    """The right to write alone: without the right to list, AWS answers 403 for what is not there."""

    async def _strike_at(self, number: int) -> None:
        if self.calls[number - 1].name == "list":
            raise AccessError("no right to list")

    async def _call(self, name: str, *told: Any) -> Any:
        try:
            return await super()._call(name, *told)
        except NotFoundError:
            raise AccessError("no right to see what is there") from None


async def test_the_right_to_write_is_enough(site: Site, undisturbed: Site) -> None:
    imported = await site.attempt(WriteOnly(site.store))
    assert (imported.error, imported.failed) == (None, {})
    await check_complete(site, undisturbed)
    again = WriteOnly(site.store)
    imported = await site.attempt(again)
    assert (imported.error, imported.failed, again.named(*_WRITES)) == (None, {}, [])


async def test_without_the_right_to_look_only_the_record_of_the_very_key_counts(
    site: Site, undisturbed: Site
) -> None:
    """`large` was sent; now the filter leaves it out, and a link stands in that was never sent."""
    site.options = _leaving_out("/z/link to large")
    await _imported(site)
    site.options = _leaving_out("/large")
    imported = await site.attempt(WriteOnly(site.store))
    assert (imported.error, imported.failed) == (None, {})
    assert imported.objects == await objects_in(undisturbed.store)


@pytest.mark.parametrize("nth", [9, 16, 21, 24])
async def test_the_right_to_write_is_enough_to_go_on(site: Site, undisturbed: Site, nth: int) -> None:
    cut, _ = await end_early(site, "cancelled", nth, after=True)
    objects, parts = await cut.etags(), await cut.known_parts()
    watched = WriteOnly(cut.store)
    imported = await cut.attempt(watched)
    assert (imported.error, imported.failed) == (None, {})
    assert [call for call in watched.named(*_WRITES) if call.key in objects] == []
    assert parts.isdisjoint(watched.calls)
    await check_complete(cut, undisturbed)


@pytest.mark.parametrize("policy", IfExists)
@pytest.mark.parametrize("nth", [8, 9, 10, 14])
async def test_what_was_sent_before_the_ledger_heard_of_it_is_ours(
    site: Site, undisturbed: Site, policy: IfExists, nth: int
) -> None:
    """Killed before the first row was written, whatever is to become of what others put there."""
    site.options, site.flush_rows = replace(ALL, if_exists=policy), 10_000
    cut, watched = await end_early(site, "killed", nth + nth % 2, after=True)
    assert watched.struck is not None
    cut.change("DELETE FROM objects")
    assert await cut.etags()
    imported = await cut.attempt()
    assert (imported.error, imported.failed, imported.outcome.skipped) == (None, {}, 0)
    await check_complete(cut, undisturbed)


async def test_imports_of_one_ledger_do_not_touch_each_others_uploads(site: Site, undisturbed: Site) -> None:
    await _cut(site, "put_part", 3)
    left = await site.left()
    other = await site.attempt(options=replace(ALL, prefix="other/"))
    assert (other.error, other.failed) == (None, {})
    assert await site.left() == left
    for key in await site.etags():
        if key.startswith("other/"):
            await site.store.delete(key)
    imported, _ = await site.watched()
    assert (imported.error, imported.failed) == (None, {})
    assert await objects_in(site.store) == await objects_in(undisturbed.store)
    assert await site.left() == site.begun() == []


@pytest.mark.parametrize("phase", Phase)
async def test_an_import_goes_on_from_any_phase(site: Site, undisturbed: Site, phase: Phase) -> None:
    await _cut(site, "put_part", 3)
    site.change("UPDATE jobs SET phase = ?", phase.value)
    await check_next_attempt(site, undisturbed)
