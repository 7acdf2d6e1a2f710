"""What a page of the index costs: its JSON with few and with many files, and the answer that it is unchanged.

CPU time of Python alone, through Django's test client, which adds the same fraction of a millisecond to each.
"""

import time

from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from benchmarks.figures import Figure, show
from builds.builders.host import host_target
from builds.models import Build, Wheel
from packages.models import Package, Version
from simple.formats import Format

FEW, MANY = 20, 500
WHEELS = 5
REQUESTS = 300


def main() -> int:
    """Measure and print."""
    call_command("migrate", interactive=False, verbosity=0)
    publish("few", FEW)
    publish("many", MANY)
    client = Client(headers={"Host": "localhost", "Accept": Format.JSON})
    etag = client.get("/simple/many/")["ETag"]
    few, many = request_ms(client, "few"), request_ms(client, "many")
    unchanged = request_ms(client, "many", etag)
    show(
        Figure(f"JSON with {FEW} files", few, "ms/request"),
        Figure(f"JSON with {MANY} files", many, "ms/request", "under 100"),
        Figure("304 with an ETag", unchanged, "ms/request"),
        Figure(f"{MANY} files to {FEW} files", many / few, "times", f"under {MANY // FEW} times"),
    )
    files = [len(client.get(f"/simple/{name}/").json()["files"]) for name in ("few", "many")]
    is_unchanged = client.get("/simple/many/", headers={"If-None-Match": etag}).status_code == 304
    return 0 if files == [FEW, MANY] and is_unchanged else 1


def request_ms(client: Client, name: str, etag: str = "") -> float:
    """Return how much CPU time a request for a page takes, in milliseconds."""
    headers = {"If-None-Match": etag} if etag else {}
    began = time.process_time()
    for _ in range(REQUESTS):
        client.get(f"/simple/{name}/", headers=headers)
    return (time.process_time() - began) / REQUESTS * 1000


def publish(name: str, count: int) -> None:
    """Create a package with that many wheels, without files behind them."""
    target = host_target()
    package = Package.objects.create(name=name, display_name=name)
    versions = Version.objects.bulk_create(
        Version(package=package, number=f"1.{minor}", canonical=f"1.{minor}")
        for minor in range(count // WHEELS)
    )
    builds = Build.objects.bulk_create(
        Build(version=version, target=target, state=Build.State.SUCCEEDED, finished_at=timezone.now())
        for version in versions
    )
    Wheel.objects.bulk_create(
        Wheel(
            build=build,
            package=package,
            version=build.version,
            filename=f"{name}-{build.version.number}-cp3{minor}-cp3{minor}-linux_armv6l.linux_armv7l.whl",
            size=10_000,
            sha256=f"{build.pk:064x}",
            metadata_sha256=f"{build.pk:064x}",
            requires_python=">=3.9",
        )
        for build in builds
        for minor in range(9, 9 + WHEELS)
    )
