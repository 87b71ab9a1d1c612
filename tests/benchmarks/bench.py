"""Ours against the peers, on the same data, in the same run: `python -m tests.benchmarks.bench [--help]`.

Prints one table of medians, ratios and targets, and writes the same as JSON and as a chart. Works are chosen
by name; those that need minutes or much memory are done with --full, or when named. It says what is missing
and what does not fit. What was measured before Ctrl-C is shown; nothing is left behind, no process and no
file but the results.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tests.benchmarks import (
    programs,
    work_copy,
    work_export,
    work_growth,
    work_import,
    work_restore,
    work_resume,
    work_startup,
    work_verify,
)
from tests.benchmarks.chart import draw
from tests.benchmarks.machine import describe
from tests.benchmarks.places import NoRoomError
from tests.benchmarks.processes import ProgramError
from tests.benchmarks.publish import publish
from tests.benchmarks.results import Report, Row, decode, encode
from tests.benchmarks.setting import Setting
from tests.benchmarks.table import text
from tests.benchmarks.targets import missed

_BUILD = Path("build")
_ENDS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class _Work:
    measure: Callable[[Setting], Row]
    full_only: bool = False


WORKS = {
    "copy-small": _Work(work_copy.small),
    "copy-small-disk": _Work(work_copy.small_on_disk),
    "copy-large": _Work(work_copy.large),
    "copy-mixed": _Work(work_copy.mixed),
    "verify-small": _Work(work_verify.small),
    "verify-large": _Work(work_verify.large),
    "resume": _Work(work_resume.once),
    "resume-ten": _Work(work_resume.ten_times, full_only=True),
    "import-large": _Work(work_import.large),
    "import-small": _Work(work_import.small),
    "export-large": _Work(work_export.large),
    "export-small": _Work(work_export.small),
    "restore-large": _Work(work_restore.large),
    "restore-small": _Work(work_restore.small),
    "startup": _Work(work_startup.startup),
    "memory": _Work(work_growth.memory, full_only=True),
    "growth-files": _Work(work_growth.files, full_only=True),
    "growth-bytes": _Work(work_growth.size, full_only=True),
}


def main() -> int:
    """Exit code 1 where a work could not be done; targets that are missed are told, not failed."""
    told = _parser().parse_args()
    if told.redraw:
        report = decode(told.redraw.read_bytes())
        _show(report, told, is_whole=True)
        return 0
    _name_missing()
    for number in _ENDS:
        signal.signal(number, _interrupt)
    report = _new_report(told)
    is_whole = _measure(report, told)
    told.json.parent.mkdir(parents=True, exist_ok=True)
    told.json.write_bytes(encode(report))
    _show(report, told, is_whole=is_whole)
    if not is_whole:
        return 130
    return int(any(not row.entries for row in report.rows))


def _new_report(told: argparse.Namespace) -> Report:
    started = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return Report(started, describe(told.disk), told.rounds, told.scale, [])


def _measure(report: Report, told: argparse.Namespace) -> bool:
    """Add a row for each work to the report; False when it was interrupted."""
    setting = Setting(told.rounds, told.scale, told.disk, told.mixed)
    names = told.only or [name for name, work in WORKS.items() if told.full or not work.full_only]
    try:
        for name in names:
            report.rows.append(_row(name, setting))
    except KeyboardInterrupt:
        setting.say("\ninterrupted; what was measured until then:")
        return False
    return True


def _row(name: str, setting: Setting) -> Row:
    """One work; where it cannot be done, a row that says why."""
    try:
        return WORKS[name].measure(setting)
    except (NoRoomError, ProgramError, TimeoutError, subprocess.CalledProcessError) as error:
        setting.say(f"\n!! {name}: {error}")
        return Row(name, "not measured", notes=[str(error)])
    finally:
        setting.say("")


def _show(report: Report, told: argparse.Namespace, *, is_whole: bool) -> None:
    print(text(report))
    if report.scale != 1:
        print(f"\nThe datasets were scaled by {report.scale:g}: the marks mean nothing.")
    print(f"\n{len(missed(report))} targets missed.")
    if not programs.has_matplotlib():
        print("No chart: matplotlib is missing; pip install '.[bench]'", file=sys.stderr)
    elif told.publish and is_whole:
        publish(report)
    elif draw(report, told.chart):
        print(f"chart: {told.chart}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench", description=__doc__)
    parser.add_argument(
        "--only", type=_names, metavar="WORK,...", help=f"these works alone: {', '.join(WORKS)}"
    )
    parser.add_argument("--full", action="store_true", help="the long works too: a million files, 16 GiB")
    parser.add_argument("--rounds", type=_at_least_one, default=5, help="how many are timed (default 5)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="make the datasets so much smaller (default 1)"
    )
    parser.add_argument("--json", type=Path, default=_BUILD / "benchmark.json", help="where results go")
    parser.add_argument("--chart", type=Path, default=_BUILD / "benchmark.png", help="where the chart goes")
    parser.add_argument(
        "--publish", action="store_true", help="tables into docs/performance.md, chart into docs/images"
    )
    parser.add_argument(
        "--redraw", type=Path, metavar="JSON", help="measure nothing, show what is written there"
    )
    parser.add_argument("--disk", type=Path, default=_BUILD, help="a folder on the disk to be measured")
    parser.add_argument(
        "--mixed",
        type=Path,
        default=Path(sysconfig.get_path("purelib")),
        help="the tree for MIXED (default: what is installed in this environment)",
    )
    return parser


def _names(words: str) -> list[str]:
    names = words.split(",")
    if unknown := [name for name in names if name not in WORKS]:
        raise argparse.ArgumentTypeError(f"no work is called {', '.join(unknown)}")
    return names


def _at_least_one(words: str) -> int:
    count = int(words)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one round")
    return count


def _name_missing() -> None:
    for peer in programs.ALL:
        if peer.missing:
            print(f"!! {peer.missing}", file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    """Stop what is running; a second signal must not stop the cleaning up."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
