"""`transfer profiles`: the device profiles there are, or one of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.console import Console, table
from transfer.cli.options import JsonOption
from transfer.core.sizes import format_size_exact

if TYPE_CHECKING:
    from transfer.formats.profile import DeviceProfile

_HEADINGS = ("NAME", "CAPACITY", "PACK", "CHUNK", "MAX FILE", "WRITE", "READ", "DAYS", "INTERFACE")
_RIGHT = range(1, 8)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("profiles")(profiles)


def profiles(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show this one in full; or the path of a .toml file."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the device profiles, or show one in full."""
    from transfer.device.profiles import load_profile, profile_names

    console = Console(json=json)
    if name is not None:
        profile = load_profile(name)
        console.result(profile, _in_full(profile))
        return
    found = [load_profile(known) for known in profile_names()]
    console.result({"profiles": found}, table(_HEADINGS, [_row(profile) for profile in found], right=_RIGHT))


def _row(profile: DeviceProfile) -> tuple[str, ...]:
    return (
        profile.name,
        _amount(profile.capacity_bytes, "all"),
        _amount(profile.pack.pack_size_bytes),
        _amount(profile.pack.chunk_size_bytes),
        _largest(profile.file_system.max_file_size_bytes),
        f"{_amount(profile.write_bytes_s)}/s",
        f"{_amount(profile.read_bytes_s)}/s",
        str(profile.carrier.days),
        profile.interface,
    )


def _in_full(profile: DeviceProfile) -> list[str]:
    """Every field by the name it has in a profile's file, so that the text helps to write one's own."""
    share = f"{profile.reserve_fraction:.3%}".replace(".000%", "%")
    fields: dict[str, Any] = {
        "name": profile.name,
        "title": profile.title,
        "interface": profile.interface,
        "capacity": _amount(profile.capacity_bytes, "all"),
        "reserve": share if profile.reserve_fraction else _amount(profile.reserve_bytes),
    }
    for section, values in (("file_system", profile.file_system), ("pack", profile.pack)):
        fields |= {f"{section}.{field}": getattr(values, field) for field in values.__struct_fields__}
    fields |= {"compression.level": profile.level}
    fields |= {
        "speed.write": f"{_amount(profile.write_bytes_s)}/s",
        "speed.read": f"{_amount(profile.read_bytes_s)}/s",
    }
    fields |= {
        f"carrier.{field}": getattr(profile.carrier, field) for field in profile.carrier.__struct_fields__
    }
    shown = [_shown(name, value) for name, value in fields.items() if value != ""]
    width = max(len(name) for name, _ in shown)
    return [f"{name:<{width}}  {value}" for name, value in shown]


def _shown(name: str, value: Any) -> tuple[str, str]:
    if name.endswith("_bytes"):
        return name.removesuffix("_bytes"), _amount(value, "none")
    if isinstance(value, bool):
        return name, "yes" if value else "no"
    return name, str(value)


def _amount(size_bytes: int | None, word: str = "") -> str:
    return word if size_bytes is None else format_size_exact(size_bytes)


def _largest(file_size_bytes: int | None) -> str:
    """As an amount; FAT32's limit, one byte short of 4 GiB, in words that can be taken in."""
    if file_size_bytes is not None and format_size_exact(file_size_bytes + 1).endswith("iB"):
        return f"<{format_size_exact(file_size_bytes + 1)}"
    return _amount(file_size_bytes, "none")
