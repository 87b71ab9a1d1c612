"""An S3 endpoint that means ill: whatever it is asked, its answer repeats the request, headers and all.

The name of the bucket says how it answers. While it does, it looks at the command lines of all processes, as
any user of the machine could.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

WAYS = (
    "denied",
    "broken",
    "elsewhere",
    "nonsense",
    "misheaded",
    "unchunked",
    "no-status",
    "wrong-listing",
    "quoting",
)


class EchoingServer(ThreadingHTTPServer):
    """Attributes: what it saw of each process: its arguments and title."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.requests = 0
        self.titles: set[bytes] = set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are no news."""


class _Echo(BaseHTTPRequestHandler):
    server: EchoingServer

    def _answer(self) -> None:
        self.server.requests += 1
        self.server.titles |= process_titles()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # The secrets first: what repeats them is cut after some hundred characters.
        names = sorted(self.headers.keys(), key=lambda name: name.lower() not in ("x-amz-security-token",))
        said = " ".join(f"{name}: {self.headers[name]}" for name in names)
        way = self.path.lstrip("/").partition("/")[0].partition("?")[0]
        token = self.headers.get("x-amz-security-token", "") + self.headers.get("Authorization", "")
        self._send(*_answer(way, said, token))
        self.close_connection = True

    def _send(self, status: bytes, headers: str, body: str) -> None:
        if "ransfer-" not in headers:
            headers += f"Content-Length: {len(body.encode())}\r\n"
        head = b"HTTP/1.1 " + status + b"\r\n" + headers.encode("latin-1") + b"Connection: close\r\n\r\n"
        with contextlib.suppress(OSError):
            self.wfile.write(head + (b"" if self.command == "HEAD" else body.encode()))

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer

    def log_message(self, *args: object) -> None:
        """Nothing."""


def _answer(way: str, said: str, token: str) -> tuple[bytes, str, str]:
    """Status line, headers and body."""
    error = "<Error><Code>{}</Code><Message>{}</Message></Error>"
    match way:
        case "denied":
            return b"403 Forbidden", "", error.format("AccessDenied", escape(said))
        case "broken":
            return b"400 " + token.encode()[:200], "", error.format(escape(token), escape(said))
        case "elsewhere":
            return (
                b"301 Moved",
                f"x-amz-bucket-region: {token}\r\n",
                error.format("PermanentRedirect", quote(said)),
            )
        case "nonsense":
            return b"200 OK", "", f"<{quote(token, safe='')}>&{quote(token, safe='')};{said}"
        case "misheaded":
            return b"200 OK", f"{token} \x01: \x02{said}\r\n", ""
        case "unchunked":
            return b"200 OK", "Transfer-Encoding: chunked\r\n", f"{token}\r\n{said}\r\n"
        case "no-status":
            return token.encode(), "", said
        case "wrong-listing":
            item = f"<Contents><Key>k</Key><Size>{escape(token)}</Size></Contents>"
            return b"200 OK", "", f"<ListBucketResult>{item}</ListBucketResult>"
        case _:
            names = ("ETag", "x-amz-error-message", "Server", "Location", "x-amz-version-id", "Retry-After")
            headers = "".join(f"{name}: {token}\r\n" for name in names)
            return b"409 Conflict", headers, error.format("OperationAborted", escape(f"'{token}' \"{said}\""))


def process_titles() -> set[bytes]:
    """Command line and name of each process, but for the test's own S3 server: it gets its keys that way."""
    titles = set()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command, name = (place / "cmdline").read_bytes(), (place / "comm").read_bytes()
            titles |= set() if name == b"rclone\n" else {command, name}
    return titles


@contextlib.contextmanager
def echoing_server() -> Iterator[EchoingServer]:
    """One that runs until the block is left."""
    with EchoingServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
