"""No secret is written anywhere: credentials, keys, passphrases, codes and tokens are planted, every command
is given, with every kind of failure, and all that was written is searched for any piece of them.

Searched are standard output and error, logs, reports, ledger, state directory, devices, certificates, and the
command lines of all processes. What may hold a secret is left out by name: the key files that were planted,
the resume key of a device that is not sealed, and the one line by which `prepare --passphrase` and `tokens
add` show what they made.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator

import pytest
import zstandard

from tests.cli.canaries import Search, report
from tests.cli.echoing_server import echoing_server
from tests.cli.secrets_acts import (
    ask_the_bucket,
    ask_who_means_ill,
    end_devices,
    fill_devices,
    give_every_command_nonsense,
    open_with_what_is_wrong,
    serve,
)
from tests.cli.secrets_stage import Stage, plant
from tests.jobs.buckets import make_bucket
from tests.simulators.servers import rclone_s3


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything was done; what is left is to look."""
    root = tmp_path_factory.mktemp("secrets")
    with rclone_s3(tmp_path_factory.mktemp("buckets")) as server, echoing_server() as echo:
        stage = Stage(root, make_bucket(server, "secrets", "rclone"), echo)
        plant(stage)
        fill_devices(stage)
        open_with_what_is_wrong(stage)
        ask_the_bucket(stage)
        ask_who_means_ill(stage)
        serve(stage)
        give_every_command_nonsense(stage)
        end_devices(stage)
        yield stage


def _written(stage: Stage) -> Iterator[tuple[str, bytes]]:
    """All that was written, by where it is; compressed files as they are and as what they hold."""
    yield from stage.said.items()
    for title in stage.echo.titles:
        yield f"the title of a process, {title[:40]!r}", title
    for path in stage.root.rglob("*"):
        if not path.is_file() or path in stage.keys:
            continue
        name, data = os.fspath(path.relative_to(stage.root)), path.read_bytes()
        yield name, data
        yield f"the name of {name}", name.encode()
        if path.suffix == ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
            with contextlib.suppress(zstandard.ZstdError):
                yield f"the content of {name}", reader.read()


def test_nothing_secret_was_written(stage: Stage) -> None:
    search = Search(stage.secrets)
    leaks = [(place, secret) for place, text in _written(stage) for secret in search.found(text)]
    assert not leaks, report(leaks)


def test_all_commands_were_given_and_both_worked_and_failed(stage: Stage) -> None:
    """A stage on which nothing happens would prove nothing."""
    from transfer.cli.app import HOMES

    assert stage.endings.keys() >= HOMES.keys()
    for name in ("prepare", "copy", "seal", "verify", "info", "ls", "import", "certify", "keys", "tokens"):
        assert 0 in stage.endings[name], name
        assert stage.endings[name] - {0}, name
    assert {1, 2, 4, 12} <= {code for codes in stage.endings.values() for code in codes}
    assert len(stage.echo.titles) > 2


@pytest.mark.parametrize("spell", ["raw", "hex", "base64", "quoted", "json"])
def test_the_search_finds_a_piece_however_it_is_spelled(spell: str) -> None:
    import base64
    from urllib.parse import quote

    secret = b'a "secret"/with+all=sorts\nof\xc3\xa9 things in it'
    spelled = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "base64": base64.b64encode(b"before" + secret + b"behind"),
        "quoted": quote(secret).encode(),
        "json": json.dumps(secret.decode("latin-1")).encode(),
    }[spell]
    search = Search({"it": secret})
    assert search.found(b"some text " + spelled[8:-8] + b" more") == {"it"}
    assert search.found(b"some text, and nothing else that is of any interest to anybody") == set()
