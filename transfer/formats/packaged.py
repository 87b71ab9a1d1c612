"""Finds the data files that belong to the program: device profiles and JSON Schemas.

In an installed wheel they lie in transfer/data/<kind>/, where pyproject's force-include puts them; in a
checkout they are the top-level folders that the wheel is made from. Nothing else is ever read here: a user's
own file is the business of `device`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

# Folder of a checkout by kind; the same table as [tool.hatch.build.targets.wheel.force-include].
_CHECKOUT_FOLDERS: Final = {"device_profiles": "device_profiles", "schemas": "manifests/schemas"}


def packaged_names(kind: str, suffix: str) -> list[str]:
    """Names, without their suffix, of all packaged files of a kind ("device_profiles", "schemas"), sorted."""
    return sorted(entry.name.removesuffix(suffix) for entry in _entries(kind) if entry.name.endswith(suffix))


def read_packaged(kind: str, file_name: str) -> bytes:
    """The bytes of one packaged file; `file_name` is one that `packaged_names` gave, with its suffix.

    Raises:
        FileNotFoundError: there is no such file; a fault of ours, not of a user.
    """
    for entry in _entries(kind):
        if entry.name == file_name:
            return entry.read_bytes()
    raise FileNotFoundError(f"no packaged file {kind}/{file_name}")


def _entries(kind: str) -> Iterator[Traversable]:
    package = resources.files("transfer")
    folder = package / "data" / kind
    if folder.is_dir():
        return folder.iterdir()
    with resources.as_file(package) as root:
        return iter(list((Path(root).parent / _CHECKOUT_FOLDERS[kind]).iterdir()))
