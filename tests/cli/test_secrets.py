"""Secrets are asked for where nobody else can read them, and shown nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.key_tools import on_terminal
from transfer.cli.secrets import asker
from transfer.errors import AccessError, UsageError

CANARY = "canary-h\u00e9-3141592653"
ASK = [
    sys.executable,
    "-W",
    "error",
    "-c",
    """import sys
from transfer.cli.secrets import ask_new_secret, ask_secret
from transfer.errors import TransferError
try:
    for kind in sys.argv[1:]:
        print(ascii((ask_new_secret if kind == "new" else ask_secret)(f"{kind} passphrase")))
except TransferError as error:
    sys.exit(f"refused: {error}")
""",
]


def from_stdin(content: bytes, *kinds: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*ASK, *kinds], input=content, capture_output=True, check=False)


def test_on_a_terminal_it_is_asked_for_and_not_shown() -> None:
    shown = on_terminal([*ASK, "old"], [CANARY])
    assert (shown.code, shown.stdout.decode().strip()) == (0, ascii(CANARY))
    assert "old passphrase: " in shown.screen
    assert "canary" not in shown.screen


def test_a_new_one_is_asked_for_twice() -> None:
    shown = on_terminal([*ASK, "new"], [CANARY, CANARY])
    assert (shown.code, shown.stdout.decode().strip()) == (0, ascii(CANARY))
    assert "The same again: " in shown.screen
    shown = on_terminal([*ASK, "new"], [CANARY, CANARY + "x"])
    assert shown.code == 1
    assert "refused: the two are not the same" in shown.screen
    assert "canary" not in shown.screen


def test_on_a_terminal_nothing_typed_is_refused() -> None:
    shown = on_terminal([*ASK, "old"], [""])
    assert shown.code == 1
    assert "refused: what was typed is empty" in shown.screen


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_without_a_terminal_each_is_a_line_of_standard_input(end: bytes) -> None:
    done = from_stdin(b" first \n" + CANARY.encode() + end, "old", "new")
    assert done.stdout.decode().splitlines() == [ascii(" first "), ascii(CANARY)]
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", b"old passphrase: there is no line of it on standard input"),
        (b"\n", b"the line of standard input is empty"),
        (b"\r\n", b"the line of standard input is empty"),
        (b"canary" * 1000, b"the line of standard input is longer than 4,096 bytes"),
        (b"canary\xff\n", b"the line of standard input is not UTF-8"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(content: bytes, what: bytes) -> None:
    done = from_stdin(content, "old")
    assert done.returncode == 1
    assert done.stderr.startswith(b"refused: " + what)
    assert b"canary" not in done.stderr + done.stdout


def test_the_longest_one_is_taken() -> None:
    done = from_stdin(b"x" * 4096 + b"\nsecond\n", "old", "old")
    assert done.stdout.splitlines() == [b"'" + b"x" * 4096 + b"'", b"'second'"]


def test_a_file_answers_every_question_with_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text(f"{CANARY}\r\nsecond line\n")
    path.chmod(0o600)
    ask = asker(str(path))
    assert [ask("one"), ask("two")] == [CANARY, CANARY]


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "passphrase"
    path.write_text(f"{CANARY}\n")
    path.chmod(mode)
    with pytest.raises(AccessError, match=f"passphrase file {path} can be read") as caught:
        asker(str(path))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "is empty"), (b"\nx", "is empty"), (b"canary\xff", "is not UTF-8")]
)
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=f"the first line of {path} {what}") as caught:
        asker(str(path))
    assert "canary" not in str(caught.value)
    os.unlink(path)
    with pytest.raises(UsageError, match="No such file"):
        asker(str(path))


def test_without_a_file_it_is_asked() -> None:
    assert asker(None, lambda prompt: f"answer to {prompt}")("x") == "answer to x"
