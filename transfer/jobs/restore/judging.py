"""Whether an entry is to be written, where its name may be taken: `--if-exists`, as far as stat tells."""

from __future__ import annotations

import os
import stat
from enum import Enum

from transfer.core.records import Symlink
from transfer.jobs.restore.if_exists import IfExists


class Verdict(Enum):
    """What becomes of an entry."""

    WRITE = "write"
    DONE = "done"  # it is there, the same
    SKIP = "skip"
    REFUSE = "refuse"


def judge(mtime_ns: int, size_bytes: int, there: os.stat_result | None, policy: IfExists) -> Verdict:
    """What becomes of a file or hard link whose path is taken by `there`; None: it is free."""
    if there is None:
        return Verdict.WRITE
    is_same = (
        policy is not IfExists.FAIL
        and stat.S_ISREG(there.st_mode)
        and (there.st_size, there.st_mtime_ns) == (size_bytes, mtime_ns)
    )
    return Verdict.DONE if is_same else settle(mtime_ns, there, policy)


def judge_symlink(
    record: Symlink, leads_to: bytes, there: os.stat_result | None, policy: IfExists
) -> Verdict:
    """The same of a symbolic link; `leads_to` is the target of what is there, empty where that is none."""
    if there is None:
        return Verdict.WRITE
    if policy is not IfExists.FAIL and leads_to == record.target_bytes:
        return Verdict.DONE
    return settle(record.mtime_ns, there, policy)


def settle(mtime_ns: int, there: os.stat_result, policy: IfExists) -> Verdict:
    """What becomes of an entry where something else has its path."""
    match policy:
        case IfExists.SKIP:
            return Verdict.SKIP
        case IfExists.OVERWRITE:
            return Verdict.WRITE
        case IfExists.NEWER:
            return Verdict.WRITE if mtime_ns > there.st_mtime_ns else Verdict.SKIP
        case _:
            return Verdict.REFUSE


def refusal(there: os.stat_result) -> str:
    """Why what is there is in the way."""
    kind = {stat.S_IFREG: "another file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link"}
    name = kind.get(stat.S_IFMT(there.st_mode), "something that is no file")
    return f"{name} has its path already; --if-exists overwrite replaces it, skip leaves it"
