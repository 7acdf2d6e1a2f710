"""Which indexes there are: all that we have, and parts of it by filters, each with its own address.

An index's name is its path from the root of the site, and its folder in the published tree: `simple`,
`simple-platform`, `simple-full`, and `<os>/simple` for each OS release.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.conf import settings

from builds.models import Target
from builds.wheels.coverage import Need

ALL = "simple"
# Without our pure wheels of versions of which upstream has one, so that the hashes of lock files hold.
PLATFORM = "simple-platform"
# With upstream's files beside ours, for whoever wants one index alone.
FULL = "simple-full"

# Those that do not depend on targets.
OWN = (ALL, PLATFORM, FULL)

# What no OS release may be called, as other things of the site have these addresses; nginx has the same list.
TAKEN = (
    *("admin", "api", "apt", "builder", "builds", "bundle", "check", "explain", "failures", "farm", "faq"),
    *("feeds", "healthz", "logs", "metrics", "p", "packages", "project", "queue", "readyz", "static"),
    *("stats", "status", "theme", *OWN),
)
RELEASE = rf"(?!(?:{'|'.join(TAKEN)})(?:/|\Z))[a-z0-9][a-z0-9.-]{{0,29}}"


@dataclass(frozen=True)
class Indexes:
    """The indexes of this farm, with what decides their content."""

    releases: Mapping[str, tuple[Need, ...]]  # by index
    has_full: bool
    # Those of which upstream's wheels replace none, as their pips are to need no index beside ours.
    targets_alone: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return (ALL, PLATFORM, *([FULL] if self.has_full else []), *self.releases)

    @property
    def needs(self) -> list[Need]:
        """What all targets of these releases want."""
        return [need for each in self.releases.values() for need in each]


def of_release(os_release: str) -> str:
    """Return the name of a release's index; "" for one whose address would be another's."""
    return f"{os_release}/{ALL}" if re.fullmatch(RELEASE, os_release) else ""


def current(kept: Collection[str] = ()) -> Indexes:
    """Return the indexes there are: those of releases that we build for, and that were `kept` from before.

    What a Pi has in its pip.conf goes on to work when nothing more is built for it.
    """
    needs: dict[str, list[Need]] = {}
    alone: list[str] = []
    wanted = set(kept)
    for target in Target.objects.order_by("os_release", "key"):
        alone += [] if target.counts_upstream else [target.key]
        if index := of_release(target.os_release):
            needs.setdefault(index, []).append(target.need())
            wanted |= {index} if target.is_active else set()
    return Indexes(
        releases={index: tuple(each) for index, each in needs.items() if index in wanted},
        has_full=settings.PIWHEELS_FULL_INDEX,
        targets_alone=tuple(alone),
    )
