"""A table of paths: what was put is there, in order; and a thread that outlives it does no harm."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.device.path_table import PathTable

# In a process of its own, since what it guards against is a crash.
_OUTLIVED = """
import sqlite3, sys, threading
from transfer.device.path_table import PathTable

def work(table, ended):
    try:
        while True:
            {work}
    except sqlite3.ProgrammingError:
        ended.set()

for _ in range(60):
    ended = threading.Event()
    with PathTable() as table:
        for number in range(2000):
            table.put(b"%d" % number, "x" * 100)
        threading.Thread(target=work, args=(table, ended), daemon=True).start()
    assert ended.wait(30)
"""


@given(st.dictionaries(st.binary(min_size=1, max_size=5), st.text(max_size=5)))
def test_what_was_put_is_there_in_order(told: dict[bytes, str]) -> None:
    with PathTable() as table:
        for path, value in told.items():
            table.put(path, "another")
            table.put(path, value)
        assert list(table.items()) == sorted(told.items())
        assert all(table.get(path) == value for path, value in told.items())
        assert table.get(b"longer than any") is None


@pytest.mark.parametrize(
    "work", ["table.get(b'7')", "table.put(b'7', 'y')", "list(table.items())"], ids=["get", "put", "items"]
)
def test_a_thread_that_outlives_it_gets_an_error(work: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _OUTLIVED.replace("{work}", work)],
        capture_output=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr.decode()
