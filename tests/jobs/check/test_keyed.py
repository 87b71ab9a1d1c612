"""Objects that lie in a folder as files: whatever their names became, each finds its key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.jobs.check.checking import check_folder, keyed_device, path_device
from tests.jobs.check.test_bucket import OBJECTS
from tests.jobs.copy.copying import run
from transfer.cli.options import read_filter
from transfer.core.names import POSIX, WINDOWS, NameMapper, Rules
from transfer.core.records import ObjectFacts
from transfer.device.path_table import PathTable
from transfer.formats.object_lines import HEAD_LINE, OBJECTS_NAME, ObjectLine, encode_object_line
from transfer.jobs.restore.places import NAMES_NAME


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
    files = [(key, path) for key, path in paths.items() if not path.endswith(b"/")]
    for gone in (files[::2], files[1::2]):
        places = [os.path.join(os.fsencode(tmp_path / "folder"), path) for _, path in gone]
        for place in places:
            os.rename(place, place + b".gone")
        assert check_folder(device, tmp_path / "folder").states == {
            **{key.decode(): "missing" for key, _ in gone},
            **{path.decode() + ".gone": "extra" for _, path in gone},
        }
        for place in places:
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


@pytest.mark.parametrize("names", ["posix", "windows"])
def test_behind_a_restore(device: Path, tmp_path: Path, names: str) -> None:
    """What restore writes of its own is no entry, where it is what it seems to be."""
    folder = tmp_path / "folder"
    folder.mkdir()
    assert run("restore", device, folder, "--names", names, "-q").code == 0
    assert (folder / OBJECTS_NAME).exists()
    assert (folder / NAMES_NAME).exists() == (names == "windows")
    told = check_folder(device, folder)
    assert (told.states, told.checked.notes, len(told.lines)) == ({}, [], len(OBJECTS))
    (folder / NAMES_NAME).write_bytes(b"somebody's own")
    assert check_folder(device, folder).states == {NAMES_NAME: "extra"}


def test_of_files_whose_names_a_restore_escaped(tmp_path: Path) -> None:
    device, folder = path_device(tmp_path / "d", {b"a:b": b"1", b"plain": b"2"}), tmp_path / "folder"
    folder.mkdir()
    assert run("restore", device, folder, "--names", "windows", "-q").code == 0
    assert check_folder(device, folder, escaped_names=True).states == {}
    told = check_folder(device, folder)
    assert told.states == {NAMES_NAME: "extra", "a%3Ab": "extra", "a:b": "missing"}
    assert "--escaped-names" in told.lines[NAMES_NAME]["reason"]


def test_a_pipe_of_the_lists_names_is_not_waited_for(device: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    lay_out(folder, OBJECTS)
    for name in (OBJECTS_NAME, NAMES_NAME):
        os.mkfifo(folder / name)
    told = check_folder(device, folder)
    assert told.checked.differences == 2
    assert "no regular file" in told.checked.notes[0]


NAMES = st.binary(min_size=1, max_size=4).map(
    lambda raw: bytes(b"ab/.%~+2F\xc3\xa9"[byte % 9] for byte in raw)
)


@settings(max_examples=15)
@given(keys=st.sets(NAMES, min_size=1, max_size=8))
def test_whatever_keys_there_are(keys: set[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("any")
    objects = {key: b"" if key.endswith(b"/") else b"content of " + key for key in keys}
    device = keyed_device(place / "device", objects)
    lay_out(place / "folder", objects)
    told = check_folder(device, place / "folder")
    assert (told.states, len(told.lines)) == ({}, len(objects))
