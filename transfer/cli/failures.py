"""Errors to exit codes: the one table, and what is said about each.

    TransferError      its own exit code, what and remedy (transfer/errors.py draws the tree)
    wrong options      2
    KeyboardInterrupt  130
    OSError            1, in the system's words: a disk or file that failed in a way nobody foresaw
    anything else      1, "internal error": a fault of ours, to be reported

Task groups wrap what went wrong in exception groups. Of several errors the worst is told: an interruption
before a fault of ours, before the first of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from transfer.cli.console import printable
from transfer.errors import TransferError

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Failure:
    """How a command ended that did not end well.

    Attributes:
        type: the error's class, for programs.
        what: what happened, in one line.
        remedy: what to do about it; may be empty.
        exit_code: how the process exits.
    """

    type: str
    what: str
    remedy: str
    exit_code: int

    def document(self) -> dict[str, Any]:
        """The JSON document of an error; what is not printable, and so may be no Unicode, is escaped."""
        return {"error": asdict(replace(self, what=printable(self.what), remedy=printable(self.remedy)))}


def describe(error: BaseException) -> Failure:
    """What to tell about an error, and the exit code it ends the command with."""
    leaves = list(_leaves(error))
    # A stable sort: the first of the worst kind.
    worst = sorted(leaves, key=_rank)[0]
    failure = _describe_one(worst)
    if len(leaves) == 1 or failure.exit_code == INTERRUPTED:
        return failure
    more = f"{failure.what} (and {len(leaves) - 1} more errors)"
    return Failure(failure.type, more, failure.remedy, failure.exit_code)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _rank(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 0
    return 2 if isinstance(error, TransferError | OSError) else 1


def _describe_one(error: BaseException) -> Failure:
    name = type(error).__name__
    if isinstance(error, TransferError):
        return Failure(name, error.what, error.remedy, error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("Interrupted", "interrupted", "give the same command again to go on", INTERRUPTED)
    if isinstance(error, OSError):
        return Failure(name, str(error) or name, "", 1)
    report = "please report this with the command you gave; TRANSFER_DEBUG=1 shows where it happened"
    return Failure("InternalError", f"internal error: {name}: {error}", report, 1)
