"""Sample rows: builders with their tokens, and packages that want to be built."""

import hashlib
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from builds.builders.host import host_target
from builds.models import Builder
from packages.models import Package, UpstreamFile, Version

# What packages on PyPI have on average is of this order; plans and claims read all versions of a package.
VERSIONS = 10


def enrol(count: int) -> dict[str, str]:
    """Create builders for this machine's target; return their tokens by their names."""
    target = host_target()
    tokens = {}
    for number in range(count):
        builder = Builder(name=f"sample-{number}", target=target)
        tokens[builder.name] = builder.rekey()
        builder.save()
    return tokens


@transaction.atomic
def release(count: int) -> list[Version]:
    """Create packages, with a source for each of their versions, and return the versions.

    All or nothing, as a plan that is made in between would find nothing to build.
    """
    now = timezone.now()
    packages = Package.objects.bulk_create(
        Package(name=f"sample-{number:05}", display_name=f"sample-{number:05}", fetched_at=now)
        for number in range(count)
    )
    versions = Version.objects.bulk_create(
        Version(
            package=package,
            number=f"1.{minor}",
            canonical=f"1.{minor}",
            released_at=now - timedelta(days=VERSIONS - minor),
        )
        for package in packages
        for minor in range(VERSIONS)
    )
    UpstreamFile.objects.bulk_create(source(version) for version in versions)
    return versions


def source(version: Version) -> UpstreamFile:
    """Return the source of a version; nobody will fetch it."""
    filename = f"{version.package.name}-{version.number}.tar.gz"
    return UpstreamFile(
        version=version,
        filename=filename,
        kind=UpstreamFile.Kind.SOURCE,
        url=f"http://127.0.0.1:9/files/{filename}",
        sha256=hashlib.sha256(filename.encode()).hexdigest(),
        size=1000,
        uploaded_at=version.released_at,
    )
