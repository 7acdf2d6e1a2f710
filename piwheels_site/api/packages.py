"""Packages and their versions."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from django.utils.timezone import now
from ninja import Query, Router, Schema
from pydantic import Field

from builds.models import Build
from builds.models.state import State
from packages import browsing, keyset
from packages.models import Package, Version
from packages.project import canonical
from piwheels_site import use
from piwheels_site.api.answers import ROOT, USUALLY, After, Limit, Name, Next, kept, next_link, package_of
from simple import index

router = Router(tags=["Packages"])


class PackageBrief(Schema):
    """A package, as lists have it."""

    name: str = Field(description="The canonical name (PEP 503).")
    display_name: str = Field(description="The spelling that upstream uses.")
    summary: str
    status: Package.Status = Field(description="What upstream says of it (PEP 792), or that it is gone.")
    changed_at: datetime = Field(description="When something about it changed that a reader can see.")

    @staticmethod
    def of(package: Package) -> "PackageBrief":
        """Return it from its row."""
        return PackageBrief(
            name=package.name,
            display_name=package.display_name,
            summary=package.summary,
            status=Package.Status(package.status),
            changed_at=package.changed_at,
        )


class Packages(Schema):
    """Packages in the order of their names."""

    packages: list[PackageBrief]
    next: Next


class PackageWhole(PackageBrief):
    """A package, and where there is more about it."""

    status_reason: str
    skip_reason: str = Field(description="Why an operator wants no builds of it; empty: nobody minds.")
    downloads: int = Field(description="How often its wheels were downloaded.")
    downloads_30_days: int
    page: str = Field(description="The path of its page for people.")
    versions: str = Field(description="Where its versions are listed.")
    wheels: str = Field(description="Where its wheels are listed.")
    builds: str = Field(description="Where its builds are listed.")


class Attempt(Schema):
    """The last attempt at a version for a target."""

    build: int
    state: State


class VersionWhole(Schema):
    """A version of a package."""

    version: str = Field(description="As upstream writes it.")
    released_at: datetime | None
    is_prerelease: bool
    yanked: bool
    yanked_reason: str
    skip_reason: str
    gone_at: datetime | None = Field(description="When upstream was seen without it.")
    wheels: list[str] = Field(description="The names of its wheels that pip may have of us.")
    builds: dict[str, Attempt] = Field(description="By target.")


class Versions(Schema):
    """Versions of a package, what was seen last first."""

    package: str
    versions: list[VersionWhole]
    next: Next


@router.get("/packages", response=kept(Packages, 422), summary="List packages", url_name="packages")
def packages(
    request: HttpRequest,
    search: Annotated[
        str, Query(max_length=200, description="How their names begin, in any spelling.", examples=["num"])
    ] = "",
    after: Annotated[
        str, Query(max_length=200, description="Go on behind this name; take it from `next`.")
    ] = "",
    limit: Limit = USUALLY,
) -> Packages:
    """Give the packages that this farm follows by their names, or those whose names begin so."""
    beginning = canonical(search) or canonical(search.rstrip("-_."))
    if search and not beginning:
        return Packages(packages=[], next=None)
    found, goes_on = browsing.by_name(beginning, canonical(after), limit)
    return Packages(packages=[PackageBrief.of(each) for each in found], next=next_link(request, goes_on))


@router.get("/packages/{name}", response=kept(PackageWhole, 404, 422), summary="One package")
def package(request: HttpRequest, name: Name) -> PackageWhole:
    """Give what is known of a package."""
    found = package_of(name)
    recent, total = use.counts(found, now())
    return PackageWhole(
        **dict(PackageBrief.of(found)),
        status_reason=found.status_reason,
        skip_reason=found.skip_reason,
        downloads=total,
        downloads_30_days=recent,
        page=found.get_absolute_url(),
        versions=f"{ROOT}/packages/{found.name}/versions",
        wheels=f"{ROOT}/wheels?package={found.name}",
        builds=f"{ROOT}/builds?package={found.name}",
    )


@router.get(
    "/packages/{name}/versions", response=kept(Versions, 404, 422), summary="The versions of a package"
)
def versions(request: HttpRequest, name: Name, after: After = None, limit: Limit = USUALLY) -> Versions:
    """Give its versions with their wheels and how their builds stand, what was seen last first."""
    found = package_of(name)
    some = keyset.newest_of_few(found.versions.all(), after, limit)
    return Versions(package=found.name, versions=_whole(some.rows), next=next_link(request, some.after))


def _whole(shown: Sequence[Version]) -> list[VersionWhole]:
    """Return versions with what came of them: two queries, however many they are."""
    keys = [version.pk for version in shown]
    wheels: dict[int, list[str]] = defaultdict(list)
    listed = index.offered().filter(version__in=keys).order_by("filename")
    for version, filename in listed.values_list("version", "filename"):
        wheels[version].append(filename)
    builds: dict[int, dict[str, Attempt]] = defaultdict(dict)
    tried = Build.objects.filter(version__in=keys).order_by("attempt")
    for version, target, build, state in tried.values_list("version", "target__key", "pk", "state"):
        builds[version][target] = Attempt(build=build, state=State(state))
    return [
        VersionWhole(
            version=version.number,
            released_at=version.released_at,
            is_prerelease=version.is_prerelease,
            yanked=version.yanked,
            yanked_reason=version.yanked_reason,
            skip_reason=version.skip_reason,
            gone_at=version.gone_at,
            wheels=wheels[version.pk],
            builds=builds[version.pk],
        )
        for version in shown
    ]
