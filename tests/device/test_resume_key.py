"""The resume key: kept for its owner alone, found again, and destroyed as far as a program can."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from transfer.device import disk, resume_key
from transfer.errors import AccessError, FormatError, TransferError, UsageError
from transfer.formats.age.keys import Identity

DEVICE = "6b4d66a7-a10b-470d-9a3e-fbd1c2613d61"
OTHER = "00000000-a10b-470d-9a3e-fbd1c2613d61"


@pytest.fixture
def identity() -> Identity:
    return Identity.generate()


def key_file(state: Path) -> Path:
    return state / "resume" / f"{DEVICE}.key"


def found(state: Path, device: str = DEVICE) -> str | None:
    identity = resume_key.find(str(state), device)
    return identity.text if identity else None


def test_what_is_kept_is_found(tmp_path: Path, identity: Identity) -> None:
    state = tmp_path / "new" / "state"
    assert found(state) is None
    old = os.umask(0)
    try:
        resume_key.keep(str(state), DEVICE, identity)
    finally:
        os.umask(old)
    assert found(state) == identity.text
    assert found(state, OTHER) is None
    assert stat.S_IMODE(key_file(state).stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "resume").stat().st_mode) == 0o700
    assert os.listdir(state / "resume") == [f"{DEVICE}.key"]


def test_a_second_one_takes_the_place_of_the_first(tmp_path: Path, identity: Identity) -> None:
    resume_key.keep(str(tmp_path), DEVICE, Identity.generate())
    resume_key.keep(str(tmp_path), DEVICE, identity)
    assert found(tmp_path) == identity.text


def test_what_is_destroyed_was_overwritten_first(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume_key.keep(str(tmp_path), DEVICE, identity)
    witness = tmp_path / "witness"
    witness.hardlink_to(key_file(tmp_path))  # the blocks, under another name
    events: list[str] = []
    for name in ("fsync", "unlink"):
        real = getattr(os, name)

        def noted(what: object, *, name: str = name, real: object = real) -> None:
            folder = isinstance(what, int) and stat.S_ISDIR(os.fstat(what).st_mode)
            events.append(f"{name}{' of the folder' * folder}")
            real(what)  # type: ignore[operator]

        monkeypatch.setattr(resume_key.os, name, noted)
    assert resume_key.destroy(str(tmp_path), DEVICE) is True
    assert events == ["fsync", "unlink", "fsync of the folder"]
    assert set(witness.read_bytes()) == {0}
    assert found(tmp_path) is None
    assert resume_key.destroy(str(tmp_path), DEVICE) is False


def test_what_a_crash_left_is_destroyed_as_well(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(disk.os, "rename", die)
    with pytest.raises(Killed):
        resume_key.keep(str(tmp_path), DEVICE, identity)
    monkeypatch.undo()
    left = key_file(tmp_path).with_suffix(".key.partial")
    assert identity.text in left.read_text()
    assert resume_key.destroy(str(tmp_path), DEVICE) is True
    assert os.listdir(tmp_path / "resume") == []


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, identity: Identity) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "resume").mkdir()
    key_file(tmp_path).symlink_to(victim)
    with pytest.raises(TransferError, match="cannot be destroyed"):
        resume_key.destroy(str(tmp_path), DEVICE)
    resume_key.keep(str(tmp_path), DEVICE, identity)
    assert found(tmp_path) == identity.text
    assert victim.read_bytes() == b"precious"


def test_a_disk_that_fails_is_an_error_and_the_key_stays(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume_key.keep(str(tmp_path), DEVICE, identity)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(resume_key.os, "fsync", fail)
    with pytest.raises(TransferError, match="cannot be destroyed: Input/output error"):
        resume_key.destroy(str(tmp_path), DEVICE)
    with pytest.raises(TransferError, match="cannot be kept: Input/output error"):
        resume_key.keep(str(tmp_path), OTHER, identity)
    assert os.listdir(tmp_path / "resume") == [f"{DEVICE}.key"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, identity: Identity) -> None:
    resume_key.keep(str(tmp_path), DEVICE, identity)
    key_file(tmp_path).chmod(0o640)
    with pytest.raises(AccessError, match="mode 0640"):
        found(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"AGE-SECRET-KEY-1QQQQ\n", b"x" * 5000])
def test_a_damaged_key_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    resume_key.keep(str(tmp_path), DEVICE, Identity.generate())
    key_file(tmp_path).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        found(tmp_path)
    assert str(key_file(tmp_path)) in caught.value.what
    assert "QQQQ" not in str(caught.value)


@pytest.mark.parametrize("device", ["", "../../etc/passwd", f"{DEVICE}\n", DEVICE.upper(), f"../{DEVICE}"])
def test_what_is_no_device_id_becomes_no_path(tmp_path: Path, device: str, identity: Identity) -> None:
    for call in (
        lambda: resume_key.keep(str(tmp_path), device, identity),
        lambda: resume_key.find(str(tmp_path), device),
        lambda: resume_key.destroy(str(tmp_path), device),
    ):
        with pytest.raises(FormatError, match="is not the id of a device"):
            call()
    assert os.listdir(tmp_path) == []
