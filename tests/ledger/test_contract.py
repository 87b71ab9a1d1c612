"""What a ledger promises, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.ledger.making import DEVICE, DIGEST, IDENTITY, entry, job_of, opened, states_of
from transfer.errors import LockedError, TransferError, UsageError
from transfer.formats.custody import Head
from transfer.ledger.phases import Phase
from transfer.ledger.schema import jobs
from transfer.ledger.values import (
    Counters,
    DeviceSet,
    JobIdentity,
    KnownDevice,
    ObjectEntry,
    ObjectState,
    Sighting,
    Upload,
)
from transfer.stores.contract import Checksums, Part

DONE, FAILED, SKIPPED, SUPERSEDED = ObjectState


async def test_a_device_is_new_once_and_known_for_ever(where: str) -> None:
    async with opened(where) as ledger:
        assert await ledger.devices.get(DEVICE.device_id) is None
        assert await ledger.devices.see(DEVICE) is Sighting.NEW
    async with opened(where) as ledger:
        assert await ledger.devices.see(DEVICE) is Sighting.KNOWN
        assert await ledger.devices.see(DEVICE) is Sighting.KNOWN
        assert await ledger.devices.get(DEVICE.device_id) == KnownDevice(
            DEVICE, "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
        )


@pytest.mark.parametrize(
    ("changes", "sighting"),
    [
        ({"generation": 6, "seal_blake3": "66" * 32}, Sighting.NEWER),
        ({"generation": 4, "seal_blake3": "44" * 32}, Sighting.OLDER),
        ({"seal_blake3": "99" * 32}, Sighting.CONFLICTING),
        ({"generation": 6, "job": "other"}, Sighting.CONFLICTING),
        ({"ordinal": 2}, Sighting.CONFLICTING),
    ],
)
async def test_only_a_newer_seal_takes_the_place_of_the_one_that_was_seen(
    where: str, changes: dict[str, object], sighting: Sighting
) -> None:
    first = replace(DEVICE, generation=5)
    second = replace(first, **changes)
    async with opened(where) as ledger:
        await ledger.devices.see(first)
        assert await ledger.devices.see(second) is sighting
        known = await ledger.devices.get(DEVICE.device_id)
    assert known is not None
    assert known.device == (second if sighting is Sighting.NEWER else first)


async def test_the_newest_entry_of_a_custody_log_is_remembered(where: str) -> None:
    other = replace(DEVICE, device_id="0b0c0d0e-6e0f-4d0e-9d2b-0d7a3f6f2b11")
    async with opened(where) as ledger:
        for device in (DEVICE, other):
            await ledger.devices.see(device)
            assert await ledger.devices.custody(device.device_id) is None
        await ledger.devices.remember_custody(DEVICE.device_id, Head(2, "22" * 32))
        await ledger.devices.remember_custody(other.device_id, Head(9, "99" * 32))
        await ledger.devices.remember_custody(DEVICE.device_id, Head(5, "55" * 32))
    async with opened(where) as ledger:
        assert await ledger.devices.custody(DEVICE.device_id) == Head(5, "55" * 32)
        assert await ledger.devices.custody(other.device_id) == Head(9, "99" * 32)


async def test_custody_of_a_device_that_was_never_seen(where: str) -> None:
    async with opened(where) as ledger:
        assert await ledger.devices.custody(DEVICE.device_id) is None
        with pytest.raises(TransferError, match="reports an error"):
            await ledger.devices.remember_custody(DEVICE.device_id, Head(0, "00" * 32))


async def test_the_same_import_is_the_same_job(where: str) -> None:
    async with opened(where) as ledger:
        job = await job_of(ledger)
        assert job.phase is Phase.RECEIVED
        assert job.identity == IDENTITY
        assert job.job_id == IDENTITY.job_id
        assert await job_of(ledger) == job
        other = await job_of(ledger, replace(IDENTITY, prefix=""))
        assert other.number != job.number
        assert await ledger.jobs.get(other.number) == other
    async with opened(where) as ledger:
        assert await job_of(ledger) == job


async def test_a_job_needs_a_device_that_was_seen(where: str) -> None:
    async with opened(where) as ledger:
        with pytest.raises(TransferError, match="reports an error"):
            await ledger.jobs.find_or_create(IDENTITY)


async def test_a_job_keeps_what_it_was_told(where: str) -> None:
    counters = Counters(objects=3, bytes=2**62, failed=1, skipped=2, superseded=4)
    async with opened(where) as ledger:
        number = (await job_of(ledger)).number
        await ledger.jobs.set_phase(number, Phase.IMPORTING)
        await ledger.jobs.set_paused(number, True)
        await ledger.jobs.set_counters(number, counters)
        await ledger.jobs.set_phase(number, Phase.QUARANTINED, error="seal\0forged " + "x" * 5000)
    async with opened(where) as ledger:
        job = await ledger.jobs.get(number)
    assert job is not None
    assert (job.phase, job.paused, job.counters) == (Phase.QUARANTINED, True, counters)
    assert job.error.startswith("seal\\x00forged xxx")
    assert len(job.error) < 2100
    assert job.created < job.changed


async def test_an_illegal_phase_changes_nothing(where: str) -> None:
    async with opened(where) as ledger:
        number = (await job_of(ledger)).number
        await ledger.jobs.set_phase(number, Phase.IMPORTING)
        complete = await ledger.jobs.set_phase(number, Phase.COMPLETE)
        with pytest.raises(UsageError, match=f"job {number} is complete.*failed"):
            await ledger.jobs.set_phase(number, Phase.FAILED)
        assert await ledger.jobs.get(number) == complete
        assert (await ledger.jobs.set_phase(number, Phase.IMPORTING)).phase is Phase.IMPORTING


async def test_a_job_that_is_not_there(where: str) -> None:
    async with opened(where) as ledger:
        assert await ledger.jobs.get(7) is None
        for change in (
            ledger.jobs.set_phase(7, Phase.IMPORTING),
            ledger.jobs.set_paused(7, True),
            ledger.jobs.set_counters(7, Counters()),
        ):
            with pytest.raises(UsageError, match="no such job"):
                await change


async def test_jobs_come_in_pages_newest_first(where: str) -> None:
    async with opened(where) as ledger:
        made = [(await job_of(ledger, replace(IDENTITY, prefix=f"{n}/"))).number for n in range(5)]
        seen: list[int] = []
        before = 2**63 - 1
        while page := await ledger.jobs.page(before=before, limit=2):
            assert len(page) <= 2
            seen += [job.number for job in page]
            before = seen[-1]
    assert seen == made[::-1]


async def test_what_was_flushed_is_there_and_comes_back_equal(where: str) -> None:
    entries = [
        ObjectEntry(1, 0, 1, DONE, "key ü\u65e5 \U0001f680", 2**63 - 1, DIGEST, "etag-7"),
        ObjectEntry(1, 0, 4, FAILED, "not UTF-8 \\xff", 0, "", "", "its name is not UTF-8"),
        ObjectEntry(1, 0, 5, SKIPPED, "link", 0, error="symbolic link"),
        ObjectEntry(1, 3, 0, SUPERSEDED, "folder/", 0, DIGEST),
    ]
    async with opened(where) as ledger:
        await job_of(ledger)
        for one in entries:
            await ledger.recorder.object(one)
        assert await states_of(ledger, 1, 0) == {}
        await ledger.recorder.flush()
        assert await states_of(ledger, 1, 0) == {1: DONE, 4: FAILED, 5: SKIPPED}
    async with opened(where) as ledger:
        for one in entries:
            assert await ledger.objects.page(1, one.state) == [one]
        assert await ledger.objects.of_pack(1, 0) == entries[:3]
        assert await ledger.objects.of_pack(1, 0, after=1, limit=1) == entries[1:2]
        assert await states_of(ledger, 1, 3) == {0: SUPERSEDED}
        assert await states_of(ledger, 2, 0) == {}


async def test_text_that_no_database_takes_is_escaped(where: str) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        await ledger.recorder.object(
            ObjectEntry(1, 0, 0, FAILED, "nul\0 surrogate\udcff", 0, "", "\0", "\0" * 3000)
        )
        await ledger.recorder.flush()
        (found,) = await ledger.objects.page(1, FAILED)
    assert found.key == "nul\\x00 surrogate\\udcff"
    assert found.etag == "\\x00"


async def test_an_entry_may_be_recorded_again(where: str) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        await ledger.recorder.object(entry(0, FAILED, error="busy"))
        await ledger.recorder.object(entry(0, SKIPPED))
        await ledger.recorder.flush()
        assert await states_of(ledger, 1, 0) == {0: SKIPPED}
        await ledger.recorder.object(entry(0, DONE))
        await ledger.recorder.flush()
        assert await ledger.objects.page(1, SKIPPED) == []
        assert await ledger.objects.page(1, DONE) == [entry(0)]


async def test_a_large_pack_comes_whole(where: str) -> None:
    """More than a statement, a batch and a page hold."""
    count = 25_001
    async with opened(where) as ledger:
        await job_of(ledger)
        for position in range(count):
            await ledger.recorder.object(entry(2 * position, SKIPPED if position % 7 == 0 else DONE))
        await ledger.recorder.flush()
        states = await states_of(ledger, 1, 0)
    assert list(states) == list(range(0, 2 * count, 2))
    assert sum(state is SKIPPED for state in states.values()) == len(range(0, count, 7))


async def test_pages_join_without_a_gap_or_a_repetition(where: str) -> None:
    places = [(sequence, position) for sequence in range(3) for position in range(5)]
    async with opened(where) as ledger:
        await job_of(ledger)
        other = (await job_of(ledger, replace(IDENTITY, prefix="other/"))).number
        for sequence, position in reversed(places):
            for job in (1, other):
                state = DONE if position % 2 else FAILED
                await ledger.recorder.object(entry(position, state, job=job, sequence=sequence))
        await ledger.recorder.flush()
        for state in (DONE, FAILED):
            seen: list[tuple[int, int]] = []
            after = (-1, -1)
            while page := await ledger.objects.page(1, state, after=after, limit=2):
                assert len(page) <= 2
                assert {(one.job, one.state) for one in page} == {(1, state)}
                seen += [(one.sequence, one.position) for one in page]
                after = seen[-1]
            assert seen == [place for place in places if (place[1] % 2 == 1) == (state is DONE)]


async def test_packs_that_were_checked_are_known_and_nothing_is_said_of_what_is_in_them(where: str) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        await ledger.recorder.object(entry(0, DONE, sequence=4))
        for sequence in (5, 3, 3):
            await ledger.recorder.pack_checked(1, sequence)
        assert await ledger.objects.checked_packs(1) == frozenset()
        await ledger.recorder.flush()
        assert await ledger.objects.checked_packs(1) == {3, 5}
        await ledger.recorder.pack_checked(1, 5)
    async with opened(where) as ledger:
        assert await ledger.objects.checked_packs(1) == {3, 5}
        assert await ledger.objects.checked_packs(2) == frozenset()


async def test_the_entry_that_is_furthest_on_the_device(where: str) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        other = (await job_of(ledger, replace(IDENTITY, prefix="other/"))).number
        assert await ledger.objects.last_spot(1) == (-1, -1)
        for sequence, position in ((2, 7), (0, 900), (2, 11), (1, 3000), (2, 10)):
            await ledger.recorder.object(entry(position, FAILED, sequence=sequence))
        await ledger.recorder.object(entry(1, sequence=9, job=other))
        await ledger.recorder.flush()
        assert await ledger.objects.last_spot(1) == (2, 11)


async def begin(ledger: object, key: str = "large") -> Upload:
    return await ledger.recorder.begin_upload(  # type: ignore[attr-defined, no-any-return]
        1, key, sequence=2, size_bytes=2**40, part_size_bytes=2**26
    )


async def test_an_upload_is_durable_before_the_store_is_asked_and_before_a_part_is_sent(where: str) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        asked = await begin(ledger)
        assert await ledger.uploads.begun(1) == [asked]
        assert (asked.key, asked.upload_id, asked.sequence) == ("large", "", 2)
        await ledger.recorder.name_upload(asked.number, "id-1")
        assert await ledger.uploads.begun(1) == [replace(asked, upload_id="id-1")]


async def test_no_upload_is_ever_forgotten_before_it_ended(where: str) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        first, second = await begin(ledger), await begin(ledger)
        await ledger.recorder.name_upload(first.number, "id-1")
        await ledger.recorder.name_upload(second.number, "id-2")
    async with opened(where) as ledger:
        third = await begin(ledger, "other")
        assert [(one.key, one.upload_id) for one in await ledger.uploads.begun(1)] == [
            ("large", "id-1"),
            ("large", "id-2"),
            ("other", ""),
        ]
        await ledger.recorder.end_upload(first.number)
        await ledger.recorder.end_upload(second.number)
        await ledger.recorder.flush()
        assert await ledger.uploads.begun(1) == [third]
        assert await ledger.uploads.begun(2) == []


async def test_parts_come_back_ascending_with_their_sums(where: str) -> None:
    parts = [
        Part(10_000, 5, "etag-b", Checksums(2**64 - 1, 2**32 - 1)),
        Part(1, 2**33, "etag-a", Checksums(0, 0)),
        Part(2, 1, "etag-c", None),
    ]
    async with opened(where) as ledger:
        await job_of(ledger)
        upload = await begin(ledger)
        for part in parts:
            await ledger.recorder.part(upload.number, part)
        await ledger.recorder.part(upload.number, Part(2, 1, "etag-again", None))
        await ledger.recorder.flush()
        expected = [parts[1], Part(2, 1, "etag-again", None), parts[0]]
        assert await ledger.uploads.parts(upload.number) == expected
        assert await ledger.uploads.parts(upload.number + 1) == []
        await ledger.recorder.end_upload(upload.number)
        await ledger.recorder.flush()
        assert await ledger.uploads.parts(upload.number) == []


async def test_a_number_that_was_used_before_brings_no_parts_along(where: str) -> None:
    async with opened(where) as ledger:
        await job_of(ledger)
        upload = await begin(ledger)
        await ledger.recorder.end_upload(upload.number)
        await ledger.recorder.part(upload.number, Part(1, 1, "late", None))
    async with opened(where) as ledger:
        again = await begin(ledger)
        assert again.number == upload.number
        assert await ledger.uploads.parts(again.number) == []


async def test_a_phase_never_says_more_than_the_rows(where: str) -> None:
    async with opened(where) as ledger:
        number = (await job_of(ledger)).number
        await ledger.recorder.object(entry(0))
        await ledger.jobs.set_phase(number, Phase.IMPORTING)
        assert await states_of(ledger, 1, 0) == {0: DONE}


async def test_closing_flushes_also_after_an_error(where: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with opened(where) as ledger:
            await job_of(ledger)
            await ledger.recorder.object(entry(0))
            raise ZeroDivisionError
    async with opened(where) as ledger:
        assert await states_of(ledger, 1, 0) == {0: DONE}


async def test_a_fault_in_recording_is_an_error_of_the_whole_and_of_every_call_after(where: str) -> None:
    """Here: an upload of a job that does not exist."""
    with pytest.raises(TransferError, match="reports an error"):
        async with opened(where) as ledger:
            await job_of(ledger)
            with pytest.raises(TransferError, match="reports an error"):
                await ledger.recorder.begin_upload(99, "k", sequence=0, size_bytes=1, part_size_bytes=1)
            with pytest.raises(TransferError, match="reports an error"):
                await ledger.recorder.object(entry(0))
            with pytest.raises(TransferError, match="reports an error"):
                await ledger.jobs.set_phase(1, Phase.IMPORTING)
    async with opened(where) as ledger:
        assert await states_of(ledger, 1, 0) == {}


async def test_a_second_user_is_refused_by_the_name_of_the_first(where: str) -> None:
    async with opened(where) as ledger:
        with pytest.raises(LockedError, match=r"in use by transfer, process \d+ on ") as refusal:
            async with opened(where):
                pass
        assert refusal.value.exit_code == 11
        await job_of(ledger)  # the first is none the worse
    async with opened(where) as ledger:
        assert (await job_of(ledger)).number == 1


async def test_the_ledger_holds_many_jobs_apart(where: str) -> None:
    async with opened(where) as ledger:
        jobs = [await job_of(ledger, JobIdentity(DEVICE.device_id, "", f"b{n}", "", "")) for n in range(3)]
        for job in jobs:
            await ledger.recorder.object(entry(job.number, job=job.number))
            await ledger.recorder.pack_checked(job.number, job.number)
        await ledger.recorder.flush()
        for job in jobs:
            assert list(await states_of(ledger, job.number, 0)) == [job.number]
            assert await ledger.objects.checked_packs(job.number) == {job.number}


async def test_whoever_gives_up_waiting_leaves_the_transaction_to_its_end(where: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(update(jobs).values(bucket="first"))
        begun.set()
        await go_on.wait()
        await connection.execute(update(jobs).values(prefix="second"))

    async with opened(where) as ledger:
        number = (await job_of(ledger)).number
        waiting = asyncio.create_task(ledger.jobs._database.run(work))
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        job = await ledger.jobs.get(number)
        assert job is not None
        assert (job.identity.bucket, job.identity.prefix) == ("first", "second")


async def test_which_devices_of_a_job_were_never_seen(where: str) -> None:
    async with opened(where) as ledger:
        assert await ledger.devices.set_of("survey") == DeviceSet()
        await ledger.devices.see(DEVICE)
        await ledger.devices.expect("survey", [1, 2], told_by=DEVICE.device_id)
        await ledger.devices.expect("another", [5], told_by=DEVICE.device_id)
        assert await ledger.devices.set_of("survey") == DeviceSet((1,), (2,))
        await ledger.devices.expect("survey", [2, 3], told_by="the last one", is_listed=True)
    async with opened(where) as ledger:
        assert await ledger.devices.set_of("survey") == DeviceSet((1,), (2, 3), is_listed=True)
        await ledger.devices.expect("survey", [1, 2], told_by=DEVICE.device_id)
        await ledger.devices.see(replace(DEVICE, device_id="the second", ordinal=2))
        await ledger.devices.see(replace(DEVICE, device_id="its twin", ordinal=2))
        assert await ledger.devices.set_of("survey") == DeviceSet((1, 2), (3,), is_listed=True)


async def test_an_upload_is_known_by_its_record_where_a_key_has_several(where: str) -> None:
    async with opened(where) as ledger:
        job = await job_of(ledger)
        told = {"sequence": 3, "size_bytes": 9, "part_size_bytes": 5}
        plain = await ledger.recorder.begin_upload(job.number, "k", **told)
        version = await ledger.recorder.begin_upload(job.number, "k", **told, position=7)
        assert await ledger.uploads.begun(job.number) == [plain, version]
        assert (plain.position, version.position) == (-1, 7)
        await ledger.recorder.end_upload(version.number)
        await ledger.recorder.flush()
        assert await ledger.uploads.begun(job.number) == [plain]
