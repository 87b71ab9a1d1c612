"""BagIt 1.0 (RFC 8493): the text of a bag's tag files.

A bag is a folder: the payload in `data/`, and beside it what tells of it: manifests of the payload, facts for
people, a manifest of all these. Checksums and the date come in from outside.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from transfer.core.paths import check_path, display
from transfer.errors import FormatError, UsageError

PAYLOAD_FOLDER = b"data/"
DECLARATION_NAME = "bagit.txt"
INFO_NAME = "bag-info.txt"
DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

ALGORITHMS = ("sha256", "sha512")
"""Which a bag may have, by their names in hashlib; the first is the one that every reader knows."""

MAX_FIELD_CHARACTERS = 8192
_OWN_FIELDS = ("bagging-date", "payload-oxum")
_ENCODED = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_LABEL = re.compile(r"[^\s:](?:[^:\r\n]*[^\s:])?")


def manifest_name(algorithm: str) -> str:
    """The tag file with the payload's checksums."""
    return f"manifest-{algorithm}.txt"


def tag_manifest_name(algorithm: str) -> str:
    """The tag file with the checksums of all others but its like."""
    return f"tagmanifest-{algorithm}.txt"


def payload_defect(path: bytes) -> str:
    """Why no bag can have a payload file of this path, in words; empty when it can."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return "its name is not UTF-8, and manifests of bags are"
    return ""


def is_misread(path: bytes) -> bool:
    """Whether not all readers of bags find a payload file of this path (UTF-8) by what the manifest says.

    Some do not undo the spelling of RFC 8493; some cut a line where Unicode has a line break, and blanks
    off its end.
    """
    text = path.decode()
    return (
        any(character in text for character in _ENCODED) or text[-1:].isspace() or len(text.splitlines()) > 1
    )


def manifest_line(path: bytes, digest: str) -> bytes:
    """The line of a payload file in a manifest.

    Args:
        path: below `data/`.
        digest: in hexadecimal.

    Raises:
        FormatError: the path is not UTF-8, or breaks FORMAT.md section 5.
    """
    defect = payload_defect(check_path(path))
    if defect:
        raise FormatError(f"{display(path[:200])} cannot be in a bag: {defect}")
    return _line(PAYLOAD_FOLDER.decode() + path.decode(), digest)


def tag_manifest(digests: Mapping[str, str]) -> bytes:
    """A tag manifest.

    Args:
        digests: name of each tag file in the bag's top folder to its digest in hexadecimal.
    """
    return b"".join(_line(name, digests[name]) for name in sorted(digests))


def _line(path: str, digest: str) -> bytes:
    encoded = "".join(_ENCODED.get(character, character) for character in path)
    return f"{digest}  {encoded}\n".encode()


def bag_info(
    fields: Iterable[tuple[str, str]], *, bagging_date: date, payload_bytes: int, payload_files: int
) -> bytes:
    """The facts about a bag, for people.

    Args:
        fields: label and value each, as `info_field` takes them; a label may come again.
        bagging_date: when the bag was made.
        payload_bytes: of all payload files.
        payload_files: how many there are.

    Raises:
        UsageError: a label or value cannot stand there.
    """
    own = [
        ("Bagging-Date", bagging_date.isoformat()),
        ("Payload-Oxum", f"{payload_bytes}.{payload_files}"),
    ]
    checked = [_checked(label, value) for label, value in fields]
    return "".join(f"{label}: {value}\n" for label, value in checked + own).encode()


def info_field(text: str) -> tuple[str, str]:
    """Label and value of `Label: value`.

    Raises:
        UsageError: it is not of that shape, or a label or value that cannot stand in bag-info.txt.
    """
    label, colon, value = text.partition(":")
    if not colon:
        raise UsageError(f"{text[:80]!r} is no fact for bag-info.txt: write LABEL:VALUE")
    return _checked(label.strip(), value.strip())


def _checked(label: str, value: str) -> tuple[str, str]:
    if not _LABEL.fullmatch(label) or not label.isprintable():
        raise UsageError(f"{label[:80]!r} is no label for bag-info.txt")
    if label.lower() in _OWN_FIELDS:
        raise UsageError(f"{label} is told by the bag itself and cannot be given")
    if not value or len(label) + len(value) > MAX_FIELD_CHARACTERS or not value.isprintable():
        what = (
            f"the value of {label[:80]} is not one line of 1 to {MAX_FIELD_CHARACTERS} printable characters"
        )
        raise UsageError(what)
    return label, value


def check_algorithms(algorithms: Sequence[str]) -> None:
    """See that a bag may have these checksums.

    Raises:
        UsageError: there is none, or one that this program does not make.
    """
    strange = [name for name in algorithms if name not in ALGORITHMS]
    if strange or not algorithms:
        raise UsageError(
            f"checksums of a bag are {' or '.join(ALGORITHMS)}, not {', '.join(strange) or 'none'}"
        )


def digests_of(content: bytes, algorithms: Sequence[str]) -> dict[str, str]:
    """The checksums of a small tag file."""
    return {name: hashlib.new(name, content).hexdigest() for name in algorithms}
