"""Logs: one JSON object a line, and no secret in any."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.service.http.tokens import new_token
from transfer.service.logs import JsonFormatter, conceal


def logged(message: str, *arguments: object, **more: object) -> list[dict[str, object]]:
    """What a record comes out as."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    log = logging.Logger("transfer.test")
    log.addHandler(handler)
    log.error(message, *arguments, **more)  # type: ignore[arg-type]
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


def test_a_record_is_a_line_with_its_fields() -> None:
    extra = {"job_id": "job", "device_id": "device", "status": 200, "unknown": "left out", "remote": None}
    (line,) = logged("hello %s", "world", extra=extra)
    time = line.pop("time")
    assert isinstance(time, str)
    assert time.endswith("Z")
    assert line == {
        "level": "error",
        "event": "hello world",
        "logger": "transfer.test",
        "job_id": "job",
        "device_id": "device",
        "status": 200,
    }


def test_an_error_is_told_in_the_same_line() -> None:
    (line,) = logged("failed", exc_info=ZeroDivisionError("by\nzero"))
    assert str(line["error"]) == "ZeroDivisionError: by\nzero"


@given(st.text(st.characters(exclude_categories=[])))
def test_whatever_is_logged_is_one_line(text: str) -> None:
    (line,) = logged("%s", text, extra={"path": text})
    assert set(line) >= {"time", "level", "event"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdefgh.ijk=", "Authorization: Bearer ***"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic ***"),
        ("postgresql://me:pass/wo:rd@host/db", "postgresql://me:pass/wo:rd@host/db"),
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("https://host:8470/v1/jobs", "https://host:8470/v1/jobs"),
        ("the bearer of news", "the bearer of news"),
    ],
)
def test_secrets_are_concealed(text: str, shown: str) -> None:
    assert conceal(text) == shown


def test_a_token_never_reaches_the_log() -> None:
    token = new_token()
    (line,) = logged(f"GET /v1/jobs?token={token}", extra={"path": token, "token": "ops"})
    assert token not in json.dumps(line)
    assert token[4:] not in json.dumps(line)
    assert line["token"] == "ops"
    (line,) = logged("failed", exc_info=ValueError(token))
    assert token[4:] not in json.dumps(line)
