"""Start-up: how long the smallest commands take from start to end, and the bare interpreter beside them."""

from __future__ import annotations

import sys

from tests.benchmarks.appliance import fill, transfer
from tests.benchmarks.datasets import make_small
from tests.benchmarks.places import tmpfs
from tests.benchmarks.race import Contender, Race
from tests.benchmarks.results import Row
from tests.benchmarks.setting import Setting, room_for_small
from tests.benchmarks.targets import HELP, INFO

_RUNS = 20
_FILES = 1000


def startup(setting: Setting) -> Row:
    """`transfer --help` and `transfer info DEVICE`, 20 times each in turns."""
    with tmpfs(room_for_small(_FILES, 1)) as place:
        setting.say(f"startup: {_RUNS} runs of each")
        make_small(place / "source", _FILES)
        device = place / "device"
        fill(place / "source", device)
        entries = Race(place / "target", _RUNS).run(
            [
                Contender(HELP, lambda _target: transfer("--help"), kind="us"),
                Contender(INFO, lambda _target: transfer("info", device), kind="us"),
                Contender("python -c pass", lambda _target: [sys.executable, "-c", "pass"], kind="reference"),
            ]
        )
    title = f"start-up, {_RUNS} runs of each, whatever --rounds says; info of a device of {_FILES:,} files"
    return Row("startup", title, entries)
