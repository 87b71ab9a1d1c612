"""The OpenAPI document: valid, complete and true, as an independent program finds against a live server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from tests.service.servers import JOB_IDS, HandHeldSupervisor, serving, serving_in_a_thread
from tests.simulators.servers import program

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


def run_schemathesis(url: str, token: str, folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    """Run it over all operations but the stream, which has no end; always the same cases."""
    (folder / "schemathesis.toml").write_text(config)
    command = [
        program("schemathesis"), "--config-file", "schemathesis.toml",
        "run", f"{url}/v1/openapi.json",
        "--checks", ",".join(CHECKS),
        "--phases", "coverage,fuzzing",
        "--max-examples", "6",
        "--generation-deterministic",
        "--exclude-path", "/v1/events",
        "--header", f"Authorization: Bearer {token}",
        "--no-color",
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("known", [False, True], ids=["any-job", "known-job"])
def test_schemathesis_finds_no_difference(tmp_path: Path, known: bool) -> None:
    """With a job that is there by a token that may do all, and with any job by one that may only read."""
    config = f'[parameters]\n"path.job_id" = "{JOB_IDS[0]}"\n' if known else ""
    with serving_in_a_thread(tmp_path) as there:
        report = tmp_path / "report.json"
        report.write_text("{}")
        there.supervisor.files[JOB_IDS[0], "report.json"] = str(report)
        ended = run_schemathesis(there.url, there.operate if known else there.read, tmp_path, config)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        tested = re.search(r"Tested: (\d+)", ended.stdout)
        assert tested is not None
        # Not the two of the stream, nor the one that it read the document by.
        assert int(tested[1]) == len(operations(there.service._document)) - 3
        asked = {question[0] for question in there.supervisor.asked}
        assert asked == {"devices", "jobs", "job", "entries", "totals"} | ({"act"} if known else set())


def operations(document: bytes) -> list[dict[str, Any]]:
    paths = msgspec.json.decode(document)["paths"]
    return [operation for methods in paths.values() for operation in methods.values()]


async def test_the_document_describes_every_route_and_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        document = (await there.ask("/v1/openapi.json", token=None))[2]
        assert document["openapi"] == "3.1.0"
        told = {(path, method) for path, methods in document["paths"].items() for method in methods}
        routes = [route for route in there.service._table if route.is_described]
        assert {(route.path, route.method.lower()) for route in routes} <= told
        assert len(told) == sum(2 if route.method == "GET" else 1 for route in routes)
        names = [operation["operationId"] for operation in operations(msgspec.json.encode(document))]
        assert len(names) == len(set(names))
        for path, method in told:
            operation = document["paths"][path][method]
            parameters = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert parameters == re.findall(r"{(\w+)}", path)
            is_open = path in {"/healthz", "/readyz", "/v1/openapi.json"}
            assert operation["security"] == ([] if is_open else [{"token": []}])
            assert ("401" in operation["responses"]) is not is_open


async def test_its_schemas_are_schemas_and_its_references_lead_somewhere(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        document = (await there.ask("/v1/openapi.json", token=None))[2]
        schemas = document["components"]["schemas"]
        for schema in schemas.values():
            Draft202012Validator.check_schema(schema)
        references = set(
            re.findall(r'"\$ref":"#/components/schemas/(\w+)"', msgspec.json.encode(document).decode())
        )
        assert references <= set(schemas)
        assert {"JobView", "DeviceView", "EntryPage", "Problem"} <= references


def test_the_stand_in_asks_like_the_supervisor() -> None:
    from transfer.service.ingest.supervisor import Supervisor

    for name in ("devices", "jobs", "job", "entries", "act", "report_file", "changes", "problems", "totals"):
        assert callable(getattr(Supervisor, name))
        assert callable(getattr(HandHeldSupervisor, name))
