"""What goes wrong on request: read strictly, chosen by the seed alone, never twice the same place."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.core.faults import (
    MAX_FAULTS,
    AnyFault,
    Bitflip,
    Delay,
    FaultPlan,
    LostPack,
    SwappedDevice,
    Truncation,
    Victim,
    choose_faults,
    parse_faults,
)
from transfer.errors import UsageError

DEVICE_ID = "0f42c547-556d-47c0-998a-918239315246"

sizes = st.lists(st.integers(1, 5_000), min_size=1, max_size=12)
seeds = st.integers(0, 2**63 - 1)


def device(pack_sizes: list[int]) -> list[Victim]:
    """Packs of these sizes with segments of 100 bytes."""
    packs = [Victim(f"packs/{number:08}.tar.zst", size, True) for number, size in enumerate(pack_sizes)]
    return packs + [
        Victim(f"segments/{number:08}.jsonl.zst", 100, False) for number in range(len(pack_sizes))
    ]


def byte_at(name: str, offset: int) -> int:
    return (sum(name.encode()) + 7 * offset) % 256


def chosen(plan: FaultPlan, pack_sizes: list[int], seed: int) -> list[AnyFault]:
    return choose_faults(plan, DEVICE_ID, device(pack_sizes), random.Random(seed), byte_at)


@st.composite
def drills(draw: st.DrawFn) -> tuple[FaultPlan, list[int], int]:
    """A plan that the device has room for: a pack is left whole."""
    pack_sizes = draw(sizes)
    lost = draw(st.integers(0, len(pack_sizes) - 1))
    cut = draw(st.integers(0, len(pack_sizes) - 1 - lost))
    plan = FaultPlan(draw(st.integers(0, 50)), cut, lost, draw(st.integers(0, 5)), draw(st.booleans()))
    return plan, pack_sizes, draw(seeds)


@given(drills())
def test_the_plan_is_done_to_the_letter(drill: tuple[FaultPlan, list[int], int]) -> None:
    plan, pack_sizes, seed = drill
    faults = chosen(plan, pack_sizes, seed)
    kinds = [type(fault) for fault in faults]
    assert kinds.count(Bitflip) == plan.bitflips
    assert kinds.count(Truncation) == plan.truncations
    assert kinds.count(LostPack) == plan.lost_packs
    assert kinds.count(SwappedDevice) == plan.swaps
    assert sum(fault.days for fault in faults if isinstance(fault, Delay)) == plan.delay_days


@given(drills())
def test_the_same_seed_gives_the_same_faults(drill: tuple[FaultPlan, list[int], int]) -> None:
    assert chosen(*drill) == chosen(*drill)


def test_another_seed_gives_others() -> None:
    plan = FaultPlan(bitflips=3)
    assert len({str(chosen(plan, [1_000] * 4, seed)) for seed in range(20)}) == 20


@given(drills())
def test_every_fault_is_possible_and_none_hides_another(drill: tuple[FaultPlan, list[int], int]) -> None:
    plan, pack_sizes, seed = drill
    size_of = {victim.name: victim.size_bytes for victim in device(pack_sizes)}
    touched: dict[str, type] = {}
    places = set()
    for fault in chosen(plan, pack_sizes, seed):
        if isinstance(fault, Delay):
            continue
        assert touched.setdefault(fault.file, type(fault)) is type(fault)
        match fault:
            case Bitflip():
                places.add((fault.file, fault.offset))
                assert fault.offset < size_of[fault.file]
                assert fault.before == byte_at(fault.file, fault.offset)
                assert fault.before ^ fault.after == 1 << fault.bit
            case Truncation():
                assert fault.left_bytes < fault.size_bytes == size_of[fault.file]
            case LostPack():
                assert fault.file.startswith("packs/")
            case SwappedDevice():
                assert fault.before == DEVICE_ID != fault.after
    assert len(places) == plan.bitflips


def test_no_byte_is_safer_than_another() -> None:
    places = {
        (fault.file, fault.offset, fault.bit)
        for seed in range(2_000)
        for fault in chosen(FaultPlan(bitflips=1), [3, 2], seed)
        if isinstance(fault, Bitflip)
    }
    packs = {place for place in places if place[0].startswith("packs/")}
    assert {(name, offset) for name, offset, _ in packs} == {
        (f"packs/{number:08}.tar.zst", offset) for number, size in ((0, 3), (1, 2)) for offset in range(size)
    }
    assert {bit for _, _, bit in places} == set(range(8))


@pytest.mark.parametrize(
    ("plan", "what"),
    [
        (FaultPlan(lost_packs=3), "lose-pack:3 is more than the 2 files"),
        (FaultPlan(lost_packs=2, truncations=3), "truncate:3 is more than the 2 files"),
        (FaultPlan(bitflips=1_201), "bitflip:1201 is more than the 1200 bytes"),
    ],
)
def test_more_than_the_device_has_is_refused(plan: FaultPlan, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        chosen(plan, [500, 500], 1)


def test_a_flip_for_every_byte_comes_to_an_end() -> None:
    assert len(chosen(FaultPlan(bitflips=1_200), [500, 500], 1)) == 1_200


@given(st.integers(1, MAX_FAULTS), st.integers(1, MAX_FAULTS), st.integers(1, 365), st.booleans())
def test_forms_are_read(flips: int, packs: int, days: int, swaps: bool) -> None:
    texts = [f"bitflip:{flips}", f"lose-pack:{packs}", f"delay:{days}"] + ["swap-device"] * swaps
    assert parse_faults(texts) == FaultPlan(flips, 0, packs, days, swaps)
    assert parse_faults([*texts, "delay:2", "truncate:4"]) == FaultPlan(flips, 4, packs, days + 2, swaps)
    assert parse_faults([]) == FaultPlan()


@given(st.text(max_size=20) | st.from_regex(r"(bitflip|truncate|delay|lose-pack|swap-device)[:0-9a]{0,12}"))
def test_a_text_is_a_fault_or_a_usage_error(text: str) -> None:
    try:
        plan = parse_faults([text])
    except UsageError as error:
        assert error.what.startswith("--fault")
    else:
        assert plan != FaultPlan()


@pytest.mark.parametrize(
    "text", ["bitflip:0", "bitflip:10001", "delay:3651", "delay:99999999999", "lose-pack:٣"]
)
def test_numbers_have_bounds(text: str) -> None:
    with pytest.raises(UsageError, match="--fault"):
        parse_faults([text])


@given(drills())
def test_a_record_is_read_back_as_it_was(drill: tuple[FaultPlan, list[int], int]) -> None:
    faults = chosen(*drill)
    assert msgspec.json.decode(msgspec.json.encode(faults), type=list[AnyFault]) == faults
