"""The system programs that the tests need, as oracles and stages: found, named, installed where possible.

`python -m tests.tools` runs before the tests. As root on a system with apt-get it installs what is missing;
otherwise it says in one line what to install and goes on. The tests that need a missing program then fail
with the same line: none is skipped in silence. When all is there it only looks, which takes milliseconds.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

# Program: the Debian package it comes in.
PACKAGES = {
    "age": "age",
    "age-keygen": "age",
    "b3sum": "b3sum",
    "bsdtar": "libarchive-tools",
    "busybox": "busybox",
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "dash": "dash",
    "fusefat": "fusefat",
    "initdb": "postgresql",
    "losetup": "mount",
    "mkfs.exfat": "exfatprogs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mount": "mount",
    "mount.exfat-fuse": "exfat-fuse",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "ssh-add": "openssh-client",
    "ssh-agent": "openssh-client",
    "ssh-keygen": "openssh-client",
    "strace": "strace",
    "tar": "tar",
    "zstd": "zstd",
}

# Debian keeps mkfs and mount helpers where only root's PATH leads.
_SEARCH_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"

# It keeps PostgreSQL's server where nobody's PATH leads, a directory for each version.
_SERVER_PROGRAMS = "/usr/lib/postgresql/*/bin"


def find_tool(name: str) -> str | None:
    """The path of a program, or None where it is missing."""
    return shutil.which(name, path=os.pathsep.join([_SEARCH_PATH, *glob.glob(_SERVER_PROGRAMS)]))


def require_tool(name: str) -> str:
    """The path of a program; where it is missing the running test fails and says what to install."""
    path = find_tool(name)
    if path is None:
        import pytest  # half of the start-up time of a look that finds all there

        pytest.fail(remedy([name]), pytrace=False)
    return path


def remedy(names: Iterable[str]) -> str:
    """One line: which programs are missing, and the command that installs them on Debian."""
    names = list(names)
    return (
        f"missing programs: {' '.join(names)}; install them: apt-get install {' '.join(_packages_of(names))}"
    )


def main() -> int:
    """Install what is missing if this process may, else say so; 0 either way, for the tests to speak."""
    missing = [name for name in PACKAGES if find_tool(name) is None]
    if missing and os.geteuid() == 0 and find_tool("apt-get"):
        _install(_packages_of(missing))
        missing = [name for name in missing if find_tool(name) is None]
    if missing:
        print(remedy(missing), file=sys.stderr)
    return 0


def _packages_of(names: Iterable[str]) -> list[str]:
    return sorted({PACKAGES[name] for name in names})


def _install(packages: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
