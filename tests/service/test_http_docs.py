"""docs/serve.md says what the code does: its tables are compared with those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.service.servers import serving
from transfer.service.http.limits import Limits
from transfer.service.http.problems import KINDS

TEXT = (Path(__file__).parents[2] / "docs/serve.md").read_text()
UNIT = (Path(__file__).parents[2] / "docs/transfer-serve.service").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of all tables of a section."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]


async def test_the_api_has_what_the_table_lists(tmp_path: Path) -> None:
    listed = {
        (match[1], match[2], row[1])
        for row in rows("The API")
        if (match := re.fullmatch(r"`(GET|POST) ([^?`]+)(?:\?[^`]*)?`", row[0]))
    }
    async with serving(tmp_path) as there:
        routes = {
            (route.method, route.path, route.role.value if route.role else "")
            for route in there.service._table
            if route.path != "/page/{file}"
        }
    assert listed == routes


def test_the_problems_are_those_of_the_code() -> None:
    listed = {row[0]: row[1].strip("`") for row in rows("The API") if row[0].isdigit()}
    assert listed == {str(status): f"urn:transfer:problem:{slug}" for status, (slug, _) in KINDS.items()}


async def test_the_metrics_are_those_of_the_code(tmp_path: Path) -> None:
    listed = {name for row in rows("Metrics") for name in re.findall(r"`(transfer_\w+)`", row[0])}
    async with serving(tmp_path) as there:
        await there.ask("/healthz", token=None)
        _, _, text = await there.ask("/metrics")
    families = text_string_to_metric_families(text.decode())
    names = {sample.name for family in families for sample in family.samples}
    # The library adds when each counter began.
    assert listed == {name for name in names if not name.endswith("_created")}


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    for told in (
        f"has {limits.head_timeout_s:.0f} s for the head",
        f"and {limits.stall_timeout_s:.0f} s to go on reading",
        f"longer than {limits.body_timeout_s:.0f} s",
        f"more than {limits.body_bytes // 1024} KiB",
        f"too many connections ({limits.connections}) or streams ({limits.streams})",
        f"the newest {limits.snapshot_jobs:,} jobs",
    ):
        assert told in TEXT, told


def test_the_unit_keeps_the_service_in_its_place() -> None:
    for line in (
        "StateDirectory=transfer",
        "ProtectSystem=strict",
        "NoNewPrivileges=true",
        "ReadWritePaths=/srv/dock",
    ):
        assert line in UNIT.splitlines()
    assert "--dock /srv/dock" in UNIT
