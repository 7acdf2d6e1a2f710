"""What goes on in the sample right now: the queue, the builds that run, and what operators have decided."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random

from builds.files import logs
from builds.models import Build, Builder, Campaign, Push, Recipe, Size, Skip, Target
from builds.planning import plan
from packages.models import Package
from piwheels_site.models import Notice
from piwheels_site.sample import catalogue, printed
from piwheels_site.sample.catalogue import Entry
from piwheels_site.sample.upstream import Project

_MARK = "Everything here was made up to be looked at."
_TEXT = (
    "No package, build, builder or download that you see is real, and the files are samples: do not install"
    " them. `manage.py play` has drawn all of it from a seed."
)


def mark(now: datetime) -> None:
    """Have every page say that this is a sample."""
    Notice.objects.create(kind=Notice.Kind.SAMPLE, title=_MARK, text=_TEXT, begins_at=now)


def tell_of_an_incident(now: datetime) -> None:
    """Note an incident that is over, for the page that lists them."""
    Notice.objects.create(
        kind=Notice.Kind.INCIDENT,
        title="Builds waited for a new disk",
        text="The disk of the storage was full. Nothing was lost.\n\nIt was replaced by a larger one.",
        begins_at=now - timedelta(days=12, hours=5),
        ends_at=now - timedelta(days=12),
    )


def write(projects: list[Project], builders: list[Builder], seed: int, now: datetime) -> None:
    """Decide, plan and begin what goes on now."""
    _decide(projects, now)
    plan.plan_changed(now, limit=len(projects))
    _begin_campaign(now)
    entries = {project.package.name: project.entry for project in projects}
    # The slow ones may wait for ever: what is begun is drawn from what comes next.
    chance = Random(f"{seed}/present")
    for builder in builders:
        if builder.is_at_work(now) or builder.mode == Builder.Mode.DRAINING:
            begin(builder, entries, seed, now, back_s=chance.uniform(5, 400))
    _leave_in_other_states(now)


def begin(
    builder: Builder, entries: Mapping[str, Entry], seed: int, now: datetime, back_s: float
) -> Build | None:
    """Give a builder the next build that it may have, as if it had begun some time ago."""
    waiting = Build.objects.ready().filter(
        target=builder.target_id, size__in=Size(builder.size).and_smaller()
    )
    # Of equals the farm takes that which was queued first, which is not the same in each sample.
    place = ("-priority", "-released_at", "version__package__name", "version__number")
    build = waiting.select_related("version__package", "target").order_by(*place).first()
    source = build.sources()[0] if build and build.sources() else None
    if build is None or source is None or not build.take(builder, source, now - timedelta(seconds=back_s)):
        return None
    build.refresh_from_db()
    build.prolong(now)
    text = running_log(build, entries.get(build.version.package.name), seed)
    logs.append(build.pk, 0, text[: len(text) // 3])
    return build


def running_log(build: Build, entry: Entry | None, seed: int) -> bytes:
    """Return all that a running build will have printed; the same each time it is asked for."""
    name = build.version.package.display_name
    entry = entry or Entry(name, "native", 60.0, build.version.number, (), (), "")
    return printed.log(entry, build.version.number, build.target, Random(f"{seed}/{build.pk}")).encode()


def _leave_in_other_states(now: datetime) -> None:
    """Have one of the running builds bring its wheel, one wait for its builder, and one be cancelled."""
    # Not by their numbers: which package is planned first is the database's affair.
    names = ("version__package__name", "version__number", "target__key")
    running = list(Build.objects.filter(state=Build.State.BUILDING).order_by(*names))
    if len(running) > 2:
        running[-1].begin_upload()
        last, builder = running[-2], running[-2].builder
        last.abandon(f"Builder {builder} began anew without it.", now)
        again = last.again(losses=1, priority=last.priority, why=last.why)
        if builder:
            again.assign(builder, now)
    if waiting := Build.objects.waiting().last():
        waiting.cancel("admin: nobody needs this version any more.", now)


def _decide(projects: list[Project], now: datetime) -> None:
    """Have operators skip, push and prescribe."""
    by_name = {project.entry.name: project for project in projects}
    for name, (target, reason) in catalogue.skipped().items():
        if target and name in by_name:
            skip = Skip(package=by_name[name].package, target=Target.objects.get(key=target), reason=reason)
            skip.by = "admin"
            skip.save()
    first = projects[0]
    Push(package=first.package, reason="Everybody waits for it.", by="admin", at=now).save()
    Recipe(package=first.package, memory_bytes=3 << 30, time_limit_s=4 * 3600, note="It is large.").save()
    Recipe(failure="cython-too-new", rung="older-tools", note="Cython 3 came in 2023.").save()
    if len(projects) > 3:
        version = projects[3].versions[-1]
        version.skip("It was never meant to be released.")
        projects[3].versions[0].request(now - timedelta(minutes=2))


def _begin_campaign(now: datetime) -> None:
    """Have a campaign be half through."""
    target = Target.objects.active().order_by("-pk").first()
    waiting = list(Build.objects.waiting().filter(target=target).values_list("pk", flat=True)[5:30])
    if target is None or not waiting:
        return
    campaign = Campaign.objects.create(
        name="The most wanted for the new release",
        target=target,
        kind=Campaign.Kind.MOST_WANTED,
        count=100,
        total=100,
        looked_at=62,
        # Nobody goes on with it, as there is no worker; the live sample's builds end it nevertheless.
        todo=list(Package.objects.order_by("pk").values_list("pk", flat=True)[62:100]),
        by="admin",
        started_at=now - timedelta(hours=9),
    )
    Build.objects.filter(pk__in=waiting).update(campaign=campaign)
