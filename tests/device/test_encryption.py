"""What opens an encrypted device, and that nobody pays for encryption who has none."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from tests.jobs.copy.copying import PROFILE
from tests.jobs.encrypted import Key, age_key, job_identity, keys_of
from transfer.device.custody import read_log
from transfer.device.device import Device, open_device
from transfer.device.encryption import (
    NO_KEYS,
    Keys,
    for_this_device,
    recipients_of,
    require_open,
    require_resume_key,
    unlocked,
)
from transfer.device.recipients import DestinationKey
from transfer.errors import AccessError, FormatError, IntegrityError
from transfer.formats.profile import parse_profile
from transfer.jobs.prepare import prepare


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return age_key(tmp_path)


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


@pytest.fixture
def device(tmp_path: Path, key: Key, state: str) -> Device:
    return prepared(tmp_path / "device", key, state)


def prepared(place: Path, key: Key | None, state: str) -> Device:
    place.mkdir()
    told = [DestinationKey.parse(key.recipient, "here")] if key else []
    profile = parse_profile(PROFILE.encode(), "the tests' profile")
    return prepare(str(place), profile, "test", locked_for=told, state_directory=state).device


def test_what_prepare_makes(device: Device, key: Key, state: str) -> None:
    document = json.loads(Path(device.root, "DEVICE.json").read_text())
    job = job_identity(Path(device.root), key)
    assert document["recipients"]["job"] == str(job.to_public())
    (kept,) = Path(state, "resume").iterdir()
    resume = pyrage.x25519.Identity.from_str(kept.read_text().splitlines()[0])
    assert document["recipients"]["resume"] == str(resume.to_public())
    assert kept.name == document["device_id"] + ".key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [entry.event for entry in read_log(device.layout).entries] == ["prepared"]


def test_packs_are_for_the_job_and_segments_for_the_resume_key_too(device: Device) -> None:
    packs, segments = recipients_of(device.document)
    told = device.document.recipients
    assert [recipient.text for recipient in packs] == [told.job]  # type: ignore[union-attr]
    assert [recipient.text for recipient in segments] == [told.job, told.resume]  # type: ignore[union-attr]


def test_no_two_devices_share_a_key(tmp_path: Path, device: Device, key: Key, state: str) -> None:
    other = prepared(tmp_path / "other", key, state)
    first, second = device.document.recipients, other.document.recipients
    texts = {first.job, first.resume, second.job, second.resume}  # type: ignore[union-attr]
    assert len(texts) == 4


def test_the_job_identity_opens_it(device: Device, key: Key) -> None:
    found = unlocked(open_device(device.root), keys_of(key))
    assert not found.is_locked
    assert [found.identities[0].recipient.text] == [found.document.recipients.job]  # type: ignore[union-attr]
    require_open(found)
    require_resume_key(found)


def test_the_resume_identity_is_found_where_it_was_made(device: Device, state: str, tmp_path: Path) -> None:
    found = unlocked(open_device(device.root), Keys(state_directory=state))
    assert [found.identities[0].recipient.text] == [found.document.recipients.resume]  # type: ignore[union-attr]
    for keys in (NO_KEYS, Keys(state_directory=str(tmp_path / "elsewhere"))):
        locked = unlocked(open_device(device.root), keys)
        assert locked.is_locked
        with pytest.raises(AccessError, match="no key was given"):
            require_open(locked)
        with pytest.raises(AccessError, match="does not hold the key"):
            require_resume_key(locked)


def test_a_given_identity_counts_even_where_the_resume_key_is(
    device: Device, state: str, tmp_path: Path
) -> None:
    """Who names a key and is wrong is told so, instead of seeing what another key shows."""
    wrong = replace(keys_of(age_key(tmp_path, "wrong")), state_directory=state)
    with pytest.raises(AccessError, match="cannot be opened"):
        unlocked(open_device(device.root), wrong)


def test_keys_do_not_matter_where_nothing_is_encrypted(tmp_path: Path, key: Key, state: str) -> None:
    device = prepared(tmp_path / "plain", None, state)
    assert recipients_of(device.document) == ([], [])
    assert unlocked(device, replace(keys_of(key), state_directory=state)) is device
    require_open(device)
    require_resume_key(device)
    assert not os.path.exists(state)


def test_a_file_for_others_is_a_damaged_device() -> None:
    with pytest.raises(FormatError, match="encrypted to others"), for_this_device():
        raise AccessError("not for us")


@pytest.mark.parametrize("change", [{"job": None}, {"resume": None}, {"none": True}])
def test_what_the_host_was_told_counts_and_not_what_the_device_says(
    device: Device, state: str, change: dict[str, object]
) -> None:
    path = Path(device.root, "DEVICE.json")
    document = json.loads(path.read_text())
    stranger = str(pyrage.x25519.Identity.generate().to_public())
    if "none" in change:
        del document["recipients"]
    else:
        document["recipients"] |= dict.fromkeys(change, stranger)
    path.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="names other recipients"):
        unlocked(open_device(device.root), Keys(state_directory=state))
    unlocked(open_device(device.root), NO_KEYS)


@pytest.mark.parametrize(
    "words", [["info", "{}"], ["ls", "{}"], ["verify", "{}"], ["verify", "{}", "--deep"]]
)
def test_no_cryptography_is_loaded_where_nothing_is_encrypted(words: list[str]) -> None:
    good = str(Path(__file__).parents[2] / "manifests/golden/good")
    program = (
        "import sys; from transfer.cli.app import run; code = run(sys.argv[1:]);"
        "print(code, sorted({name.partition('.')[0] for name in sys.modules} & {'cryptography', 'pyrage'}))"
    )
    command = [sys.executable, "-c", program, *(word.format(good) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
