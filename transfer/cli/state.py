"""Where the destination keeps what must last: its ledger, its tokens, the reports of its service.

The state directory is the first of: `$STATE_DIRECTORY` (systemd sets it), `$XDG_STATE_HOME/transfer`,
`~/.local/state/transfer` (XDG Base Directory Specification 0.8).
"""

from __future__ import annotations

import os

from transfer.errors import UsageError

LEDGER_NAME, TOKENS_NAME, REPORTS_NAME = "ledger.sqlite", "tokens.json", "reports"


def state_directory() -> str:
    """The state directory, which need not exist yet."""
    # systemd may name several, separated by colons; the first is the service's own.
    if given := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return given
    home = os.environ.get("XDG_STATE_HOME", "")
    # The specification wants relative paths to be ignored.
    if not os.path.isabs(home):
        home = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "transfer")


def make_state_directory(path: str) -> str:
    """Make a state directory, which only its owner may enter; the same path.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        what = f"state directory {path} cannot be made: {error.strerror}"
        raise UsageError(what, remedy="name another place with --state or --ledger") from None
    return path


def ledger_address(given: str | None) -> str:
    """The ledger that is asked for, or the one of the state directory, which is made.

    Raises:
        UsageError: the state directory cannot be made.
    """
    return given or os.path.join(make_state_directory(state_directory()), LEDGER_NAME)
