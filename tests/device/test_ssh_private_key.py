"""SSH private keys that ssh-keygen made: opened, and their public halves found without a passphrase."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ssh_tools import KINDS, make_key, public_line
from tests.tools import require_tool
from transfer.device.ssh_private_key import is_ssh_private_key, open_ssh_key, public_half, public_key
from transfer.errors import AccessError, TransferError, UsageError

PASSPHRASE = "correct horse \u00e9"


def never(question: str) -> str:
    raise AssertionError(f"asked for: {question}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_what_ssh_keygen_makes_is_opened(tmp_path: Path, kind: str, passphrase: str) -> None:
    path = make_key(tmp_path, kind, passphrase=passphrase)
    content, asked = path.read_bytes(), []
    assert is_ssh_private_key(content)

    def ask(question: str) -> str:
        asked.append(question)
        return passphrase

    key = open_ssh_key(content, str(path), ask)
    assert asked == [f"Passphrase of {path}"] * bool(passphrase)
    assert public_key(key).line == public_line(path)
    public, protected = public_half(content, str(path), never)
    assert (public.line, protected) == (public_line(path), bool(passphrase))
    listed = subprocess.run(
        [require_tool("ssh-keygen"), "-l", "-f", path], capture_output=True, text=True, check=True
    )
    assert public.fingerprint == listed.stdout.split()[1]


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_the_older_forms_are_read_as_well(tmp_path: Path, form: str, passphrase: str) -> None:
    path = make_key(tmp_path, "rsa-2048", passphrase=passphrase)
    convert = ["-p", "-m", form, "-P", passphrase, "-N", passphrase, "-f", path]
    subprocess.run([require_tool("ssh-keygen"), "-q", *convert], check=True, capture_output=True)
    content = path.read_bytes()
    assert b"OPENSSH" not in content
    assert is_ssh_private_key(content)
    public, protected = public_half(content, str(path), lambda question: PASSPHRASE)
    assert (public.line, protected) == (public_line(path), bool(passphrase))


def test_a_wrong_passphrase_is_said_and_not_repeated(tmp_path: Path) -> None:
    path = make_key(tmp_path, passphrase=PASSPHRASE)
    for wrong in ("incorrect", ""):
        with pytest.raises(AccessError, match="the passphrase is wrong, or the file is damaged") as caught:
            open_ssh_key(path.read_bytes(), str(path), lambda question, wrong=wrong: wrong)
        assert caught.value.__cause__ is None
        assert not wrong or f" {wrong}" not in str(caught.value)


def test_what_is_no_key_of_a_known_kind_is_refused(tmp_path: Path) -> None:
    public = make_key(tmp_path).with_suffix(".pub").read_bytes()
    certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for other in (public, certificate, b"", b"age1", b"AGE-SECRET-KEY-1"):
        assert not is_ssh_private_key(other)
        with pytest.raises(UsageError, match="x is not an SSH private key"):
            open_ssh_key(other, "x", never)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_key(tmp_path_factory.mktemp("good")).read_bytes()


@given(st.data())
def test_a_damaged_key_is_a_key_or_refused(good: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 8))
    damaged = good[:start] + data.draw(st.binary(max_size=8)) + good[start + cut :]
    for read in (open_ssh_key, public_half):
        try:
            read(damaged, "x", lambda question: "passphrase")
        except TransferError as error:
            assert error.what.startswith(("x is not", "SSH key x cannot"))
