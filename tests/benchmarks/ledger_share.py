"""What the ledger costs an import: `python -m tests.benchmarks.ledger_share [--help]`.

Small files are imported into a server that throws everything away, with the ledger and with one that forgets,
in turns; the median of the rounds' shares counts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from tests.benchmarks.appliance import fill
from tests.benchmarks.datasets import make_small
from tests.benchmarks.places import tmpfs
from tests.benchmarks.processes import measure
from tests.benchmarks.results import Cost
from tests.benchmarks.setting import room_for_small
from tests.benchmarks.sink_load import measured_sink
from tests.benchmarks.work_import import import_command, import_env


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    with tmpfs(room_for_small(told.files, 1)) as place:
        content = make_small(place / "source", told.files)
        fill(place / "source", place / "device")
        pairs = [_pair(place, round_) for round_ in range(told.rounds)]
    print(content)
    for metric in ("wall_s", "cpu_s"):
        shares = [1 - getattr(forgets, metric) / getattr(records, metric) for records, forgets in pairs]
        print(f"  the ledger's share of {metric}: {statistics.median(shares):.1%}")


def _pair(place: Path, round_: int) -> tuple[Cost, Cost]:
    """With the ledger, and without; every second round the other way about."""
    costs: dict[str, Cost] = {}
    for forgets in ("no", "yes") if round_ % 2 else ("yes", "no"):
        with measured_sink() as sink:
            arguments = import_command(place / "device", sink.server)[1:]
            command = [sys.executable, "-m", "tests.benchmarks.dropping", forgets, *arguments]
            costs[forgets] = measure(
                command, import_env(sink.server, place / f"state-{forgets}-{round_}")
            ).cost
    return costs["no"], costs["yes"]


if __name__ == "__main__":
    main()
