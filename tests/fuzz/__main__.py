"""The command line: each target in a process of its own, watched; what it came to on standard output."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import engine
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "build/fuzz"
STUCK_S = 60.0
"""No case takes so long: then the process hangs."""


def main() -> int:
    """0: no law was broken."""
    told = _arguments()
    if told.replay:
        return replay(Path(told.replay))
    if told.child:
        return _child(told)
    unknown = set(told.targets) - TARGETS.keys()
    if unknown:
        print(
            f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}", file=sys.stderr
        )
        return 2
    seed = random.SystemRandom().randrange(1 << 32) if told.seed is None else told.seed
    print(f"seed {seed} (--seed {seed} makes the same cases again)")
    results = [watch([name], seed, told.seconds, told.cases) for name in told.targets or TARGETS]
    broken = sum(map(bool, results))
    print(f"{len(results)} targets, {broken} with broken laws")
    return int(broken > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", help="all of them, where none is named")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each target")
    parser.add_argument("--cases", type=int, help="so many for each target, however long they take")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--replay", help="try one case again; the folder it lies in is the target's")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def watch(names: Sequence[str], seed: int, seconds: float, cases: int | None) -> list[str]:
    """Run targets in a process of their own, print what they came to; the places of their crashes."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as folder:
        shared = Path(folder, "case")
        at_hand = engine.AtHand(shared)
        command = [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz", *names, "--child", str(shared)]
        command += ["--seed", str(seed), "--seconds", str(seconds)]
        command += ["--cases", str(cases)] if cases is not None else []
        # One arena: with one for each thread, address space is reserved that nobody uses.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "PYTHONHASHSEED": "0", "TMPDIR": folder}
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=ROOT)
            is_stuck = _wait(process, at_hand)
            out.seek(0)
            err.seek(0)
            reports, trouble = [json.loads(line) for line in out], err.read()
    found: list[str] = []
    for report in reports:
        print(report["text"], flush=True)
        found += report["places"]
    if process.returncode or len(reports) < len(names):
        name = names[min(len(reports), len(names) - 1)]
        found.append(_died(name, process.returncode, trouble, at_hand.get()[1], is_stuck=is_stuck))
    return found


def _wait(process: subprocess.Popen[bytes], at_hand: engine.AtHand) -> bool:
    """Until it ends; one that stands still is ended, and shows where it was. Whether that was so."""
    last, since = at_hand.get(), time.monotonic()
    while True:
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            now = at_hand.get()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > STUCK_S:
                process.send_signal(signal.SIGABRT)
                process.wait()
                return True
        else:
            return False


def _died(name: str, code: int, trouble: str, case: bytes, *, is_stuck: bool) -> str:
    place = f"it stood still for {STUCK_S:.0f} s" if is_stuck else f"the process ended with {code}"
    crash = engine.Crash(case, place, place, trouble[-20_000:])
    path = engine.save(crash, name, FOUND)
    print(f"{name}: {place}; {_how_to_replay(path)}\n{trouble[-2000:]}", flush=True)
    return place


def _child(told: argparse.Namespace) -> int:
    at_hand = engine.AtHand(Path(told.child))
    for name in told.targets:
        result = engine.fuzz(
            TARGETS[name], told.seed, seconds=told.seconds, cases=told.cases, at_hand=at_hand
        )
        rate = result.cases / max(result.elapsed_s, 0.001)
        text = f"{name}: {result.cases:,} cases in {result.elapsed_s:.1f} s, {rate:,.0f}/s, "
        text += f"{result.accepted:,} accepted, {len(result.outcomes):,} kinds of outcome, "
        text += f"{len(result.crashes)} crashes"
        for crash in result.crashes:
            path = engine.save(crash, name, FOUND)
            text += f"\n  {crash.place}: {crash.what}\n  {_how_to_replay(path)}"
        print(json.dumps({"text": text, "places": [crash.place for crash in result.crashes]}), flush=True)
    return 0


def _how_to_replay(path: Path) -> str:
    return f"python -m tests.fuzz --replay {path.relative_to(ROOT)}"


def replay(path: Path) -> int:
    """Try one case, under the limit, and print what becomes of it."""
    target = TARGETS[path.resolve().parent.name]
    engine.attempt(target, target.seeds()[0])
    engine.limit_memory()
    outcome = engine.attempt(target, path.read_bytes())
    print(outcome.details if isinstance(outcome, engine.Crash) else outcome)
    return int(isinstance(outcome, engine.Crash))


if __name__ == "__main__":
    sys.exit(main())
