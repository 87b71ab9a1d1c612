"""The peers of copy, each as its manual has it for copying a folder with all its attributes.

rclone compares checksums after copying and restic and bagit make some, as ours does; cp, rsync and tar make
none. Each is given as many processors as there are, where it can be told.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import programs
from tests.benchmarks.datasets import Content, contents
from tests.benchmarks.processes import ProgramError
from tests.benchmarks.race import Contender, NotDoneError
from tests.benchmarks.targets import BAGIT, CP, RCLONE, RESTIC, RSYNC, TAR

_PROCESSORS = str(os.cpu_count() or 1)
_ARCHIVE = "archive.tar.zst"


def copy_peers(source: Path, content: Content, scratch: Path) -> list[Contender]:
    """All of them. `scratch` is a folder of theirs beside the target: restic's cache goes there."""
    return [
        _tree(CP, programs.CP, content, lambda to: ["-a", source, to]),
        _tree(RSYNC, programs.RSYNC, content, lambda to: ["-a", f"{source}/", f"{to}/"]),
        # Its defaults, named: more of them made it no faster on two processors.
        _tree(
            RCLONE,
            programs.RCLONE,
            content,
            lambda to: ["copy", "--links", "--transfers", "4", "--checkers", "8", source, to],
        ),
        _tar(source, content),
        _restic(source, content, scratch),
        _bagit(source, content),
    ]


def _tree(
    name: str, peer: programs.Peer, content: Content, arguments: Callable[[Path], list[str | Path]]
) -> Contender:
    return Contender(
        name,
        lambda target: [peer.path, *arguments(target / "copy")],
        env=lambda _target: {"RCLONE_CONFIG": os.devnull},
        check=lambda target: _compare(contents(target / "copy"), content),
        missing=peer.missing,
    )


def _tar(source: Path, content: Content) -> Contender:
    script = f'"$0" -C "$2" -cf - . | "$1" -1 -T{_PROCESSORS} -q -o "$3"'
    tar, zstd = programs.TAR, programs.ZSTD

    def check(target: Path) -> None:
        listing = subprocess.run(
            [tar.path, "-I", f"{zstd.path} -d", "-tf", target / _ARCHIVE], stdout=subprocess.PIPE, check=True
        )
        files = sum(not line.endswith(b"/") for line in listing.stdout.splitlines())
        if files != content.files:
            raise NotDoneError(f"the archive has {files} of {content.files} files")

    return Contender(
        TAR,
        lambda target: ["sh", "-c", script, tar.path, zstd.path, source, target / _ARCHIVE],
        check=check,
        missing=tar.missing or zstd.missing,
    )


def _restic(source: Path, content: Content, scratch: Path) -> Contender:
    restic = programs.RESTIC

    def env(target: Path) -> dict[str, str]:
        # The cache goes by the repository's random id: it is cold for every new one.
        return {
            "RESTIC_REPOSITORY": os.fspath(target),
            "RESTIC_PASSWORD": "benchmark",
            "RESTIC_CACHE_DIR": os.fspath(scratch),
        }

    def call(target: Path, *arguments: str) -> str:
        done = subprocess.run(
            [restic.path, *arguments],
            env={**os.environ, **env(target)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProgramError(f"restic {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}")
        return done.stdout

    def check(target: Path) -> None:
        listed = sum(not line.endswith("/") for line in call(target, "ls", "latest").splitlines())
        if listed < content.files:
            raise NotDoneError(f"the snapshot has {listed} of {content.files} files")

    return Contender(
        RESTIC,
        lambda _target: [restic.path, "backup", "--quiet", "--compression", "auto", source],
        env=env,
        prepare=lambda target: _ignore(call(target, "init")),
        check=check,
        missing=restic.missing,
    )


def _bagit(source: Path, content: Content) -> Contender:
    script = f'"$0" -a "$2" "$3" && "$1" --quiet --processes {_PROCESSORS} --sha256 "$3"'
    cp, bagit = programs.CP, programs.BAGIT

    def check(target: Path) -> None:
        _compare(contents(target / "bag" / "data"), content)
        if not (target / "bag" / "manifest-sha256.txt").exists():
            raise NotDoneError("the bag has no manifest")

    return Contender(
        BAGIT,
        lambda target: ["sh", "-c", script, cp.path, bagit.path, source, target / "bag"],
        check=check,
        missing=cp.missing or bagit.missing,
    )


def _ignore(_output: str) -> None:
    """What `restic init` says is of no use here."""


def _compare(found: Content, expected: Content) -> None:
    if found != expected:
        raise NotDoneError(f"the copy has {found}, the source {expected}")
