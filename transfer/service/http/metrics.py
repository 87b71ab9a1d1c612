"""Metrics in Prometheus' text format.

    transfer_build_info{version}                          1
    transfer_bytes_imported_total{job_id, device_id}      of objects that are in the bucket
    transfer_bytes_sent_total{job_id, device_id}          that the store has taken in this run, parts too
    transfer_bytes_verified_total{job_id, device_id}      that were read in this run and matched their digests
    transfer_objects_imported_total{job_id, device_id}
    transfer_failures_total{job_id, device_id}            entries that are not in the bucket
    transfer_jobs{phase}                                  of the devices in the dock
    transfer_queue_jobs, transfer_running_jobs, transfer_waiting_jobs
    transfer_dock_devices{state}
    transfer_event_streams
    transfer_http_requests_total{method, route, status}

Rules: series are bounded. Of jobs those under way are told, and the newest others up to MAX_JOBS in all;
`route` is a template of the routes or `unmatched`, `method` one that we know or `other`. Names of files,
keys or people never become labels.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from transfer.ledger.phases import Phase
from transfer.service.ingest.totals import JobTotals, Totals
from transfer.service.views import DeviceState, DeviceView

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MAX_JOBS: Final = 1000
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_ACTIVE: Final = frozenset({Phase.VERIFYING, Phase.IMPORTING})


class Metrics:
    """Counts requests, and shows what the supervisor counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "transfer_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._state = _State()
        self._registry.register(self._state)

    def count_request(self, method: str, route: str | None, status: int) -> None:
        """A request was answered; `route` is a template, None where nothing matched."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route or "unmatched", str(status)).inc()

    def text(self, totals: Totals, devices: Iterable[DeviceView], streams: int) -> bytes:
        """All metrics, as things stand."""
        self._state.take(totals, devices, streams)
        return generate_latest(self._registry)


class _State(Collector):
    """What was told last."""

    def __init__(self) -> None:
        self._totals = Totals([], 0, 0, 0)
        self._devices: Tally[str] = Tally()
        self._streams = 0

    def take(self, totals: Totals, devices: Iterable[DeviceView], streams: int) -> None:
        self._totals = totals
        self._devices = Tally(device.state for device in devices)
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("transfer_build_info", "The release that runs.", labels=["version"])
        build.add_metric([version("transfer-appliance")], 1)
        yield build
        yield from _job_families(shown_jobs(self._totals.jobs))
        phases = Tally(job.phase.value for job in self._totals.jobs)
        yield _gauges("transfer_jobs", "Jobs of the dock by phase.", "phase", Phase, phases)
        states = get_args(DeviceState)
        yield _gauges("transfer_dock_devices", "Devices by state.", "state", states, self._devices)
        yield _gauge("transfer_queue_jobs", "Jobs that wait for their turn.", self._totals.queued)
        yield _gauge("transfer_running_jobs", "Jobs under way.", self._totals.running)
        yield _gauge("transfer_waiting_jobs", "Jobs that wait for a store or device.", self._totals.waiting)
        yield _gauge("transfer_event_streams", "Event streams that are open.", self._streams)


def shown_jobs(jobs: list[JobTotals]) -> list[JobTotals]:
    """Those under way, then the others, the newest first, MAX_JOBS at most; `jobs` has the oldest first."""
    active = [job for job in jobs if job.phase in _ACTIVE]
    others = [job for job in jobs if job.phase not in _ACTIVE]
    return [*active, *reversed(others)][:MAX_JOBS]


def _job_families(jobs: list[JobTotals]) -> list[Metric]:
    labels = ["job_id", "device_id"]
    columns = {
        "transfer_bytes_imported": ("Bytes of objects that are in the bucket.", "bytes"),
        "transfer_bytes_sent": ("Bytes that the store has taken in this run, parts too.", "bytes_imported"),
        "transfer_bytes_verified": ("Bytes read in this run that matched their digests.", "bytes_verified"),
        "transfer_objects_imported": ("Objects in the bucket.", "objects"),
        "transfer_failures": ("Entries that are not in the bucket.", "failed"),
    }
    families: list[Metric] = []
    for name, (help_text, column) in columns.items():
        family = CounterMetricFamily(name, help_text, labels=labels)
        for job in jobs:
            family.add_metric([job.job_id, job.device_id], getattr(job, column))
        families.append(family)
    return families


def _gauge(name: str, help_text: str, value: int) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def _gauges(name: str, help_text: str, label: str, values: Iterable[str], counts: Tally[str]) -> Metric:
    """A series for each value there is, so that none vanishes when it falls to nothing."""
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value in values:
        family.add_metric([str(value)], counts[str(value)])
    return family
