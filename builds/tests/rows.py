"""Rows for the tests of builds."""

import hashlib
from datetime import UTC, datetime, timedelta

from builds.models import Build, Builder, Target, Wheel
from packages.models import Package, UpstreamFile, Version, canonical_version

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_counter = iter(range(1, 1_000_000))


def make_target(key="trixie-armhf-cp313", **fields):
    release, architecture, abi = key.split("-")
    python = f"{abi[2]}.{abi[3:]}"
    platforms = {"armhf": ["linux_armv6l", "linux_armv7l"], "arm64": ["linux_aarch64"]}
    defaults = {
        "os_release": release,
        "os_name": release.title(),
        "architecture": architecture,
        "python": python,
        "abi": abi,
        "platform_tags": platforms[architecture],
        "is_active": True,
    }
    target, _ = Target.objects.update_or_create(key=key, defaults={**defaults, **fields})
    return target


def make_builder(name="pi-07", target=None, heard_at=NOON, **fields):
    builder = Builder(name=name, target=target or make_target(), heard_at=heard_at, **fields)
    builder.token = builder.rekey()
    builder.save()
    return builder


def make_version(number="1.0", package="demo", source=True, **fields):
    row, _ = Package.objects.get_or_create(name=package, defaults={"display_name": package})
    canonical, is_prerelease = canonical_version(number)
    defaults = {
        "canonical": canonical,
        "is_prerelease": is_prerelease,
        "released_at": NOON - timedelta(days=100 - next(_counter) % 50),
    }
    version = Version.objects.create(package=row, number=number, **{**defaults, **fields})
    if source:
        make_source(version)
    return version


def make_source(version, ending=".tar.gz", **fields):
    filename = f"{version.package.name}-{version.number}{ending}"
    defaults = {
        "kind": "source",
        "url": f"http://upstream.test/files/{filename}",
        "sha256": hashlib.sha256(filename.encode()).hexdigest(),
        "uploaded_at": version.released_at,
    }
    return UpstreamFile.objects.create(version=version, filename=filename, **{**defaults, **fields})


def make_build(version=None, target=None, **fields):
    return Build.objects.create(version=version or make_version(), target=target or make_target(), **fields)


def make_running_build(builder=None, now=NOON, **fields):
    """A build that a builder has claimed; its ticket is the second value."""
    builder = builder or make_builder()
    build = make_build(target=builder.target, **fields)
    assert build.assign(builder, now)
    ticket = build.claim(builder, build.version.files.first(), now)
    build.refresh_from_db()
    return build, ticket


def make_wheel(build=None, version=None, filename="demo-1.0-py3-none-any.whl", **fields):
    """A wheel's row, without a file."""
    if build is None:
        build, _ = make_running_build(version=version)
    content = filename.encode()
    defaults = {
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "metadata_sha256": hashlib.sha256(b"").hexdigest(),
    }
    return Wheel.objects.create(
        build=build,
        version=build.version,
        package=build.version.package,
        filename=filename,
        **{**defaults, **fields},
    )


def make_built(number="1.0", **fields):
    """The wheel of a version of demo, as a finished build leaves it."""
    builder = Builder.objects.filter(name="pi-07").first()
    build, _ = make_running_build(builder, version=make_version(number), **fields)
    wheel = make_wheel(build=build, filename=f"demo-{number}-cp313-cp313-linux_armv6l.linux_armv7l.whl")
    build.close(Build.State.SUCCEEDED, "", NOON, 12.5)
    return wheel
