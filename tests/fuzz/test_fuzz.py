"""Every target with few cases, the same each time; and whether what they would find is found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import engine
from tests.fuzz.__main__ import watch
from tests.fuzz.law import Broken, check_accepted_path
from tests.fuzz.mutation import mutate_bytes
from tests.fuzz.reading import look_at
from tests.fuzz.targets import TARGETS, Target
from transfer.errors import FormatError

SEED = 1
SLOW = {"frame": 150, "job-key-code": 12, "device": 25, "device-encrypted": 20, "import": 8}
"""How many cases of these; of the others more."""
OTHERS = 400
_FAST = [name for name in TARGETS if name not in SLOW]


@pytest.mark.parametrize("names", [_FAST[:6], _FAST[6:12], _FAST[12:]], ids=["documents", "keys", "papers"])
def test_what_a_device_holds_is_accepted_or_refused(names: Sequence[str]) -> None:
    assert watch(names, SEED, 0, OTHERS) == []


@pytest.mark.parametrize("name", SLOW)
def test_what_takes_longer_is_accepted_or_refused(name: str) -> None:
    assert watch([name], SEED, 0, SLOW[name]) == []


def test_no_target_is_left_out_and_each_has_seeds_that_are_accepted() -> None:
    assert set(_FAST) | SLOW.keys() == TARGETS.keys()
    for name in _FAST:
        outcomes = [engine.attempt(TARGETS[name], case) for case in TARGETS[name].seeds()]
        assert any(isinstance(found, str) and not found.startswith("refused") for found in outcomes), name


@pytest.mark.parametrize("name", ["device", "device-encrypted"])
def test_a_recipe_makes_a_device_that_is_valid_until_it_is_changed(name: str) -> None:
    first, *_, signed, unsealed = TARGETS[name].seeds()
    assert look_at(first) == look_at(signed) == look_at(unsealed) == "13 | 2 | valid | valid | whole"


@pytest.mark.parametrize("name", ["device-json", "age", "segment-inside", "device"])
def test_a_seed_makes_the_same_cases_again(name: str) -> None:
    target = TARGETS[name]
    made = []
    for _ in range(2):
        rng, seeds = Random(7), target.seeds()
        made.append([target.mutate(rng, rng.choice(seeds), seeds) for _ in range(30)])
    assert made[0] == made[1]
    assert len(set(made[0])) > 10


def _run(target: Target, folder: Path, cases: int = 1500) -> engine.Result:
    at_hand = engine.AtHand(folder / "case")
    return engine.fuzz(target, 1, seconds=0, cases=cases, at_hand=at_hand, limit=False)


def _toy(case: bytes) -> str:
    """Three mistakes of which the innermost lies behind the others."""
    if len(case) > 40:
        raise FormatError("too long")
    if b"(" in case and b")" in case:
        raise ValueError("both")
    if b"\xff" in case:
        raise Broken("a law")
    return "accepted"


def test_crashes_are_found_told_apart_and_made_small(tmp_path: Path) -> None:
    result = _run(Target("toy", lambda: [b"some (text", b"a text), more"], mutate_bytes, _toy), tmp_path)
    found = {crash.what.partition(":")[0]: crash for crash in result.crashes}
    assert sorted(found) == ["Broken", "ValueError"]
    assert sorted(found["ValueError"].case) == sorted(b"()")
    assert found["Broken"].case == b"\xff"
    path = engine.save(found["Broken"], "toy", tmp_path)
    assert path.read_bytes() == b"\xff"
    assert "a law" in path.with_suffix(".txt").read_text()


def test_a_case_that_comes_further_is_built_upon(tmp_path: Path) -> None:
    """Three letters in a row are not found by chance alone."""

    def run(case: bytes) -> str:
        for at, letter in enumerate(b"xyz"):
            if case[at : at + 1] != bytes([letter]):
                return f"stops at {at}"
        raise ValueError("found")

    def mutate(rng: Random, case: bytes, others: Sequence[bytes]) -> bytes:
        changed = bytearray(case)
        changed[rng.randrange(3)] = rng.randrange(256)
        return bytes(changed)

    assert _run(Target("toy", lambda: [bytes(3)], mutate, run), tmp_path, 12_000).crashes


@pytest.mark.parametrize("path", [b"../a", b"/a", b"a//b", b".", b"a/..", b"a\0", b"", b"a" * 256, b"//"])
def test_the_law_of_paths_is_one(path: bytes) -> None:
    with pytest.raises(Broken):
        check_accepted_path(path)
