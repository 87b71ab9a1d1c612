"""`transfer profiles` shows every profile, and in full what a profile of one's own is written by."""

from __future__ import annotations

import json

import pytest

from transfer.cli.app import run
from transfer.device.profiles import load_profile, profile_names


def test_the_list_has_a_line_for_each_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "NAME",
        "CAPACITY",
        "PACK",
        "CHUNK",
        "MAX",
        "FILE",
        "WRITE",
        "READ",
        "DAYS",
        "INTERFACE",
    ]
    assert [line.split()[0] for line in lines] == profile_names()
    snowball = next(line for line in lines if line.startswith("snowball"))
    assert snowball.split()[1:8] == ["80TB", "4GiB", "8MiB", "5TB", "300MB/s", "300MB/s", "5"]
    stick = next(line for line in lines if line.startswith("fat32"))
    assert stick.split()[1:5] == ["all", "256MiB", "8MiB", "<4GiB"]


def test_the_list_in_json_holds_all_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["profiles"]
    assert [profile["name"] for profile in found] == profile_names()
    assert found[0]["pack"]["pack_size_bytes"] == load_profile(found[0]["name"]).pack.pack_size_bytes


@pytest.mark.parametrize("name", profile_names())
def test_one_profile_in_full_names_every_field_of_its_file(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["profiles", name]) == 0
    shown = dict(
        line.split(None, 1) if "  " in line else (line, "") for line in capsys.readouterr().out.splitlines()
    )
    profile = load_profile(name)
    assert shown["name"].strip() == name
    assert shown["compression.level"].strip() == str(profile.level)
    assert {"capacity", "reserve", "pack.pack_size", "file_system.max_file_size", "speed.write"} <= set(shown)


def test_one_profile_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "fat32-stick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file_system"]["max_file_size_bytes"] == 2**32 - 1


def test_a_wrong_name_is_a_usage_error_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "usb-sdd"]) == 2
    assert "did you mean 'usb-ssd-4tb'?" in capsys.readouterr().err
