"""A builder as the server sees it, and what it says, for the tests of the builders' door."""

import gzip
import hashlib
import json
import time

from django.test import Client

from builder import contract
from builds.files import logs, storage, stored

API = "/builder/v1"
PURE = "demo-1.0-py3-none-any.whl"


class Pi:
    """A builder as the server sees it."""

    def __init__(self, secret):
        self.secret = secret
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def post(self, path, body=b"", **headers):
        return self.client.post(
            f"{API}/{path}", body, content_type="application/octet-stream", headers=headers
        )

    def claim(self, build, attempt=1):
        return self.post(f"builds/{build.pk}/{attempt}/claim")

    def heartbeat(self, build, log=b"", at=0):
        return self.post(f"builds/{build.pk}/heartbeat?log={at}", log)

    def upload(self, build, filename, content, *, offset=0, total=None, sha256=None):
        return self.client.patch(
            f"{API}/builds/{build.pk}/wheels/{filename}",
            content,
            content_type="application/octet-stream",
            headers={
                "Upload-Offset": str(offset),
                "Upload-Length": str(len(content) if total is None else total),
                "Upload-Sha256": sha256 or hashlib.sha256(content).hexdigest(),
            },
        )

    def arrived(self, build, filename, content):
        response = self.client.head(
            f"{API}/builds/{build.pk}/wheels/{filename}",
            headers={"Upload-Sha256": hashlib.sha256(content).hexdigest()},
        )
        return int(response["Upload-Offset"])

    def log(self, build):
        return b"".join(self.client.get(f"/builds/{build.pk}/log").streaming_content)

    def report(self, build, *wheels, succeeded=True, reason="", apt=(), **told_of_each):
        return self.post(
            f"builds/{build.pk}/report",
            report_of(*wheels, succeeded=succeeded, reason=reason, apt=apt, **told_of_each),
        )

    def report_with(self, build, behind, *wheels, next_for="", **fields):
        """Report with bytes behind the report, which says by its fields what they are."""
        body = json.loads(report_of(*wheels)) | fields
        told = json.dumps(body).encode()
        headers = {"Report-Length": str(len(told)), **({"Next-For": next_for} if next_for else {})}
        return self.post(f"builds/{build.pk}/report", told + behind, **headers)


def report_of(*wheels, succeeded=True, reason="", apt=(), **told_of_each) -> bytes:
    """A report of wheels, given as names and contents."""
    told = [
        {
            "filename": name,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "apt": apt,
            **told_of_each,
        }
        for name, content in wheels
    ]
    body = {
        "contract": contract.CONTRACT,
        "succeeded": succeeded,
        "reason": reason,
        "duration_s": 1.5,
        "wheels": told,
    }
    return json.dumps(body).encode()


def facts(**changes):
    body = {
        "contract": contract.CONTRACT,
        "python": "3.13",
        "platform": "linux-armv7l",
        "os_release": "trixie",
        "model": "Raspberry Pi 4 Model B",
        "memory_bytes": 4 << 30,
        "memory_free_bytes": 2 << 30,
        "swap_bytes": 0,
        "swap_free_bytes": 0,
        "disk_bytes": 32 << 30,
        "disk_free_bytes": 10 << 30,
        "load": 0.5,
        "temperature_c": None,
        "clock": time.time(),
        "sandbox": "full",
        "sandbox_lacks": [],
        "problems": [],
        "build": 0,
        "versions": {"pip": "26.3"},
    }
    return json.dumps({**body, **changes}).encode()


def error(response):
    return json.loads(response.content)["error"]


def leave_logs(build):
    """Leave logs where a build's will be, as of one that had its number before the database was restored."""
    storage.store_bytes(stored.log_name(build.pk), gzip.compress(b"fatal error: old.h: No such file\n" * 9))
    logs.append(build.pk, 0, b"An old build that was at work.\n" * 9)
