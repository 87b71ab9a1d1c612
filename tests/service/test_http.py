"""The API over HTTP: what is answered to whom, and every error as a problem document."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import transfer
from tests.service.servers import JOB_IDS, UNKNOWN_JOB, add_token, serving
from transfer import errors
from transfer.ledger.values import ObjectState
from transfer.service.http.answers import problem_answer
from transfer.service.http.problems import KINDS, STATUSES, Refusal, status_of
from transfer.service.http.tokens import Role
from transfer.service.refusals import NotNowError
from transfer.service.views import Action

JOB = f"/v1/jobs/{JOB_IDS[0]}"


def check_problem(answer: tuple[int, Any, Any], status: int) -> Any:
    """That an answer is a problem document; the document."""
    got, headers, body = answer
    assert got == status, body
    assert headers["Content-Type"] == "application/problem+json"
    assert body["status"] == status
    slug, title = KINDS[status]
    assert (body["type"], body["title"]) == (f"urn:transfer:problem:{slug}", title)
    assert set(body) == {"type", "title", "status", "detail", "instance"}
    return body


async def test_what_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        for path in ("/v1/devices", "/v1/jobs", JOB, f"{JOB}/failures", "/v1/whoami", "/v1/openapi.json"):
            status, headers, body = await there.ask(path, token=there.read)
            assert (status, headers["Content-Type"]) == (200, "application/json"), path
            assert body
            head = await there.ask(path, token=there.read, method="HEAD")
            assert (head[0], head[1]["Content-Length"], head[2]) == (200, headers["Content-Length"], b"")
        assert (await there.ask("/v1/whoami", token=there.read))[2] == {"name": "read", "role": "read"}
        assert (await there.ask(JOB))[2]["progress"]["bytes_imported"] == 500
        assert (await there.ask("/v1/jobs"))[2]["next"] is None


async def test_pages_and_cursors_reach_the_supervisor(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        assert (await there.ask("/v1/jobs?limit=1&before=12"))[2]["next"] == "7"
        for name, state in (
            ("failures", ObjectState.FAILED),
            ("successes", ObjectState.DONE),
            ("skipped", ObjectState.SKIPPED),
        ):
            await there.ask(f"{JOB}/{name}?after=3.14&limit=1000")
            assert ("entries", JOB_IDS[0], state, "3.14", 1000) in there.supervisor.asked
        assert ("jobs", "12", 1) in there.supervisor.asked
        await there.ask("/v1/jobs")
        assert there.supervisor.asked[-1] == ("jobs", None, 100)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("body", [{}, {"data": b""}, {"json": {}}], ids=["none", "empty", "object"])
async def test_actions(tmp_path: Path, action: Action, body: dict[str, Any]) -> None:
    async with serving(tmp_path) as there:
        status, _, view = await there.ask(f"{JOB}/{action}", method="POST", **body)
        assert (status, view["job_id"]) == (200, JOB_IDS[0])
        assert ("act", JOB_IDS[0], action) in there.supervisor.asked


async def test_who_has_no_token_learns_nothing(tmp_path: Path) -> None:
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer trt_wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer " + "x" * 4000},
        {"Authorization": "Bearer \xe9\x85"},
    ]
    async with serving(tmp_path) as there:
        wrong.append({"Authorization": there.read})
        wrong.append({"Authorization": f"Token {there.read}"})
        seen = set()
        for headers in wrong:
            for path in ("/v1/jobs", "/v1/nothing", "/v1", "/v1/", JOB, f"{JOB}/nope", "/metrics"):
                for method in ("GET", "POST", "DELETE", "OPTIONS", "PURGE"):
                    answer = await there.ask(path, method=method, token=None, headers=headers)
                    body = check_problem(answer, 401)
                    assert answer[1]["WWW-Authenticate"].startswith("Bearer")
                    seen.add(body["detail"])
        assert len(seen) == 2
        assert there.supervisor.asked == []


async def test_a_token_counts_in_its_header_only_and_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        token = there.read
        for path in (f"/v1/jobs?token={token}", f"/v1/jobs?access_token={token}"):
            check_problem(await there.ask(path, token=None), 401)
        check_problem(await there.ask("/v1/jobs", token=None, headers={"Cookie": f"token={token}"}), 401)
        twice = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer trt_other")]
        async with there.session.get(there.url + "/v1/jobs", headers=twice) as answer:
            assert answer.status == 401
        async with there.session.get(
            there.url + "/v1/jobs", headers={"authorization": f"bEARER  {token}"}
        ) as answer:
            assert answer.status == 200


async def test_a_small_role_reads_and_does_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        for action in Action:
            answer = await there.ask(f"{JOB}/{action}", method="POST", token=there.read)
            check_problem(answer, 403)
        assert there.supervisor.asked == []


async def test_tokens_are_added_revoked_and_expire_while_it_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        later = add_token(there.tokens, Role.READ, name="later")
        assert (await there.ask("/v1/whoami", token=later))[2] == {"name": "later", "role": "read"}
        old = add_token(there.tokens, Role.READ, name="old", expires="2020-01-01T00:00:00Z")
        check_problem(await there.ask("/v1/whoami", token=old), 401)
        new = add_token(there.tokens, Role.READ, name="new", expires="2999-01-01T00:00:00Z")
        assert (await there.ask("/v1/whoami", token=new))[0] == 200
        there.tokens.unlink()
        check_problem(await there.ask("/v1/whoami", token=later), 401)


@pytest.mark.parametrize("damage", ["mode", "content"])
async def test_a_bad_tokens_file_changes_nothing_but_readiness(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as there:
        assert (await there.ask("/readyz", token=None))[0] == 200
        content = there.tokens.read_bytes()
        if damage == "mode":
            there.tokens.chmod(0o644)
        else:
            there.tokens.write_bytes(b'{"format": "transfer-tokens", "format_version": 1, "tokens": "none"}')
        assert (await there.ask("/v1/whoami", token=there.read))[0] == 200
        status, _, body = await there.ask("/readyz", token=None)
        assert (status, body["ready"]) == (503, False)
        assert str(tmp_path) not in str(body)
        assert str(there.tokens) in caplog.text
        there.tokens.chmod(0o600)
        there.tokens.write_bytes(content)
        assert (await there.ask("/readyz", token=None))[0] == 200


async def test_refused_tokens_do_not_flood_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as there:
        for _ in range(50):
            check_problem(await there.ask("/v1/jobs", token="trt_guess"), 401)
        refused = [record for record in caplog.records if "wrong token" in record.message]
        assert 1 <= len(refused) <= 10
    assert "trt_guess" not in caplog.text


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404),
        ("/v1/nothing", "GET", 404),
        ("/v1", "GET", 404),
        ("/v1/jobs/", "GET", 404),
        ("//v1/jobs", "GET", 404),
        ("/v1%2Fjobs", "GET", 404),
        (f"/v1/jobs/{UNKNOWN_JOB}", "GET", 404),
        (f"/v1/jobs/{UNKNOWN_JOB}/pause", "POST", 404),
        ("/v1/jobs/not-a-job", "GET", 404),
        (f"/v1/jobs/{JOB_IDS[0]}%0a", "GET", 404),
        ("/v1/jobs/%ff", "GET", 404),
        (f"{JOB}/report", "GET", 404),
        (f"{JOB}/report/report.html", "GET", 404),
        (f"{JOB}/report/ledger.sqlite", "GET", 404),
        (f"{JOB}/report/..%2f..%2fetc%2fpasswd", "GET", 404),
        ("/page/nothing.js", "GET", 404),
        ("/page/..%2fapp.py", "GET", 404),
        ("/v1/jobs", "POST", 405),
        (JOB, "DELETE", 405),
        (f"{JOB}/pause", "GET", 405),
        ("/healthz", "PUT", 405),
        ("/v1/jobs", "OPTIONS", 405),
        ("/v1/jobs?limit=0", "GET", 422),
        ("/v1/jobs?limit=1001", "GET", 422),
        ("/v1/jobs?limit=ten", "GET", 422),
        ("/v1/jobs?limit=", "GET", 422),
        ("/v1/jobs?limit=-1", "GET", 422),
        ("/v1/jobs?limit=1e2", "GET", 422),
        ("/v1/jobs?limit=" + "9" * 5000, "GET", 422),
        ("/v1/jobs?before=", "GET", 422),
        ("/v1/jobs?before=null", "GET", 422),
        ("/v1/jobs?before=1%0a", "GET", 422),
        ("/v1/jobs?before=99999999999999999999", "GET", 422),
        ("/v1/jobs?after=1.1", "GET", 422),
        ("/v1/jobs?limit=1&limit=2", "GET", 422),
        ("/v1/jobs?token=x", "GET", 422),
        (f"{JOB}?verbose", "GET", 422),
        (f"{JOB}/failures?after=1", "GET", 422),
        (f"{JOB}/failures?after=1.9999999999", "GET", 422),
        (f"{JOB}/failures?before=1", "GET", 422),
        (f"/v1/jobs/{JOB_IDS[1]}/pause", "POST", 409),
    ],
)
async def test_what_cannot_be_answered(tmp_path: Path, path: str, method: str, status: int) -> None:
    from yarl import URL

    async with serving(tmp_path) as there:
        headers = {"Authorization": f"Bearer {there.operate}"}
        url = URL(there.url + path, encoded=True)
        async with there.session.request(method, url, headers=headers) as answer:
            body = check_problem(
                (answer.status, answer.headers, await answer.json(content_type=None)), status
            )
            assert len(body["instance"]) <= 256
            if status == 405:
                assert answer.headers["Allow"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 200),
        (b"{}", "application/json; charset=utf-8", 200),
        (b" {\n} ", "application/json", 200),
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{}", "multipart/form-data", 415),
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"now": true}', "application/json", 422),
        (b"\xff", "application/json", 422),
        (b"[" * 60_000, "application/json", 422),
        (b" " * (64 * 1024) + b"{}", "application/json", 413),
    ],
    ids=range(13),
)
async def test_bodies(tmp_path: Path, body: bytes, content_type: str, status: int) -> None:
    async with serving(tmp_path) as there:
        sent = {"data": body, "headers": {"Content-Type": content_type}}
        answer = await there.ask(f"{JOB}/pause", method="POST", **sent)
        assert answer[0] == status
        if status != 200:
            check_problem(answer, status)
            assert there.supervisor.asked == []


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 10_000

    async with serving(tmp_path) as there:
        answer = await there.ask(f"{JOB}/pause", method="POST", data=endless())
        check_problem(answer, 413)


async def test_a_compressed_body_is_not_unpacked(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        answer = await there.ask(f"{JOB}/pause", method="POST", data=b"\x1f\x8b", headers=headers)
        check_problem(answer, 415)


async def test_expectations(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        assert (await there.ask(f"{JOB}/pause", method="POST", json={}, expect100=True))[0] == 200
        answer = await there.ask(f"{JOB}/pause", method="POST", json={}, headers={"Expect": "cake"})
        check_problem(answer, 417)


def all_errors(kind: type[errors.TransferError]) -> set[type[errors.TransferError]]:
    return {kind}.union(*map(all_errors, kind.__subclasses__()))


def test_every_error_of_the_product_has_a_row() -> None:
    for module in pkgutil.walk_packages(transfer.__path__, "transfer."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
    tree = {kind for kind in all_errors(errors.TransferError) if kind.__module__.startswith("transfer.")}
    assert tree == set(STATUSES)
    assert set(STATUSES.values()) <= set(KINDS)
    assert status_of(ZeroDivisionError()) == 500


@pytest.mark.parametrize("kind", sorted(STATUSES, key=lambda kind: kind.__name__))
async def test_words_of_an_error_reach_whoever_can_mend_it(
    tmp_path: Path, kind: type[errors.TransferError], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as there:
        there.supervisor.error = kind("the secret of /srv", remedy="look there")
        answer = await there.ask("/v1/jobs")
        body = check_problem(answer, STATUSES[kind])
        if STATUSES[kind] < 500:
            assert body["detail"] == "the secret of /srv; look there"
        else:
            assert "secret" not in str(answer)
            assert "the secret of /srv" in caplog.text
        assert "Traceback" not in caplog.text


async def test_a_fault_of_ours_is_a_problem_without_details_and_a_traceback_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as there:
        there.supervisor.error = ZeroDivisionError("the secret")
        answer = await there.ask("/v1/jobs")
        check_problem(answer, 500)
        assert "secret" not in str(answer)
        assert "Traceback" in caplog.text


async def test_a_reason_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        there.supervisor.error = NotNowError("the job has ended", remedy="retry it")
        body = check_problem(await there.ask(f"{JOB}/pause", method="POST"), 409)
        assert (body["detail"], body["instance"]) == ("the job has ended; retry it", f"{JOB}/pause")


async def test_every_answer_has_the_headers_of_safety(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        for path in ("/", "/healthz", "/readyz", "/v1/jobs", "/v1/nothing", "/metrics", "/nothing"):
            _, headers, _ = await there.ask(path)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert headers["Server"] == "transfer"
            assert "Access-Control-Allow-Origin" not in headers
            if path != "/":
                assert headers["Cache-Control"] == "no-store"


async def test_health_and_readiness_are_open(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        assert (await there.ask("/healthz", token=None))[2] == {"status": "ok"}
        assert (await there.ask("/readyz", token=None))[2] == {"ready": True, "problems": []}
        there.supervisor.trouble = ["the dock is gone"]
        status, _, body = await there.ask("/readyz", token=None)
        assert (status, body) == (503, {"ready": False, "problems": ["the dock is gone"]})
        there.supervisor.trouble = []
        there.service.stop()
        assert (await there.ask("/readyz", token=None))[2]["problems"] == ["the service stops"]
        assert (await there.ask("/healthz", token=None))[0] == 200
        check_problem(await there.ask(f"{JOB}/pause", method="POST"), 503)
        assert (await there.ask(JOB))[0] == 200


async def test_the_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        status, headers, body = await there.ask("/", token=None)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert body.startswith(b"<!doctype html>")
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        tag = headers["ETag"]
        for known in (tag, f'"other", {tag}', "*", f"W/{tag}"):
            status, headers, body = await there.ask("/", token=None, headers={"If-None-Match": known})
            assert (status, headers["ETag"], body) == (304, tag, b"")
        assert (await there.ask("/", token=None, headers={"If-None-Match": '"other"'}))[0] == 200
        kinds = {name.rpartition(".")[2]: name for name in there.service._api.page}
        assert {"html", "css", "js", "svg"} >= set(kinds)
        status, headers, _ = await there.ask(f"/page/{kinds['js']}", token=None)
        assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")


async def test_reports(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        contents = {
            "report.json": (b'{"state": "complete"}', "application/json"),
            "report.html": (b"<p>", "text/html; charset=utf-8"),
            "success.csv": (b"x" * 3_000_000, "text/csv; charset=utf-8"),
            "repair.txt": (b"", "text/plain; charset=utf-8"),
        }
        for name, (content, kind) in contents.items():
            path = tmp_path / name
            path.write_bytes(content)
            there.supervisor.files[JOB_IDS[0], name] = str(path)
            async with there.session.get(
                f"{there.url}{JOB}/report/{name}", headers={"Authorization": f"Bearer {there.read}"}
            ) as answer:
                assert await answer.read() == content
                assert answer.headers["Content-Type"] == kind
                assert answer.headers["Content-Length"] == str(len(content))
        assert (await there.ask(f"{JOB}/report"))[2] == {"state": "complete"}
        head = await there.ask(f"{JOB}/report/success.csv", method="HEAD")
        assert (head[0], head[1]["Content-Length"], head[2]) == (200, "3000000", b"")
        html = await there.ask(f"{JOB}/report/report.html")
        assert html[1]["Content-Security-Policy"].endswith("sandbox")
        (tmp_path / "link").symlink_to(tmp_path / "report.json")
        for strange in (tmp_path / "link", tmp_path, tmp_path / "gone"):
            there.supervisor.files[JOB_IDS[0], "failure.csv"] = str(strange)
            check_problem(await there.ask(f"{JOB}/report/failure.csv"), 404)


async def test_requests_are_logged_without_their_query(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with serving(tmp_path) as there:
        await there.ask("/v1/jobs?limit=3", token=there.read)
        await there.ask(f"/v1/jobs?token={there.read}", token=None)
        lines = [record for record in caplog.records if record.message == "request"]
        first, second = (vars(record) for record in lines)
        assert (first["path"], first["method"], first["status"], first["token"]) == (
            "/v1/jobs",
            "GET",
            200,
            "read",
        )
        assert (second["path"], second["status"]) == ("/v1/jobs", 401)
        assert there.read not in caplog.text


def test_a_problem_is_json_whatever_was_asked_for() -> None:
    answer = problem_answer(Refusal(422, "\udcff\x00\u2028"), "/\udcff" + "x" * 9000)
    document = msgspec.json.decode(answer.body)
    assert document["detail"] == "\\udcff\x00\u2028"
    assert len(document["instance"]) < 300
