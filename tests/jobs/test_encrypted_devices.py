"""Encrypted devices from prepare to verify: who can read them when, and what a thief learns from one."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pyrage
import pytest

from tests.jobs.copy.copying import transfer_command
from tests.jobs.encrypted import (
    Key,
    age_key,
    job_identity,
    make_encrypted,
    restore_by_hand,
    segment_path,
)
from tests.jobs.shipment import copy_to, transfer, write_profile
from tests.simulators.compare import differences
from tests.simulators.kills import bytes_exist, files_exist, killed_at, run_and_kill
from tests.simulators.trees import large_file
from tests.ssh_tools import make_key, public_line

SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
SECRET = re.compile(rb"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}")
KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return write_profile(tmp_path / "tiny.toml", **SIZES)


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return age_key(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Small files, one over several packs, a link of each kind, owners, times and attributes."""
    root = tmp_path / "source"
    (root / "folder/empty").mkdir(parents=True)
    for number in range(40):
        large_file(os.fsencode(root / f"folder/small {number}"), number * 397, seed=number)
    large_file(os.fsencode(root / "large"), 1900 * KIB, seed=99)
    os.link(root / "large", root / "link to large")
    os.symlink("folder/small 1", root / "symlink")
    (root / b"\xff not UTF-8".decode("utf-8", "surrogateescape")).write_bytes(b"odd")
    os.setxattr(root / "large", "user.comment", b"an attribute")
    return root


@pytest.fixture
def state() -> Path:
    return Path(os.environ["XDG_STATE_HOME"], "transfer")


def run_json(*arguments: str | Path) -> tuple[int, dict[str, object]]:
    ended = transfer(*arguments, "--json")
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.code, json.loads(ended.stdout.splitlines()[-1])


def verified(device: Path, key: Key | None, *options: str) -> tuple[int, set[str]]:
    """Exit code of verify, and codes of what it found."""
    told = ("-i", str(key.path)) if key is not None else ()
    code, document = run_json("verify", device, *told, *options)
    findings = document.get("findings", [])
    assert isinstance(findings, list)
    return code, {finding["code"] for finding in findings}


def secrets_in(*roots: Path) -> list[pyrage.x25519.Identity]:
    """Every age identity that stands in any file."""
    contents = (path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file())
    found = {match.decode() for content in contents for match in SECRET.findall(content)}
    return [pyrage.x25519.Identity.from_str(text) for text in sorted(found)]


def opens(identity: pyrage.x25519.Identity, path: Path) -> bool:
    try:
        pyrage.decrypt(path.read_bytes(), [identity])
    except pyrage.DecryptError:
        return False
    return True


def stored(device: Path, folder: str) -> list[Path]:
    return sorted((device / folder).iterdir())


# --- who can read it when ---


@pytest.mark.parametrize("kind", ["age", "ed25519", "rsa-2048"])
def test_stock_tools_restore_it_byte_for_byte(tmp_path: Path, source: Path, profile: Path, kind: str) -> None:
    if kind == "age":
        key = age_key(tmp_path)
    else:
        path = make_key(tmp_path, kind)
        key = Key(path, public_line(path))
    device = make_encrypted(tmp_path / "a device", source, profile, key)
    assert len(stored(device, "packs")) >= 4
    out = restore_by_hand(device, key.path, tmp_path / "out")
    assert differences(os.fsencode(source), os.fsencode(out), xattrs=True) == []
    assert verified(device, key, "--deep") == (0, set())


def test_the_source_host_reads_the_list_before_the_seal_and_nothing_after_it(
    tmp_path: Path, source: Path, profile: Path, key: Key, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    device = make_encrypted(tmp_path / "device", source, profile, key, seal=False)
    (resume,) = secrets_in(state, device, scratch)
    assert all(opens(resume, path) for path in stored(device, "segments"))
    assert not any(opens(resume, path) for path in [*stored(device, "packs"), device / "keys/job.age"])
    listed = transfer("ls", device)
    assert (listed.code, "link to large" in listed.stdout) == (0, True)
    assert transfer("verify", device, "-q").code == 0
    assert transfer("verify", device, "--deep", "-q").code == 12

    assert transfer("seal", device, "-q").code == 0
    for identity in secrets_in(state, device, scratch):
        assert not any(opens(identity, path) for path in device.rglob("*.age"))
    assert not any(path.is_file() for path in (state / "resume").iterdir())
    listed = transfer("ls", device)
    assert (listed.code, listed.stdout) == (12, "")
    assert "--identity" in listed.stderr
    assert transfer("verify", device, "-q").code == 0
    assert transfer("verify", device, "--deep", "-q").code == 12
    assert transfer("copy", source, device, "-q").code == 10
    assert transfer("seal", device, "-q").code == 10
    (job,) = [job_identity(device, key)]
    assert all(opens(job, path) for path in [*stored(device, "packs"), *stored(device, "segments")])


def test_nothing_of_the_job_key_is_ever_written(
    tmp_path: Path, source: Path, profile: Path, key: Key, state: Path
) -> None:
    """Every write of every process of prepare, copy and seal, as the kernel sees it."""
    device, log = tmp_path / "device", tmp_path / "log"
    device.mkdir()
    prefix = ["strace", "-f", "-qq", "-s", "100000", "-x", "-e", "trace=write,pwrite64,writev,sendto", "-o"]
    job = ("--job", "test", "-q")
    written = b""
    for words in (
        ("prepare", device, "--profile", profile, *job, "-r", key.recipient),
        ("copy", source, device, "-q", "--workers", "1"),
        ("seal", device, "-q"),
    ):
        subprocess.run([*prefix, log, *transfer_command(*words)], check=True, timeout=120)
        written += log.read_bytes()
    identities = [pyrage.x25519.Identity.from_str(text.decode()) for text in set(SECRET.findall(written))]
    assert len(identities) == 1, "the resume key is the only one"
    assert not any(opens(identities[0], path) for path in stored(device, "packs"))
    assert opens(identities[0], segment_path(device, 0))


def test_a_seal_that_was_killed_before_it_destroyed_the_key_is_made_good_by_the_next(
    tmp_path: Path, source: Path, profile: Path, key: Key, state: Path
) -> None:
    device = make_encrypted(tmp_path / "device", source, profile, key, seal=False)
    (kept,) = (state / "resume").iterdir()
    nth = 1
    while not (device / "SEAL.json").exists():  # the first kill that comes behind the seal's own name
        run_and_kill(killed_at(transfer_command("seal", device), ("rename", "unlink"), nth), lambda _: False)
        nth += 1
        assert nth < 20
    assert kept.exists(), "the kill came too late to test anything"
    assert SECRET.search(kept.read_bytes())
    ended = transfer("seal", device)
    assert (ended.code, "sealed" in ended.stderr) == (10, True)
    assert not kept.exists()
    assert verified(device, key, "--deep") == (0, set())
    assert transfer("ls", device).code == 12


def test_a_key_whose_destruction_was_interrupted_is_gone(
    tmp_path: Path, source: Path, profile: Path, key: Key, state: Path
) -> None:
    """Overwritten, and not yet unlinked."""
    device = make_encrypted(tmp_path / "device", source, profile, key, seal=False)
    (kept,) = (state / "resume").iterdir()
    content = kept.read_bytes()
    assert transfer("seal", device, "-q").code == 0
    kept.write_bytes(bytes(len(content)))
    kept.chmod(0o600)
    assert transfer("ls", device).code == 12
    assert transfer("verify", device, "-q").code == 0
    assert transfer("copy", source, device).code == 10
    assert transfer("seal", device).code == 10
    assert not kept.exists()


def test_a_dry_run_of_the_seal_destroys_nothing(
    tmp_path: Path, source: Path, profile: Path, key: Key, state: Path
) -> None:
    device = make_encrypted(tmp_path / "device", source, profile, key, seal=False)
    assert transfer("seal", device, "--dry-run", "-q").code == 0
    assert transfer("ls", device).code == 0
    assert transfer("seal", device, "-q").code == 0
    assert transfer("seal", device, "--dry-run", "-q").code == 10


def test_another_host_can_neither_go_on_nor_seal_nor_list(
    tmp_path: Path, source: Path, profile: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = make_encrypted(tmp_path / "device", source, profile, key, seal=False)
    before = {path: path.read_bytes() for path in device.rglob("*") if path.is_file()}
    home = os.environ["XDG_STATE_HOME"]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another host"))
    for words, remedy in (
        (("copy", source, device), "prepared it"),
        (("copy", source, device, "--dry-run"), "prepared it"),
        (("seal", device), "prepared it"),
        (("seal", device, "--incomplete"), "prepared it"),
        (("ls", device), "--identity"),
        (("verify", device), "--identity"),
        (("verify", device, "--deep"), "--identity"),
    ):
        code, document = run_json(*words)
        error = document["error"]
        assert isinstance(error, dict)
        assert (code, error["exit_code"]) == (12, 12), words
        assert remedy in error["remedy"], words
    code, document = run_json("info", device)
    assert (code, document["locked"], document["entries"]) == (0, True, None)
    assert {path: path.read_bytes() for path in device.rglob("*") if path.is_file()} == before
    assert verified(device, key, "--deep") == (0, set())
    monkeypatch.setenv("XDG_STATE_HOME", home)
    copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0


@pytest.mark.parametrize("changed", ["job", "resume", "both"])
def test_nobody_can_have_the_source_host_encrypt_to_somebody_else(
    tmp_path: Path, source: Path, profile: Path, key: Key, changed: str
) -> None:
    """DEVICE.json lies on the device, which anybody may have had in hand since it was prepared."""
    device = make_encrypted(tmp_path / "device", source, profile, key, seal=False)
    document = json.loads((device / "DEVICE.json").read_text())
    thief = str(pyrage.x25519.Identity.generate().to_public())
    for name in ("job", "resume") if changed == "both" else (changed,):
        document["recipients"][name] = thief
    (device / "DEVICE.json").write_text(json.dumps(document))
    (device / "CUSTODY.jsonl").unlink(missing_ok=True)  # it is bound to DEVICE.json, and as easily changed
    before = {path: path.read_bytes() for path in device.rglob("*") if path.is_file()}
    for words in (("copy", source, device), ("copy", source, device, "--dry-run"), ("seal", device)):
        code, told = run_json(*words)
        assert (code, "names other recipients" in str(told["error"])) == (4, True)
    assert {path: path.read_bytes() for path in device.rglob("*") if path.is_file()} == before


def test_nobody_can_have_the_source_host_not_encrypt_any_more(
    tmp_path: Path, source: Path, profile: Path, key: Key
) -> None:
    device = tmp_path / "device"
    device.mkdir()
    told = ("--profile", profile, "--job", "test", "-q", "-r", key.recipient)
    assert transfer("prepare", device, *told).code == 0
    document = json.loads((device / "DEVICE.json").read_text())
    del document["recipients"]
    (device / "DEVICE.json").write_text(json.dumps(document))
    (device / "CUSTODY.jsonl").unlink(missing_ok=True)  # it is bound to DEVICE.json, and as easily changed
    code, answer = run_json("copy", source, device)
    assert (code, "names other recipients" in str(answer["error"])) == (4, True)
    assert list((device / "packs").iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--move",)])
def test_it_travels_with_its_keys(
    tmp_path: Path, source: Path, profile: Path, key: Key, options: tuple[str, ...]
) -> None:
    device = make_encrypted(tmp_path / "device", source, profile, key)
    before = {path.relative_to(device): path.read_bytes() for path in device.rglob("*.age")}
    (tmp_path / "dock").mkdir()
    assert transfer("ship", device, tmp_path / "dock", "-q", "--days", "0", *options).code == 0
    (arrived,) = (path for path in (tmp_path / "dock").iterdir() if (path / "DEVICE.json").exists())
    assert {path.relative_to(arrived): path.read_bytes() for path in arrived.rglob("*.age")} == before
    assert Path("keys/job.age") in before
    assert verified(arrived, key, "--deep") == (0, set())
    assert device.exists() is (not options)


# --- what a thief learns ---

CANARY = "Zitronenfalter"
SIZE = 987_654_321 // 7919  # 124719: unlike any size that comes about by itself
ENTRIES = 713


@pytest.fixture
def telling(tmp_path: Path) -> Path:
    """A source all of whose facts are unusual."""
    root = tmp_path / f"{CANARY}-source"
    (root / f"{CANARY}-folder").mkdir(parents=True)
    (root / f"{CANARY}-file").write_bytes(
        CANARY.encode() * (SIZE // len(CANARY)) + b"." * (SIZE % len(CANARY))
    )
    assert (root / f"{CANARY}-file").stat().st_size == SIZE
    os.setxattr(root / f"{CANARY}-file", "user.note", f"{CANARY}-attribute".encode())
    os.symlink(f"{CANARY}-target", root / "symlink")
    large_file(os.fsencode(root / "large"), 1_234_577, seed=1)
    os.chown(root / "large", 54_321_987, 54_321_989)
    for number in range(ENTRIES - 4):
        (root / f"{CANARY}-folder/{number}").touch()
    return root


def needles(source: Path) -> list[bytes]:
    """What must not be found: in the raw, in hexadecimal, in base64 at any place, in decimal."""
    digest = subprocess.run(["b3sum", "--no-names", source / "large"], capture_output=True, check=True).stdout
    words = [
        CANARY.encode(),
        bytes.fromhex(digest.strip().decode()),
        (source / "large").read_bytes()[5000:5032],
    ]
    told = [*words, *(word.hex().encode() for word in words)]
    for word in words:
        # Whichever of the three places in a group of three it has, these characters are the same.
        told += [base64.b64encode(bytes(skip) + word)[4 : len(word) * 4 // 3 - 4] for skip in range(3)]
    numbers = [SIZE, 1_234_577, 54_321_987, 54_321_989, (source / "large").stat().st_mtime_ns, ENTRIES]
    numbers.append(SIZE + 1_234_577)
    return told + [str(number).encode() for number in numbers]


def found_on(device: Path, source: Path) -> list[tuple[str, bytes]]:
    wanted, found = needles(source), []
    for path in device.rglob("*"):
        name = os.fsencode(path.relative_to(device))
        content = name + (path.read_bytes() if path.is_file() else b"")
        if path.suffix != ".age":  # in random bytes three digits stand somewhere by chance
            found += [(name.decode(), word) for word in wanted if _stands_in(word, content)]
        found += [(name.decode(), word) for word in wanted if len(word) >= 7 and word in content]
    return found


def _stands_in(word: bytes, content: bytes) -> bool:
    if not word.isdigit():
        return word in content
    return re.search(rb"(?<![0-9a-f])" + word + rb"(?![0-9a-f])", content) is not None


def test_nothing_of_the_source_can_be_read_on_the_device(
    tmp_path: Path, telling: Path, profile: Path, key: Key
) -> None:
    device = tmp_path / "device"
    device.mkdir()
    command = ("prepare", device, "--profile", profile, "--job", "j", "-q")
    assert transfer(*command, "-r", key.recipient).code == 0
    assert found_on(device, telling) == []
    outcome = run_and_kill(
        transfer_command("copy", telling, device, "-q", "--xattrs", "--workers", "1", "--bwlimit", "2M"),
        bytes_exist(f"{device}/packs/*.partial", 100_000),
    )
    assert outcome.killed
    assert (device / "RESERVE").exists()
    assert list(device.rglob("*.partial"))
    assert found_on(device, telling) == []
    copy_to(device, telling, "--xattrs")
    assert found_on(device, telling) == []
    assert transfer("seal", device, "-q").code == 0
    assert found_on(device, telling) == []
    out = restore_by_hand(device, key.path, tmp_path / "out")
    assert differences(os.fsencode(telling), os.fsencode(out), xattrs=True) == []


def test_the_search_finds_all_of_it_on_a_device_that_is_not_encrypted(
    tmp_path: Path, telling: Path, profile: Path
) -> None:
    """Stored so that zstd hides nothing: what the search is worth."""
    device = tmp_path / "device"
    device.mkdir()
    assert transfer("prepare", device, "--profile", profile, "--job", "j", "-q").code == 0
    copy_to(device, telling, "--xattrs")
    assert transfer("seal", device, "-q").code == 0
    for path in [*stored(device, "packs"), *stored(device, "segments")]:
        plain = subprocess.run(["zstd", "-dqc", path], capture_output=True, check=True).stdout
        path.write_bytes(plain)
    found = {word for _, word in found_on(device, telling)}
    for word in (CANARY.encode(), str(SIZE).encode(), b"1234577", b"54321987", str(ENTRIES).encode()):
        assert word in found
    assert any(len(word) == 64 for word in found), "the digest in hexadecimal"


def test_seal_and_custody_of_an_encrypted_device_tell_no_totals(
    tmp_path: Path, source: Path, profile: Path, key: Key
) -> None:
    device = make_encrypted(tmp_path / "device", source, profile, key)
    seal = json.loads((device / "SEAL.json").read_text())
    assert "totals" not in seal
    assert [file["name"] for file in seal["files"]] == [
        "DEVICE.json",
        "RECOVERY.txt",
        "recover.sh",
        "keys/job.age",
    ]
    assert {path.name for path in device.iterdir()} <= {
        "CUSTODY.jsonl",
        "DEVICE.json",
        "LOCK",
        "RECOVERY.txt",
        "SEAL.json",
        "keys",
        "packs",
        "recover.sh",
        "segments",
    }


# --- kills ---


def test_killed_copies_go_on_and_end_whole(tmp_path: Path, source: Path, profile: Path, key: Key) -> None:
    device = tmp_path / "device"
    device.mkdir()
    job = ("--job", "test", "-q")
    assert transfer("prepare", device, "--profile", profile, *job, "-r", key.recipient).code == 0
    command = transfer_command("copy", source, device, "-q", "--workers", "1", "--bwlimit", "20M")
    for event in (
        bytes_exist(f"{device}/packs/*", 100 * KIB),
        files_exist(f"{device}/packs/*.age", 1),
        files_exist(f"{device}/segments/*.age", 2),
        bytes_exist(f"{device}/packs/*", 1500 * KIB),
        files_exist(f"{device}/packs/*.age", 4),
    ):
        run_and_kill(command, event)
        code, codes = verified(device, key, "--deep")
        assert codes <= {"incomplete", "uncommitted"}, code
    copy_to(device, source)
    assert transfer("seal", device, "-q").code == 0
    assert verified(device, key, "--deep") == (0, set())
    out = restore_by_hand(device, key.path, tmp_path / "out")
    assert differences(os.fsencode(source), os.fsencode(out), hard_links=False) == []


@pytest.mark.parametrize("call", ["mkdir", "rename", "fsync"])
def test_prepare_that_was_killed_anywhere_begins_anew(
    tmp_path: Path, source: Path, profile: Path, key: Key, call: str
) -> None:
    """Encrypted again or not at all: what the first one left decides nothing."""
    options = ("--profile", profile, "--job", "test", "-q")
    begun = 0
    for nth in range(1, 40):
        device = tmp_path / f"device-{nth}"
        device.mkdir()
        words = transfer_command("prepare", device, *options, "-r", key.recipient)
        outcome = run_and_kill(killed_at(words, [call], nth), lambda _: False)
        if outcome.returncode == 0:
            break
        assert outcome.returncode == -signal.SIGKILL
        if (device / "DEVICE.json").exists():
            continue
        begun += bool(list(device.iterdir()))
        if nth % 2:
            assert transfer("prepare", device, *options, "-r", key.recipient).code == 0
            copy_to(device, source)
            assert verified(device, key, "--deep") == (0, set())
        else:
            assert transfer("prepare", device, *options).code == 0
            copy_to(device, source)
            assert not (device / "keys").exists()
            out = tmp_path / f"out-{nth}"
            out.mkdir()
            subprocess.run(["dash", device / "recover.sh", out], check=True, capture_output=True)
            assert differences(os.fsencode(source), os.fsencode(out)) == []
    else:
        pytest.fail("prepare makes more calls than were tried")
    assert begun > 1


@pytest.mark.parametrize("name", ["keys/mine", "keys/job.age/mine"])
def test_prepare_touches_no_keys_of_others(tmp_path: Path, profile: Path, key: Key, name: str) -> None:
    device = tmp_path / "device"
    (device / "packs").mkdir(parents=True)
    path = device / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    ended = transfer("prepare", device, "--profile", profile, "--job", "test", "-r", key.recipient)
    assert (ended.code, path.read_text()) == (10, "mine")
    assert "Traceback" not in ended.stderr
