"""Keys to paths and back, one key at a time."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.names.targets import KEYS, RULES, is_unicode, refusal
from transfer.core import names
from transfer.core.names import (
    MACOS,
    WINDOWS,
    Rules,
    escape,
    escape_folder,
    needs_escape,
    unescape,
)
from transfer.core.paths import path_defect

TARGETS = pytest.mark.parametrize("rules", RULES.values(), ids=RULES)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (b"a//b", b"a/%/b"),
        (b"/a", b"%/a"),
        (b"a/", b"a/%"),
        (b"/", b"%/%"),
        (b"//", b"%/%/%"),
        (b".", b"%2E"),
        (b"../a/./b", b"%2E%2E/a/%2E/b"),
        (b"a\0b", b"a%00b"),
        (b"%", b"%25"),
        (b"100%", b"100%"),
        (b"50% off", b"50% off"),
        (b"%2f", b"%2f"),
        (b"%2F", b"%252F"),
        (b"%%41", b"%%2541"),
        (b"a%+", b"a%25+"),
        (b"a%+b", b"a%+b"),
        (b"a%~1", b"a%25~1"),
        (b"a%~1b", b"a%~1b"),
        (b"a%~1/b%+/%", b"a%25~1/b%25+/%25"),
        (b"\xff", b"\xff"),
        (b"a:b?.", b"a:b?."),
        (b"n" * 255, b"n" * 255),
        (b"n" * 256, b"n" * 242 + b"%+/" + b"n" * 14),
        ("\u00e9".encode() * 128, "\u00e9".encode() * 121 + b"%+/" + "\u00e9".encode() * 7),
    ],
)
def test_posix(key: bytes, path: bytes) -> None:
    assert escape(key) == path
    assert unescape(path) == key
    assert needs_escape(key) == (key != path)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (b'a:b/<c>"', b"a%3Ab/%3Cc%3E%22"),
        (b"a\\b|c?*\x1f", b"a%5Cb%7Cc%3F%2A%1F"),
        (b"end.", b"end%2E"),
        (b"end. ", b"end.%20"),
        (b".hidden", b".hidden"),
        (b"...", b"..%2E"),
        (b"CON", b"%43ON"),
        (b"nul.tar.gz/Com7 .x/LPT\xc2\xb9", b"%6Eul.tar.gz/%43om7 .x/%4CPT\xc2\xb9"),
        (b"CONSOLE/COM10/COMB/LPT", b"CONSOLE/COM10/COMB/LPT"),
        (b"LONGNA~1.TXT", b"LONGNA%7E1.TXT"),
        (b"a~1.tar.gz/notes~1.html/ab~cdefg", b"a~1.tar.gz/notes~1.html/ab~cdefg"),
        (b"a\xff", b"a%FF"),
        ("caf\u00e9".encode(), "caf\u00e9".encode()),
        (b"a%~1", b"a%25%7E1"),
    ],
)
def test_windows(key: bytes, path: bytes) -> None:
    assert escape(key, WINDOWS) == path
    assert unescape(path) == key


def test_macos_counts_what_it_stores() -> None:
    key = "\u0390".encode() * 100  # 200 bytes, but decomposed 300 units
    assert escape(key) == key
    assert escape(key, MACOS) == "\u0390".encode() * 80 + b"%+/" + "\u0390".encode() * 20
    assert escape(b"\xe9", MACOS) == b"%E9"


@pytest.mark.parametrize(
    ("key", "path"), [(b"a/", b"a/"), (b"/", b"%/"), (b"a//", b"a/%/"), (b"../", b"%2E%2E/")]
)
def test_folders(key: bytes, path: bytes) -> None:
    assert escape_folder(key) == path
    assert unescape(path) == key


def test_names_of_the_restorer() -> None:
    kept = Rules(kept=(".transfer-objects.jsonl",), folds_case=True)
    assert escape(b"a/.TRANSFER-objects.jsonl.x", kept) == b"a/%2ETRANSFER-objects.jsonl.x"
    assert escape(b".transfer-other", kept) == b".transfer-other"


def test_all_that_the_package_names_is_there() -> None:
    assert {name for name in names.__all__ if getattr(names, name) is None} == set()
    assert {name for place in names._PLACES.values() for name in place} | {"unescape"} == set(names.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        assert names.other


def test_rules_have_bounds() -> None:
    for max_bytes, max_utf16 in ((63, 0), (256, 0), (255, 63)):
        with pytest.raises(ValueError, match="max_"):
            Rules(max_bytes=max_bytes, max_utf16=max_utf16)


@TARGETS
@settings(max_examples=60)
@given(key=KEYS)
@example(key=b"x" * 249 + b"%~1" + b"x" * 40)
@example(key=b"x" * 250 + b"%41" + b"x" * 40)
@example(key=b"/" * 1024)
@example(key=b"\0" * 1024)
def test_there_and_back(rules: Rules, key: bytes) -> None:
    path = escape(key, rules)
    assert unescape(path) == key
    assert path_defect(path) == ""
    assert not path.endswith(b"/")
    assert [refusal(name, rules) for name in path.split(b"/") if refusal(name, rules)] == []
    folder = escape_folder(key + b"/", rules)
    assert folder == path + b"/"
    assert unescape(folder) == key + b"/"


@TARGETS
@settings(max_examples=60)
@given(key=KEYS)
def test_what_needs_nothing_stays(rules: Rules, key: bytes) -> None:
    key = key.replace(b"%", b"").replace(b"~", b"") or b"a"
    if path_defect(key) == "" and not key.endswith(b"/"):
        fine = not any(refusal(name, rules) for name in key.split(b"/"))
        assert fine == (escape(key, rules) == key)


@settings(max_examples=100)
@given(path=st.one_of(KEYS, st.binary(max_size=40)))
def test_any_path_stands_for_one_key(path: bytes) -> None:
    key = unescape(path)  # also of what no mapping gave: no error, and nothing that grows
    assert len(key) <= len(path)
    assert unescape(escape(key)) == key
    assert path == key or b"%" in path


@settings(max_examples=60)
@given(key=KEYS)
def test_posix_is_as_short_as_can_be(key: bytes) -> None:
    fine = not path_defect(key) and not key.endswith(b"/")
    if fine and unescape(key) == key:
        assert escape(key) == key
    if is_unicode(key):
        escape(key).decode()
