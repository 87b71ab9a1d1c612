"""How long a job rests before it is tried again: longer each time, never for good. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import random

from transfer.core.retry import wait_s
from transfer.errors import TransferError


@dataclass(frozen=True, slots=True)
class Patience:
    """The waits between the runs of a job whose store or device is away.

    Attributes:
        first_s: ceiling of the first wait; every further one doubles it.
        longest_s: no ceiling is higher.
        random: gives numbers from 0 to 1.
    """

    first_s: float = 10.0
    longest_s: float = 600.0
    random: Callable[[], float] = random

    def wait_s(self, failures: int, error: TransferError) -> float:
        """Seconds until the next try.

        Half of the ceiling and a random share of the other half: jobs that failed together do not come back
        together. Longer where the store asks for it.

        Args:
            failures: in a row, this one included; from 1.
            error: what the last one was.
        """
        # Beyond some doublings the ceiling is reached; 2.0**1024 would be an error.
        ceiling_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 64))
        return wait_s(ceiling_s * (0.5 + 0.5 * self.random()), error, ceiling_s=self.longest_s)
