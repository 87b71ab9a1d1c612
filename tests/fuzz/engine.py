"""Runs one target in this process: cases from a seed, under a limit of memory, until time or count is over.

Where a refusal comes up tells whether it is new: a case that is refused on another line of the product, or
that is accepted in another way, joins the pool that later cases are made from. The case at hand lies in a
shared file, so that whoever watches knows it, even if this process is killed or hangs.
"""

from __future__ import annotations

import gc
import hashlib
import mmap
import os
import re
import resource
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.mutation import MAX_CASE_BYTES
from tests.fuzz.targets import Target
from transfer.errors import TransferError

LIMIT_BYTES = 256 << 20
_MAX_POOL_BYTES = 24 << 20
_SHRINK_S = 10.0
_FIELD = re.compile(r"missing required field `\w+`|- at `\$[\w.\[\]]*`$")
_SLOT_BYTES = 8 * MAX_CASE_BYTES


class AtHand:
    """The case at hand and how many there were, in a file that two processes share."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(_SLOT_BYTES + 16)
            self._memory = mmap.mmap(file.fileno(), 0)

    def put(self, number: int, case: bytes) -> None:
        case = case[:_SLOT_BYTES]
        self._memory[:16] = number.to_bytes(8, "little") + len(case).to_bytes(8, "little")
        self._memory[16 : 16 + len(case)] = case

    def get(self) -> tuple[int, bytes]:
        number, size = (int.from_bytes(self._memory[at : at + 8], "little") for at in (0, 8))
        return number, self._memory[16 : 16 + size]


@dataclass
class Crash:
    """A case that broke the law: what happened, and where."""

    case: bytes
    what: str
    place: str
    details: str


@dataclass
class Result:
    """What a run came to.

    Attributes:
        outcomes: how often what became of a case.
    """

    target: str
    seed: int
    cases: int = 0
    elapsed_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: list[Crash] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """How many cases were not refused."""
        return sum(count for outcome, count in self.outcomes.items() if not outcome.startswith("refused"))


def limit_memory() -> None:
    """From now on this process gets no more than LIMIT_BYTES beyond what it has."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def lift_limit() -> None:
    """Of memory, for what is none of the product's work."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def fuzz(
    target: Target,
    seed: int,
    *,
    seconds: float,
    cases: int | None = None,
    at_hand: AtHand,
    limit: bool = True,
) -> Result:
    """Run a target.

    Args:
        target: what is fuzzed.
        seed: chance comes from it and the target's name alone.
        seconds: how long, unless `cases` says how many.
        cases: how many; then the time does not matter.
        at_hand: told each case before it is tried.
        limit: of memory, while cases are tried.
    """
    threading.stack_size(1 << 20)  # of threads; the limit counts what is reserved
    rng = Random(f"{seed} {target.name}")
    result = Result(target.name, seed)
    pool = target.seeds()
    for case in pool[:3]:  # what is imported late is there when the limit is set
        at_hand.put(0, case)
        attempt(target, case)
    if limit:
        limit_memory()
    start = time.monotonic()
    for case in pool:
        _try(target, case, result, at_hand)
    made = len(pool)
    while result.cases < made + cases if cases is not None else time.monotonic() - start < seconds:
        # Half of them of a seed: what was changed often is refused early.
        parent = pool[rng.randrange(made if rng.randrange(2) else len(pool))]
        case = target.mutate(rng, parent, pool)
        is_new = _try(target, case, result, at_hand)
        if is_new and sum(map(len, pool)) + len(case) < _MAX_POOL_BYTES:
            pool.append(case)
    result.elapsed_s = time.monotonic() - start
    if limit:
        lift_limit()
    for crash in result.crashes:
        crash.case = shrunk(target, crash, at_hand)
    return result


def _try(target: Target, case: bytes, result: Result, at_hand: AtHand) -> bool:
    """Try a case; whether something new became of it."""
    result.cases += 1
    at_hand.put(result.cases, case)
    outcome = attempt(target, case)
    if isinstance(outcome, Crash):
        known = [crash.place for crash in result.crashes]
        if outcome.place not in known:
            result.crashes.append(outcome)
        return False
    result.outcomes[outcome] += 1
    return result.outcomes[outcome] == 1


def attempt(target: Target, case: bytes) -> str | Crash:
    """What becomes of a case: a word, or a crash."""
    try:
        return target.run(case)
    except TransferError as error:
        if re.search(r"out of memory|not enough memory|[Aa]llocation error", error.what):
            return _crash(case, error)
        return f"refused: {_road(error)}"
    except Exception as error:
        return _crash(case, error)


def _road(error: TransferError) -> str:
    """The lines of the product on which it came up, and the field that a decoder names."""
    frames = [f for f in traceback.extract_tb(error.__traceback__, limit=-4) if "/transfer/" in f.filename]
    lines = " ".join(f"{Path(f.filename).stem}:{f.lineno}" for f in frames)
    return f"{type(error).__name__} {lines} {' '.join(_FIELD.findall(error.what)[:1])[:80]}"


def _crash(case: bytes, error: BaseException) -> Crash:
    """The innermost place in the product names a crash; its message may differ each time."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f for f in reversed(frames) if "/transfer/" in f.filename), frames[-1])
    what = f"{type(error).__name__}: {str(error)[:200]!a}"
    name = f"{type(error).__name__} at {'/'.join(Path(place.filename).parts[-3:])}:{place.lineno}"
    return Crash(case, what, name, "".join(traceback.format_exception(error))[-20_000:])


def shrunk(target: Target, crash: Crash, at_hand: AtHand) -> bytes:
    """The crash's case with as much left out as possible while the same happens."""
    ends = time.monotonic() + _SHRINK_S

    def still(case: bytes) -> bool:
        at_hand.put(0, case)
        found = attempt(target, case)
        return isinstance(found, Crash) and found.place == crash.place

    case, size = crash.case, max(1, len(crash.case) // 2)
    while time.monotonic() < ends:
        smaller = _without(case, size, still, ends)
        if len(smaller) == len(case) and size == 1:
            break
        case, size = smaller, max(1, min(size // 2, len(smaller) // 2))
    return case


def _without(case: bytes, size: int, still: Callable[[bytes], bool], ends: float) -> bytes:
    """The case without those of its pieces of `size` bytes that do not matter."""
    at = 0
    while at < len(case) and time.monotonic() < ends:
        smaller = case[:at] + case[at + size :]
        if still(smaller):
            case = smaller
        else:
            at += size
    return case


def save(crash: Crash, target: str, folder: Path) -> Path:
    """The case as a file that --replay takes, and what happened beside it."""
    path = folder / target / hashlib.sha256(crash.place.encode()).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(crash.case)
    path.with_suffix(".txt").write_text(f"{crash.place}\n{crash.what}\n\n{crash.details}", "utf-8", "replace")
    return path
