"""Buckets for tests, on a server that speaks S3, on this machine."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

# Not secrets: the server takes anything.
KEYS = {"access_key": "test", "secret_key": "test", "region_name": "us-east-1"}


@cache
def _server() -> str:
    """Return the address of the one server that all tests of this process share; it ends with the process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def client(url: str) -> Any:  # Any: boto3 makes its classes as it runs
    """Return a client of such a server."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=KEYS["region_name"],
        aws_access_key_id=KEYS["access_key"],
        aws_secret_access_key=KEYS["secret_key"],
    )


def make_bucket(location: str = "", url: str = "") -> dict[str, Any]:
    """Return a new bucket, as Django's STORAGES has it; of the server that all share, or of one's own."""
    name, url = f"wheels-{uuid.uuid4().hex[:8]}", url or _server()
    client(url).create_bucket(Bucket=name)
    options = {"bucket_name": name, "location": location, "endpoint_url": url, **KEYS}
    return {"BACKEND": "builds.files.bucket.Bucket", "OPTIONS": options}


@contextmanager
def server_of_its_own() -> Iterator[str]:
    """Give the address of a server that a test may end."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
