"""Whatever is recorded, however it is cut into batches and sessions: a ledger holds what a dict would."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.making import DIGEST, job_of, opened
from tests.simulators.postgres import PostgresServer
from transfer.ledger.ledger import Ledger
from transfer.ledger.values import ObjectEntry, ObjectState, Upload
from transfer.stores.contract import Checksums, Part

SMALL = st.integers(0, 2)
ENTRIES = st.builds(
    ObjectEntry,
    job=st.just(1),
    sequence=SMALL,
    position=st.integers(0, 5),
    state=st.sampled_from(ObjectState),
    key=st.sampled_from(["a", "b/c", "ü"]),
    size_bytes=st.integers(0, 2**40),
    blake3=st.sampled_from(["", DIGEST]),
    error=st.sampled_from(["", "why"]),
)
SUMS = st.none() | st.builds(Checksums, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
PARTS = st.builds(Part, st.integers(1, 3), st.integers(1, 2**40), st.just("etag"), SUMS)
STEPS = st.lists(
    st.tuples(st.just("object"), ENTRIES)
    | st.tuples(st.just("check"), SMALL)
    | st.tuples(st.just("begin"), SMALL)
    | st.tuples(st.just("part"), st.tuples(SMALL, PARTS))
    | st.tuples(st.just("end"), SMALL)
    | st.tuples(st.just("flush"), st.none())
    | st.tuples(st.just("reopen"), st.none()),
    max_size=40,
)


@dataclass
class Model:
    """What ought to be there."""

    objects: dict[tuple[int, int], ObjectEntry] = field(default_factory=dict)
    packs: set[int] = field(default_factory=set)
    uploads: list[Upload] = field(default_factory=list)
    parts: dict[int, dict[int, Part]] = field(default_factory=dict)


async def follow(ledger: Ledger, model: Model, action: str, value: object) -> None:
    recorder = ledger.recorder
    match action, value:
        case "object", ObjectEntry() as entry:
            await recorder.object(entry)
            model.objects[entry.sequence, entry.position] = entry
        case "check", int() as sequence:
            await recorder.pack_checked(1, sequence)
            model.packs.add(sequence)
        case "begin", int() as sequence:
            upload = await recorder.begin_upload(1, "key", sequence=sequence, size_bytes=1, part_size_bytes=1)
            model.uploads.append(upload)
            model.parts[upload.number] = {}
        case "part", (int() as index, Part() as part) if index < len(model.uploads):
            number = model.uploads[index].number
            await recorder.part(number, part)
            model.parts[number][part.number] = part
        case "end", int() as index if index < len(model.uploads):
            upload = model.uploads.pop(index)
            await recorder.end_upload(upload.number)
            del model.parts[upload.number]
        case "flush", _:
            await recorder.flush()


async def compare(ledger: Ledger, model: Model) -> None:
    entries = sorted(model.objects.values(), key=lambda entry: (entry.sequence, entry.position))
    for state in ObjectState:
        assert await ledger.objects.page(1, state) == [entry for entry in entries if entry.state is state]
    for sequence in range(3):
        here = [entry for entry in entries if entry.sequence == sequence]
        for after in range(-1, 6):
            rest = [entry for entry in here if entry.position > after]
            assert await ledger.objects.of_pack(1, sequence, after=after, limit=2) == rest[:2]
    assert await ledger.objects.last_spot(1) == max(model.objects, default=(-1, -1))
    assert await ledger.objects.checked_packs(1) == model.packs
    assert await ledger.uploads.begun(1) == model.uploads
    for number, parts in model.parts.items():
        assert await ledger.uploads.parts(number) == [parts[key] for key in sorted(parts)]


async def live(where: str, steps: list[tuple[str, object]], flush_rows: int) -> None:
    model = Model()
    sessions: list[list[tuple[str, object]]] = [[]]
    for step in steps:
        if step[0] == "reopen":
            sessions.append([])
        else:
            sessions[-1].append(step)
    for session in sessions:
        async with opened(where, flush_rows=flush_rows) as ledger:
            await job_of(ledger)
            for action, value in session:
                await follow(ledger, model, action, value)
    async with opened(where) as ledger:
        await compare(ledger, model)


@settings(max_examples=20, deadline=None)
@given(steps=STEPS, flush_rows=st.sampled_from([1, 3, 1000]))
def test_sqlite(steps: list[tuple[str, object]], flush_rows: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(live(str(Path(place) / "ledger"), steps, flush_rows))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, flush_rows=st.sampled_from([1, 3, 1000]))
def test_postgresql(server: PostgresServer, steps: list[tuple[str, object]], flush_rows: int) -> None:
    asyncio.run(live(server.emptied_database(), steps, flush_rows))
