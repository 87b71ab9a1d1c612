"""Logs: one JSON object a line on stderr.

    {"time": "2026-11-22T17:30:00.123Z", "level": "info", "event": "...", "logger": "...", "job_id": "..."}

Guarantees: one line a record, whatever it holds (JSON escapes control characters); no token, no value of an
Authorization header and no password in a URL, even where somebody logged one by mistake.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

import msgspec

FIELDS: Final = (
    "job_id",
    "device_id",
    "folder",
    "method",
    "path",
    "status",
    "elapsed_s",
    "sent_bytes",
    "remote",
    "token",
    "unlogged",
)
"""What a record may say besides its text, by `extra`; `token` is a token's name."""

# A page of log is enough for any one thing.
_MAX_CHARS: Final = 16_000
_SECRET: Final = re.compile(
    r"(?P<token>trt_)[A-Za-z0-9_-]+"
    r"|(?P<bearer>(?i:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?P<url>://[^/\s:@]*:)[^/\s@]+(?=@)"
)


class JsonFormatter(logging.Formatter):
    """Records to lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": conceal(record.getMessage()),
            "logger": record.name,
        }
        for name in FIELDS:
            if (value := getattr(record, name, None)) is not None:
                line[name] = conceal(value) if isinstance(value, str) else value
        if record.exc_info:
            line["error"] = conceal(self.formatException(record.exc_info))
        return msgspec.json.encode(line).decode()


def conceal(text: str) -> str:
    """The text without secrets, not too long, and fit for UTF-8."""
    clean = _SECRET.sub(lambda found: f"{found[found.lastgroup or 0]}***", text[:_MAX_CHARS])
    return clean.encode(errors="backslashreplace").decode()


def set_up_logging(stream: TextIO | None = None) -> None:
    """Send all logs of this process to stderr as JSON lines: ours from INFO on, others' from WARNING on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("transfer").setLevel(logging.INFO)
    logging.captureWarnings(True)
