"""Takes requests to build: anybody may ask, without an account, and each counts once a day.

What is asked for is wanted, as what pip looks for in vain is (`simple.demand`), and so stands higher in the
queue.  A name that we do not follow is marked to be looked up; nothing is fetched while somebody waits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.db.models import Exists, OuterRef

from builds.models import Build, Target
from packages.models import Dirty, Package, Version
from simple.models import DailySalt, Request


class Answer(StrEnum):
    """What became of a request."""

    COUNTED = "counted"
    AGAIN = "again"  # the same client asked for the same today
    NOT_BUILT = "not-built"  # nothing of this package is, whoever asks
    TOO_MANY = "too-many"  # of this client today
    FULL = "full"  # of names that nobody follows, by all clients today
    CLOSED = "closed"  # the operator takes none


@dataclass(frozen=True)
class Wish:
    """What somebody asks for: a package by its canonical name, for one target or for all."""

    name: str
    target: Target | None = None


def ask(wish: Wish, address: str, now: datetime) -> Answer:
    """Count a wish of whoever has this address."""
    if not settings.PIWHEELS_REQUESTS_A_DAY:
        return Answer.CLOSED
    day, package = now.date(), Package.objects.filter(name=wish.name).first()
    if package and package.why_not_built:
        return Answer.NOT_BUILT
    client = client_number(address, day)
    today = Request.objects.filter(day=day, client=client)
    if today.filter(name=wish.name, target=wish.target).exists():
        return Answer.AGAIN
    if today.count() >= settings.PIWHEELS_REQUESTS_A_DAY:
        return Answer.TOO_MANY
    if package is None and not _follow(wish.name, day):
        return Answer.FULL
    # Of two that come at once, one is counted.
    Request.objects.bulk_create(
        [Request(day=day, client=client, name=wish.name, target=wish.target)], ignore_conflicts=True
    )
    if package:
        _want(package, now)
    return Answer.COUNTED


def ask_all(names: Iterable[str], target: Target | None, address: str, now: datetime) -> dict[str, Answer]:
    """Count wishes for several packages of whoever has this address; each is one like any other.

    More names than a client has requests on a day are not even looked at.
    """
    most = settings.PIWHEELS_REQUESTS_A_DAY
    return {
        name: Answer.TOO_MANY if place > most > 0 else ask(Wish(name, target), address, now)
        for place, name in enumerate(dict.fromkeys(names), 1)
    }


def _follow(name: str, day: date) -> bool:
    """Have a name looked up soon, unless strangers have named too many today.

    One that waits anyway, as all do in a first look at upstream, keeps its place then and is looked up too.
    """
    why = Dirty.objects.filter(name=name).values_list("why", flat=True).first()
    if why in Dirty.URGENT:
        return True
    # With NOT IN, PostgreSQL would go through all packages for each request, as they are too many to hash.
    ours = Package.objects.filter(name=OuterRef("name"))
    named = Request.objects.filter(~Exists(ours), day=day).values("name").distinct()
    if named.count() >= settings.PIWHEELS_REQUESTED_NAMES_A_DAY:
        return why is not None
    Dirty.mark(name)
    return True


def _want(package: Package, now: datetime) -> None:
    """Have the newest version built, if no plan would: of some packages only a few versions are."""
    offered = (version for version in package.versions.newest_first() if version.is_offered)
    newest = next((version for version in offered if not version.is_prerelease), None)
    if newest is None or package.plan_needed:
        return
    version = Version.objects.select_related("package").get(pk=newest.pk)
    if version.requested_at or version.skip_reason or Build.objects.filter(version=version).exists():
        return
    version.request(now)


def client_number(address: str, day: date) -> int:
    """Return a number that stands for a client on one day."""
    who = blake2b(network(address).encode(), digest_size=8, key=DailySalt.of(day))
    return int.from_bytes(who.digest(), signed=True)


def network(address: str) -> str:
    """Return what one household has of addresses: of IPv6, it has as many as it likes in its network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        # A server that listens for both kinds has one of IPv4 written as one of IPv6.
        return str(parsed.ipv4_mapped or int(parsed) >> 64)
    return str(parsed)
