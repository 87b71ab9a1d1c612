"""The web page's files: part of the program, read once at the start, served from memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Final

from aiohttp import web

from transfer.service.http.answers import body_answer, common_headers

INDEX: Final = "index.html"
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "html": "text/html; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
)


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page; `tag` is its entity tag, without quotes."""

    content: bytes
    content_type: str
    tag: str


def read_page() -> dict[str, PageFile]:
    """All files of the page by name. A file of an unknown kind is a fault of ours: KeyError."""
    found: dict[str, PageFile] = {}
    for entry in (resources.files("transfer.service.http") / "page").iterdir():
        if entry.is_file():
            content = entry.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:32]
            found[entry.name] = PageFile(content, _TYPES[entry.name.rpartition(".")[2]], tag)
    return found


def page_answer(request: web.BaseRequest, file: PageFile) -> web.Response:
    """A file, or 304 where the browser has it (RFC 9110 §13.1.2)."""
    headers = {
        "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
        "Cache-Control": "no-cache",
        "ETag": f'"{file.tag}"',
    }
    known = request.if_none_match or ()
    if any(tag.value in (file.tag, "*") for tag in known):
        return web.Response(status=304, headers=common_headers() | headers)
    return body_answer(file.content, file.content_type, headers=headers)
