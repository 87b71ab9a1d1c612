"""Custody over a device's life: who writes what, what the destination remembers, what a cut tail comes to."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tests.jobs.memory_import import OPTIONS, SIZES, Imported, run_import
from tests.jobs.shipment import Ended, make_device, transfer, write_profile
from tests.simulators.disks import tmpfs
from tests.tools import require_tool
from transfer.device.clock import timestamp
from transfer.device.custody import read_log
from transfer.device.device import open_device
from transfer.formats.custody import Head
from transfer.jobs.filling.custody import tell_custody
from transfer.ledger.ledger import open_ledger

SIGNED = replace(OPTIONS, who="dock 7")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    (place / "source").mkdir()
    for number in range(3):
        (place / f"source/file {number}").write_bytes(os.urandom(1000))
    write_profile(place / "small.toml", **SIZES)
    return place


@pytest.fixture(scope="module")
def pristine(site: Path) -> Path:
    return make_device(site / "pristine", site / "source", site / "small.toml")


@pytest.fixture
def device(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "device"))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A signing key; the file of allowed signers lies beside it."""
    path = tmp_path / "key"
    command = [require_tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "carol", "-f", str(path)]
    subprocess.run(command, check=True)
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "signers").write_text(f'carol@example.org namespaces="transfer-custody" {public}')
    return path


def log_of(device: Path) -> Path:
    return device / "CUSTODY.jsonl"


def lines_of(device: Path) -> list[bytes]:
    return log_of(device).read_bytes().splitlines(keepends=True)


def head_of(device: Path) -> Head:
    lines = lines_of(device)
    return Head(len(lines) - 1, blake3(lines[-1]).hexdigest())


def custody(device: Path, *options: str | Path) -> Ended:
    return transfer("custody", device, "--json", *options)


def entries(device: Path) -> list[dict[str, Any]]:
    ended = custody(device)
    assert ended.code == 0, ended.stderr
    return [one["entry"] for one in ended.document["entries"]]


def events(device: Path) -> list[tuple[str, str]]:
    return [(entry["event"], entry["who"]) for entry in entries(device)]


def remembered(ledger: Path, device: Path) -> Head | None:
    async def ask() -> Head | None:
        async with open_ledger(str(ledger), timestamp) as opened:
            return await opened.devices.custody(
                transfer("info", device, "--json").document["device"]["device_id"]
            )

    return asyncio.run(ask())


def cut(device: Path, count: int = 1) -> None:
    log_of(device).write_bytes(b"".join(lines_of(device)[:-count]))


def test_the_commands_that_write_to_a_device_write_its_log(site: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.mkdir()
    profile = site / "small.toml"
    assert transfer("prepare", device, "--profile", profile, "--job", "j", "--who", "Ann").code == 0
    assert events(device) == [("prepared", "Ann")]
    assert transfer("copy", site / "source", device, "-q", "--who", "Bob").code == 0
    assert transfer("copy", site / "source", device, "-q").code == 0  # brings nothing but its end
    told = [("prepared", "Ann"), ("copied", "Bob")]
    assert events(device)[:2] == told
    sealed = transfer("seal", device, "--json", "--who", "Cy")
    assert sealed.code == 0, sealed.stderr
    assert events(device)[-1] == ("sealed", "Cy")
    assert entries(device)[-1]["seal_blake3"] == blake3((device / "SEAL.json").read_bytes()).hexdigest()
    head = head_of(device)
    assert sealed.document["custody"] == {"number": head.number, "blake3": head.blake3}
    assert sealed.document["custody"]["blake3"] in transfer("custody", device).stdout


def test_dry_runs_write_nothing(site: Path, tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.mkdir()
    profile = site / "small.toml"
    assert transfer("prepare", device, "--profile", profile, "--job", "j", "-n").code == 0
    assert list(device.iterdir()) == []
    assert transfer("prepare", device, "--profile", profile, "--job", "j").code == 0
    assert transfer("copy", site / "source", device, "-q", "-n").code == 0
    assert transfer("seal", device, "-n").code == 0
    assert [event for event, _ in events(device)] == ["prepared"]


@pytest.mark.parametrize("command", ["prepare", "copy", "seal", "verify", "ship", "import"])
def test_a_who_that_is_no_line_is_refused_before_anything_is_done(
    command: str, device: Path, site: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    arguments: dict[str, list[str | Path]] = {
        "prepare": [tmp_path / "empty", "--profile", "folder", "--job", "j"],
        "copy": [site / "source", device],
        "seal": [device],
        "verify": [device],
        "ship": [device, tmp_path / "empty", "--days", "1"],
        "import": [device, "s3://bucket/", "--ledger", tmp_path / "ledger"],
    }
    before = log_of(device).read_bytes()
    ended = transfer(command, *arguments[command], "--who", "two\nlines")
    assert ended.code == 2
    assert "is not one line of text" in ended.stderr
    assert log_of(device).read_bytes() == before
    assert list((tmp_path / "empty").iterdir()) == []


def test_people_tell_of_changing_hands(device: Path) -> None:
    before = log_of(device).read_bytes()
    given = transfer("custody", device, "--event", "handed-over", "--who", "Ann", "--note", "parcel 12")
    assert given.code == 0, given.stderr
    assert custody(device, "--event", "received", "--who", "Bob").document["head"]["number"] == 4
    assert log_of(device).read_bytes().startswith(before)
    assert events(device)[3:] == [("handed-over", "Ann"), ("received", "Bob")]
    shown = transfer("custody", device).stdout
    assert "parcel 12" in shown
    assert f"BLAKE3 {head_of(device).blake3}" in shown


@pytest.mark.parametrize(
    "options",
    [
        ["--event", "sealed", "--who", "Ann"],
        ["--event", "received"],
        ["--event", "received", "--who", " "],
        ["--event", "received", "--who", "Ann", "--expect", "00" * 32],
        ["--who", "Ann"],
        ["--note", "words"],
        ["--expect", "0000"],
    ],
)
def test_commands_that_make_no_sense(device: Path, options: list[str]) -> None:
    before = log_of(device).read_bytes()
    assert transfer("custody", device, *options).code == 2
    assert log_of(device).read_bytes() == before


def test_two_do_not_write_at_once(device: Path) -> None:
    holding = (
        "import sys; from transfer.device.layout import Layout; from transfer.device.lock import locked\n"
    )
    holding += "with locked(Layout(sys.argv[1]), 'test'): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holding, str(device)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        before = log_of(device).read_bytes()
        assert transfer("custody", device, "--event", "received", "--who", "Ann").code == 11
        verified = transfer("verify", device, "-q", "--who", "Ann")
        assert verified.code == 0
        assert "the custody log tells nothing of this (verified): device" in verified.stderr
        assert log_of(device).read_bytes() == before


def test_a_head_that_was_written_down(device: Path) -> None:
    head = head_of(device).blake3
    assert custody(device, "--expect", head).code == 0
    assert transfer("custody", device, "--event", "received", "--who", "Ann").code == 0
    assert custody(device, "--expect", head).code == 0
    cut(device, 2)
    assert custody(device).code == 0
    refused = transfer("custody", device, "--expect", head)
    assert refused.code == 4
    assert f"has no entry {head}: its tail was cut off, or it was edited" in refused.stderr


@pytest.mark.parametrize("command", ["custody", "verify"])
def test_a_broken_chain_is_found(device: Path, command: str) -> None:
    log_of(device).write_bytes(log_of(device).read_bytes().replace(b'"who":""', b'"who":"Eve"', 1))
    ended = transfer(command, device)
    assert ended.code == 4
    assert "CUSTODY.jsonl" in ended.stdout + ended.stderr
    assert "line 2 does not follow the line before it" in ended.stdout + ended.stderr


def test_copy_and_seal_find_a_broken_log_before_they_begin(site: Path, tmp_path: Path) -> None:
    device = make_device(tmp_path / "device", site / "source", site / "small.toml", seal=False)
    log_of(device).write_bytes(b"{}\n" + log_of(device).read_bytes())
    (tmp_path / "more").mkdir()
    (tmp_path / "more/file").write_bytes(b"more")
    packs = sorted(device.glob("packs/*"))
    assert transfer("copy", tmp_path / "more", device, "-q").code == 4
    assert sorted(device.glob("packs/*")) == packs
    assert transfer("seal", device).code == 4
    assert not (device / "SEAL.json").exists()


def test_a_device_from_before_there_were_logs(device: Path, tmp_path: Path) -> None:
    log_of(device).unlink()
    assert transfer("verify", device, "-q").code == 0
    shown = custody(device)
    assert (shown.code, shown.document["entries"], shown.document["head"]["number"]) == (0, [], -1)
    assert "has no custody log" in transfer("custody", device).stdout
    ledger = tmp_path / "ledger"
    assert run_import(device, ledger=ledger).error is None
    assert remembered(ledger, device) is None
    assert run_import(device, SIGNED, ledger=ledger).error is None
    assert [event for event, _ in events(device)] == ["received", "imported"]


def test_a_full_device_has_room_for_the_entry_and_the_seal(site: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for number in range(40):
        (tmp_path / f"source/{number}").write_bytes(os.urandom(1 << 20))
    with tmpfs(24 << 20) as disk:
        device = Path(disk.path)
        text = (site / "small.toml").read_text().replace('reserve = "64MiB"', 'reserve = "1MiB"')
        (tmp_path / "tiny.toml").write_text(text)
        assert transfer("prepare", device, "--profile", tmp_path / "tiny.toml", "--job", "j").code == 0
        assert transfer("copy", tmp_path / "source", device, "-q").code == 13
        assert [event for event, _ in events(device)] == ["prepared", "copied"]
        assert transfer("seal", device, "--incomplete").code == 0
        assert [event for event, _ in events(device)] == ["prepared", "copied", "sealed"]


def test_the_ballast_makes_room_for_an_entry_where_nothing_else_fits(site: Path, tmp_path: Path) -> None:
    with tmpfs(4 << 20) as disk:
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty/file").write_bytes(b"")
        made = make_device(tmp_path / "device", tmp_path / "empty", site / "small.toml", seal=False)
        device = open_device(
            str(shutil.copytree(made, Path(disk.path, "device"), ignore=lambda *_: ["RESERVE"]))
        )
        ballast = Path(device.root, "RESERVE")
        ballast.write_bytes(bytes(65_536))
        with suppress(OSError), open(Path(disk.path, "other"), "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        for number in range(20):  # the last block of the log has room for some
            tell_custody(device, f"{number}" + "x" * 250)
        assert not ballast.exists()
        assert len(read_log(device.layout).entries) == 22


# The destination.


def test_an_import_leaves_the_device_alone_unless_somebody_answers_for_it(
    device: Path, tmp_path: Path
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in device.iterdir()}
    ledger = tmp_path / "ledger"
    assert run_import(device, ledger=ledger).error is None
    assert {path.name: path.stat().st_mtime_ns for path in device.iterdir()} == before
    assert remembered(ledger, device) == head_of(device)


def test_an_import_with_who_says_when_it_was_received_and_imported(device: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    assert run_import(device, SIGNED, ledger=ledger).error is None
    assert events(device)[3:] == [("received", "dock 7"), ("imported", "dock 7")]
    assert entries(device)[-1]["note"] == "s3://memory/"
    assert remembered(ledger, device) == head_of(device)
    assert run_import(device, SIGNED, ledger=ledger).error is None  # received it was already
    assert [event for event, _ in events(device)[3:]] == ["received", "imported", "imported"]
    assert transfer("custody", device, "--event", "handed-over", "--who", "Ann").code == 0
    assert run_import(device, SIGNED, ledger=ledger).error is None
    assert [event for event, _ in events(device)[6:]] == ["handed-over", "received", "imported"]
    assert remembered(ledger, device) == head_of(device)


def refused(imported: Imported, words: str) -> None:
    assert imported.error is not None
    assert imported.error.exit_code == 4
    assert "the custody log of" in imported.error.what
    assert words in imported.error.what
    assert "--ignore-custody" in imported.error.remedy
    assert imported.objects == {}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda lines: lines[:-1], "it ends before entry 3, which was seen before: its tail was cut off"),
        (lambda lines: [], "it ends before entry 3"),
        (lambda lines: None, "it ends before entry 3"),
        (lambda lines: [*lines[:2], lines[3], lines[2]], "lines are missing or moved"),
        (
            lambda lines: [lines[0], lines[1].replace(b'"who":""', b'"who":"Eve"'), *lines[2:]],
            "does not follow",
        ),
        (lambda lines: [*lines[:3], lines[3].replace(b"Ann", b"Eve")], "its entry 3 is another than the one"),
        (lambda lines: [*lines[:3], lines[3][:-1]], "it ends before entry 3"),
    ],
    ids=["tail", "all", "file", "order", "middle", "last", "torn"],
)
def test_a_log_that_does_not_go_on_from_what_was_seen_is_refused(
    device: Path, tmp_path: Path, edit: Any, words: str
) -> None:
    ledger = tmp_path / "ledger"
    assert transfer("custody", device, "--event", "handed-over", "--who", "Ann").code == 0
    assert run_import(device, ledger=ledger).error is None
    seen = head_of(device)
    lines = edit(lines_of(device))
    if lines is None:
        log_of(device).unlink()
    else:
        log_of(device).write_bytes(b"".join(lines))
    refused(run_import(device, ledger=ledger), words)
    refused(run_import(device, SIGNED, ledger=ledger), words)
    assert remembered(ledger, device) == seen
    assert lines is None or lines_of(device) == lines
    ignored = run_import(device, replace(OPTIONS, ignore_custody=True), ledger=ledger)
    assert ignored.error is None
    assert [note for note in ignored.outcome.notes if words in note and "ignored, as asked for" in note]


def test_what_was_ignored_once_is_the_log_from_then_on(device: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    assert run_import(device, ledger=ledger).error is None
    cut(device)
    assert run_import(device, replace(OPTIONS, ignore_custody=True), ledger=ledger).error is None
    assert remembered(ledger, device) == head_of(device)
    assert run_import(device, ledger=ledger).error is None


def test_a_log_that_has_grown_is_accepted_and_remembered(device: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    assert run_import(device, ledger=ledger).error is None
    for who in ("Ann", "Bob"):
        assert transfer("custody", device, "--event", "received", "--who", who).code == 0
        assert run_import(device, ledger=ledger).error is None
        assert remembered(ledger, device) == head_of(device)
    cut(device)
    refused(run_import(device, ledger=ledger), "it ends before entry 4")


def test_a_device_that_cannot_be_written_is_imported_with_a_note(device: Path, tmp_path: Path) -> None:
    with tmpfs(16 << 20) as disk:
        there = Path(shutil.copytree(device, Path(disk.path, "device")))
        disk.make_read_only()
        imported = run_import(there, SIGNED, ledger=tmp_path / "ledger")
        assert imported.error is None
        notes = [note for note in imported.outcome.notes if "the custody log tells nothing of this" in note]
        assert len(notes) == 2
        assert "(received): device" in notes[0]
        assert "read-only" in notes[0]
        assert len(lines_of(there)) == 3


def test_a_shipped_device_brings_its_whole_log(device: Path, tmp_path: Path) -> None:
    dock = tmp_path / "dock"
    dock.mkdir()
    shipped = transfer("ship", device, dock, "--days", "1", "-q", "--who", "courier")
    assert shipped.code == 0, shipped.stderr
    assert events(device)[3:] == [("handed-over", "courier")]
    assert log_of(dock / "test").read_bytes() == log_of(device).read_bytes()


def test_a_move_brings_the_log_and_without_who_says_nothing(device: Path, tmp_path: Path) -> None:
    for options, told in (([], []), (["--who", "courier"], [("handed-over", "courier")])):
        source = Path(shutil.copytree(device, tmp_path / f"source {len(told)}"))
        dock = tmp_path / f"dock {len(told)}"
        dock.mkdir()
        before = log_of(source).read_bytes()
        shipped = transfer("ship", source, dock, "--days", "1", "-q", "--move", *options)
        assert shipped.code == 0, shipped.stderr
        assert not source.exists()
        assert log_of(dock / "test").read_bytes().startswith(before)
        assert events(dock / "test")[3:] == told


def test_verify_tells_of_a_device_that_is_valid_only(device: Path) -> None:
    assert transfer("verify", device, "-q").code == 0
    assert len(events(device)) == 3
    assert transfer("verify", device, "-q", "--who", "Vera").code == 0
    assert events(device)[3:] == [("verified", "Vera")]
    pack = device / "packs/00000000.tar.zst"
    pack.write_bytes(pack.read_bytes()[:-1])
    assert transfer("verify", device, "-q", "--who", "Vera").code == 4
    assert len(events(device)) == 4


# Signatures.


def test_ssh_keygen_accepts_what_was_signed_by_the_documents_own_words(
    device: Path, key: Path, tmp_path: Path
) -> None:
    """The commands are those of FORMAT.md §17."""
    options = ["--event", "handed-over", "--who", 'Zoë "Z" \\ ,"signature":"x"', "--sign-key", str(key)]
    assert transfer("custody", device, *options).code == 0
    script = """
set -e
sed -n "${1}p" CUSTODY.jsonl > line
sed 's/,"signature":"[^"]*"}$/}/' line > message
printf '%b' "$(sed 's/.*,"signature":"\\([^"]*\\)"}$/\\1/' line)" > signature
ssh-keygen -Y verify -f signers -I carol@example.org -n transfer-custody -s signature < message
"""
    shutil.copy(log_of(device), tmp_path / "CUSTODY.jsonl")
    require_tool("ssh-keygen")
    command = ["sh", "-c", script, "sh", "4"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Good "transfer-custody" signature for carol@example.org' in done.stdout
    (tmp_path / "CUSTODY.jsonl").write_bytes(log_of(device).read_bytes().replace("Zoë".encode(), b"Eve"))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0


def test_signatures_are_shown_for_what_they_are(device: Path, key: Path, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    options = ["--event", "received", "--who", "Ann", "--sign-key", str(key)]
    assert transfer("custody", device, *options).code == 0
    states = [one["signature"]["state"] for one in custody(device).document["entries"]]
    assert states == ["none", "none", "none", "intact"]
    known = custody(device, "--signers", signers)
    assert (known.code, known.document["valid"]) == (0, True)
    assert known.document["entries"][3]["signature"]["signer"] == "carol@example.org"
    assert "carol@example.org" in transfer("custody", device, "--signers", signers).stdout
    assert "(not checked)" in transfer("custody", device).stdout


@pytest.mark.parametrize("wrong", ["unknown", "namespace", "expired", "other bytes"])
def test_a_wrong_signature_is_told_and_ends_with_4(
    device: Path, key: Path, tmp_path: Path, wrong: str
) -> None:
    signers = tmp_path / "signers"
    options = ["--event", "received", "--who", "Ann", "--sign-key", str(key)]
    assert transfer("custody", device, *options).code == 0
    text = signers.read_text()
    match wrong:
        case "unknown":
            signers.write_text("# nobody\n")
        case "namespace":
            signers.write_text(text.replace("transfer-custody", "transfer-seal"))
        case "expired":
            signers.write_text(text.replace("namespaces=", 'valid-before="20200101Z",namespaces='))
        case _:
            log_of(device).write_bytes(log_of(device).read_bytes().replace(b'"Ann"', b'"Eve"'))
    ended = transfer("custody", device, "--signers", signers)
    assert ended.code == 4
    assert "the signature of entry 3 is wrong: " in ended.stderr
    assert "WRONG" in ended.stdout
    assert custody(device).code == (4 if wrong == "other bytes" else 0)


def test_the_seal_signs_its_entry_too(site: Path, key: Path, tmp_path: Path) -> None:
    device = make_device(tmp_path / "device", site / "source", site / "small.toml", seal=False)
    assert transfer("seal", device, "--sign-key", key, "--who", "Ann").code == 0
    told = custody(device, "--signers", tmp_path / "signers").document["entries"][-1]
    assert (told["entry"]["event"], told["signature"]["state"]) == ("sealed", "known")
