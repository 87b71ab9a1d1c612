"""`transfer erase`: what it destroys and leaves, what it wants first, and that it goes on after any end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from jsonschema import Draft202012Validator

from tests.golden.schemas import schemas
from tests.jobs.attempts import Site
from tests.jobs.certify.certifying import Issuer, certify_in_memory
from tests.jobs.encrypted import age_key, make_encrypted
from tests.jobs.ship.dying import DeadError, Death
from tests.jobs.shipment import copy_to, transfer
from tests.simulators.disks import tmpfs, vfat_image
from tests.simulators.kills import FSYNC, RENAME, UNLINK, killed_at
from tests.simulators.servers import program
from tests.ssh_tools import make_key, signers_file
from transfer.device.layout import Layout
from transfer.device.lock import locked
from transfer.errors import UsageError
from transfer.jobs.erase import erase

STAY = {"DEVICE.json", "CUSTODY.jsonl", "ERASED.json", "LOCK"}


@pytest.fixture
def device(varied_device: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(varied_device, tmp_path / "device"))


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    folder = tmp_path_factory.mktemp("issuer")
    key = make_key(folder)
    return Issuer(key, signers_file(folder, key))


@pytest.fixture(scope="session")
def certificate(
    undisturbed: Site, varied_device: Path, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("papers") / "certificate.json"
    asyncio.run(certify_in_memory(varied_device, undisturbed.store, issuer, path))
    return path


def names(device: Path) -> set[str]:
    return {path.relative_to(device).as_posix() for path in device.rglob("*")}


def assert_erased(device: Path) -> dict[str, Any]:
    assert names(device) == STAY
    record: dict[str, Any] = json.loads((device / "ERASED.json").read_bytes())
    assert record["state"] == "done"
    lines = (device / "CUSTODY.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["event"] for line in lines].count("erased") == 1
    assert transfer("custody", device).code == 0
    return record


def refused(code: int, word: str, *arguments: Any) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(arguments[0]).rglob("*") if path.name != "LOCK"}
    ended = transfer("erase", *arguments, "--json")
    assert (ended.code, ended.document["error"]["exit_code"]) == (code, code), ended.stderr
    assert word in ended.document["error"]["what"]
    after = {path: path.stat().st_mtime_ns for path in Path(arguments[0]).rglob("*") if path.name != "LOCK"}
    assert after == before


def test_upon_a_certificate(device: Path, certificate: Path, issuer: Issuer) -> None:
    seal = blake3((device / "SEAL.json").read_bytes()).hexdigest()
    packs = [path.stat().st_size for path in (device / "packs").iterdir()]
    ended = transfer(
        "erase", device, "--certificate", certificate, "--signers", issuer.signers, "--who", "Ann", "--json"
    )
    assert (ended.code, ended.stderr) == (0, "")
    record = assert_erased(device)
    assert ended.document["record"] == record
    assert (record["seal_blake3"], record["who"], record["encrypted"]) == (seal, "Ann", False)
    assert record["certificate_blake3"] == blake3(certificate.read_bytes()).hexdigest()
    told = {part["part"]: (part["files"], part["bytes"], part["method"]) for part in record["parts"]}
    assert told["packs"] == (len(packs), sum(packs), "removed")
    entry = json.loads((device / "CUSTODY.jsonl").read_bytes().splitlines()[-1])
    assert (entry["event"], entry["who"], entry["seal_blake3"]) == ("erased", "Ann", seal)
    assert record["certificate_blake3"] in entry["note"]


def test_what_it_says_to_people(device: Path) -> None:
    ended = transfer("erase", device, "--without-certificate")
    assert ended.code == 0
    said = ended.stdout.lower()
    assert "800-88" in said
    assert "until it is written over" in said
    assert not any(word in said for word in ("shred", "irrecoverabl", "securely", "unrecoverabl"))


def test_without_a_word_it_does_nothing(device: Path, certificate: Path) -> None:
    for told in ([], ["--certificate", certificate, "--without-certificate"], ["--signers", certificate]):
        refused(2, "either", device, *told)


def test_a_dry_run_writes_nothing(device: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in device.rglob("*")}
    ended = transfer("erase", device, "--without-certificate", "--dry-run", "--json")
    assert (ended.code, ended.document["erased"]) == (0, False)
    assert {path: path.stat().st_mtime_ns for path in device.rglob("*")} == before
    assert "would erase" in transfer("erase", device, "--without-certificate", "--dry-run").stdout


def test_afterwards_the_device_is_plainly_erased(device: Path, tmp_path: Path) -> None:
    assert transfer("erase", device, "--without-certificate", "--who", "Ann").code == 0
    for command in (
        ["info", device],
        ["ls", device],
        ["verify", device],
        ["seal", device],
        ["copy", tmp_path, device],
        ["ship", device, tmp_path],
        ["import", device, "s3://bucket"],
    ):
        ended = transfer(*command)
        assert ended.code == 10, command
        assert "was erased on" in ended.stderr
        assert "by Ann" in ended.stderr
    ended = transfer("prepare", device, "--profile", "folder", "--job", "j")
    assert ended.code == 10
    assert "was erased" in ended.stderr
    for path in [*device.iterdir()]:  # as it says
        path.unlink()
    assert transfer("prepare", device, "--profile", "folder", "--job", "j").code == 0
    assert transfer("info", device).code == 0


def test_once_more_is_no_error_and_changes_nothing(device: Path) -> None:
    assert transfer("erase", device, "--without-certificate").code == 0
    record = (device / "ERASED.json").read_bytes()
    ended = transfer("erase", device, "--without-certificate", "--json")
    assert (ended.code, ended.document["already"]) == (0, True)
    assert (device / "ERASED.json").read_bytes() == record


def test_certificates_that_do_not_do(
    device: Path, certificate: Path, issuer: Issuer, undisturbed: Site, tmp_path: Path
) -> None:
    def changed(change: Callable[[Path], object]) -> Path:
        folder = tmp_path / f"papers {len(list(tmp_path.iterdir()))}"
        shutil.copytree(certificate.parent, folder)
        change(folder / certificate.name)
        return folder / certificate.name

    def edit(path: Path) -> None:
        path.write_bytes(path.read_bytes().replace(b'"objects": ', b'"objects": 1'))

    beside = lambda path, suffix: path.with_name(path.name + suffix)  # noqa: E731
    refused(4, "signature", device, "--certificate", changed(edit))
    refused(4, "not signed", device, "--certificate", changed(lambda path: beside(path, ".sig").unlink()))
    lost = changed(lambda path: beside(path, ".entries.jsonl.zst").unlink())
    refused(2, "companion", device, "--certificate", lost)
    bent = changed(lambda path: beside(path, ".entries.jsonl.zst").write_bytes(b"other"))
    refused(4, "companion", device, "--certificate", bent)
    other_key = make_key(tmp_path, name="other")
    strangers = signers_file(tmp_path, other_key)
    refused(4, "not allowed", device, "--certificate", certificate, "--signers", strangers)
    refused(2, "cannot be read", device, "--certificate", tmp_path / "none")


def test_the_certificate_of_another_device_or_seal(
    device: Path, certificate: Path, varied_source: Path, small_profile: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    transfer("prepare", other, "--profile", small_profile, "--job", "test", "-q")
    copy_to(other, varied_source)
    transfer("seal", other, "-q")
    refused(4, "another device", other, "--certificate", certificate)
    assert transfer("seal", "--reopen", device).code == 0
    refused(4, "not sealed", device, "--certificate", certificate)
    assert transfer("seal", device).code == 0
    refused(4, "another seal", device, "--certificate", certificate)


def test_a_certificate_in_part_does_not_do(
    device: Path, issuer: Issuer, tmp_path: Path, undisturbed: Site
) -> None:
    from copy import deepcopy

    store, path = deepcopy(undisturbed.store), tmp_path / "c.json"
    asyncio.run(store.delete("a/small 5"))
    asyncio.run(certify_in_memory(device, store, issuer, path, allow_partial=True))
    refused(4, "does not certify 1 entries", device, "--certificate", path)


def test_while_another_works_on_it(device: Path) -> None:
    with locked(Layout(str(device)), "copy"):
        refused(11, "in use by transfer copy", device, "--without-certificate")


def test_a_device_that_is_open_or_broken(device: Path) -> None:
    (device / "SEAL.json").write_bytes(b"{}")
    (device / "CUSTODY.jsonl").write_bytes(b"nonsense\n")
    ended = transfer("erase", device, "--without-certificate", "--json")
    assert ended.code == 0
    assert "custody log tells nothing" in ended.stderr
    assert names(device) == STAY


def test_nothing_beyond_the_device_is_touched(device: Path, tmp_path: Path) -> None:
    """Links are removed, not followed; what is not the device's is left, and told."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_bytes(b"mine")
    (device / "keys").mkdir()
    (device / "keys/job.age").symlink_to(elsewhere / "mine")
    (device / "packs/link").symlink_to(elsewhere / "mine")
    (device / "packs/folder").symlink_to(elsewhere)
    (device / "packs/00000099.tar.zst.partial").write_bytes(b"left by a crash")
    (device / "SEAL.json.partial").write_bytes(b"left by a crash")
    (device / "segments/inner").mkdir()
    (device / "notes.txt").write_bytes(b"somebody's")
    ended = transfer("erase", device, "--without-certificate", "--json")
    assert ended.code == 0
    assert ended.document["record"]["left"] == ["segments/inner", "notes.txt"]
    assert names(device) == STAY | {"segments", "segments/inner", "notes.txt"}
    assert (elsewhere / "mine").read_bytes() == b"mine"


def test_on_a_disk_that_is_full(varied_device: Path) -> None:
    """The reserve makes room for the record."""
    with tmpfs(8 << 20) as disk:
        device = Path(shutil.copytree(varied_device, f"{disk.path}/device"))
        with (device / "RESERVE").open("wb", buffering=0) as reserve, suppress(OSError):
            while True:
                reserve.write(bytes(4096))
        assert os.statvfs(disk.path).f_bavail == 0
        assert transfer("erase", device, "--without-certificate").code == 0
        assert_erased(device)


def test_on_fat(varied_device: Path, undisturbed: Site, issuer: Issuer) -> None:
    """No links, no owners: certificate and erasure do without."""
    with vfat_image(16 << 20) as disk:
        device = Path(disk.path, "device")
        subprocess.run(["cp", "-r", varied_device, device], check=True)
        path = Path(disk.path, "papers.json")
        asyncio.run(certify_in_memory(device, undisturbed.store, issuer, path))
        with pytest.raises(UsageError, match="already"):
            asyncio.run(certify_in_memory(device, undisturbed.store, issuer, path))
        assert len(list(path.parent.glob("papers.json*"))) == 3
        ended = transfer("erase", device, "--certificate", path, "--json")
        assert ended.code == 0, ended.stderr
        assert_erased(device)
        assert ended.document["drive"]["source"]


def test_a_folder_that_is_a_link(device: Path, tmp_path: Path) -> None:
    moved = (device / "packs").rename(tmp_path / "packs")
    (device / "packs").symlink_to(moved)
    ended = transfer("erase", device, "--without-certificate", "--json")
    assert (ended.code, ended.document["record"]["left"]) == (0, ["packs"])
    assert len(list(moved.iterdir())) > 1


def test_an_erasure_of_another_device_is_none(device: Path, tmp_path: Path) -> None:
    assert transfer("erase", device, "--without-certificate").code == 0
    other = tmp_path / "other"
    other.mkdir()
    transfer("prepare", other, "--profile", "folder", "--job", "test", "-q")
    shutil.copy(device / "ERASED.json", other)
    for command in ("info", "erase --without-certificate"):
        ended = transfer(*command.split(), other)
        assert ended.code == 4
        assert "of another device" in ended.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b"{" * 100_000, b" " * (2 << 20)])
def test_a_record_that_is_none(device: Path, content: bytes) -> None:
    (device / "ERASED.json").write_bytes(content)
    ended = transfer("info", device)
    assert ended.code == 4
    assert "ERASED.json" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_dead_at_any_call_it_goes_on(varied_device: Path, certificate: Path, tmp_path: Path) -> None:
    died, nth = 0, 0
    while died == nth:
        nth += 1
        device = Path(shutil.copytree(varied_device, tmp_path / f"device {nth}"))
        (device / "keys").mkdir()
        (device / "keys/job.age").write_bytes(b"a key")
        with pytest.MonkeyPatch.context() as patch:
            Death(nth, patch)
            try:
                erase(str(device), None)
            except DeadError:
                died += 1
        if (device / "ERASED.json").exists():
            before = json.loads((device / "ERASED.json").read_bytes())
            ended = transfer("info", device)
            assert ended.code == 10
            assert ("is being erased" if before["state"] == "begun" else "was erased on") in ended.stderr
        else:
            assert names(device) - {"LOCK", "ERASED.json.partial"} == names(varied_device) - {"LOCK"} | {
                "keys", "keys/job.age",
            }  # fmt: skip
        again = transfer("erase", device, "--certificate", certificate)
        assert again.code == 0, (nth, again.stderr)
        record = assert_erased(device)
        assert {part["part"]: part["files"] for part in record["parts"]}["keys"] == 1
        shutil.rmtree(device)
    assert died > 20


def test_keys_go_first_and_are_overwritten_before(varied_device: Path, tmp_path: Path) -> None:
    """By the calls themselves: before anything else is removed, the key's content is zeros on disk."""
    device = Path(shutil.copytree(varied_device, tmp_path / "device"))
    (device / "keys").mkdir()
    key = device / "keys/job.age"
    key.write_bytes(b"a key")
    kept = tmp_path / "the same file"
    os.link(key, kept)
    calls: list[tuple[str, str, bytes]] = []

    def noting(name: str) -> Callable[..., Any]:
        call = getattr(os, name)

        def noted(what: Any, *arguments: Any, **named: Any) -> Any:
            shown = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else os.path.basename(what)
            calls.append((name, shown, kept.read_bytes()))
            return call(what, *arguments, **named)

        return noted

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "unlink"):
            patch.setattr(os, name, noting(name))
        erase(str(device), None)
    removed = [
        name for call, name, _ in calls if call == "unlink" and not name.endswith(("RESERVE", ".partial"))
    ]
    assert removed[0] == "job.age"
    assert removed[-1] == "SEAL.json"
    assert next(content for call, name, content in calls if (call, name) == ("unlink", "job.age")) == bytes(5)
    assert ("fsync", str(key), bytes(5)) in calls[: calls.index(("unlink", "job.age", bytes(5)))]
    segments = [number for number, name in enumerate(removed) if name.endswith(".jsonl.zst")]
    packs = [number for number, name in enumerate(removed) if name.endswith(".tar.zst")]
    assert max(segments) < min(packs)


@pytest.mark.parametrize(
    ("calls", "nth"),
    [(RENAME, 1), (FSYNC, 3), (FSYNC, 6), (UNLINK, 1), (UNLINK, 4), (UNLINK, 9), (RENAME, 2)],
)
def test_killed_it_goes_on(device: Path, certificate: Path, calls: tuple[str, ...], nth: int) -> None:
    command = [program("transfer"), "erase", str(device), "--certificate", str(certificate)]
    ended = subprocess.run(killed_at(command, calls, nth), capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert transfer(*command[1:]).code == 0
    assert_erased(device)


def test_an_encrypted_device_that_was_never_sealed(
    tmp_path: Path, varied_source: Path, small_profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key that reads its segments is on this host, and goes too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    device = make_encrypted(tmp_path / "device", varied_source, small_profile, age_key(tmp_path), seal=False)
    (resume,) = (tmp_path / "state").rglob("*.key")
    kept = tmp_path / "the same file"
    os.link(resume, kept)
    job_key = (device / "keys/job.age").stat().st_size
    assert transfer("erase", device, "--without-certificate").code == 0
    record = assert_erased(device)
    assert (record["encrypted"], record["resume_key_destroyed"], record["seal_blake3"]) == (True, True, None)
    assert not resume.exists()
    assert set(kept.read_bytes()) == {0}
    assert record["parts"][0] == {
        "part": "keys", "files": 1, "bytes": job_key, "method": "overwritten-and-removed",
    }  # fmt: skip
    schema = json.loads(schemas()["erasure.schema.json"])
    Draft202012Validator(schema).validate(record)
    assert not Draft202012Validator(schema).is_valid(record | {"state": "gone"})
