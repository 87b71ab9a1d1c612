"""Folders from outside: what counts as one, what counts as a change, whatever lies there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from transfer.service.ingest import folders
from transfer.service.ingest.folders import fingerprint, list_dock


def test_only_folders_and_links_that_do_not_hide_are_listed(dock: Path) -> None:
    for name in ("b", "a", ".arriving-x", "lost+found"):
        (dock / name).mkdir()
    (dock / "file").write_text("x")
    os.mkfifo(dock / "fifo")
    (dock / "dangling").symlink_to("nowhere")
    (dock / "link").symlink_to("a")
    listing = list_dock(str(dock))
    assert (listing.folders, listing.links, listing.is_cut) == (["a", "b"], ["dangling", "link"], False)


def test_more_than_can_be_looked_at_is_cut(dock: Path) -> None:
    for number in range(5):
        (dock / f"{number}").mkdir()
    assert not list_dock(str(dock), limit=5).is_cut
    cut = list_dock(str(dock), limit=4)
    assert (len(cut.folders), cut.is_cut) == (4, True)


@pytest.fixture
def device(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "device"))


PACK = "packs/00000000.tar.zst"


@pytest.mark.parametrize(
    ("change", "shallow"),
    [
        (lambda device: (device / PACK).open("r+b").close(), None),
        (lambda device: os.truncate(device / PACK, 5), False),
        (lambda device: (device / PACK).unlink(), True),
        (lambda device: (device / "packs/x").write_text(""), True),
        (lambda device: (device / "SEAL.json").write_bytes(b"{}"), True),
        (lambda device: (device / "new").mkdir(), True),
        (lambda device: shutil.rmtree(device / "segments"), True),
        (shutil.rmtree, True),
    ],
)
def test_a_change_changes_the_print(
    device: Path, change: Callable[[Path], object], shallow: bool | None
) -> None:
    """Shallow: also what is only looked at from above; None: it is no change at all."""
    before = [fingerprint(str(device), deep=deep) for deep in (False, True)]
    assert before == [fingerprint(str(device), deep=deep) for deep in (False, True)]
    change(device)
    after = [fingerprint(str(device), deep=deep) for deep in (False, True)]
    assert (before[1] != after[1]) == (shallow is not None)
    assert (before[0] != after[0]) == bool(shallow)


def test_a_folder_without_end_is_read_to_a_limit(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_ENTRIES", 2)
    before = fingerprint(str(device), deep=True)
    for number in range(50):
        (device / f"packs/~{number}").write_text("")
    assert fingerprint(str(device), deep=True) != before  # the folder itself has another time


def test_a_link_in_place_of_the_packs_is_not_followed(device: Path, tmp_path: Path) -> None:
    (device / "packs").rename(tmp_path / "elsewhere")
    (device / "packs").symlink_to(tmp_path / "elsewhere")
    before = fingerprint(str(device), deep=True)
    (tmp_path / "elsewhere/more").write_text("")
    assert fingerprint(str(device), deep=True) == before
