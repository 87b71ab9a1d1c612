"""A bucket of a test, seen by clients that are not ours: boto3, rclone, s5cmd."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.simulators.servers import S3Server, program

both_makes = pytest.mark.parametrize(
    "bucket",
    [
        pytest.param(make, id=make, marks=pytest.mark.xdist_group(f"import-{make}"))
        for make in ("rclone", "moto")
    ],
    indirect=True,
)


@dataclass(frozen=True)
class Bucket:
    """A bucket on a running server; `make` is the server's."""

    server: S3Server
    name: str
    make: str

    @property
    def client(self) -> Any:
        """A boto3 client that computes no sums of its own."""
        return _client(self.server)

    def environment(self) -> dict[str, str]:
        """What a program needs to come to the server; nothing of the machine's own configuration."""
        return {
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def listed(self) -> set[str]:
        """All keys, as boto3 lists them."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def read(self, key: str) -> bytes:
        """An object's content, by boto3."""
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def head(self, key: str) -> dict[str, Any]:
        """An object's headers, by boto3; names of metadata in lower case, as not every server has them."""
        head: dict[str, Any] = self.client.head_object(Bucket=self.name, Key=key)
        head["Metadata"] = {name.lower(): value for name, value in head["Metadata"].items()}
        return head

    def marker(self, folder: str) -> str:
        """The key that the marker of a folder gets; rclone's server takes the slash off and makes a file."""
        return folder if self.make == "rclone" else folder + "/"

    def uploads(self) -> list[str]:
        """The keys of uploads in parts that were neither completed nor aborted."""
        try:
            answer = self.client.list_multipart_uploads(Bucket=self.name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":  # rclone's server means: none
                raise
            return []
        return [upload["Key"] for upload in answer.get("Uploads", [])]

    def rclone(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run rclone with the remote `there:` on the server; `there:BUCKET/PREFIX` is a place."""
        remote = {
            "RCLONE_CONFIG_THERE_TYPE": "s3",
            "RCLONE_CONFIG_THERE_PROVIDER": "Other",
            "RCLONE_CONFIG_THERE_ENDPOINT": self.server.endpoint_url,
            "RCLONE_CONFIG_THERE_ACCESS_KEY_ID": self.server.access_key,
            "RCLONE_CONFIG_THERE_SECRET_ACCESS_KEY": self.server.secret_key,
            "RCLONE_CONFIG_THERE_ENCODING": "None",
            "RCLONE_CONFIG": os.devnull,
        }
        return subprocess.run(
            [program("rclone"), *arguments],
            env={**os.environ, **remote},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            timeout=120,
        )


@cache
def _client(server: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        config=Config(request_checksum_calculation="when_required", retries={"max_attempts": 1}),
    )


def make_bucket(server: S3Server, name: str, make: str) -> Bucket:
    """A new bucket on a server."""
    bucket = Bucket(server, name, make)
    bucket.client.create_bucket(Bucket=name)
    return bucket
