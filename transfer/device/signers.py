"""The file of `--signers`: whose signatures count."""

from __future__ import annotations

from transfer.device.key_files import read_public_file
from transfer.errors import UsageError
from transfer.formats.allowed_signers import MAX_SIGNERS_BYTES, AllowedSigners

_WHAT = "file of allowed signers"


def load_signers(path: str) -> AllowedSigners:
    """The allowed signers of a file.

    Raises:
        UsageError: it cannot be read, is too large, or has a line that is none.
    """
    content = read_public_file(path, _WHAT, limit_bytes=MAX_SIGNERS_BYTES)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}, line {line}: it is not UTF-8", remedy=f"name a {_WHAT}") from None
    return AllowedSigners.parse(text, path)
