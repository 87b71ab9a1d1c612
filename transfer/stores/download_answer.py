"""An HTTP/1.1 answer as it comes in: head, then the body by its length, in chunks, or up to the end (RFC
9112).

Strict: what could be read in two ways is refused. Bytes in, values out; no sockets here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from multidict import CIMultiDict

MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_CHUNK_LINE_BYTES: Final = 256
_END_OF_HEAD: Final = b"\r\n\r\n"
_UNTIL_END: Final = -1
_HEX: Final = re.compile(rb"[0-9a-fA-F]{1,15}")


class ProtocolError(Exception):
    """The peer does not speak HTTP as it should."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer."""

    status: int
    headers: Mapping[str, str]


class AnswerReader:
    """Reads one answer from the bytes it is fed.

    Attributes:
        answer: as soon as the head is there.
        is_done: nothing is missing any more.
        keeps: the connection may be used again.
        waiting_bytes: of the body, not yet taken.
    """

    def __init__(self, *, has_body: bool) -> None:
        self.answer: Answer | None = None
        self.is_done = False
        self.keeps = False
        self.waiting_bytes = 0
        self._has_body = has_body
        self._head = b""
        self._left = 0
        self._chunks: Iterator[None] | None = None
        self._fed = b""
        self._pieces: deque[bytes] = deque()

    def feed(self, data: bytes) -> None:
        """The next bytes.

        Raises:
            ProtocolError: they are none of an answer.
        """
        if self.answer is None:
            self._head += data
            at = self._head.find(_END_OF_HEAD)
            if at < 0 or at > MAX_HEAD_BYTES:
                if len(self._head) > MAX_HEAD_BYTES:
                    raise ProtocolError("the head of the answer is too long")
                return
            head, data = self._head[:at], self._head[at + len(_END_OF_HEAD) :]
            self._head = b""
            self._begin(head)
            if self.answer is None:  # 1xx: the answer itself is still to come
                self.feed(data)
                return
        if data:
            self._body(data)

    def end(self) -> None:
        """The peer gives no more."""
        if self.answer is not None and self._left == _UNTIL_END:
            self.is_done = True

    def take(self) -> bytes:
        """The next piece of the body that is there; empty for none."""
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self.waiting_bytes -= len(piece)
        return piece

    def take_into(self, place: memoryview) -> int:
        """Put what is there of the body into memory; how many bytes."""
        done = 0
        while self._pieces and done < len(place):
            piece = self._pieces.popleft()
            count = min(len(piece), len(place) - done)
            place[done : done + count] = piece[:count]
            if count < len(piece):
                self._pieces.appendleft(piece[count:])
            done += count
        self.waiting_bytes -= done
        return done

    @property
    def plain_bytes(self) -> int:
        """How many bytes of the body come next just as they are; 0 where they have to be fed to know."""
        return max(0, self._left) if self.answer is not None else 0

    def passed(self, count: int) -> None:
        """So many of `plain_bytes` went elsewhere, instead of being fed."""
        self._left -= count
        self.is_done = not self._left

    def _begin(self, head: bytes) -> None:
        status, version, headers = _parse(head)
        if 100 <= status < 200:
            return
        self.answer = Answer(status, headers)
        connection = (headers.get("connection") or "").lower()
        self.keeps = "close" not in connection and (version != "HTTP/1.0" or "keep-alive" in connection)
        coding = (headers.get("transfer-encoding") or "").lower()
        length = headers.get("content-length")
        if not self._has_body or status in {204, 304}:
            self.is_done = True
        elif coding:
            if coding != "chunked" or length is not None:
                raise ProtocolError("the length of the answer is not clear")
            self._chunks = self._read_chunks()
            next(self._chunks)
        elif length is not None:
            if not (length.isascii() and length.isdigit() and len(length) <= 18):
                raise ProtocolError("the length of the answer is none")
            self._left = int(length)
            self.is_done = not self._left
        else:
            self._left, self.keeps = _UNTIL_END, False

    def _body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._fed += data
            next(self._chunks, None)
            return
        if self._left == _UNTIL_END:
            self._give(data)
            return
        if len(data) > self._left:
            raise ProtocolError("more came than the answer should have")
        self._left -= len(data)
        self.is_done = not self._left
        self._give(data)

    def _give(self, data: bytes) -> None:
        self._pieces.append(data)
        self.waiting_bytes += len(data)

    def _read_chunks(self) -> Iterator[None]:
        """Takes the chunked coding off; stops wherever more bytes are needed."""
        yield
        while True:
            while (line := self._line()) is None:
                yield
            size = _chunk_size(line)
            if not size:
                break
            while size:
                while not self._fed:
                    yield
                piece, self._fed = self._fed[:size], self._fed[size:]
                size -= len(piece)
                self._give(piece)
            while len(self._fed) < 2:
                yield
            if not self._fed.startswith(b"\r\n"):
                raise ProtocolError("a chunk is longer than it should be")
            self._fed = self._fed[2:]
        while True:  # trailers, up to an empty line
            while (line := self._line()) is None:
                yield
            if not line:
                break
        if self._fed:
            raise ProtocolError("more came than the answer should have")
        self.is_done = True
        yield

    def _line(self) -> bytes | None:
        at = self._fed.find(b"\r\n")
        if at < 0:
            if len(self._fed) > MAX_HEAD_BYTES:
                raise ProtocolError("a line of the answer is too long")
            return None
        line, self._fed = self._fed[:at], self._fed[at + 2 :]
        return line


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if len(line) > _MAX_CHUNK_LINE_BYTES or not _HEX.fullmatch(digits):
        raise ProtocolError("the size of a chunk is none")
    return int(digits, 16)


def _parse(head: bytes) -> tuple[int, str, CIMultiDict[str]]:
    first, _, rest = head.decode("utf-8", "surrogateescape").partition("\r\n")
    version, _, status = first.partition(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not (status[:3].isascii() and status[:3].isdigit()):
        raise ProtocolError("the answer is not one of HTTP/1.1")
    fields: list[tuple[str, str]] = []
    for line in rest.split("\r\n") if rest else ():
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise ProtocolError("a header of the answer is none")
        fields.append((name, value.strip(" \t")))
    headers = CIMultiDict(fields)
    if len(set(headers.getall("Content-Length", ()))) > 1:
        raise ProtocolError("the length of the answer is not clear")
    return int(status[:3]), version, headers
