"""How long it takes from the commit of a wheel's rows to the first page of nginx that shows it.

Worker and beat are real, with the site's own times, and so is nginx; wheels are published at random moments,
and somebody asks for the page again and again.  VISIBLE_WHEELS in the environment says how many wheels.
"""

import http.client
import os
import random
import statistics
import time

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from benchmarks.figures import Figure, show
from benchmarks.index import ours, wheels
from benchmarks.servers import NOWHERE, Servers
from builds.builders.host import host_target
from builds.models import Build, Wheel
from packages.models import Package, Version
from simple.formats import Format
from tests.stack import Nginx

WHEELS = int(os.environ.get("VISIBLE_WHEELS", "100"))
PROJECT = "visible"
BETWEEN_S = (0.5, 1.5)
# Between two looks, so that who looks takes little from those who publish.
LOOK_S = 0.005
PATIENCE_S = 60
SEED = 1


def main() -> int:
    """Measure and print."""
    with (
        Servers("redis", "web", "worker", "beat") as farm,
        Nginx(
            settings.VAR / "nginx", settings.PIWHEELS_PUBLIC, f"127.0.0.1:{farm.port}", upstream=NOWHERE
        ) as nginx,
    ):
        package, unpublished = _prepare()
        _publish(package, unpublished.pop())
        farm.wait_until(lambda: _shown(nginx.port))
        chance, waits = random.Random(SEED), []
        for wheel in unpublished:
            time.sleep(chance.uniform(*BETWEEN_S))
            waits.append(_publish_and_wait(package, wheel, nginx.port))
    show(
        Figure("from a wheel's commit to nginx's page, median", statistics.median(waits), "s"),
        Figure("the worst", max(waits), "s", "under 1 s"),
    )
    return 0


def _prepare() -> tuple[Package, list[Wheel]]:
    """Return a package, and wheels of it that are stored and have no rows yet."""
    package = Package.objects.create(name=PROJECT, display_name=PROJECT)
    samples = list(wheels.files_of(PROJECT, WHEELS + 1))
    now, target = timezone.now(), host_target()
    versions: dict[str, Build] = {}
    for number in dict.fromkeys(sample.version for sample in samples):
        version = Version.objects.create(package=package, number=number, canonical=number)
        versions[number] = Build.objects.create(
            version=version, target=target, state=Build.State.SUCCEEDED, finished_at=now
        )
    return package, [ours.stored(sample, versions[sample.version]) for sample in samples]


@transaction.atomic
def _publish(package: Package, wheel: Wheel) -> None:
    """Write what a report writes at last."""
    package.mark_changed()
    wheel.save()


def _publish_and_wait(package: Package, wheel: Wheel, port: int) -> float:
    """Publish a wheel and return how long it was until the page had it."""
    name = wheel.filename.encode()
    _publish(package, wheel)
    began = time.monotonic()
    while name not in _shown(port):
        if time.monotonic() - began > PATIENCE_S:
            raise RuntimeError(f"{wheel} is not on nginx's page after {PATIENCE_S} s.")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def _shown(port: int) -> bytes:
    """Return the page as nginx has it; nothing while there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", f"/simple/{PROJECT}/", headers={"Accept": str(Format.JSON)})
        answer = connection.getresponse()
        page = answer.read()
        return page if answer.status == 200 else b""
    finally:
        connection.close()
