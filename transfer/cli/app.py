"""The program: its commands, and how it ends.

Every command lives in a module with a function `register`; the table here says in which. Only the module of
the command that is called is loaded, and it imports what is heavy inside of its functions; all of them are
loaded for the help, and where there is no such command.

However a command ends, `main` turns it into an exit code by `failures`: one line on stderr says what
happened, a second one what to do, and with --json a document on stdout says the same. There is no traceback
unless TRANSFER_DEBUG=1 asks for it.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Final, NoReturn

import typer

from transfer.cli.console import Console
from transfer.cli.failures import INTERRUPTED, Failure, describe

HOMES: Final = {
    "profiles": "profiles",
    "plan": "plan",
    "keys": "keys",
    "prepare": "prepare",
    "copy": "copy",
    "export": "export",
    "seal": "seal",
    "verify": "verify",
    "info": "inspect",
    "ls": "inspect",
    "manifest": "manifest",
    "custody": "custody",
    "ship": "ship",
    "import": "import_",
    "restore": "restore",
    "check": "check",
    "certify": "certify",
    "erase": "erase",
    "serve": "serve",
    "tokens": "tokens",
    "demo": "demo",
}
"""The module in transfer.cli of each command, in the order of their help: that of a device's life."""

# typer keeps the base class of its errors about options to itself; BadParameter is one of them.
_OptionError: Final = typer.BadParameter.__bases__[0]


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        Console().line(f"transfer {version('transfer-appliance')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def application(command: str) -> typer.Typer:
    """The program with this command; with all of them where there is none of that name."""
    app = typer.Typer(
        name="transfer",
        help="Bulk data transfer by device: fill a disk, ship it, verify it, import it into buckets.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for home in [HOMES[command]] if command in HOMES else dict.fromkeys(HOMES.values()):
        import_module(f"transfer.cli.{home}").register(app)
    return app


def main() -> NoReturn:
    """Run the command of this process's arguments, and exit."""
    # Python would look for cyclic garbage among all modules before the process ends, which frees it anyway.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        # Names may hold what the terminal's encoding cannot say.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code, having said what there is to say."""
    try:
        code = _invoke(list(arguments) or ["--help"])
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any more: no error to speak of, but not done either
        return 1
    except BaseException as error:  # the last resort of the process: nothing may pass it as a traceback
        if isinstance(error, SystemExit):
            raise
        if os.environ.get("TRANSFER_DEBUG") == "1":
            sys.excepthook(type(error), error, error.__traceback__)
        return _report(_failure(error), as_json=_wants_json(arguments))
    return code


def _invoke(arguments: list[str]) -> int:
    # Not typer's own main: that exits by itself, and takes a broken connection for a reader who left.
    command = typer.main.get_command(application(arguments[0]))
    try:
        with command.make_context("transfer", arguments) as context:
            result = command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return result if isinstance(result, int) else 0


def _failure(error: BaseException) -> Failure:
    if isinstance(error, _OptionError):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "transfer"
        message = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        return Failure("UsageError", message, f"see '{command} --help'", 2)
    if isinstance(error, typer.Abort):
        return describe(KeyboardInterrupt())
    return describe(error)


def _report(failure: Failure, *, as_json: bool) -> int:
    console = Console(json=as_json)
    with suppress(BrokenPipeError):
        if as_json:
            console.record(failure.document())
    prefix = "" if failure.exit_code == INTERRUPTED else "error: "
    console.note(f"{prefix}{failure.what}")
    if failure.remedy:
        console.note(f"  {failure.remedy}")
    return failure.exit_code


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether --json is among the options, however wrong the rest of them is."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options
