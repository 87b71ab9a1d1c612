"""How commands end: exit codes, one clear error in the asked form, never a traceback."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from transfer import errors
from transfer.cli import app as program
from transfer.cli.failures import describe
from transfer.cli.options import JsonOption
from transfer.formats.packaged import read_packaged

TRANSFER = [sys.executable, "-c", "from transfer.cli.app import main; main()"]


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command that ends in a given way."""

    def run(end: BaseException | int | None, *arguments: str) -> int:
        def command(json: JsonOption = False) -> int | None:
            if isinstance(end, BaseException):
                raise end
            return end

        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        app.callback()(lambda: None)
        app.command("end")(command)
        monkeypatch.setattr(program, "application", lambda command: app)
        return program.run(["end", *arguments])

    return run


def subclasses(kind: type[errors.TransferError]) -> list[type[errors.TransferError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in subclasses(child))]


@pytest.mark.parametrize("kind", subclasses(errors.TransferError))
def test_every_error_ends_with_its_own_code_and_says_what_and_remedy(
    kind: type[errors.TransferError], ending: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(kind("the disk \x1b[0m", remedy="another one")) == kind.exit_code
    shown = capsys.readouterr()
    assert shown.err == "error: the disk \\x1b[0m\n  another one\n"
    assert shown.out == ""


def test_with_json_the_error_is_a_document_too(
    ending: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        ending(errors.DeviceFullError(os.fsdecode(b"caf\xe9 is full"), remedy="a larger one"), "--json") == 13
    )
    expected = {
        "type": "DeviceFullError",
        "what": "caf\\xe9 is full",
        "remedy": "a larger one",
        "exit_code": 13,
    }
    assert json.loads(capsys.readouterr().out) == {"error": expected}


@pytest.mark.parametrize(
    ("end", "code", "text"),
    [
        (None, 0, ""),
        (3, 3, ""),
        (typer.Exit(4), 4, ""),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (typer.Abort(), 130, "interrupted\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: [Errno 13] Permission denied: '/x'\n"),
        (ZeroDivisionError("by zero"), 1, "error: internal error: ZeroDivisionError: by zero\n"),
    ],
)
def test_other_ends(
    end: BaseException | int | None,
    code: int,
    text: str,
    ending: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending(end) == code
    shown = capsys.readouterr().err
    assert shown.startswith(text)
    assert "Traceback" not in shown
    assert bool(shown) == bool(text)


def test_a_traceback_is_there_for_who_asks(
    ending: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_DEBUG", "1")
    assert ending(ZeroDivisionError()) == 1
    assert "Traceback" in capsys.readouterr().err


def test_of_several_errors_the_worst_is_told() -> None:
    store, usage = errors.StoreError("store"), errors.UsageError("usage")
    group = BaseExceptionGroup("", [store, ExceptionGroup("", [usage, OSError("disk")])])
    assert (describe(group).what, describe(group).exit_code) == ("store (and 2 more errors)", 1)
    assert describe(BaseExceptionGroup("", [usage])).what == "usage"
    ours = BaseExceptionGroup("", [store, KeyError("x")])
    assert describe(ours).type == "InternalError"
    assert describe(BaseExceptionGroup("", [ours, KeyboardInterrupt()])).exit_code == 130


@pytest.mark.parametrize(
    ("arguments", "what", "remedy"),
    [
        (["--nope"], "No such option: --nope", "see 'transfer --help'"),
        (["nope"], "No such command 'nope'", "see 'transfer --help'"),
        (["profiles", "a", "b"], "unexpected extra argument", "see 'transfer profiles --help'"),
    ],
)
def test_wrong_options_are_usage_errors(
    arguments: list[str], what: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.run(arguments) == 2
    shown = capsys.readouterr().err
    assert what in shown
    assert remedy in shown
    assert program.run([*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2
    assert program.run([*arguments, "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_no_arguments_are_a_call_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run([]) == 0
    assert "profiles" in capsys.readouterr().out
    assert program.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("transfer ")


def test_every_module_brings_the_commands_that_the_table_says() -> None:
    for home in set(program.HOMES.values()):
        alone = typer.Typer()
        importlib.import_module(f"transfer.cli.{home}").register(alone)
        names = [command.name for command in alone.registered_commands]
        names += [group.name for group in alone.registered_groups]
        assert names == [name for name, place in program.HOMES.items() if place == home]


def test_the_help_of_one_command_is_that_of_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    for name in program.HOMES:
        assert program.run([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: transfer {name} ")


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command loads."""
    code = "import sys; from transfer.cli.app import run; run(sys.argv[1:]); sys.exit(' '.join(sys.modules))"
    command = [sys.executable, "-c", code, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=False).stderr.split())


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by("--help")
    assert "transfer.cli.profiles" in loaded
    heavy = {"aiohttp", "asyncio", "awscrt", "blake3", "botocore", "msgspec", "rich", "sqlite3", "zstandard"}
    assert loaded & heavy == set()


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_command_loads_no_other_one_and_nothing_that_it_does_without(command: str, tmp_path: Path) -> None:
    assert program.run(["prepare", str(tmp_path), "--profile", "folder", "--job", "job", "-q"]) == 0
    loaded = loaded_by(command, str(tmp_path), *(["--quiet"] if command == "verify" else []))
    commands = {f"transfer.cli.{home}" for home in program.HOMES.values()}
    assert loaded & commands == {f"transfer.cli.{program.HOMES[command]}"}
    assert "transfer.formats.segment" in loaded
    assert loaded & {"aiohttp", "asyncio", "awscrt", "botocore", "rich", "sqlite3"} == set()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["profiles"], 1, b""),
        (["--help"], 1, b""),
        (["nope", "--json"], 2, b"error: No such command 'nope'\n"),
    ],
)
def test_a_reader_who_leaves_is_no_error(arguments: list[str], code: int, text: bytes) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([*TRANSFER, *arguments], stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert done.returncode == code
    assert done.stderr.startswith(text)
    assert b"Broken" not in done.stderr
    assert bool(done.stderr) == bool(text)


def test_names_that_the_terminals_encoding_cannot_say_are_escaped(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    disk = tmp_path / "disk.toml"
    disk.write_bytes(read_packaged("device_profiles", "folder.toml").replace(b"Any folder", "Größe".encode()))
    done = subprocess.run([*TRANSFER, "profiles", disk], capture_output=True, env=environment, check=False)
    assert done.returncode == 0
    assert b"Gr\\xf6\\xdfe, for tests" in done.stdout
    arguments = [*map(os.fsencode, TRANSFER), b"profiles", "é\u202e".encode() + b"\xff/x"]
    done = subprocess.run(arguments, capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert b"\\xe9\\u202e\\xff/x" in done.stderr
