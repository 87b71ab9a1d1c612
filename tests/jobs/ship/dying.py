"""A process that dies at a chosen call, in this process: quick enough to try every one."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from transfer.jobs.ship.options import ShipOptions


class DeadError(BaseException):
    """The process died: nothing that handles errors handles this."""


CALLS = ("mkdir", "rename", "fsync", "unlink", "rmdir", "ftruncate", "pwrite")


@dataclass
class Death:
    """Lets the process die before the n-th call that changes a disk."""

    nth: int
    patch: pytest.MonkeyPatch
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name in CALLS:
            self.patch.setattr(os, name, self._dying(getattr(os, name)))

    def _dying(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            with self.lock:
                self.count += 1
                count = self.count
            if count >= self.nth:
                raise DeadError
            return call(*arguments, **options)

        return wrapped


def as_options(words: tuple[str, ...]) -> ShipOptions:
    values = dict(itertools.pairwise(words))
    faults = tuple(after for word, after in itertools.pairwise(words) if word == "--fault")
    seed = int(values["--seed"]) if "--seed" in values else None
    return ShipOptions(move="--move" in words, faults=faults, seed=seed)
