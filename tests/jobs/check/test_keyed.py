"""Objects that lie in a folder as files: whatever their names became, each finds its key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.jobs.check.checking import check_folder, keyed_device
from tests.jobs.check.test_bucket import OBJECTS
from transfer.cli.options import read_filter
from transfer.core.names import POSIX, WINDOWS, NameMapper, Rules
from transfer.core.records import ObjectFacts
from transfer.device.path_table import PathTable
from transfer.formats.object_lines import HEAD_LINE, OBJECTS_NAME, ObjectLine, encode_object_line


def lay_out(folder: Path, objects: dict[bytes, bytes], rules: Rules = POSIX) -> dict[bytes, bytes]:
    """As a restore lays objects out; key to path."""
    folder.mkdir()
    paths = {}
    with PathTable() as table:
        mapper = NameMapper(rules, table)
        for key in sorted(objects):
            is_folder = key.endswith(b"/") and not objects[key]
            paths[key] = mapper.assign(key, is_folder=is_folder)
            place = os.path.join(os.fsencode(folder), paths[key])
            os.makedirs(place if is_folder else os.path.dirname(place), exist_ok=True)
            if not is_folder:
                with open(place, "wb") as file:
                    file.write(objects[key])
    return paths


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keyed_device(tmp_path_factory.mktemp("keyed") / "device", OBJECTS)


@pytest.mark.parametrize("rules", [POSIX, WINDOWS], ids=["posix", "windows"])
def test_all_of_it(device: Path, tmp_path: Path, rules: Rules) -> None:
    paths = lay_out(tmp_path / "folder", OBJECTS, rules)
    told = check_folder(device, tmp_path / "folder")
    assert (told.states, len(told.lines)) == ({}, len(OBJECTS))
    for key, path in paths.items():
        place = os.path.join(os.fsencode(tmp_path / "folder"), path)
        if not path.endswith(b"/"):
            os.rename(place, place + b".gone")
            assert check_folder(device, tmp_path / "folder").states == {
                key.decode(): "missing", path.decode() + ".gone": "extra",
            }  # fmt: skip
            os.rename(place + b".gone", place)


def test_changes(device: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    paths = lay_out(folder, OBJECTS)
    os.rmdir(os.path.join(os.fsencode(folder), paths[b"d/"]))
    for key, body in ((b"a//b", b"x"), (b"e/", b"longer than it was")):
        Path(os.fsdecode(os.path.join(os.fsencode(folder), paths[key]))).write_bytes(body)
    told = check_folder(device, folder)
    assert told.states == {"a//b": "different", "d/": "missing", "e/": "different"}
    told = check_folder(device, folder, filter=read_filter(include=["/a//*"]))
    assert told.states == {"a//b": "different"}
    assert check_folder(device, folder, quick=True).states["e/"] == "different"


def listed(path: str, key: str) -> bytes:
    line = ObjectLine(path=path, key=key, size_bytes=0, blake3="0" * 64, object=ObjectFacts())
    return encode_object_line(line)


def test_the_list_of_objects_knows_names_best(device: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    lay_out(folder, OBJECTS)
    (folder / "big").rename(folder / "renamed by hand")
    assert set(check_folder(device, folder).states) == {"big", "renamed by hand"}
    (folder / OBJECTS_NAME).write_bytes(HEAD_LINE + listed("renamed by hand", "big"))
    told = check_folder(device, folder)
    assert (told.states, told.checked.notes) == ({}, []), "and it is itself no entry"


def test_a_broken_list_is_told_and_nothing_rests_on_it(device: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    lay_out(folder, OBJECTS)
    for text in (b"", b"\0" * 100, HEAD_LINE + b"{}\n", HEAD_LINE + listed("z", "a") + listed("b", "c")):
        (folder / OBJECTS_NAME).write_bytes(text)
        told = check_folder(device, folder)
        assert told.states == {}
        assert OBJECTS_NAME in told.checked.notes[0]


def test_two_names_of_one_key(device: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    lay_out(folder, OBJECTS)
    (folder / "bi%67").write_bytes(bytes(200_000))
    told = check_folder(device, folder)
    assert list(told.states.values()) == ["extra"]


NAMES = st.binary(min_size=1, max_size=4).map(
    lambda raw: bytes(b"ab/.%~+2F\xc3\xa9"[byte % 9] for byte in raw)
)


@settings(max_examples=25)
@given(keys=st.sets(NAMES, min_size=1, max_size=8))
def test_whatever_keys_there_are(keys: set[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("any")
    objects = {key: b"" if key.endswith(b"/") else b"content of " + key for key in keys}
    device = keyed_device(place / "device", objects)
    lay_out(place / "folder", objects)
    told = check_folder(device, place / "folder")
    assert (told.states, len(told.lines)) == ({}, len(objects))
