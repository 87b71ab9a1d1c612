"""Identity files of all kinds, made by the programs that people have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.key_tools import make_identity, protect, recipient_of
from tests.ssh_tools import make_key, public_line
from tests.tools import require_tool
from transfer.device.identities import Holder, load_identities, read_age_identities
from transfer.errors import AccessError, FormatError, IntegrityError, TransferError, UsageError
from transfer.formats.age.keys import Identity
from transfer.formats.age.writer import encrypt

PASSPHRASE = "correct horse \u00e9"
PLAIN = b"a secret\n"


def never(question: str) -> str:
    raise AssertionError(f"asked for: {question}")


def asked_once(path: Path, answer: str = PASSPHRASE) -> tuple[list[str], list[Holder]]:
    """The questions, and the holders of a file."""
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return answer

    return questions, load_identities([str(path)], ask)


def for_line(line: str) -> bytes:
    """An age file of the program's, to one recipient."""
    done = subprocess.run([require_tool("age"), "-r", line], input=PLAIN, capture_output=True, check=True)
    return done.stdout


def test_what_age_keygen_makes_is_opened(tmp_path: Path) -> None:
    path = make_identity(tmp_path)
    (holder,) = load_identities([str(path)], never)
    assert holder.name == str(path)
    assert holder.open(for_line(recipient_of(path))) == PLAIN
    assert holder.open(encrypt(PLAIN, [Identity.generate().recipient])) is None


def test_a_file_may_hold_several_and_a_mark_of_its_encoding(tmp_path: Path) -> None:
    first, second = make_identity(tmp_path, "1"), make_identity(tmp_path, "2")
    both = tmp_path / "both"
    both.write_text(f"\ufeff\r\n{first.read_text()}  # second\r\n{second.read_text()}".replace("\n", "\r\n"))
    both.chmod(0o600)
    (holder,) = load_identities([str(both)], never)
    for path in (first, second):
        assert holder.open(for_line(recipient_of(path))) == PLAIN


@pytest.mark.parametrize("armor", [(), ("-a",)])
def test_what_age_protects_is_opened_with_its_passphrase(tmp_path: Path, armor: tuple[str, ...]) -> None:
    plain = make_identity(tmp_path)
    path = protect(plain, "locked", PASSPHRASE, *armor)
    questions, (holder,) = asked_once(path)
    assert questions == [f"Passphrase of {path}"]
    assert holder.open(for_line(recipient_of(plain))) == PLAIN
    with pytest.raises(AccessError, match="locked cannot be opened: the passphrase is wrong") as caught:
        asked_once(path, "incorrect donkey")
    assert "donkey" not in str(caught.value)


@pytest.mark.parametrize("kind", ["ed25519", "rsa-2048", "rsa-3072"])
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_what_ssh_keygen_makes_is_opened(tmp_path: Path, kind: str, passphrase: str) -> None:
    path = make_key(tmp_path, kind, passphrase=passphrase)
    questions, (holder,) = asked_once(path)
    assert questions == [f"Passphrase of {path}"] * bool(passphrase)
    stored = for_line(public_line(path))
    assert holder.open(stored) == PLAIN
    other = make_key(tmp_path, kind, name="other")
    assert holder.open(for_line(public_line(other))) is None
    with pytest.raises(IntegrityError, match=f"age file is damaged: {path} is meant"):
        holder.open(stored[:-1] + bytes([stored[-1] ^ 1]))
    with pytest.raises(FormatError):
        holder.open(stored[:100])


@pytest.mark.parametrize("kind", ["age", "ed25519"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660])
@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, kind: str, mode: int, linked: bool) -> None:
    path = make_identity(tmp_path) if kind == "age" else make_key(tmp_path, kind)
    path.chmod(mode)
    if linked:
        target, path = path, tmp_path / "link"
        path.symlink_to(target)
    with pytest.raises(AccessError, match=rf"identity file {path} can be read .*mode {mode:04o}") as caught:
        load_identities([str(path)], never)
    assert caught.value.remedy.startswith(f"chmod 600 {path}")


def test_an_ssh_key_that_age_cannot_encrypt_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of a kind that age files cannot be encrypted to"):
        load_identities([str(make_key(tmp_path, "ecdsa-256"))], never)


SECRET = Identity(bytes(range(32))).text  # the same in each process: it is part of test names


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "has no identity in it"),
        ("# only words\n\n", "has no identity in it"),
        (f"{SECRET}\n{SECRET[:-1]}\n", "line 2, is a damaged identity"),
        (f"#\n{SECRET.lower()}\n", "line 2, is not an identity"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQ\n", "line 1, is not an identity"),
        ("AGE-SECRET-KEY-PQ-1QQQQ\n", "line 1, is not an identity"),
        (f"{Identity.parse(SECRET).recipient.text}\n", "line 1, is a public key, where the secret one"),
        ("ssh-ed25519 AAAA\n", "line 1, is a public key, where the secret one"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "is not an SSH private key"),
        ("\x00\xff" * 100, "line 1, is not an identity"),
    ],
)
def test_what_is_no_identity_is_named_with_its_line(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UsageError) as caught:
        load_identities([str(path)], never)
    assert what in caught.value.what
    assert str(path) in caught.value.what
    assert SECRET[20:30] not in f"{caught.value}{caught.value.__cause__}"
    assert SECRET[20:30].lower() not in str(caught.value)


def test_an_age_file_for_a_recipient_is_no_identity_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(encrypt(PLAIN, [Identity.generate().recipient]))
    path.chmod(0o600)
    with pytest.raises(AccessError, match="cannot be opened"):
        asked_once(path)


def test_secrets_are_not_shown_by_chance(tmp_path: Path) -> None:
    paths = [make_identity(tmp_path), make_key(tmp_path)]
    secrets = [path.read_text().splitlines()[-2 if path.suffix == "" else -1] for path in paths]
    shown = repr(load_identities([str(path) for path in paths], never))
    assert not any(secret[15:30] in shown for secret in secrets)


def test_the_files_are_read_in_their_order_and_a_missing_one_is_named(tmp_path: Path) -> None:
    paths = [str(make_identity(tmp_path, name)) for name in ("b", "a")]
    assert [holder.name for holder in load_identities(paths, never)] == paths
    with pytest.raises(UsageError, match=r"identity file .*none cannot be read: No such file"):
        load_identities([*paths, str(tmp_path / "none")], never)


@given(st.binary(max_size=300))
def test_any_bytes_are_identities_or_refused(content: bytes) -> None:
    with pytest.raises(TransferError):
        read_age_identities(content, "x", lambda question: "passphrase")
