"""`transfer seal --reopen`: generations, and what is left when it is cut short anywhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from blake3 import blake3

from tests import ssh_tools
from tests.jobs.shipment import copy_to, transfer
from tests.jobs.signed_devices import codes, open_device, seal, verify


@pytest.fixture
def device(tmp_path: Path) -> Path:
    return open_device(tmp_path)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return ssh_tools.make_key(tmp_path)


def document(device: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((device / "SEAL.json").read_bytes())
    return loaded


def test_a_device_is_filled_further(device: Path, key: Path, tmp_path: Path) -> None:
    signers = ssh_tools.signers_file(tmp_path, key)
    seal(device, "--sign-key", key)
    text = (device / "SEAL.json").read_bytes()
    ended = transfer("seal", device, "--reopen", "--json")
    assert (ended.code, ended.document["generation"]) == (0, 1)
    assert (device / "SEAL.json.previous").read_bytes() == text
    assert not (device / "SEAL.json").exists()
    assert not (device / "SEAL.json.sig").exists()

    (tmp_path / "source of device/new").write_bytes(b"more")
    copy_to(device, tmp_path / "source of device")
    assert seal(device, "--sign-key", key).document["generation"] == 2
    sealed = document(device)
    assert (sealed["generation"], sealed["previous_seal"]) == (2, blake3(text).hexdigest())
    assert not (device / "SEAL.json.previous").exists()
    assert codes(verify(device, "--deep", "--signers", signers)) == []

    text = (device / "SEAL.json").read_bytes()
    assert transfer("seal", device, "--reopen").code == 0
    seal(device)
    assert (document(device)["generation"], document(device)["previous_seal"]) == (
        3,
        blake3(text).hexdigest(),
    )


def test_the_first_seal_has_none_before(device: Path) -> None:
    seal(device)
    assert document(device)["generation"] == 1
    assert "previous_seal" not in document(device)


def test_what_it_says_to_people(device: Path) -> None:
    seal(device)
    told = transfer("seal", device, "--reopen").stdout
    assert told == f"reopened {device}: it takes more data; its next seal has generation 2\n"


def test_a_dry_run_opens_nothing(device: Path) -> None:
    seal(device)
    before = sorted(os.listdir(device))
    assert "would reopen" in transfer("seal", device, "--reopen", "--dry-run").stdout
    assert sorted(os.listdir(device)) == before


def refused(device: Path, code: int, word: str, *options: str | Path) -> None:
    ended = transfer("seal", device, "--json", *options)
    assert (ended.code, ended.document["error"]["exit_code"]) == (code, code)
    assert word in ended.document["error"]["what"]


def test_what_cannot_be_reopened(device: Path, key: Path) -> None:
    refused(device, 10, "is not sealed: it takes more data as it is", "--reopen")
    seal(device)
    refused(device, 2, "nothing to sign", "--reopen", "--sign-key", key)
    refused(device, 2, "nothing to sign", "--reopen", "--incomplete")
    text = (device / "SEAL.json").read_bytes()
    (device / "SEAL.json").write_bytes(text[:-9])
    refused(device, 4, "is not right", "--reopen")
    assert (device / "SEAL.json").read_bytes() == text[:-9]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device_id": "00000000-0000-4000-8000-000000000000"}, "of another device"),
        ({"generation": 0}, "SEAL.json.previous: "),
    ],
)
def test_a_previous_seal_that_is_none_of_this_device(
    device: Path, change: dict[str, Any], message: str
) -> None:
    seal(device)
    assert transfer("seal", device, "--reopen").code == 0
    previous = json.loads((device / "SEAL.json.previous").read_bytes()) | change
    (device / "SEAL.json.previous").write_text(json.dumps(previous))
    refused(device, 4, message)
    assert not (device / "SEAL.json").exists()


def test_generation_and_previous_seal_belong_together(device: Path) -> None:
    seal(device)
    for change in ({"generation": 2}, {"previous_seal": "0" * 64}):
        sealed = document(device)
        (device / "SEAL.json").write_text(json.dumps(sealed | change))
        assert "seal-invalid" in codes(verify(device))
        (device / "SEAL.json").write_text(json.dumps(sealed))


class CrashError(BaseException):
    """The process ends here: nothing behind it is done, not even to tidy up."""


_CALLS = ("rename", "unlink", "fsync", "open", "pwrite", "write", "ftruncate")


@contextmanager
def crash_at(nth: int) -> Iterator[list[str]]:
    """Crash before the n-th call that changes a device, and at all behind it; gives those that were made."""
    reached: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            changes = name != "open" or arguments[1] & os.O_CREAT
            if changes and "LOCK" not in str(arguments[0]):
                if len(reached) >= nth:
                    raise CrashError
                reached.append(name)
            return real(*arguments, **options)

        return call

    patches = [patch.object(os, name, counted(name)) for name in _CALLS]
    for one in patches:
        one.start()
    try:
        yield reached
    finally:
        for one in patches:
            one.stop()


def crashes(device: Path, place: Path, *command: str | Path) -> Iterator[Path]:
    """Copies of a device on which a command was cut short, before each call that changes something."""
    nth = 0
    while True:
        copied = Path(shutil.copytree(device, place / f"crash {nth}"))
        with crash_at(nth):
            ended = transfer("seal", copied, *command)
        if ended.code == 0:
            assert nth > 3
            return
        assert "CrashError" in ended.stderr
        yield copied
        nth += 1


def test_cut_short_while_it_is_reopened(device: Path, key: Path, tmp_path: Path) -> None:
    """It is sealed and signed as before, or it is open; either way the next commands work."""
    signers = ssh_tools.signers_file(tmp_path, key)
    seal(device, "--sign-key", key)
    text = (device / "SEAL.json").read_bytes()
    states = set()
    for crashed in crashes(device, tmp_path, "--reopen"):
        is_sealed = (crashed / "SEAL.json").exists()
        states.add(is_sealed)
        if is_sealed:
            assert codes(verify(crashed, "--signers", signers)) == []
        else:
            assert codes(verify(crashed)) == []
            straight_on = Path(shutil.copytree(crashed, f"{crashed} sealed at once"))
            assert seal(straight_on).document["generation"] == 2
            assert codes(verify(straight_on)) == []
            assert not (straight_on / "SEAL.json.sig").exists()
        assert transfer("seal", crashed, "--reopen").code == 0
        assert not (crashed / "SEAL.json.sig").exists()
        copy_to(crashed, tmp_path / "source of device")
        seal(crashed, "--sign-key", key)
        assert document(crashed)["previous_seal"] == blake3(text).hexdigest()
        assert codes(verify(crashed, "--signers", signers)) == []
    assert states == {True, False}


def test_cut_short_while_it_is_sealed_and_signed(device: Path, key: Path, tmp_path: Path) -> None:
    """It is open, or sealed and not signed yet, or signed; the same command brings it to its end."""
    signers = ssh_tools.signers_file(tmp_path, key)
    seal(device, "--sign-key", key)
    text = (device / "SEAL.json").read_bytes()
    stale = (device / "SEAL.json.sig").read_bytes()
    assert transfer("seal", device, "--reopen").code == 0
    (device / "SEAL.json.sig").write_bytes(stale)  # as an interrupted reopening leaves it
    states = set()
    for crashed in crashes(device, tmp_path, "--sign-key", key):
        is_sealed, is_signed = ((crashed / name).exists() for name in ("SEAL.json", "SEAL.json.sig"))
        states.add((is_sealed, is_signed))
        if is_sealed:
            assert codes(verify(crashed, "--signers", signers)) == (
                [] if is_signed else ["signature-missing"]
            )
            assert codes(verify(crashed)) == []
        seal(crashed, "--sign-key", key)
        assert document(crashed)["previous_seal"] == blake3(text).hexdigest()
        assert codes(verify(crashed, "--signers", signers)) == []
    assert states == {(False, True), (False, False), (True, False), (True, True)}
