"""A key as a path: the part of the mapping that knows nothing but the key.

A component of the path is a body; behind it `%~N` where something else has its name, and `%+` where the key's
component goes on in the next one. In the body, `%XX` is a byte, `%` alone is the empty component, and any
other `%` is itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from transfer.core.names.folding import fold
from transfer.core.names.rules import MEMBERS, POSIX, Rules
from transfer.core.paths import path_defect

GOES_ON = "%+"
_MARKS_RESERVED = len("%~") + 9 + len(GOES_ON)  # a piece that goes on has room for a number of nine digits
_READ_AS_ESCAPE = r"%(?=[0-9A-F]{2}|\+\Z|~[0-9]+\Z)|\A%\Z|\A\.\.?\Z"
_DEVICE = r"\A(?=(?i:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(?:\.|\Z))."
_ALIAS = re.compile(r"[^.~]{0,6}(~)[0-9]{1,6}(?:\.[^.]{0,3})?\Z")


def needs_escape(key: bytes, rules: Rules = POSIX) -> bool:
    """Whether the path of an object is not its key."""
    return escape(key, rules) != key


def escape(key: bytes, rules: Rules = POSIX) -> bytes:
    """The path of an object with this key, by itself: others that might have the same one are not thought of.

    Args:
        key: any bytes; up to 16,383 of them always give a path that FORMAT.md section 5 allows.
        rules: of the target.
    """
    return key if is_plain(key, rules) else spell(key, rules, {})


def escape_folder(key: bytes, rules: Rules = POSIX) -> bytes:
    """The path of a folder, which ends in "/".

    Args:
        key: ends in "/", as the key of an empty object that stands for a folder does.
        rules: of the target.
    """
    return escape(key.removesuffix(b"/"), rules) + b"/"


def is_plain(key: bytes, rules: Rules) -> bool:
    """Whether a key of a file is certainly its own path: a quick look, which may say no of one that is."""
    if rules is not POSIX and (rules is not MEMBERS or not _is_unicode(key)):
        return False
    return b"%" not in key and not key.endswith(b"/") and not path_defect(key)


def _is_unicode(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True


def spell(key: bytes, rules: Rules, numbers: Mapping[int, int]) -> bytes:
    """The path of a key, where some of its components have numbers.

    Args:
        key: not ending in "/" where it is a folder's.
        rules: of the target.
        numbers: index of a component to its number.
    """
    spelled: list[str] = []
    for index, name in enumerate(to_text(key).split("/")):
        number = numbers.get(index, 0)
        mark = f"%~{number}" if number else ""
        *heads, last = cut(name, rules, len(mark))
        spelled += [escape_name(head, rules) + GOES_ON for head in heads]
        spelled.append(escape_name(last, rules) + mark)
    return to_bytes("/".join(spelled))


def to_text(name: bytes) -> str:
    """Bytes as text; what is not UTF-8 becomes lone surrogates."""
    return name.decode("utf-8", "surrogateescape")


def to_bytes(name: str) -> bytes:
    """Text of `to_text` as bytes."""
    return name.encode("utf-8", "surrogateescape")


def cut(name: str, rules: Rules, mark_length: int = 0) -> list[str]:
    """A component of a key in pieces, each with room for its marks; nearly always one."""
    pieces = []
    while not has_room(escape_name(name, rules), rules, mark_length):
        length = _longest(name, rules)
        pieces.append(name[:length])
        name = name[length:]
    return [*pieces, name]


def has_room(escaped: str, rules: Rules, mark_length: int) -> bool:
    """Whether the target takes an escaped name with ASCII marks of that length behind it."""
    if len(escaped.encode("utf-8", "surrogateescape")) + mark_length > rules.max_bytes:
        return False
    if not rules.max_utf16:
        return True
    if rules.folds_normalization and not escaped.isascii():
        escaped = unicodedata.normalize("NFD", escaped)  # that is how such targets may store it
    return len(escaped.encode("utf-16-le", "surrogatepass")) // 2 + mark_length <= rules.max_utf16


def _longest(name: str, rules: Rules) -> int:
    """How many characters of a name that is too long are its first piece."""
    fits, too_long = 1, min(len(name), rules.max_bytes + 1)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if has_room(escape_name(name[:middle], rules), rules, _MARKS_RESERVED):
            fits = middle
        else:
            too_long = middle
    return fits


def escape_name(name: str, rules: Rules) -> str:
    """One component, or a piece of one, without marks; its length is not looked at."""
    if not name:
        return "%"
    alias = _ALIAS.match(name) if rules.has_short_aliases else None
    tilde = alias.start(1) if alias else -1
    escaped = _pattern(rules).sub(
        lambda match: match[0] if match[0] == "~" and match.start() != tilde else _hex(match[0]), name
    )
    if rules.kept and escaped[0] == name[0] and fold(name, rules).startswith(_kept(rules)):
        return _hex(name[0]) + escaped[1:]
    return escaped


def _hex(characters: str) -> str:
    return "".join(f"%{byte:02X}" for byte in to_bytes(characters))


@lru_cache(maxsize=16)
def _kept(rules: Rules) -> tuple[str, ...]:
    return tuple(fold(beginning, rules) for beginning in rules.kept)


@lru_cache(maxsize=16)
def _pattern(rules: Rules) -> re.Pattern[str]:
    """What is escaped in a component."""
    either = [_READ_AS_ESCAPE, f"[\0{re.escape(rules.forbidden)}]"]
    either += [_DEVICE] if rules.has_device_names else []
    either += [r"[. ]\Z"] if rules.trims_end else []
    either += ["~"] if rules.has_short_aliases else []
    either += ["[\udc80-\udcff]"] if rules.unicode_only else []
    either += ["[^\0-\x7f]"] if rules.ascii_only else []
    return re.compile("|".join(either))
