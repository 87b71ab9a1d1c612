"""Keys that sign: what they sign, `ssh-keygen -Y verify` accepts; files and agents that cannot be used."""

from __future__ import annotations

import base64
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import ssh_tools
from tests.ssh_tools import KINDS
from transfer.device.signing_key import load_signer
from transfer.device.ssh_agent import SOCKET_VARIABLE
from transfer.errors import AccessError, UsageError
from transfer.formats import sshsig
from transfer.formats.ssh_wire import string, uint32

NAMESPACE = "transfer-seal"
MESSAGE = bytes(range(256)) * 3000


def never(prompt: str) -> str:
    raise AssertionError(f"it asked: {prompt}")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ssh_tools.agent(tmp_path) as path:
        monkeypatch.setenv(SOCKET_VARIABLE, path)
        yield path


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_signs(tmp_path: Path, kind: str) -> None:
    key = ssh_tools.make_key(tmp_path, kind)
    signer = load_signer(str(key), never)
    armored = signer.sign(MESSAGE, NAMESPACE)

    assert signer.public.line == ssh_tools.public_line(key)
    signers = ssh_tools.signers_file(tmp_path, key)
    assert ssh_tools.accepts(signers, key.name, MESSAGE, armored, NAMESPACE)
    assert not ssh_tools.accepts(signers, key.name, MESSAGE + b"x", armored, NAMESPACE)
    assert not ssh_tools.accepts(signers, key.name, MESSAGE, armored, "file")
    assert sshsig.verify(MESSAGE, armored, NAMESPACE) == signer.public


@pytest.mark.parametrize("kind", ["ed25519", "rsa-2048"])
def test_the_text_is_that_of_ssh_keygen(tmp_path: Path, kind: str) -> None:
    """To the byte, where signing is deterministic."""
    key = ssh_tools.make_key(tmp_path, kind)
    assert load_signer(str(key), never).sign(MESSAGE, NAMESPACE) == ssh_tools.sign(key, MESSAGE, NAMESPACE)


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_signs(tmp_path: Path, agent: str, kind: str) -> None:
    key = ssh_tools.make_key(tmp_path, kind)
    ssh_tools.add_to_agent(agent, key)
    key.unlink()
    armored = load_signer(f"{key}.pub", never).sign(MESSAGE, NAMESPACE)
    assert ssh_tools.accepts(ssh_tools.signers_file(tmp_path, key), key.name, MESSAGE, armored, NAMESPACE)


def test_a_passphrase_is_asked_for(tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path, passphrase="correct horse")
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return "correct horse"

    signer = load_signer(str(key), answer)
    assert prompts == [f"Passphrase of {key}"]
    armored = signer.sign(MESSAGE, NAMESPACE)
    assert ssh_tools.accepts(ssh_tools.signers_file(tmp_path, key), key.name, MESSAGE, armored, NAMESPACE)


@pytest.mark.parametrize("wrong", ["wrong", ""])
def test_a_wrong_passphrase(tmp_path: Path, wrong: str) -> None:
    key = ssh_tools.make_key(tmp_path, passphrase="correct horse")
    with pytest.raises(AccessError, match="the passphrase does not open signing key") as caught:
        load_signer(str(key), lambda prompt: wrong)
    assert caught.value.exit_code == 12


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path)
    shown = repr(load_signer(str(key), never))
    assert "private" not in shown.lower()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path)
    key.chmod(0o640)
    with pytest.raises(AccessError, match=r"can be read or written by others \(mode 0640\)"):
        load_signer(str(key), never)


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    key = ssh_tools.make_key(tmp_path)
    wrong = tmp_path / "wrong.pub"
    wrong.write_bytes(key.read_bytes())
    with pytest.raises(UsageError, match="holds no public SSH key"):
        load_signer(str(wrong), never)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", b"a b"]
)
@pytest.mark.parametrize("name", ["key", "key.pub"])
def test_a_file_without_a_key(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="key"):
        load_signer(str(path), never)


def test_kinds_that_are_not_accepted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="RSA key of 1024 bits; 2048 are the least"):
        load_signer(str(ssh_tools.make_key(tmp_path, "rsa-1024")), never)
    pem = ssh_tools.make_key(tmp_path, "rsa-2048", name="pem")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "", "-f", str(pem)], check=True, capture_output=True
    )
    with pytest.raises(UsageError, match="no OpenSSH private key that can be used"):
        load_signer(str(pem), never)


def test_there_is_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = load_signer(f"{ssh_tools.make_key(tmp_path)}.pub", never)
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    with pytest.raises(AccessError, match="there is no ssh-agent: SSH_AUTH_SOCK is not set"):
        signer.sign(MESSAGE, NAMESPACE)
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(AccessError, match=r"does not work: .*No such file"):
        signer.sign(MESSAGE, NAMESPACE)


def test_an_agent_without_the_key(tmp_path: Path, agent: str) -> None:
    ssh_tools.add_to_agent(agent, ssh_tools.make_key(tmp_path, name="other"))
    with pytest.raises(AccessError, match="does not hold the key SHA256:"):
        load_signer(f"{ssh_tools.make_key(tmp_path)}.pub", never).sign(MESSAGE, NAMESPACE)


class PlayedAgent:
    """Answers each request with what it was given, framed or not."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._answers = answers
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for answer in self._answers:
                size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL))
                connection.recv(size, socket.MSG_WAITALL)
                connection.sendall(answer)

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


KEY_BLOB = string(b"ssh-ed25519") + string(
    Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
)
HELD = string(b"\x0c" + uint32(1) + string(KEY_BLOB) + string(b"comment"))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([b""], "hung up"),
        ([string(b"\x05")], "does not say which keys it holds"),
        ([uint32(0)], "its answer has 0 bytes"),
        ([uint32(1 << 30)], "its answer has 1073741824 bytes"),
        ([string(b"\x0c" + uint32(2**32 - 1))], "ends too early"),
        ([HELD, string(b"\x05")], "refused to sign"),
        (
            [HELD, string(b"\x0e" + string(string(b"ssh-rsa") + string(b"")))],
            "cannot be used: .*not accepted",
        ),
        (
            [HELD, string(b"\x0e" + string(string(b"ssh-ed25519") + string(bytes(64))))],
            "what the ssh-agent signed",
        ),
        ([HELD, string(b"\x0e" + string(b"x") + b"y")], "something follows"),
    ],
)
def test_an_agent_that_does_not_do_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[bytes], message: str
) -> None:
    played = PlayedAgent(tmp_path / "socket", answers)
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "socket"))
    public = tmp_path / "key.pub"
    public.write_text(f"ssh-ed25519 {base64.b64encode(KEY_BLOB).decode()}\n")
    try:
        with pytest.raises(AccessError, match=message):
            load_signer(str(public), never).sign(MESSAGE, NAMESPACE)
    finally:
        played.close()
