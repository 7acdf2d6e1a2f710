"""What is built for."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from builds.models import Target
from piwheels_site.api.answers import ROOT, Refused, kept
from simple import indexes

router = Router(tags=["Farm"])

TargetKey = Annotated[
    str,
    Query(pattern=r"^[A-Za-z0-9._-]{0,60}$", description=f"For this target (see {ROOT}/targets)."),
]


class TargetWhole(Schema):
    """An OS release, an architecture and a Python."""

    key: str
    title: str
    os_release: str
    architecture: str
    python: str
    abi: str
    is_active: bool = Field(description="Whether anything is built for it by now.")
    glibc: str
    preinstalled: list[str] = Field(description="The apt packages that its OS image has.")
    index: str = Field(description="The simple index that has what runs there; empty: none of its own.")


class Targets(Schema):
    """What is built for, and what was."""

    targets: list[TargetWhole]


@router.get("/targets", response=kept(Targets), summary="List targets", url_name="targets")
def targets(request: HttpRequest) -> Targets:
    """Give all targets, those first that are built and shown first."""
    return Targets(targets=[_whole(target) for target in Target.objects.all()])


def _whole(target: Target) -> TargetWhole:
    of = indexes.of_release(target.os_release)
    return TargetWhole(
        key=target.key,
        title=target.title,
        os_release=target.os_release,
        architecture=target.architecture,
        python=target.python,
        abi=target.abi,
        is_active=target.is_active,
        glibc=target.glibc,
        preinstalled=[str(name) for name in target.preinstalled],
        index=f"/{of}/" if of else "",
    )


def target_of(key: str) -> Target | None:
    """Return the target of a key, None where none is asked for; refuses what is none."""
    if not key:
        return None
    target = Target.objects.filter(key=key).first()
    if target is None:
        raise Refused(404, "There is no such target.", f"The keys of all targets are at {ROOT}/targets.")
    return target
