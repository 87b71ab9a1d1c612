"""processes, race, places: costs are those of the whole tree, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.benchmarks import places
from tests.benchmarks.first_write import FirstWrite
from tests.benchmarks.places import NoRoomError, on_disk, tmpfs
from tests.benchmarks.processes import ProgramError, end_session, measure
from tests.benchmarks.race import Contender, NotDoneError, Race
from tests.benchmarks.sink_load import ceiling, measured_sink

# Some processor time, however long that takes.
BURN_S = 0.3
BURN = f"{sys.executable} -S -c 'import time\nwhile time.process_time() < {BURN_S}: pass'"
# Holds 64 MiB while a chain of so many further processes does the same; the last one is busy for a while.
HOLD = f"""
import subprocess, sys, time
held, left = bytearray(b"x") * (64 << 20), int(sys.argv[2])
if left:
    subprocess.run([sys.executable, "-S", "-c", sys.argv[1], sys.argv[1], str(left - 1)], check=True)
while not left and time.process_time() < {BURN_S}:
    pass
"""
MIB = 1 << 20


@pytest.mark.parametrize(
    "script", [f"exec {BURN}", f"{BURN} & wait", f"{BURN} &"], ids=["self", "child", "orphan"]
)
def test_processor_time_is_that_of_the_whole_tree(script: str) -> None:
    cost = measure(["sh", "-c", script]).cost
    assert cost.cpu_s is not None
    assert BURN_S <= cost.cpu_s < BURN_S + 0.5


def test_peak_memory_is_the_sum_over_the_tree() -> None:
    one, two = (
        measure([sys.executable, "-S", "-c", HOLD, HOLD, str(further)], watch_memory=True)
        for further in (0, 1)
    )
    assert 60 * MIB < one.peak_bytes < 100 * MIB
    assert 120 * MIB < two.peak_bytes < 180 * MIB


def test_a_program_that_fails_is_an_error_with_what_it_said() -> None:
    with pytest.raises(ProgramError, match="sh ended with 3: no such luck"):
        measure(["sh", "-c", "echo no such luck >&2; exit 3"])


def test_a_session_can_be_ended_with_all_its_processes() -> None:
    process = subprocess.Popen(
        ["sh", "-c", "sleep 100 & echo $!; wait"], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    with process.stdout:
        child = int(process.stdout.readline())
    end_session(process)
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_race_takes_turns_from_fresh_targets(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def contender(name: str, **given: object) -> Contender:
        script = f'test -z "$(ls "$0")" && touch "$0/{name}" && echo {name} >> {log}'
        return Contender(name, lambda target: ["sh", "-c", script, target], **given)  # type: ignore[arg-type]

    def unfinished(_target: Path) -> None:
        raise NotDoneError("half of it")

    entries = Race(tmp_path / "target", rounds=2).run(
        [contender("a"), contender("b"), contender("c", missing="not here"), contender("d", check=unfinished)]
    )
    assert log.read_text().split() == ["a", "b", "d", "a", "b", "b", "a"]
    assert [len(entry.costs) for entry in entries] == [2, 2, 0, 0]
    assert [entry.note for entry in entries] == ["", "", "not here", "no figures: half of it"]


def test_a_contender_that_fails_is_out_and_the_others_go_on(tmp_path: Path) -> None:
    good = Contender("good", lambda _target: ["true"])
    bad = Contender("bad", lambda _target: ["false"])
    entries = Race(tmp_path / "target", rounds=1).run([bad, good])
    assert [len(entry.costs) for entry in entries] == [0, 1]
    assert "false ended with 1" in entries[0].note


def test_places_are_gone_after_an_error(tmp_path: Path) -> None:
    found: list[Path] = []
    for place in (tmpfs(MIB), on_disk(tmp_path / "disk", MIB)):
        with pytest.raises(KeyboardInterrupt), place as folder:
            (folder / "file").write_bytes(b"x")
            found.append(folder)
            raise KeyboardInterrupt
    assert len(found) == 2
    assert not any(folder.exists() for folder in found)
    assert list((tmp_path / "disk").iterdir()) == []


def test_what_does_not_fit_is_refused_before_it_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "available_memory_bytes", lambda: 3 * places.GIB)
    with pytest.raises(NoRoomError, match=r"needs 2\.0 GiB in memory, where 1\.5 GiB"), tmpfs(2 * places.GIB):
        pass
    with pytest.raises(NoRoomError, match="on the disk"), on_disk(tmp_path / "disk", 1 << 60):
        pass


def test_first_write_is_into_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"")
    with FirstWrite(tmp_path) as event:
        (tmp_path / "old").write_bytes(b"more")
        (tmp_path / "empty").touch()
        with pytest.raises(TimeoutError):
            event.wait(0.05)
        writer = threading.Thread(target=(tmp_path / "new").write_bytes, args=(b"content",))
        writer.start()
        assert event.wait(30) > 0
        writer.join()


def test_the_sink_has_a_ceiling_and_is_gone_after_an_error() -> None:
    pid = 0
    with pytest.raises(KeyboardInterrupt), measured_sink() as sink:
        pid = sink.pid
        most_bytes_s, most_requests_s = ceiling(sink.server)
        assert most_bytes_s > MIB
        assert most_requests_s > 100
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
