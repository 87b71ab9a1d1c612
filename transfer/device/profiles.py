"""Finds a device profile by its name, among those that come with the program, or by the path of a file."""

from __future__ import annotations

import difflib
import os

from transfer.errors import UsageError
from transfer.formats.packaged import packaged_names, read_packaged
from transfer.formats.profile import DeviceProfile, parse_profile
from transfer.formats.toml_table import MAX_TOML_BYTES

_KIND = "device_profiles"


def profile_names() -> list[str]:
    """Names of the profiles that come with the program, sorted."""
    return packaged_names(_KIND, ".toml")


def load_profile(name_or_path: str) -> DeviceProfile:
    """Load a profile: a path where the text holds a "/" or ends with ".toml", else a name.

    Raises:
        UsageError: no such name or file, or the file is no valid profile.
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        return parse_profile(_read(name_or_path), name_or_path)
    names = profile_names()
    if name_or_path not in names:
        nearest = difflib.get_close_matches(name_or_path, names, n=1, cutoff=0.4)
        meant = f"did you mean {nearest[0]!r}? " if nearest else ""
        known = ", ".join(names)
        raise UsageError(
            f"no device profile is named {name_or_path[:80]!r}",
            remedy=f"{meant}there are {known}; or give the path of a .toml file",
        )
    return parse_profile(read_packaged(_KIND, f"{name_or_path}.toml"), f"{name_or_path}.toml")


def _read(path: str) -> bytes:
    try:
        with open(os.fsencode(path), "rb") as file:
            # One byte more than allowed tells a file that is too large, however large it is.
            return file.read(MAX_TOML_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the device profile {path}: {error.strerror}", remedy="give the path of a .toml file"
        ) from error
