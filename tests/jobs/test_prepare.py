"""prepare, as a command: what it makes, and what it refuses, on folders and on real file systems."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.copy.copying import MIB, PROFILE, findings, run, transfer_command
from tests.jobs.copy.faults import failing_disk
from tests.simulators.disks import exfat_image, ext4_image, tmpfs, vfat_image
from transfer.errors import DeviceError
from transfer.formats.profile import parse_profile
from transfer.jobs.prepare import prepare

FORMATTED = ("lost+found", "System Volume Information", ".Trashes", ".DS_Store")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(PROFILE)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "device"
    path.mkdir()
    return path


def prepared(
    place: Path, profile: Path | str, *options: str, job: str = "job-1"
) -> tuple[int, dict[str, Any]]:
    done = run("prepare", place, "--profile", profile, "--job", job, *options)
    if done.code:
        assert done.document["error"]["remedy"]
    return done.code, done.document.get("error", done.document)


def test_a_device_is_made(place: Path, profile: Path) -> None:
    code, document = prepared(place, profile, "--ordinal", "3", "--capacity", "10MiB")
    assert (code, document["prepared"]) == (0, True)
    written = json.loads((place / "DEVICE.json").read_text())
    assert written == document["device"]
    assert (written["job"], written["ordinal"], written["capacity_bytes"]) == ("job-1", 3, 10 * MIB)
    assert {path.name for path in place.iterdir()} == {
        "CUSTODY.jsonl",
        "DEVICE.json",
        "RECOVERY.txt",
        "recover.sh",
        "packs",
        "segments",
    }
    assert stat.S_IMODE((place / "recover.sh").stat().st_mode) & 0o111
    assert written["device_id"] in (place / "RECOVERY.txt").read_text()
    assert findings(place) == set()
    script = subprocess.run(
        ["sh", place / "recover.sh", "--list"], capture_output=True, text=True, check=True
    )
    assert "no packs" in script.stderr


def test_every_device_has_an_identity_of_its_own(tmp_path: Path, profile: Path) -> None:
    seen = set()
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        seen.add(prepared(tmp_path / str(number), profile)[1]["device"]["device_id"])
    assert len(seen) == 2


def test_what_formatting_leaves_is_allowed(place: Path, profile: Path) -> None:
    for name in FORMATTED:
        (place / name).mkdir()
    assert prepared(place, profile)[0] == 0


def test_dry_run_writes_nothing(place: Path, profile: Path) -> None:
    code, document = prepared(place, profile, "--dry-run")
    assert (code, document["prepared"], list(place.iterdir())) == (0, False, [])


@pytest.mark.parametrize("name", ["file", ".hidden", "packs-old", "DEVICE.json.bak", "RECOVERY.txt"])
def test_a_folder_that_is_not_empty(place: Path, profile: Path, name: str) -> None:
    (place / name).write_bytes(b"x")
    code, error = prepared(place, profile)
    assert (code, repr(name) in error["what"]) == (10, True)
    assert [path.name for path in place.iterdir()] == [name]


def test_a_device_is_not_prepared_twice(place: Path, profile: Path) -> None:
    assert prepared(place, profile)[0] == 0
    before = (place / "DEVICE.json").read_bytes()
    code, error = prepared(place, profile)
    assert (code, "is a device already" in error["what"]) == (10, True)
    assert (place / "DEVICE.json").read_bytes() == before


def test_a_folder_that_is_missing_or_none(tmp_path: Path, profile: Path) -> None:
    code, error = prepared(tmp_path / "missing", profile)
    assert (code, "does not exist" in error["what"]) == (10, True)
    code, error = prepared(profile, profile)
    assert (code, "is not a folder" in error["what"]) == (10, True)


def test_another_disk_than_the_profile_expects(place: Path) -> None:
    code, error = prepared(place, "snowball-edge-80tb")
    assert (code, "expects" in error["what"]) == (10, True)
    assert list(place.iterdir()) == []


def test_the_capacity_decides_what_the_right_disk_is(place: Path, profile: Path) -> None:
    with tmpfs(20 * MIB) as disk:
        assert prepared(Path(disk.path), profile, "--capacity", "30MiB")[0] == 10
        assert prepared(Path(disk.path), profile, "--capacity", "21MiB")[0] == 0


@pytest.mark.parametrize("job", ["", "a b", "-x", "ü", "x" * 64, "a/b"])
def test_a_job_name_that_is_none(place: Path, profile: Path, job: str) -> None:
    done = run("prepare", place, "--profile", profile, f"--job={job}")
    assert (done.code, list(place.iterdir())) == (2, [])


@pytest.mark.parametrize(
    "options", [("--capacity", "0"), ("--capacity", "1MiB"), ("--capacity", "much"), ("--ordinal", "0")]
)
def test_options_that_make_no_sense(place: Path, profile: Path, options: tuple[str, str]) -> None:
    done = run("prepare", place, "--profile", profile, "--job", "j", *options)
    assert (done.code, list(place.iterdir())) == (2, [])


@pytest.mark.parametrize("name", ["no-such-profile", "/no/such/file.toml"])
def test_an_unknown_profile(place: Path, name: str) -> None:
    code, error = prepared(place, name)
    assert (code, name in error["what"], list(place.iterdir())) == (2, True, [])


def test_a_disk_too_small_for_one_pack(profile: Path) -> None:
    with tmpfs(1 * MIB) as disk:
        code, error = prepared(Path(disk.path), profile)
        assert (code, "needs 1.50 MiB" in error["what"]) == (13, True)


@pytest.mark.parametrize("dry", [True, False])
def test_a_disk_mounted_read_only(profile: Path, dry: bool) -> None:
    with tmpfs(8 * MIB) as disk:
        disk.make_read_only()
        code, error = prepared(Path(disk.path), profile, *["--dry-run"] * dry)
        assert (code, "is mounted read-only" in error["what"]) == (10, True)


def test_a_folder_that_may_not_be_written(tmp_path: Path, place: Path, profile: Path) -> None:
    less = "-dac_override,-dac_read_search,-fowner"
    os.chown(place, 65_534, 65_534)
    command = transfer_command("prepare", place, "--profile", profile, "--job", "j")
    for dry in ([], ["--dry-run"]):
        done = subprocess.run(
            ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}", *command, *dry],
            capture_output=True,
            check=False,
        )
        assert (done.returncode, b"may not be used" in done.stderr) == (10, True)


@pytest.mark.parametrize("image", [ext4_image, vfat_image, exfat_image])
def test_real_file_systems(image: Any, profile: Path) -> None:
    with image(16 * MIB) as disk:
        assert prepared(Path(disk.path), profile)[0] == 0
        disk.pull()
        disk.plug_in()
        assert findings(Path(disk.path)) == set()
        assert prepared(Path(disk.path), profile)[0] == 10


def test_an_interrupted_prepare_can_be_given_again(tmp_path: Path) -> None:
    parsed = parse_profile(PROFILE.encode(), "the tests' profile")
    (tmp_path / "undisturbed").mkdir()
    with failing_disk() as disk:
        prepare(str(tmp_path / "undisturbed"), parsed, "job")
    assert len(disk.calls) > 10
    for number in range(1, len(disk.calls) + 1):
        place = tmp_path / str(number)
        place.mkdir()
        with failing_disk(number, 5, for_good=True), pytest.raises(DeviceError, match="failed"):
            prepare(str(place), parsed, "job")
        if (place / "DEVICE.json").exists():
            with pytest.raises(DeviceError, match="is a device already"):
                prepare(str(place), parsed, "job")
        else:
            prepare(str(place), parsed, "job")
        assert findings(place) == set()


def test_several_devices_are_numbered_in_their_order(tmp_path: Path) -> None:
    places = [tmp_path / name for name in "abcd"]
    for place in places:
        place.mkdir()
    profile = tmp_path / "tiny.toml"
    profile.write_text(PROFILE)
    told = ("--profile", profile, "--job", "set", "--ordinal", "3")
    (places[3] / "not empty").write_bytes(b"")
    assert run("prepare", *places, *told).code == 10
    assert list(places[0].iterdir()) == []
    (places[3] / "not empty").unlink()
    done = run("prepare", *places, *told, "--copies", "2")
    assert [made["device"]["ordinal"] for made in done.document["devices"]] == [3, 3, 4, 4]
    assert run("prepare", *places[:3], *told, "--copies", "2").code == 2
    assert run("prepare", places[0], places[0], *told).code == 2
