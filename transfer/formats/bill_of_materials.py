"""A bill of materials in XML, as Azure Data Box writes one: a line a file, with size and CRC-64.

    <bom version="1" device_id="..." job="..." ordinal="1" seal_blake3="...">
    <file size="10923" crc64="0x51c78833c90e4e3f" blake3="...">media/image 1.png</file>
    <total files="1" bytes="10923"/>
    </bom>

The lines `<file>` are Data Box's but for three things: paths have `/` and none in front; there is a BLAKE3;
and they stand inside of a document, with a total that tells a whole list from one that was cut off. As there,
a path that XML or a line cannot carry is base64, and says so: `name_encoding="Base64"`.
"""

from __future__ import annotations

import base64
import re
from typing import Final

# Controls, line separators, and what XML 1.0 has no place for (section 2.2).
_NOT_IN_A_LINE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")


def bom_opening(*, device_id: str, job: str, ordinal: int, seal_blake3: str) -> bytes:
    """The first lines; `seal_blake3` is empty where there is no seal."""
    told = f'device_id="{device_id}" job="{job}" ordinal="{ordinal}" seal_blake3="{seal_blake3}"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<bom version="1" {told}>\n'.encode()


def bom_line(path: bytes, *, size_bytes: int, crc64nvme: str, blake3: str) -> bytes:
    """The line of a file; sums are hex digits."""
    sums = f'size="{size_bytes}" crc64="0x{crc64nvme}" blake3="{blake3}"'
    name, encoding = _spelled(path)
    return f"<file {sums}{encoding}>{name}</file>\n".encode()


def bom_closing(*, files: int, size_bytes: int) -> bytes:
    """The last lines."""
    return f'<total files="{files}" bytes="{size_bytes}"/>\n</bom>\n'.encode()


def _spelled(path: bytes) -> tuple[str, str]:
    try:
        text = path.decode()
    except UnicodeDecodeError:
        text = "\0"
    if _NOT_IN_A_LINE.search(text) or text != text.strip():
        return base64.b64encode(path).decode(), ' name_encoding="Base64"'
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), ""
