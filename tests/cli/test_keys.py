"""`transfer keys`: what it makes real programs take, what they make it shows; secrets stay where they are."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from tests.jobs.shipment import Ended, transfer
from tests.key_tools import TRANSFER, age_opens, make_identity, on_terminal, protect, recipient_of
from tests.ssh_tools import accepts, make_key, public_line, sign
from tests.tools import require_tool
from transfer.device.identities import load_identities
from transfer.device.job_key import lock_job_key, unlock_job_key
from transfer.device.recipients import read_recipients
from transfer.formats.age.keys import Identity

PASSPHRASE = "correct horse \u00e9"


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    return path


def keys(*arguments: str | os.PathLike[str]) -> Ended:
    return transfer("keys", *arguments)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def pub(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def secret_piece(path: Path) -> str:
    """A piece of a secret half as it stands in its file, of an age or Ed25519 key without a passphrase."""
    lines = path.read_text().splitlines()
    if not lines[0].startswith("-----BEGIN"):
        return lines[-1][20:50]
    text = "".join(lines[1:-1])
    key = load_ssh_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    start = -(-base64.b64decode(text).index(key.private_bytes_raw()) // 3) * 4
    return text[start : start + 36]


def test_an_identity_is_what_age_keygen_would_have_made(tmp_path: Path) -> None:
    path = tmp_path / "site-b.txt"
    ended = keys("generate", "--identity", path)
    assert (ended.code, ended.stderr) == (0, "")
    created, public, secret = path.read_text().splitlines()
    assert abs(datetime.fromisoformat(created.removeprefix("# created: ")) - datetime.now(UTC)).days == 0
    assert public == f"# public key: {recipient_of(path)}"
    assert Identity.parse(secret).recipient.text == recipient_of(path) == pub(path).read_text().strip()
    assert (mode(path), mode(pub(path))) == (0o600, 0o644)
    assert secret[20:40] not in ended.stdout
    for said in (
        recipient_of(path),
        f"{path} stays at the destination",
        f"transfer import DEVICE s3://BUCKET --identity {path}",
        f"{pub(path)} goes to the source",
        f"transfer prepare DEVICE --profile PROFILE --job JOB --recipient {pub(path)}",
    ):
        assert said in ended.stdout


def test_what_the_source_encrypts_with_the_one_half_the_other_opens(tmp_path: Path) -> None:
    job = Identity.generate()
    for kind in ("--identity", "--signing"):  # an SSH key can do both
        path = tmp_path / kind
        assert keys("generate", kind, path).code == 0
        stored = tmp_path / "job.age"
        stored.write_bytes(lock_job_key(job, read_recipients([str(pub(path))])))
        assert unlock_job_key(stored.read_bytes(), load_identities([str(path)], str)).text == job.text
        assert age_opens(stored, path) == f"{job.text}\n".encode()


def test_a_signing_key_is_what_ssh_keygen_would_have_made(tmp_path: Path) -> None:
    path = tmp_path / "site-a"
    ended = keys("generate", "--signing", path, "--comment", "ops@site-a", "--json")
    assert (ended.code, ended.stderr) == (0, "")
    document = ended.document
    derived = subprocess.run(
        [require_tool("ssh-keygen"), "-y", "-f", path], capture_output=True, text=True, check=True
    )
    assert derived.stdout.split()[:2] == pub(path).read_text().split()[:2]
    assert pub(path).read_text() == f"{document['public']} ops@site-a\n"
    listed = subprocess.run(
        [require_tool("ssh-keygen"), "-l", "-f", path], capture_output=True, text=True, check=True
    )
    assert document["fingerprint"] == listed.stdout.split()[1]
    assert (mode(path), mode(pub(path))) == (0o600, 0o644)
    assert document["mode"] == "0600"
    signers = tmp_path / "signers"
    signers.write_text(document["signers_line"] + "\n")
    for namespace in ("transfer-seal", "transfer-custody", "transfer-certificate"):
        signature = sign(path, b"a seal", namespace)
        assert accepts(signers, "ops@site-a", b"a seal", signature, namespace)
    assert not accepts(signers, "ops@site-a", b"a seal", sign(path, b"a seal", "file"), "file")


def test_the_signing_keys_comment_is_the_user_by_default_and_the_text_says_where_it_goes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "site-a"
    ended = keys("generate", "--signing", path)
    comment = pub(path).read_text().split()[2]
    assert "@" in comment
    for said in (
        f"transfer seal DEVICE --sign-key {path}",
        f"{pub(path)} goes to the other end, by another way than the device",
        f"{comment} namespaces=",
        "transfer import DEVICE s3://BUCKET --signers FILE",
    ):
        assert said in ended.stdout


@pytest.mark.parametrize("kind", ["--identity", "--signing"])
def test_a_passphrase_protects_it_and_is_asked_for_twice(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    shown = on_terminal([*TRANSFER, "keys", "generate", kind, path, "--passphrase"], [PASSPHRASE, PASSPHRASE])
    assert shown.code == 0, shown.screen
    assert "horse" not in shown.screen + shown.stdout.decode()
    assert b"with a passphrase" in shown.stdout
    asked = on_terminal([*TRANSFER, "keys", "show", path, "--json"], [PASSPHRASE] * (kind == "--identity"))
    assert asked.code == 0, asked.screen
    assert b'"protected":true' in asked.stdout
    assert pub(path).read_text().split()[0].encode() in asked.stdout
    job = Identity.generate()
    stored = tmp_path / "job.age"
    stored.write_bytes(lock_job_key(job, read_recipients([str(pub(path))])))
    assert age_opens(stored, path, PASSPHRASE) == f"{job.text}\n".encode()
    (holder,) = load_identities([str(path)], lambda question: PASSPHRASE)
    assert unlock_job_key(stored.read_bytes(), [holder]).text == job.text


def test_a_passphrase_may_come_from_a_file(tmp_path: Path, passphrase_file: Path) -> None:
    path = tmp_path / "key"
    assert keys("generate", "--signing", path, "--passphrase-file", passphrase_file).code == 0
    for passphrase, code in ((PASSPHRASE, 0), ("incorrect", 255)):
        command = [require_tool("ssh-keygen"), "-y", "-P", passphrase, "-f", path]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code


@pytest.mark.parametrize("kind", ["--identity", "--signing"])
@pytest.mark.parametrize("there", ["key", "key.pub", "link"])
def test_nothing_is_overwritten_and_nothing_left_behind(tmp_path: Path, kind: str, there: str) -> None:
    if there == "link":
        (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / there).write_bytes(b"precious")
    before = sorted(os.listdir(tmp_path))
    ended = keys("generate", kind, tmp_path / "key")
    assert (ended.code, ended.stdout) == (2, "")
    assert f"there is a file {tmp_path / 'key'}" in ended.stderr
    assert sorted(os.listdir(tmp_path)) == before
    assert there == "link" or (tmp_path / there).read_bytes() == b"precious"


def test_when_the_public_half_cannot_be_written_there_is_no_secret_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def fail(path: str, *arguments: int) -> int:
        if path.endswith(".pub"):
            raise OSError(28, "No space left on device")
        return real(path, *arguments)

    monkeypatch.setattr("transfer.device.key_files.os.open", fail)
    ended = keys("generate", "--identity", tmp_path / "key")
    assert ended.code == 1
    assert "key.pub cannot be written: No space left on device" in ended.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "one kind of key is made at a time"),
        (["--identity", "a", "--signing", "b"], "one kind of key is made at a time"),
        (["--identity", "a", "--comment", "x"], "an identity has no comment"),
        (["--signing", "a", "--comment", "a b"], "comment 'a b' is not possible"),
        (["--signing", "a", "--comment", "a\n* ssh-rsa"], "is not possible"),
        (["--signing", "a", "--comment", "*"], "comment '*' is not possible"),
        (["--signing", "a", "--comment", ""], "comment '' is not possible"),
    ],
)
def test_wrong_options(
    arguments: list[str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = keys("generate", *arguments)
    assert ended.code == 2
    assert what in ended.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["--identity", "--signing"])
def test_a_short_passphrase_is_refused(tmp_path: Path, kind: str) -> None:
    short = tmp_path / "short"
    short.write_text("secret7")
    short.chmod(0o600)
    ended = keys("generate", kind, tmp_path / "key", "--passphrase-file", short)
    assert ended.code == 2
    assert "fewer than 8 characters" in ended.stderr
    assert "secret7" not in ended.stderr
    assert os.listdir(tmp_path) == ["short"]


@pytest.mark.parametrize("kind", ["ed25519", "rsa-2048", "ecdsa-256"])
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_show_needs_no_passphrase_for_ssh_keys(tmp_path: Path, kind: str, passphrase: str) -> None:
    path = make_key(tmp_path, kind, passphrase=passphrase)
    ended = keys("show", path, "--json")
    assert ended.code == 0, ended.stderr
    document = ended.document
    assert document["public"] == public_line(path)
    assert document["kind"] == public_line(path).split()[0]
    assert (document["protected"], document["mode"]) == (bool(passphrase), "0600")
    assert document["fingerprint"] in keys("show", path).stdout
    if kind == "ed25519" and not passphrase:
        assert secret_piece(path) not in ended.stdout


def test_show_of_what_age_keygen_made(tmp_path: Path, passphrase_file: Path) -> None:
    path = make_identity(tmp_path)
    ended = keys("show", path)
    assert ended.stdout.splitlines() == [
        recipient_of(path),
        "  kind         age",
        "  passphrase   no",
        "  mode         0600, its owner's alone",
    ]
    locked = protect(path, "locked", PASSPHRASE)
    document = keys("show", locked, "--passphrase-file", passphrase_file, "--json").document
    assert (document["public"], document["protected"]) == (recipient_of(path), True)
    assert document["fingerprint"] is None


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o666])
@pytest.mark.parametrize("kind", ["age", "ed25519"])
def test_show_refuses_what_others_can_read(tmp_path: Path, kind: str, bits: int) -> None:
    path = make_identity(tmp_path) if kind == "age" else make_key(tmp_path)
    path.chmod(bits)
    link = tmp_path / "link"
    link.symlink_to(path)
    for name in (path, link):
        ended = keys("show", name)
        assert (ended.code, ended.stdout) == (12, "")
        assert f"key file {name} can be read or written by others (mode {bits:04o})" in ended.stderr
        assert f"chmod 600 {name}" in ended.stderr
        assert secret_piece(path) not in ended.stderr


def test_show_of_what_is_no_secret_half(tmp_path: Path) -> None:
    path = make_key(tmp_path)
    ended = keys("show", pub(path))
    assert ended.code == 2
    assert (
        f"is a public half: it may be read and sent as it is\n  name the secret half, {path}" in ended.stderr
    )
    two = tmp_path / "two"
    two.write_text(f"{Identity.generate().text}\n" * 2)
    two.chmod(0o600)
    ended = keys("show", two)
    assert ended.code == 2
    assert "has 2 identities" in ended.stderr
    assert keys("show", tmp_path / "none").code == 2


def test_a_wrong_passphrase_is_access_denied_and_not_repeated(tmp_path: Path, passphrase_file: Path) -> None:
    path = make_key(tmp_path, "rsa-2048", passphrase="another one entirely")
    convert = ["-p", "-m", "PEM", "-P", "another one entirely", "-N", "another one entirely", "-f", path]
    subprocess.run([require_tool("ssh-keygen"), "-q", *convert], check=True, capture_output=True)
    ended = keys("show", path, "--passphrase-file", passphrase_file)
    assert (ended.code, ended.stdout) == (12, "")
    assert "the passphrase is wrong" in ended.stderr
    assert "horse" not in ended.stderr
