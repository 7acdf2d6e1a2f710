"""Wheels that pip may have, and what they need."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from django.db.models import Prefetch
from django.http import HttpRequest
from ninja import Path, Query, Router, Schema
from pydantic import Field

from builds.models import Dependency, Wheel, WheelQuerySet
from builds.planning.wishes import upstream_wheels
from builds.wheels.yanks import Yank, yanks
from packages import keyset
from packages.models import UpstreamFile
from piwheels_site.api.answers import ROOT, USUALLY, After, Limit, Next, kept, next_link, package_of, unknown
from piwheels_site.api.targets import TargetKey, target_of
from simple import index

router = Router(tags=["Wheels"])


class WheelWhole(Schema):
    """A wheel that pip may have."""

    id: int
    filename: str
    package: str
    version: str
    target: str = Field(description="What it was built for; its tags say where else it may run.")
    size: int = Field(description="In bytes.")
    sha256: str
    metadata_sha256: str
    tags: list[str]
    requires_python: str
    glibc: str = Field(description="The least C library that it runs with; empty: any.")
    apt: list[str] = Field(description="Debian packages that it needs beyond those of the OS image.")
    missing: list[str] = Field(description="Libraries that it needs and that no Debian package has.")
    pip: list[str] = Field(description="What it requires of other packages, as its METADATA has it.")
    yanked: bool = Field(
        description="Whether installers pass over it unless they are told to take it (PEP 592)."
    )
    yanked_reason: str
    published_at: datetime
    url: str = Field(description="Where the file is, below the site's root.")
    provenance: str = Field(description="Where the statement of what it was made of is.")
    build: str = Field(description="Where its build is.")

    @staticmethod
    def of(wheel: Wheel, yank: Yank | None) -> "WheelWhole":
        """Return it from its row."""
        return WheelWhole(
            id=wheel.pk,
            filename=wheel.filename,
            package=wheel.package.name,
            version=wheel.version.number,
            target=wheel.build.target.key,
            size=wheel.size,
            sha256=wheel.sha256,
            metadata_sha256=wheel.metadata_sha256,
            tags=sorted(str(tag) for tag in wheel.tags()),
            requires_python=wheel.requires_python,
            glibc=wheel.glibc,
            apt=wheel.build.target.lacks(_names(wheel, Dependency.Tool.APT)),
            missing=_names(wheel, Dependency.Tool.NONE),
            pip=sorted(need.requirement or need.name for need in _needs(wheel, Dependency.Tool.PIP)),
            yanked=yank is not None,
            yanked_reason=yank.reason if yank else "",
            published_at=wheel.published_at,
            url=wheel.url,
            provenance=wheel.provenance_url,
            build=f"{ROOT}/builds/{wheel.build_id}",
        )


class Wheels(Schema):
    """Wheels, the newest first."""

    wheels: list[WheelWhole]
    next: Next


@router.get("/wheels", response=kept(Wheels, 404, 422), summary="List wheels", url_name="wheels")
def wheels(
    request: HttpRequest,
    package: Annotated[str, Query(max_length=200, description="Of this package.")] = "",
    version: Annotated[
        str, Query(max_length=200, description="Of this version, as upstream writes it; needs `package`.")
    ] = "",
    target: TargetKey = "",
    after: After = None,
    limit: Limit = USUALLY,
) -> Wheels:
    """Give the wheels that pip may have, the newest first; with filters, those that all of these fit."""
    fitting = _told()
    if built_for := target_of(target):
        fitting = fitting.filter(build__target=built_for)
    if package:
        fitting = fitting.filter(package=package_of(package))
        fitting = fitting.filter(version__number=version.replace("\0", "")) if version else fitting
    give = keyset.newest_of_few if package else keyset.newest_first
    some = give(fitting, after, limit)
    return Wheels(wheels=_whole(some.rows), next=next_link(request, some.after))


@router.get("/wheels/{filename}", response=kept(WheelWhole, 404, 422), summary="One wheel")
def wheel(
    request: HttpRequest,
    filename: Annotated[
        str, Path(max_length=255, description="Its name.", examples=["demo-1.0-py3-none-any.whl"])
    ],
) -> WheelWhole:
    """Give what is known of a wheel that pip may have of us."""
    found = _told().filter(filename=filename.replace("\0", "")).first()
    if found is None:
        unknown("wheel")
    return _whole([found])[0]


def _whole(wheels: Sequence[Wheel]) -> list[WheelWhole]:
    """Return wheels with whether they are yanked: one query more, however many they are."""
    versions = {wheel.version_id for wheel in wheels}
    yanked = yanks(wheels, upstream_wheels(UpstreamFile.objects.filter(version__in=versions)))
    return [WheelWhole.of(wheel, yanked.get(wheel.pk)) for wheel in wheels]


def _told() -> WheelQuerySet:
    """Return the wheels that pip may have, with what is told of each."""
    needs = Prefetch("dependencies", Dependency.objects.order_by("name"))
    told_of = ("package", "version", "build__target", "build__source")
    return index.offered().select_related(*told_of).prefetch_related(needs)


def _needs(wheel: Wheel, tool: Dependency.Tool) -> list[Dependency]:
    return [need for need in wheel.dependencies.all() if need.tool == tool]


def _names(wheel: Wheel, tool: Dependency.Tool) -> list[str]:
    """Return the names of what a wheel needs, each once."""
    return sorted({need.name for need in _needs(wheel, tool)})
