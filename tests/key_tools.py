"""The age programs as oracles, and terminals to type secrets on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tools import require_tool

TRANSFER = [sys.executable, "-W", "error", "-c", "from transfer.cli.app import main; main()"]
_PROMPT_ENDS = b": "


@dataclass
class Shown:
    """How a command on a terminal ended.

    Attributes:
        screen: what the terminal showed: questions, errors, what was echoed.
        stdout: what went elsewhere.
    """

    code: int
    screen: str
    stdout: bytes


def on_terminal(command: Sequence[str | os.PathLike[str]], answers: Sequence[str]) -> Shown:
    """Run a command on a terminal of its own; each question, which ends in `: `, gets the next answer."""
    master, slave = os.openpty()
    try:
        # setsid makes it the controlling terminal, which programs open as /dev/tty.
        process = subprocess.Popen(
            [require_tool("setsid"), "--ctty", *command], stdin=slave, stdout=subprocess.PIPE, stderr=slave
        )
        os.close(slave)
        screen = b""
        for answer in answers:
            seen = len(screen)
            while not screen[seen:].endswith(_PROMPT_ENDS):
                piece = _read(master)
                assert piece, f"no question was asked: {screen!r}"
                screen += piece
            os.write(master, f"{answer}\n".encode())
        stdout, _ = process.communicate()  # what it says is little: no pipe fills up
        while piece := _read(master):
            screen += piece
    finally:
        os.close(master)
    return Shown(process.returncode, screen.decode(errors="replace"), stdout)


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError as error:
        if error.errno != errno.EIO:  # how Linux says that nobody has the terminal open any more
            raise
        return b""


def make_identity(folder: Path, name: str = "identity.txt") -> Path:
    """An age identity, made by age-keygen."""
    path = folder / name
    subprocess.run([require_tool("age-keygen"), "-o", path], check=True, capture_output=True)
    return path


def recipient_of(identity: Path) -> str:
    """The public half, as age-keygen has it."""
    done = subprocess.run([require_tool("age-keygen"), "-y", identity], check=True, capture_output=True)
    return done.stdout.decode().strip()


def protect(plain: Path, name: str, passphrase: str, *options: str) -> Path:
    """A file encrypted by `age -p`."""
    path = plain.with_name(name)
    command = [require_tool("age"), "-p", *options, "-o", path, plain]
    shown = on_terminal(command, [passphrase, passphrase])
    assert shown.code == 0, shown.screen
    path.chmod(0o600)
    return path


def age_opens(stored: Path, identity: Path | None, *answers: str) -> bytes | None:
    """What `age -d` makes of a file; None where it refuses."""
    told = ["-i", identity] if identity else []
    command = [require_tool("age"), "-d", *told, stored]
    shown = on_terminal(command, answers)
    return shown.stdout if shown.code == 0 else None
