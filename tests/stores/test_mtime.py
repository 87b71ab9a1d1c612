"""rclone reads the times we write: its server sets them on the files it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.servers import rclone_s3
from transfer.core.file_metadata import file_metadata, parse_mtime
from transfer.core.object_metadata import ObjectMetadata
from transfer.core.sigv4 import Credentials
from transfer.stores.checksums import checksums_of
from transfer.stores.credentials import FixedCredentials
from transfer.stores.endpoint import resolve_endpoint
from transfer.stores.http import HttpOptions, HttpTransport
from transfer.stores.s3 import S3Store
from transfer.stores.s3_connection import S3Connection


@pytest.mark.parametrize(
    "mtimes_ns", [[1_700_000_000_123_456_789, 1_000_000_000_000_000_000, 1, 0, -1_500_000_000]]
)
async def test_rclone_understands_our_mtime(tmp_path: Path, mtimes_ns: list[int]) -> None:
    (tmp_path / "bucket").mkdir()
    with rclone_s3(tmp_path) as server:
        endpoint = resolve_endpoint("bucket", url=server.endpoint_url)
        credentials = FixedCredentials(Credentials(server.access_key, server.secret_key))
        store = S3Store(S3Connection(endpoint, credentials, HttpTransport(HttpOptions())))
        for number, mtime_ns in enumerate(mtimes_ns):
            metadata = ObjectMetadata(user=file_metadata(mtime_ns=mtime_ns))
            await store.put(str(number), [b"x"], checksums=checksums_of([b"x"]), metadata=metadata)
            assert (tmp_path / "bucket" / str(number)).stat().st_mtime_ns == mtime_ns
            told = (await store.head(str(number))).metadata.user
            assert parse_mtime(told["mtime"]) == mtime_ns
        await store.aclose()
