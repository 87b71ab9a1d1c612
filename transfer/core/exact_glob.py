"""The pattern of `globs` that matches one path and no other.

Does not: know of signs or comments; a pattern begins with "/", which is neither.
"""

from __future__ import annotations

import re
from typing import Final

from transfer.core.globs import MAX_GLOB_CHARACTERS

_SPECIAL: Final = re.compile(r"[*?\[\]{}\\]")


def exact_glob(path: bytes) -> str | None:
    """The anchored pattern of a path, fit for a line of a rule file; None where it would be too long.

    A newline, which no line can hold, becomes an expression; white space at the end, which a reader of lines
    takes away, becomes a set.

    Args:
        path: relative to the source; a directory's ends in "/". Bytes that are no UTF-8 become surrogates, as
            `filters` reads them.
    """
    text = path.decode("utf-8", "surrogateescape")
    end = text[-1:] if text[-1:].isspace() and text[-1:] != "\n" else ""
    pattern = "/" + _SPECIAL.sub(r"\\\g<0>", text.removesuffix(end)).replace("\n", r"{{\n}}")
    pattern += f"[{end}]" if end else ""
    return pattern if len(pattern) <= MAX_GLOB_CHARACTERS else None
