"""tests.tools: what is missing is named with its remedy; where all is there nothing is run."""

from __future__ import annotations

import pytest

from tests import tools


def test_remedy_names_programs_and_packages_once() -> None:
    line = tools.remedy(["mount", "losetup", "zstd"])
    assert line == "missing programs: mount losetup zstd; install them: apt-get install mount zstd"


def test_require_tool_fails_the_test_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_SEARCH_PATH", "/nonexistent")
    with pytest.raises(pytest.fail.Exception, match=r"missing programs: zstd; .*apt-get install zstd"):
        tools.require_tool("zstd")


def test_main_without_root_says_one_line_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools, "_SEARCH_PATH", "/nonexistent")
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    assert tools.main() == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "apt-get install age b3sum busybox" in err


def test_main_is_silent_and_starts_nothing_when_all_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools, "find_tool", lambda name: "/bin/" + name)
    monkeypatch.setattr(tools.subprocess, "run", lambda *_args, **_kwargs: pytest.fail("started"))
    assert tools.main() == 0
    assert capsys.readouterr() == ("", "")


def test_main_as_root_installs_only_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    present = set(tools.PACKAGES) - {"bsdtar"} | {"apt-get"}
    commands: list[list[str]] = []

    def run(command: list[str], **_kwargs: object) -> object:
        commands.append(command)
        present.add("bsdtar")
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(tools, "find_tool", lambda name: name if name in present else None)
    monkeypatch.setattr(tools.os, "geteuid", lambda: 0)
    monkeypatch.setattr(tools.subprocess, "run", run)
    assert tools.main() == 0
    assert commands == [
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends", "libarchive-tools"],
    ]
