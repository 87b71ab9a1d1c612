"""Passphrases and codes: asked for on the terminal, else read from standard input, or from a file.

Rules:

- Never from an argument or the environment: other users of the machine can read those.
- On a terminal nothing that is typed is shown; where that cannot be had, nothing is asked.
- Without a terminal a secret is one line of standard input, at most 4 KiB; several are several lines.
- No error repeats what was typed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Final

import typer

from transfer.errors import AccessError, UsageError

MAX_SECRET_BYTES: Final = 4096

PassphraseFileOption = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Take passphrase or code from the first line of a file of mode 600, instead of asking.",
    ),
]


def ask_secret(prompt: str) -> str:
    """A secret: asked for on the terminal, or the next line of standard input where that is none.

    Args:
        prompt: what is asked for, as "Passphrase of FILE".

    Raises:
        UsageError: there is no line, it is empty, longer than 4 KiB, or not UTF-8.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        return _checked(_typed(f"{prompt}: ").encode("utf-8", "surrogateescape"), "what was typed")
    line = sys.stdin.buffer.readline(MAX_SECRET_BYTES + 2) if sys.stdin is not None else b""
    if not line:
        raise UsageError(
            f"{prompt}: there is no line of it on standard input",
            remedy="give the command on a terminal, write the secret to its standard input, or name a file "
            "with --passphrase-file",
        )
    return _checked(line, "the line of standard input")


def ask_new_secret(prompt: str) -> str:
    """A secret that does not exist yet: on a terminal it is asked for twice.

    Raises:
        UsageError: as `ask_secret`, or the two differ.
    """
    first = ask_secret(prompt)
    if sys.stdin.isatty() and ask_secret("The same again") != first:
        raise UsageError("the two are not the same", remedy="give the command again")
    return first


def asker(passphrase_file: str | None, ask: Callable[[str], str] = ask_secret) -> Callable[[str], str]:
    """What asks for secrets: `ask`, or where --passphrase-file is given, that file, whatever the question.

    Raises:
        AccessError: others can read the file, or it cannot be read.
        UsageError: there is no such file, or its first line is no secret.
    """
    if passphrase_file is None:
        return ask
    secret = _from_file(passphrase_file)
    return lambda prompt: secret


def _from_file(path: str) -> str:
    from transfer.device.key_files import read_secret_file

    content = read_secret_file(path, "passphrase file")
    return _checked(content.partition(b"\n")[0], f"the first line of {path}")


def _typed(prompt: str) -> str:
    import getpass
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except EOFError:
            raise UsageError("nothing was typed", remedy="give the command again") from None
        except getpass.GetPassWarning:
            what = "this terminal would show what is typed"
            raise AccessError(what, remedy="use another, or --passphrase-file") from None


def _checked(line: bytes, where: str) -> str:
    secret = line.removesuffix(b"\n").removesuffix(b"\r")
    if not secret or len(secret) > MAX_SECRET_BYTES:
        problem = "is empty" if not secret else f"is longer than {MAX_SECRET_BYTES:,} bytes"
        raise UsageError(f"{where} {problem}", remedy="give one line with the passphrase or code")
    try:
        return secret.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{where} is not UTF-8", remedy="use characters that UTF-8 can spell") from None
