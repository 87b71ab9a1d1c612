"""`--if-exists`: a module of its own, as worker processes load no more than they need."""

from __future__ import annotations

from enum import Enum


class IfExists(Enum):
    """What becomes of an entry whose name is taken in the directory."""

    SAME = "same"  # a file of the same size and time counts as restored; another one stays, the entry fails
    SKIP = "skip"  # whatever is there stays
    OVERWRITE = "overwrite"  # it is replaced, unless it is the same
    NEWER = "newer"  # it is replaced where it is older than the entry
    FAIL = "fail"  # whatever is there stays, and the entry fails
