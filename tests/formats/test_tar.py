"""Tar headers against three independent readers: Python's tarfile, GNU tar and bsdtar."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tools import require_tool
from transfer.formats.tar import (
    END_OF_ARCHIVE,
    FOLDER,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    member_header,
    padding_bytes,
)

NS = 10**9
TOOLS = ["tar", "bsdtar"]


@dataclass(frozen=True)
class Member:
    path: bytes
    typeflag: bytes = REGULAR
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    user: str = ""
    group: str = ""
    target: bytes = b""
    xattrs: dict[str, str] = field(default_factory=dict)

    def header(self) -> bytes:
        owner = (self.mode, self.uid, self.gid, self.user, self.group)
        return member_header(
            self.path, self.typeflag, self.size, self.mtime_ns, owner, self.target, self.xattrs
        )

    def whole(self) -> bytes:
        content = self.content()
        return self.header() + content + bytes(padding_bytes(len(content)))

    def content(self) -> bytes:
        return (self.path * (self.size // len(self.path) + 1))[: self.size]


NAMES = st.binary(min_size=1, max_size=160).filter(
    lambda name: b"\0" not in name and name.strip(b"/") == name and b"//" not in name
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
IDS = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([2_097_151, 2_097_152]))
TIMES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-3, 3),
    st.sampled_from([-1_500_000_000, NS, NS + 1, (8**11 - 1) * NS, 8**11 * NS, -NS]),
)
FILES = st.builds(
    Member,
    path=NAMES,
    size=st.one_of(st.integers(0, 2**63 - 1), st.sampled_from([8**11 - 1, 8**11])),
    mtime_ns=TIMES,
    mode=st.integers(0, 0o7777),
    uid=IDS,
    gid=IDS,
    user=TEXTS,
    group=TEXTS,
    xattrs=st.dictionaries(
        TEXTS.filter(lambda name: name and "=" not in name),
        st.binary(max_size=40).map(lambda value: base64.b64encode(value).decode()),
        max_size=3,
    ),
)


def first_member(archive: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8", errors="surrogateescape") as opened:
        info = opened.next()
    assert info is not None
    return info


def exact_ns(info: tarfile.TarInfo) -> int:
    """The time in full: tarfile keeps it as a float."""
    text = info.pax_headers.get("mtime")
    if text is None:
        assert info.mtime == int(info.mtime)
        return int(info.mtime) * NS
    whole, _, fraction = text.lstrip("-").partition(".")
    ns = int(whole) * NS + int(fraction.ljust(9, "0"))
    return -ns if text.startswith("-") else ns


@given(FILES)
@example(Member(b"n" * 100, user="u" * 31, group="g" * 31))
@example(Member(b"n" * 101, user="u" * 32, group="g" * 32))
@example(Member("ü".encode(), mtime_ns=1, size=8**11))
def test_tarfile_reads_what_was_meant(member: Member) -> None:
    header = member.header()
    assert len(header) % 512 == 0
    info = first_member(header)
    assert info.name.encode("utf-8", "surrogateescape") == member.path
    assert (info.type, info.size, info.mode) == (REGULAR, member.size, member.mode)
    assert (info.uid, info.gid, info.uname, info.gname) == (member.uid, member.gid, member.user, member.group)
    assert exact_ns(info) == member.mtime_ns
    stated = {
        name.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
        for name, value in info.pax_headers.items()
        if name.startswith("SCHILY.xattr.")
    }
    assert stated == {name: base64.b64decode(value) for name, value in member.xattrs.items()}


@given(NAMES, NAMES, st.sampled_from([SYMBOLIC_LINK, HARD_LINK]))
def test_tarfile_reads_links(path: bytes, target: bytes, kind: bytes) -> None:
    header = Member(path, kind, target=target).header()
    info = first_member(header)
    assert info.type == kind
    assert info.linkname.encode("utf-8", "surrogateescape") == target


def test_plain_members_have_no_extended_header() -> None:
    plain = Member(b"n" * 100, size=8**11 - 1, mtime_ns=(8**11 - 1) * NS, uid=8**7 - 1, gid=8**7 - 1)
    assert len(plain.header()) == 512
    for more in (
        Member(b"n" * 101),
        Member(b"\xff"),
        Member("ü".encode()),
        Member(b"n", size=8**11),
        Member(b"n", mtime_ns=1),
        Member(b"n", mtime_ns=-NS),
        Member(b"n", uid=8**7),
        Member(b"n", gid=8**7),
        Member(b"n", user="ü"),
        Member(b"n", group="g" * 32),
        Member(b"n", SYMBOLIC_LINK, target=b"t" * 101),
        Member(b"n", xattrs={"user.a": ""}),
    ):
        assert len(more.header()) == 1536, more


# Each path is a whole tree of its own, so that all can be extracted side by side.
TREE = [
    Member(b"plain", size=5, mtime_ns=1_700_000_000 * NS),
    Member(b"empty"),
    Member(b"exactly one block", size=512),
    Member(b"one more", size=513, mode=0o600),
    Member(b"before the epoch", size=1, mtime_ns=-1_500_000_000),
    Member(b"long before", mtime_ns=-2_000_000_000 * NS),
    Member(b"to the nanosecond", mtime_ns=1_700_000_000 * NS + 123_456_789),
    Member(b"in a far future", mtime_ns=8**11 // 4 * NS),
    Member(b"latin-1 \xe4\xf6", size=3),
    Member(b"\xff\xfe\x80", size=3),
    Member("ü".encode() * 60, size=3),
    Member(b"n" * 255, size=3),
    Member(b"new\nline and = sign"),
    Member(b"-rf"),
    Member(b"folder/", FOLDER, mode=0o750, mtime_ns=1_600_000_000 * NS + 5),
    Member(b"folder/" + b"d" * 200 + b"/", FOLDER, mode=0o755),
    Member(b"folder/" + b"d" * 200 + b"/" + b"f" * 200, size=700),
    Member(b"link", SYMBOLIC_LINK, target=b"../nowhere", mode=0o777),
    Member(b"long link", SYMBOLIC_LINK, target=b"t" * 300, mode=0o777),
    Member(b"odd link", SYMBOLIC_LINK, target=b"\xff", mode=0o777),
    Member(b"plain hard", HARD_LINK, target=b"plain", mtime_ns=1_700_000_000 * NS),
    Member(b"hard to \xff", HARD_LINK, target=b"\xff\xfe\x80"),
    Member(b"large ids", uid=3_000_000_000, gid=2_097_152, user="somebody-with-a-rather-long-user-name-ü"),
]

# libarchive up to 3.7 at least reads "-1.5" as -1 and half a second more.
OTHERWISE = {("bsdtar", b"before the epoch"): -500_000_000}


@pytest.mark.parametrize("tool", TOOLS)
def test_tar_programs_restore_it(tool: str, tmp_path: Path) -> None:
    archive = b"".join(member.whole() for member in TREE) + END_OF_ARCHIVE
    command = [require_tool(tool), "-x", "-p", "--no-same-owner", "-f", "-", "-C", tmp_path]
    done = subprocess.run(command, input=archive, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    root = os.fsencode(tmp_path)
    found = {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
    }
    assert found == {member.path.rstrip(b"/") for member in TREE}
    for member in TREE:
        path = os.path.join(root, member.path.rstrip(b"/"))
        status = os.lstat(path)
        if member.typeflag == SYMBOLIC_LINK:
            assert os.readlink(path) == member.target
        elif member.typeflag == HARD_LINK:
            assert os.path.samefile(path, os.path.join(root, member.target))
        else:
            assert status.st_mtime_ns in (member.mtime_ns, OTHERWISE.get((tool, member.path))), member
            assert status.st_mode & 0o7777 == member.mode, member
        if member.typeflag == REGULAR:
            with open(path, "rb") as file:
                assert file.read() == member.content()


@pytest.mark.parametrize("tool", TOOLS)
def test_tar_programs_list_what_no_test_can_extract(tool: str) -> None:
    """Sizes without their content, and owners that only root could give away."""
    huge = Member(b"huge", size=2**43 + 1, mtime_ns=NS, uid=2**32 - 2, gid=2_097_153)
    command = [require_tool(tool), "-tv", "--numeric-owner", "-f", "-"]
    done = subprocess.run(command, input=huge.header(), capture_output=True, check=False)
    shown = done.stdout.decode()
    assert str(2**43 + 1) in shown
    assert str(2**32 - 2) in shown
    assert "2097153" in shown
    assert shown.rstrip().endswith(" huge")


def test_gnu_tar_restores_extended_attributes(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"1")
    except OSError:
        pytest.fail("the temporary folder's file system has no user.* attributes; set TMPDIR to one that has")
    value = bytes(range(256))
    member = Member(b"with", size=3, xattrs={"user.comment": base64.b64encode(value).decode(), "user.e": ""})
    command = [require_tool("tar"), "--xattrs", "-x", "-f", "-", "-C", tmp_path]
    subprocess.run(command, input=member.whole() + END_OF_ARCHIVE, check=True)
    assert os.getxattr(tmp_path / "with", "user.comment") == value
    assert os.getxattr(tmp_path / "with", "user.e") == b""


def test_the_records_of_a_pax_header_count_their_own_length() -> None:
    """The length of a record counts its own digits: every length across the steps from 9 to 10, 99 to 100."""
    for size in [*range(101, 140), *range(960, 1040), *range(9960, 10040)]:
        info = first_member(Member(b"n" * size).header())
        assert info.name == "n" * size


@given(st.integers(0, 2**40))
def test_padding(size: int) -> None:
    assert (size + padding_bytes(size)) % 512 == 0
    assert 0 <= padding_bytes(size) < 512
