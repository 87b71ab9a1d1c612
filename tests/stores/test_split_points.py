"""Places to cut at lie behind what was listed, and where such keys go on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.stores.split_points import behind_folders, folder_above, folder_of, folders_in, further_on

texts = st.text(st.sampled_from("/ab019f.-é😀"), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("keys", "prefix", "folder", "folders"),
    [
        (["a/b/1", "a/b/2"], "", "a/b/", 0),
        (["a/b/1", "a/c/2", "a/d"], "", "a/", 2),
        (["a", "b"], "", "", 0),
        (["p-1", "p-2/x"], "p-", "p-", 1),
        (["/a", "/b"], "", "/", 0),
        (["a//b", "a//c"], "a", "a//", 0),
    ],
)
def test_the_folder_that_all_are_in(keys: list[str], prefix: str, folder: str, folders: int) -> None:
    assert folder_of(keys, prefix) == folder
    assert folders_in(keys, folder) == folders


def test_folders_above_end_at_the_prefix() -> None:
    assert [folder_above("a/b/c/", prefix) for prefix in ("", "a/b/", "a/b", "a/b/c/")] == [
        "a/b/", "a/b/", "a/b/", "a/b/c/",
    ]  # fmt: skip
    assert folder_above("a/", "") == ""


def test_places_behind_the_folders_a_key_is_in() -> None:
    assert behind_folders("a/b/c", "") == ["a0", "a/b0"]
    assert behind_folders("a/b/c", "a/") == ["a/b0"]
    assert behind_folders("a", "") == []


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ([f"img-{n:04}.jpg" for n in range(100)], ["img-0198", "img-0297", "img-0396"]),
        ([f"x/{n:02x}" for n in range(8, 14)], ["x/12", "x/17", "x/1c"]),
        ([f"{n:03}/" for n in range(950, 1000)], []),
    ],
    ids=["decimal", "hexadecimal", "the-end"],
)
def test_places_further_on(keys: list[str], places: list[str]) -> None:
    found = further_on(keys, folder_of(keys, ""), 3)
    assert [place[: len(places[0])] for place in found] == places


@settings(max_examples=300, deadline=None)
@given(st.sets(texts, min_size=1, max_size=30), st.integers(1, 20))
def test_places_are_behind_what_was_listed_and_ascend(listed: set[str], wanted: int) -> None:
    keys = sorted(listed)
    folder = folder_of(keys, "")
    places = further_on(keys, folder, wanted)
    assert len(places) <= wanted
    assert places == sorted(set(places))
    assert all(place > keys[-1][: len(place)] and place.startswith(folder) for place in places)
