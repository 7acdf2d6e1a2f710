"""Makes the rows that the index shows, each wheel with its real bytes in the storage."""

import hashlib

from django.db import transaction
from django.utils import timezone
from packaging.utils import canonicalize_name

from builds.files import storage
from builds.models import Build, Target, Wheel
from builds.tests.storages import metadata_of
from packages import merge
from packages.models import Package, UpstreamFile, Version, canonical_version
from packages.project import Project, Release
from tests import sdists

PI = "cp313-cp313-linux_armv6l.linux_armv7l"


def make_package(name="demo", **fields):
    return Package.objects.create(name=canonicalize_name(name), display_name=name, **fields)


def make_version(package, number="1.0", **fields):
    canonical, is_prerelease = canonical_version(number)
    return Version.objects.create(
        package=package, number=number, canonical=canonical, is_prerelease=is_prerelease, **fields
    )


def tell(name="demo", *, numbers=("1.0",), display_name=None, status="active", status_reason=""):
    """Have upstream say which versions a package has, and in what state it is; it has no files of its own."""
    project = Project(
        name=name,
        display_name=display_name,
        summary=None,
        status=status,
        status_reason=status_reason,
        serial=None,
        versions=tuple(Release(number, ()) for number in numbers),
    )
    merge.apply(project, timezone.now())


def make_upstream(version, filename, **fields):
    kind = "wheel" if filename.endswith(".whl") else "source"
    address = f"https://files.invalid/{filename}"
    return UpstreamFile.objects.create(
        version=version, **{"filename": filename, "kind": kind, "url": address, "sha256": "a" * 64, **fields}
    )


def make_wheel(
    name="demo",
    number="1.0",
    tag=PI,
    build_tag="",
    requires_python="",
    requires=(),
    answer=42,
    padding=b"",
    command="",
    **fields,
):
    """Return a published wheel; what it belongs to is made when it is not there yet."""
    package = Package.objects.filter(name=canonicalize_name(name)).first() or make_package(name)
    version = Version.objects.filter(package=package, number=number).first() or make_version(package, number)
    content = sdists.make_wheel(
        name,
        number,
        tag,
        requires_python=requires_python,
        requires=requires,
        build_tag=build_tag.removeprefix("-"),
        answer=answer,
        padding=padding,
        command=command,
    )
    wheel = Wheel(
        package=package,
        version=version,
        filename=f"{sdists.stem(name, number)}{build_tag}-{tag}.whl",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        metadata_sha256=hashlib.sha256(metadata_of(content)).hexdigest(),
        requires_python=requires_python,
        **{"build": fields.get("build") or _build(version), "published_at": timezone.now(), **fields},
    )
    storage.store_bytes(wheel.metadata_path, metadata_of(content))
    storage.store_bytes(wheel.path, content)
    wheel.save()
    package.mark_changed()
    return wheel


@transaction.atomic
def make_rebuild(wheel, answer=43):
    """Return the wheel of another build of the same version, which has taken the place of the one before."""
    last = Build.objects.filter(version=wheel.version).order_by("-attempt")[0]
    build = last.again(losses=0, priority=0, why="")
    Build.objects.filter(pk=build.pk).update(state=Build.State.SUCCEEDED, finished_at=timezone.now())
    tag = "-".join(wheel.filename.removesuffix(".whl").split("-")[-3:])
    rebuilt = make_wheel(
        wheel.package.name,
        wheel.version.number,
        tag,
        build_tag=f"-{build.attempt - 1}",
        answer=answer,
        build=build,
    )
    rebuilt.take_over()
    wheel.refresh_from_db()
    return rebuilt


def _build(version):
    target, _ = Target.objects.get_or_create(
        key="test-armhf-cp313",
        defaults={
            "os_release": "test",
            "os_name": "Test",
            "architecture": "armhf",
            "python": "3.13",
            "abi": "cp313",
            "platform_tags": ["linux_armv6l", "linux_armv7l"],
        },
    )
    build, _ = Build.objects.get_or_create(
        version=version,
        target=target,
        attempt=1,
        defaults={"state": Build.State.SUCCEEDED, "finished_at": timezone.now()},
    )
    return build
