"""Fills a farm's database, storage and published tree with the data set, and runs what serves it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from benchmarks.index.peers import Peer, running
from benchmarks.index.wheels import Projects, Sample
from builds.builders.host import host_target
from builds.models import Build, Wheel
from deploy import farm as miniature
from deploy.scratch import free_port
from packages.models import Package, Version
from simple import publishing, roots
from tests.stack import NOWHERE, Nginx

WORKERS = 2
# Until everything is written.
WITHOUT_END_S = 3600.0


def fill(projects: Projects) -> None:
    """Write rows and files, and publish them."""
    for name, samples in projects.items():
        _fill(name, samples)
    now = timezone.now()
    publishing.publish(now, wait=True, run_s=WITHOUT_END_S)
    roots.publish(now, at_once=True)


def _fill(name: str, samples: list[Sample]) -> None:
    package = Package.objects.create(name=name, display_name=name)
    numbers = list(dict.fromkeys(sample.version for sample in samples))
    versions = Version.objects.bulk_create(
        Version(package=package, number=number, canonical=number) for number in numbers
    )
    target, now = host_target(), timezone.now()
    builds = Build.objects.bulk_create(
        Build(version=version, target=target, state=Build.State.SUCCEEDED, finished_at=now)
        for version in versions
    )
    of_version = {build.version.number: build for build in builds}
    Wheel.objects.bulk_create(stored(sample, of_version[sample.version]) for sample in samples)
    package.mark_changed()


def stored(sample: Sample, build: Build) -> Wheel:
    """Store a wheel, and return the row that it is to have."""
    content, metadata = sample.content, sample.metadata
    wheel = Wheel(
        build=build,
        package=build.version.package,
        version=build.version,
        filename=sample.filename,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
        requires_python=">=3.9",
        published_at=timezone.now(),
    )
    # Without syncing each, as they are gone in minutes.
    for path, held in ((wheel.path, content), (wheel.metadata_path, metadata)):
        file = Path(default_storage.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(held)
    return wheel


@contextmanager
def application(folder: Path) -> Iterator[Peer]:
    """Run the web server alone."""
    folder.mkdir()
    port = free_port()
    env = miniature.settings(settings.VAR, {**os.environ, "PIWHEELS_PYPI": NOWHERE})
    words = miniature.commands(env, port)["web"]
    with running(
        [*words, "--workers", str(WORKERS)], f"http://127.0.0.1:{port}/simple/", folder, env
    ) as process:
        yield Peer("ours, gunicorn alone", f"http://127.0.0.1:{port}", process, page=page_of, file=file_of)


@contextmanager
def production(folder: Path, web: Peer) -> Iterator[Peer]:
    """Run nginx before a running web server."""
    nginx = Nginx(
        folder, settings.PIWHEELS_PUBLIC, web.address.removeprefix("http://"), upstream=NOWHERE, workers=2
    )
    with nginx:
        yield Peer(
            "ours, nginx in front", nginx.url, psutil.Process(nginx.process.pid), page=page_of, file=file_of
        )


def page_of(project: str) -> str:
    """Return the path of a project's page."""
    return f"/simple/{project}/" if project else "/simple/"


def file_of(sample: Sample) -> str:
    """Return the path of a wheel."""
    return f"/simple/{sample.project}/{sample.filename}"
