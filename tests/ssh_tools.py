"""The programs of OpenSSH, as the tests use them: keys, signatures, and an agent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import require_tool

KINDS = ("ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072")


def make_key(folder: Path, kind: str = "ed25519", *, name: str = "", passphrase: str = "") -> Path:
    """A new private key, with its .pub beside it; `kind` may end in its bits."""
    path = folder / (name or f"key-{kind}")
    algorithm, _, bits = kind.partition("-")
    size = ["-b", bits] if bits else []
    run = [
        require_tool("ssh-keygen"),
        "-q",
        "-t",
        algorithm,
        *size,
        "-N",
        passphrase,
        "-C",
        "a test",
        "-f",
        str(path),
    ]
    subprocess.run(run, check=True, capture_output=True)
    return path


def public_line(key: Path) -> str:
    """The public half: kind and base64."""
    return " ".join(key.with_name(key.name + ".pub").read_text().split()[:2])


def signers_file(folder: Path, *keys: Path, options: str = "") -> Path:
    """A file of allowed signers; each is called as its key's file."""
    path = folder / "allowed_signers"
    lines = [f"{key.name} {options + ' ' * bool(options)}{public_line(key)}\n" for key in keys]
    path.write_text("".join(lines))
    return path


def sign(key: Path, message: bytes, namespace: str, *, options: tuple[str, ...] = ()) -> bytes:
    """What `ssh-keygen -Y sign` makes."""
    run = [require_tool("ssh-keygen"), "-q", "-Y", "sign", "-f", str(key), "-n", namespace, *options]
    return subprocess.run(run, input=message, check=True, capture_output=True).stdout


def accepts(
    signers: Path,
    who: str,
    message: bytes,
    signature: bytes,
    namespace: str,
    *,
    options: tuple[str, ...] = (),
) -> bool:
    """Whether `ssh-keygen -Y verify` accepts a signature."""
    armored = signers.with_name("signature")
    armored.write_bytes(signature)
    run = [
        require_tool("ssh-keygen"),
        "-Y",
        "verify",
        "-f",
        str(signers),
        "-I",
        who,
        "-n",
        namespace,
        "-s",
        str(armored),
    ]
    return subprocess.run([*run, *options], input=message, capture_output=True, check=False).returncode == 0


@contextmanager
def agent(folder: Path) -> Iterator[str]:
    """A real ssh-agent; gives its socket, which is also in SSH_AUTH_SOCK of whoever asks for it."""
    socket = folder / "agent.sock"
    process = subprocess.Popen([require_tool("ssh-agent"), "-D", "-a", str(socket)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it has said where it listens: it listens
        yield str(socket)
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def add_to_agent(socket: str, key: Path) -> None:
    """Give an agent a key without a passphrase."""
    environment = {**os.environ, "SSH_AUTH_SOCK": socket}
    subprocess.run(
        [require_tool("ssh-add"), "-q", str(key)], env=environment, check=True, capture_output=True
    )
