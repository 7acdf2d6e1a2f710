"""What goes on: who builds what, and what waits."""

from datetime import datetime

from django.core.cache import cache
from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from builds.builders import farm as builders
from builds.builders.farm import BuilderNow, Condition, Farm, Work
from builds.builders.readings import Machine
from builds.figures import waiting
from builds.figures.waiting import Queue, Stand
from builds.models import Builder
from builds.models.state import State
from packages.clock import database_now
from piwheels_site.api.answers import ROOT, Name, kept, package_of

router = Router(tags=["Farm"])

# Farm and queue are looked at this often, in seconds, however many programs ask.
LOOKED_AT_EVERY = 3


class Building(Schema):
    """A build that a builder has."""

    build: str = Field(description="Where it is.")
    package: str
    version: str
    state: State
    since: datetime | None = Field(description="When it began; null: the builder was only told of it.")

    @staticmethod
    def of(work: Work) -> "Building":
        """Return it from what is shown of it."""
        return Building(
            build=f"{ROOT}/builds/{work.pk}",
            package=work.package,
            version=work.version,
            state=State(work.state),
            since=work.since,
        )


class MachineWhole(Schema):
    """What a builder says of its machine, as far as it can be true."""

    model: str
    os_release: str
    python: str
    software: str = Field(description="The version of the builder's own program.")
    sandbox: str = Field(description="The level that its builds run at.")
    up_s: float | None = Field(description="For how many seconds its program runs; null: it does not say.")
    clock_ahead_s: float | None = Field(description="By how many seconds its clock is off.")
    load: float | None = Field(description="Over one minute.")
    temperature_c: float | None
    memory_used: float | None = Field(description="The part of it that is in use, 0 to 1.")
    swap_used: float | None = Field(description="The same; null: it has none.")
    disk_used: float | None = Field(description="The same, of the disk that it builds on.")

    @staticmethod
    def of(machine: Machine) -> "MachineWhole":
        """Return it from what can be true."""
        values = {reading.name: reading.value for reading in machine.readings}
        return MachineWhole(
            model=machine.model,
            os_release=machine.os_release,
            python=machine.python,
            software=machine.software,
            sandbox=machine.sandbox,
            up_s=machine.up_s,
            clock_ahead_s=machine.clock_ahead_s,
            load=values.get("Load"),
            temperature_c=values.get("Temperature"),
            memory_used=values.get("Memory"),
            swap_used=values.get("Swap"),
            disk_used=values.get("Disk"),
        )


class BuilderWhole(Schema):
    """A Raspberry Pi that builds."""

    name: str
    target: str
    mode: Builder.Mode = Field(description="What its operator, or the farm itself, wants of it.")
    state: Condition
    said: str = Field(description="The same in words.")
    is_well: bool = Field(description="Whether it builds, or would.")
    reason: str = Field(description="Why it is not fit to build, or was taken out.")
    since: datetime | None = Field(description="Since when it is in that mode; null: it is in no other.")
    heard_at: datetime | None = Field(description="When it last spoke.")
    machine: MachineWhole
    building: Building | None
    built_an_hour: int = Field(description="How many builds it ended in the last hour.")


class FarmWhole(Schema):
    """All builders at the moment."""

    seen_at: datetime = Field(description="When all this was so, by the clock of the database.")
    builders: list[BuilderWhole]
    well: int = Field(description="How many of them build, or would.")
    working: int = Field(description="How many are at a build.")
    ended: int = Field(description="How many builds ended in the last hour, of any target.")
    built: int = Field(description="How many of these came to a good end.")


class Next(Schema):
    """A build that is about to be given out."""

    build: str = Field(description="The path of its page.")
    package: str
    version: str
    why: str = Field(description="Why it stands there.")
    queued_at: datetime


class QueueWhole(Schema):
    """What waits for one target."""

    target: str
    ready: int = Field(description="Builds that wait for a builder alone, as was counted last.")
    pausing: int = Field(description="Builds that wait for a time, after a fault.")
    oldest_at: datetime | None = Field(description="Since when the oldest of them waits.")
    builders: int = Field(description="How many builders of the target are at work.")
    ended_an_hour: float = Field(description="How many builds an hour end, by the last day.")
    empty_in_s: int | None = Field(
        description="When it is empty if nothing else comes; null: nobody can tell."
    )
    classes: dict[str, int] = Field(description="How many of which kind, what goes first at the front.")
    next: list[Next]


class Queues(Schema):
    """What waits, by target."""

    queues: list[QueueWhole]


class Standing(Schema):
    """One build of a package that has not ended."""

    build: str = Field(description="Where it is.")
    version: str
    target: str
    state: State
    why: str = Field(description="Why it stands where it stands.")
    ahead: int | None = Field(
        description="How many builds go before it; null: it is not its package's first there, or runs."
    )
    more_ahead: bool | None = Field(description="Whether there are more than that, which nobody counted.")
    starts_in_s: int | None = Field(description="In how many seconds it may begin; null: nobody can tell.")


class PackageQueue(Schema):
    """Where a package's builds stand."""

    package: str
    builds: list[Standing]
    has_more: bool = Field(description="Whether it has more builds that have not ended.")


@router.get("/farm", response=kept(FarmWhole), summary="The builders", url_name="farm")
def farm(request: HttpRequest) -> FarmWhole:
    """Give what each builder does, and how many builds ended in the last hour."""
    found = cache.get_or_set("api-farm", lambda: _farm(builders.look(database_now())), LOOKED_AT_EVERY)
    return found or _farm(builders.look(database_now()))


def _farm(farm: Farm) -> FarmWhole:
    return FarmWhole(
        seen_at=farm.seen_at,
        builders=[_builder(builder, target.key) for target in farm.targets for builder in target.builders],
        well=farm.well,
        working=farm.working,
        ended=farm.ended,
        built=farm.built,
    )


def _builder(builder: BuilderNow, target: str) -> BuilderWhole:
    return BuilderWhole(
        name=builder.name,
        target=target,
        mode=Builder.Mode(builder.mode),
        state=builder.condition,
        said=str(builder.condition.label),
        is_well=builder.condition.is_well,
        reason=builder.reason,
        since=builder.since,
        heard_at=builder.heard_at,
        machine=MachineWhole.of(builder.machine),
        building=Building.of(builder.work) if builder.work else None,
        built_an_hour=builder.per_hour,
    )


@router.get("/queue", response=kept(Queues), summary="What waits", url_name="queue")
def queue(request: HttpRequest) -> Queues:
    """Give how much waits for each target, and what is next."""
    found = cache.get_or_set("api-queues", lambda: waiting.queues(database_now()), LOOKED_AT_EVERY) or []
    return Queues(queues=[_queue(each) for each in found])


def _queue(queue: Queue) -> QueueWhole:
    return QueueWhole(
        target=queue.key,
        ready=queue.ready,
        pausing=queue.pausing,
        oldest_at=queue.oldest_at,
        builders=queue.builders,
        ended_an_hour=queue.per_hour,
        empty_in_s=None if queue.left_s is None else round(queue.left_s),
        classes=dict(queue.classes),
        next=[
            Next(
                build=each.url,
                package=each.package,
                version=each.version,
                why=each.why,
                queued_at=each.queued_at,
            )
            for each in queue.next
        ],
    )


@router.get("/queue/{name}", response=kept(PackageQueue, 404, 422), summary="Where a package stands")
def standing(request: HttpRequest, name: Name) -> PackageQueue:
    """Give a package's builds that have not ended, and of the first for each target how long it may wait."""
    found = waiting.of_package(package_of(name).name, database_now())
    return PackageQueue(
        package=found.package.name if found.package else name,
        builds=[_standing(each) for each in found.stands],
        has_more=found.has_more,
    )


def _standing(stand: Stand) -> Standing:
    build, place = stand.build, stand.position
    return Standing(
        build=f"{ROOT}/builds/{build.pk}",
        version=build.version.number,
        target=build.target.key,
        state=State(build.state),
        why=build.why,
        ahead=place.ahead if place else None,
        more_ahead=not place.is_all if place else None,
        starts_in_s=round(place.starts_in_s) if place and place.starts_in_s is not None else None,
    )
