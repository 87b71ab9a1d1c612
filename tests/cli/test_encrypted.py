"""What people give to open a device: identities, passphrases, unlock codes; right and wrong ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyrage
import pytest

from tests.jobs.buckets import Bucket, make_bucket
from tests.jobs.copy.copying import transfer_command
from tests.jobs.encrypted import Key, age_key, make_encrypted
from tests.jobs.shipment import copy_to, files_of, import_command, transfer, write_profile
from tests.service.processes import Place, running
from tests.simulators.servers import S3Server, rclone_s3
from tests.ssh_tools import make_key, public_line
from tests.tools import require_tool

SIZES = {"pack_size": "512KiB", "chunk_size": "64KiB", "batch_size": "64KiB"}
CODE = re.compile(r"\b[0-9A-Z]{5}(?:-[0-9A-Z]{5}){5}\b")
PASSPHRASE = "correct horse battery staple"
_numbers = count()

pytestmark = pytest.mark.xdist_group("cli-encrypted")


@dataclass(frozen=True)
class Way:
    """One way to open a device.

    Attributes:
        options: of commands that open it.
        typed: what goes to standard input.
        wrong: options that are as well-formed, and of something else.
        device: a sealed one that it opens.
    """

    options: list[str]
    typed: str
    wrong: list[str]
    device: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with rclone_s3(tmp_path_factory.mktemp("rclone")) as running_server:
        yield running_server


@pytest.fixture
def bucket(server: S3Server) -> Bucket:
    return make_bucket(server, f"encrypted-{next(_numbers):04}", "rclone")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ways")


@pytest.fixture(scope="module")
def source(place: Path) -> Path:
    root = place / "source"
    root.mkdir()
    for number in range(20):
        (root / f"{number:02}").write_bytes(os.urandom(number * 5000))
    return root


def secret_file(path: Path, text: str) -> str:
    path.write_text(text + "\n")
    path.chmod(0o600)
    return str(path)


def protected(path: Path, identity: str) -> str:
    """What `age -p` makes of an identity file."""
    path.write_bytes(pyrage.passphrase.encrypt(identity.encode(), PASSPHRASE))
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="module")
def ways(place: Path, source: Path) -> dict[str, Way]:
    """A device for each way, all of one source."""
    profile = write_profile(place / "tiny.toml", **SIZES)
    age, stranger = age_key(place), age_key(place, "stranger")
    ssh, rsa = make_key(place), make_key(place, "rsa-2048")
    locked = make_key(place, name="locked", passphrase=PASSPHRASE)
    identity = protected(place / "protected", age.path.read_text())
    passphrase, wrong = (secret_file(place / text[:5], text) for text in (PASSPHRASE, "wrong"))
    told = {
        "age": (age, ["-i", str(age.path)], "", ["-i", str(stranger.path)]),
        "ssh": (Key(ssh, public_line(ssh)), ["-i", str(ssh)], "", ["-i", str(rsa)]),
        "rsa": (Key(rsa, public_line(rsa)), ["-i", str(rsa)], "", ["-i", str(ssh)]),
        "two": (age, ["-i", str(ssh), "-i", str(age.path)], "", ["-i", str(ssh), "-i", str(rsa)]),
        "protected": (age, ["-i", identity], PASSPHRASE, ["-i", str(stranger.path)]),
        "protected, by a file": (
            age,
            ["-i", identity, "--passphrase-file", passphrase],
            "",
            ["-i", identity, "--passphrase-file", wrong],
        ),
        "locked ssh": (
            Key(locked, public_line(locked)),
            ["-i", str(locked)],
            PASSPHRASE,
            ["-i", str(locked), "--passphrase-file", wrong],
        ),
    }
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        for name, (key, options, typed, other) in told.items():
            device = make_encrypted(place / f"device {name}", source, profile, key)
            found[name] = Way(options, typed, other, device)
        codes = {}
        for name in ("code", "other"):
            device = place / f"device {name}"
            device.mkdir()
            ended = transfer("prepare", device, "--profile", profile, "--job", "test", "--passphrase")
            (codes[name],) = CODE.findall(ended.stdout)
            copy_to(device, source)
            assert transfer("seal", device, "-q").code == 0
        files = {name: secret_file(place / f"code {name}", code) for name, code in codes.items()}
        by_file = ["--passphrase-file", files["other"]]
        device = place / "device code"
        slurred = codes["code"].lower().replace("-", " ")
        found["code"] = Way(["--passphrase"], slurred, by_file, device)
        found["code, by a file"] = Way(["--passphrase-file", files["code"]], "", by_file, device)
    return found


NAMES = [
    "age", "ssh", "rsa", "two", "protected", "protected, by a file", "locked ssh", "code", "code, by a file",
]  # fmt: skip


def run(words: list[str], typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as a process, with something on its standard input."""
    return subprocess.run(
        words,
        input=typed + "\n" if typed else "",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_way_opens_it(ways: dict[str, Way], name: str, source: Path, bucket: Bucket) -> None:
    way = ways[name]
    command = import_command(bucket, way.device, "--json", *way.options)
    done = run(transfer_command(*command), way.typed, **bucket.environment())
    assert (done.returncode, json.loads(done.stdout)["objects"]) == (0, 20), done.stderr
    assert {key: bucket.read(key) for key in bucket.listed()} == files_of(source)
    for words in (("ls", way.device), ("info", way.device), ("verify", way.device, "--deep")):
        done = run(transfer_command(*words, *way.options), way.typed)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_wrong_one_is_refused_and_nothing_is_sent(
    ways: dict[str, Way], name: str, bucket: Bucket
) -> None:
    way = ways[name]
    for told in (way.wrong, []):
        command = import_command(bucket, way.device, "--json", *told)
        done = run(transfer_command(*command), **bucket.environment())
        error = json.loads(done.stdout.splitlines()[-1])["error"]
        assert (done.returncode, error["exit_code"]) == (12, 12), done.stderr
        assert error["remedy"]
        assert "Traceback" not in done.stderr
        assert PASSPHRASE not in done.stdout + done.stderr
    assert (bucket.listed(), bucket.uploads()) == (set(), [])
    for words in (
        ("ls", way.device),
        ("verify", way.device, "--deep"),
        ("verify", way.device),
        ("info", way.device),
    ):
        done = run(transfer_command(*words, *way.wrong))
        assert done.returncode == 12, (words, done.stderr)


def test_without_any_secret_on_standard_input(ways: dict[str, Way], bucket: Bucket) -> None:
    for name in ("code", "protected", "locked ssh"):
        done = run(transfer_command("ls", ways[name].device, *ways[name].options))
        assert done.returncode == 2
        assert "no line of it on standard input" in done.stderr
        assert "--passphrase-file" in done.stderr


def test_a_code_with_a_slip_is_told_apart_from_the_code_of_another_device(ways: dict[str, Way]) -> None:
    way = ways["code"]
    slip = way.typed[:-1] + ("0" if way.typed[-1] != "0" else "1")
    done = run(transfer_command("ls", way.device, *way.options), slip)
    assert done.returncode == 2
    assert way.typed[:5] not in done.stdout + done.stderr


def test_an_identity_that_others_can_read_is_refused(ways: dict[str, Way], tmp_path: Path) -> None:
    way = ways["age"]
    copied = tmp_path / "copied"
    shutil.copy(way.options[1], copied)
    copied.chmod(0o644)
    done = run(transfer_command("ls", way.device, "-i", copied))
    assert (done.returncode, "chmod" in done.stderr) == (12, True)


@pytest.mark.parametrize("name", ["age", "code, by a file"])
def test_the_service_opens_it(
    ways: dict[str, Way], name: str, tmp_path: Path, source: Path, bucket: Bucket
) -> None:
    way = ways[name]
    place = Place(tmp_path / "dock", tmp_path / "state", bucket)
    shutil.copytree(way.device, place.dock / "one")
    with running(place, *way.options) as service:
        view = service.job_in("complete", "failed", "quarantined")
        assert view["phase"] == "complete", view
        assert service.stop() == 0
    assert {key: bucket.read(key) for key in bucket.listed()} == files_of(source)


@pytest.mark.parametrize("verify", ["along", "first"])
def test_the_service_with_the_wrong_key_refuses_the_device(
    ways: dict[str, Way], tmp_path: Path, bucket: Bucket, verify: str
) -> None:
    place = Place(tmp_path / "dock", tmp_path / "state", bucket)
    shutil.copytree(ways["age"].device, place.dock / "one")
    shutil.copytree(ways["ssh"].device, place.dock / "two")
    with running(place, *ways["ssh"].options, "--verify", verify) as service:
        view = service.job_in("complete", "failed", "quarantined")
        assert view["phase"] == "complete", view
        for _ in service.events():
            _, devices = service.ask("/v1/devices")
            states = {one["folder"]: one["state"] for one in devices["items"]}
            if states == {"one": "refused", "two": "accepted"}:
                break
        assert "cannot be opened with" in str(devices)
        assert service.stop() == 0


def test_a_service_that_cannot_read_its_key_does_not_start(
    ways: dict[str, Way], tmp_path: Path, bucket: Bucket
) -> None:
    place = Place(tmp_path / "dock", tmp_path / "state", bucket)
    place.dock.mkdir()
    assert place.refused("-i", str(tmp_path / "nowhere"))[0] in (2, 12)
    assert place.refused(*ways["protected, by a file"].wrong)[0] == 12


# --- prepare ---


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return write_profile(tmp_path / "tiny.toml", **SIZES)


def prepare(device: Path, profile: Path, *options: str) -> list[str]:
    device.mkdir(exist_ok=True)
    return transfer_command("prepare", device, "--profile", profile, "--job", "test", *options)


def test_the_code_is_shown_once_and_stands_in_no_file(tmp_path: Path, profile: Path) -> None:
    device, state = tmp_path / "device", Path(os.environ["XDG_STATE_HOME"])
    done = run(prepare(device, profile, "--passphrase"))
    assert done.returncode == 0
    codes = CODE.findall(done.stdout)
    assert len(codes) == 1
    assert not CODE.search(done.stderr)
    spellings = [codes[0], codes[0].replace("-", ""), codes[0].lower()]
    for root in (device, state):
        for path in root.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not any(spelling.encode() in content for spelling in spellings), path
    opened = subprocess.run(
        ["python3", "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)",
         require_tool("age"), "-d", str(device / "keys/job.age")],
        input=codes[0].encode() + b"\n", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert b"AGE-SECRET-KEY-1" in opened.stdout


def test_json_of_prepare(tmp_path: Path, profile: Path) -> None:
    key = age_key(tmp_path)
    done = run(prepare(tmp_path / "code", profile, "--passphrase", "--json"))
    document = json.loads(done.stdout)
    assert CODE.fullmatch(document["unlock_code"])
    assert document["device"]["recipients"].keys() == {"job", "resume"}
    done = run(prepare(tmp_path / "key", profile, "-r", key.recipient, "--json"))
    assert "unlock_code" not in json.loads(done.stdout)
    done = run(prepare(tmp_path / "plain", profile, "--json"))
    assert json.loads(done.stdout)["device"].get("recipients") is None


def test_quiet_shows_the_code_all_the_same(tmp_path: Path, profile: Path) -> None:
    """Without it nothing would open the device."""
    done = run(prepare(tmp_path / "device", profile, "--passphrase", "-q"))
    assert done.returncode == 0
    assert len(CODE.findall(done.stdout)) == 1


def test_a_dry_run_makes_no_code_and_keeps_no_key(tmp_path: Path, profile: Path) -> None:
    done = run(prepare(tmp_path / "device", profile, "--passphrase", "--dry-run"))
    assert (done.returncode, CODE.findall(done.stdout)) == (0, [])
    assert list((tmp_path / "device").iterdir()) == []
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.key"))


def test_what_prepare_refuses(tmp_path: Path, profile: Path) -> None:
    key = age_key(tmp_path)
    secret = key.path.read_text().splitlines()[-1]
    for options in (
        ("--passphrase", "-r", key.recipient),
        ("-r", secret),
        ("-r", "age1nonsense"),
        ("-r", str(tmp_path / "nowhere")),
        ("-r", str(key.path)),
    ):
        done = run(prepare(tmp_path / "device", profile, *options))
        assert done.returncode == 2, done.stderr
        assert secret not in done.stdout + done.stderr
        assert list((tmp_path / "device").iterdir()) == []
    assert not list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.key"))


def test_several_recipients_each_open_it(tmp_path: Path, profile: Path, source: Path) -> None:
    keys = [age_key(tmp_path, name) for name in "ab"]
    ssh = make_key(tmp_path)
    (tmp_path / "file").write_text(f"# people\n{keys[1].recipient}\n\n{public_line(ssh)} someone\n")
    device = make_encrypted(tmp_path / "device", source, profile, keys[0], "-r", str(tmp_path / "file"))
    for path in (keys[0].path, keys[1].path, ssh):
        assert transfer("verify", device, "--deep", "-i", path, "-q").code == 0


def test_json_of_a_locked_device(ways: dict[str, Way]) -> None:
    way = ways["age"]
    document = transfer("info", way.device, "--json").document
    assert (document["locked"], document["state"]) == (True, "sealed")
    assert [document[name] for name in ("entries", "content_bytes", "failed", "skipped", "runs")] == [
        None, None, None, None, [],
    ]  # fmt: skip
    assert "what is not known without a key" in transfer("info", way.device).stdout
    opened = transfer("info", way.device, "--json", *way.options).document
    assert (opened["locked"], opened["entries"]) == (False, 20)
    verified = transfer("verify", way.device, "--json").document
    assert (verified["valid"], verified["is_locked"], verified["records"]) == (True, True, 0)
    verified = transfer("verify", way.device, "--json", *way.options).document
    assert (verified["valid"], verified["is_locked"]) == (True, False)
    assert verified["records"] > 20
