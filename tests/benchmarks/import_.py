"""Import measured against `s5cmd cp` of the original files: `python -m tests.benchmarks.import_ [--help]`.

Both send into a server that throws everything away, in turns, in the same run. Wall and processor time are
medians; memory is the largest of all runs. `--full` does the large cases instead: a file of 3 GiB and 200,000
small ones. `--ledger COUNT` measures the share of the ledger instead: small files, imported with it and with
one that forgets, in turns; the median of the rounds' ratios counts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.simulators.servers import S3Server, program
from tests.simulators.sink import sink_s3
from tests.simulators.trees import large_file, small_files

MIB = 1 << 20
_DESCRIPTIONS = {"wall_s": "s wall", "cpu_s": "s processor", "peak_mib": "MiB peak"}


@dataclass(frozen=True)
class Cost:
    """Of one process with its children."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="3 GiB in one file, 200,000 small files; one round"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ledger", type=int, metavar="COUNT", help="the ledger's share, with so many files")
    parser.add_argument("--place", help="where files and devices are made", default=None)
    told = parser.parse_args()
    size, count, rounds = (3072, 200_000, 1) if told.full else (512, 20_000, told.rounds)
    with tempfile.TemporaryDirectory(dir=told.place) as name, sink_s3() as server:
        place = Path(name)
        if told.ledger:
            _measure_ledger(place, server, told.ledger, told.rounds)
            return
        one, many = place / "one", place / "many"
        one.mkdir()
        many.mkdir()
        large_file(os.fsencode(one / "file"), size * MIB, seed=1)
        _compare(f"one file of {size} MiB", one, server, rounds)
        (one / "file").unlink()
        small_files(os.fsencode(many), count, seed=1)
        _compare(f"{count:,} files of about 3 KiB", many, server, rounds)


def _compare(what: str, source: Path, server: S3Server, rounds: int) -> None:
    device = _make_device(source)
    ledger = ["--ledger", device.with_name("ledger")]
    endpoint = ["--endpoint-url", server.endpoint_url]
    commands = {
        "transfer import": [program("transfer"), "import", device, "s3://bucket/t", *endpoint, "-q", *ledger],
        "s5cmd cp": [program("s5cmd"), *endpoint, "--log", "error", "cp", f"{source}/", "s3://bucket/s/"],
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(_run([os.fspath(word) for word in command], server))
    _print(what, costs)


def _measure_ledger(place: Path, server: S3Server, count: int, rounds: int) -> None:
    source = place / "files"
    source.mkdir()
    small_files(os.fsencode(source), count, seed=1)
    device = _make_device(source)
    shutil.rmtree(source)
    costs: dict[str, list[Cost]] = {"recorded": [], "forgotten": []}
    for round_ in range(rounds):
        for name, forgets in (("recorded", "no"), ("forgotten", "yes"))[:: 1 if round_ % 2 else -1]:
            ledger = place / f"ledger-{name}-{round_}"
            command = [sys.executable, "-m", "tests.benchmarks.dropping", forgets, "import", device]
            told = ["s3://bucket/t", "--endpoint-url", server.endpoint_url, "-q", "--ledger", ledger]
            costs[name].append(_run([os.fspath(word) for word in (*command, *told)], server))
            ledger.unlink()
    _print(f"{count:,} files of about 3 KiB, with the ledger and without", costs)
    pairs = list(zip(costs["recorded"], costs["forgotten"], strict=True))
    for key in ("wall_s", "cpu_s"):
        share = statistics.median(1 - vars(without)[key] / vars(with_)[key] for with_, without in pairs)
        print(f"  the ledger's share of {key}: {share:.1%}", flush=True)


def _make_device(source: Path) -> Path:
    device = source.with_name(source.name + "-device")
    device.mkdir()
    _transfer("prepare", device, "--profile", "usb-ssd-4tb", "--job", "benchmark", "--capacity", "20GiB")
    _transfer("copy", source, device)
    _transfer("seal", device)
    return device


def _transfer(*arguments: str | Path) -> None:
    subprocess.run([program("transfer"), *arguments, "-q"], check=True, stdout=subprocess.DEVNULL)


def _run(command: list[str], server: S3Server) -> Cost:
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    started = time.monotonic()
    process = subprocess.Popen(
        command, env={**os.environ, **keys, "AWS_REGION": "us-east-1"}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _print(what: str, costs: dict[str, list[Cost]]) -> None:
    print(what, flush=True)
    medians: dict[str, dict[str, float]] = {}
    for name, measured in costs.items():
        medians[name] = {
            key: statistics.median(vars(cost)[key] for cost in measured) for key in ("wall_s", "cpu_s")
        }
        medians[name]["peak_mib"] = max(cost.peak_mib for cost in measured)
        told = ", ".join(f"{value:.2f} {_DESCRIPTIONS[key]}" for key, value in medians[name].items())
        print(f"  {name:16} {told}")
    ours, theirs = medians.values()
    print(
        "  ratio            " + ", ".join(f"{ours[key] / theirs[key]:.2f} {key}" for key in ours), flush=True
    )


if __name__ == "__main__":
    main()
