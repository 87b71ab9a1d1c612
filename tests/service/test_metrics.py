"""Metrics, read back by Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.service.servers import JOB_IDS, serving
from transfer.ledger.phases import Phase
from transfer.service.http.metrics import MAX_JOBS, Metrics, shown_jobs
from transfer.service.ingest.totals import JobTotals, Totals


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample by its name and labels; that every family says what it is."""
    families = list(text_string_to_metric_families(text.decode()))
    assert all(family.documentation for family in families)
    found = [sample for family in families for sample in family.samples]
    by_name = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}
    assert len(by_name) == len(found)
    return by_name


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def totals_of(number: int, phase: Phase) -> JobTotals:
    return JobTotals(f"job-{number}", f"device-{number}", phase, False, 1, 2, 3, 4, 5, 6, 7)


async def test_what_is_measured(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        await there.ask("/v1/jobs")
        await there.ask("/v1/jobs?limit=0")
        await there.ask("/v1/secret/path", token=None)
        await there.ask(f"/v1/jobs/{JOB_IDS[0]}", method="PURGE")
        status, headers, text = await there.ask("/metrics", token=there.read)
        assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        found = samples(text)
        job = {"job_id": JOB_IDS[0], "device_id": "device-0"}
        assert found[key("transfer_bytes_imported_total", **job)] == 499
        assert found[key("transfer_bytes_sent_total", **job)] == 500
        assert found[key("transfer_bytes_verified_total", **job)] == 600
        assert found[key("transfer_objects_imported_total", **job)] == 5
        assert found[key("transfer_failures_total", **job)] == 1
        assert found[key("transfer_queue_jobs")] == 4
        assert found[key("transfer_running_jobs")] == 1
        assert found[key("transfer_waiting_jobs")] == 2
        assert found[key("transfer_jobs", phase="importing")] == 1
        assert found[key("transfer_jobs", phase="complete")] == 0
        assert found[key("transfer_dock_devices", state="accepted")] == 1
        assert found[key("transfer_dock_devices", state="expected")] == 0
        assert found[key("transfer_event_streams")] == 0
        assert [name for name, _ in found if name == "transfer_build_info"]
        requests = "transfer_http_requests_total"
        assert found[key(requests, method="GET", route="/v1/jobs", status="200")] == 1
        assert found[key(requests, method="GET", route="/v1/jobs", status="422")] == 1
        assert found[key(requests, method="GET", route="unmatched", status="401")] == 1
        assert found[key(requests, method="other", route="/v1/jobs/{job_id}", status="405")] == 1
        assert b"secret" not in text
        assert JOB_IDS[0].encode() in text


async def test_metrics_need_a_token(tmp_path: Path) -> None:
    async with serving(tmp_path) as there:
        assert (await there.ask("/metrics", token=None))[0] == 401


def test_the_number_of_series_is_bounded() -> None:
    jobs = [totals_of(number, Phase.COMPLETE) for number in range(5000)]
    jobs += [totals_of(number, Phase.IMPORTING) for number in range(5000, 5010)]
    shown = shown_jobs(jobs)
    assert len(shown) == MAX_JOBS
    assert shown[:10] == jobs[5000:]
    assert shown[10] == jobs[4999]
    metrics = Metrics()
    for number in range(3000):
        metrics.count_request(f"METHOD{number}", None, 404)
    found = samples(metrics.text(Totals(jobs, 0, 0, 0), [], 0))
    assert len(found) < 5 * MAX_JOBS + 40
    assert found[key("transfer_http_requests_total", method="other", route="unmatched", status="404")] == 3000
    assert found[key("transfer_jobs", phase="complete")] == 5000
