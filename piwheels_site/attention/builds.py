"""What operators have to decide of builds, and of what came out of them."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, Sum
from django.urls import reverse

from builds import failures
from builds.builders import farm
from builds.figures import breakages
from builds.log_text import clean
from builds.models import (
    Build,
    BuildDay,
    Builder,
    Campaign,
    Demand,
    Refusal,
    TargetQueue,
    Wheel,
)
from packages.models import Version
from piwheels_site.attention.matter import Matter, admin_list
from piwheels_site.status import COUNTED, say_waiting
from piwheels_site.templatetags.said import counted, failure_title

# Upstream is away if the builds that ended so lately, the last one too, were mostly kept from it, and so many
# at least: one that waits for it alone is tried each hour.
AWAY, AWAY_LEAST = timedelta(hours=4), 3
# A class of failure is new for so many days; single builds of one say nothing.
NEW_DAYS, NEW_LEAST = 3, 3
# One grows that has so many times its daily mean of the days before, and so many in all.
GROWN, GROWN_LEAST, BEFORE_DAYS = 3.0, 20, 14
# A new release that fails is a matter if its package is among so many that are wanted most.
WANTED = 100
# Waiting builds that no builder takes are a matter after so long, and so are leases that are over.
STUCK = timedelta(minutes=30)
UNSWEPT = timedelta(minutes=10)
# The bytes of what was taken down are gone within minutes.
UNREMOVED = timedelta(minutes=10)
# A campaign with so many ends is judged; one is told of for so long after its end.
JUDGED, BAD_SHARE, LATELY = 20, 0.5, timedelta(days=7)
# What was refused is told of for so long, if it is among so many of the last.
REFUSED, LAST_REFUSED = timedelta(days=1), 200


def find_failures(now: datetime) -> Iterator[Matter]:
    """Find classes of failure that are new, or that happen much more often than they did."""
    today = now.date()
    recent = today - timedelta(days=NEW_DAYS - 1)
    days = BuildDay.objects.filter(day__gt=today - timedelta(days=BEFORE_DAYS + 2)).exclude(failure="")
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    first: dict[str, datetime] = {}
    for failure, day, count in days.order_by("day").values_list("failure", "day").annotate(Sum("count")):
        counts[failure][(today - day).days] = count
        first.setdefault(failure, now - timedelta(days=(today - day).days))
    before = BuildDay.objects.filter(failure=OuterRef("failure"), day__lt=recent)
    fresh = days.filter(day__gte=recent).filter(~Exists(before)).order_by().values_list("failure", flat=True)
    new = set(fresh.distinct())
    began = BuildDay.objects.order_by("day").values_list("day", flat=True).first() or today
    # On a farm that has only just begun every class is new, and none of them news.
    is_young = began >= recent
    for failure, by_age in counts.items():
        if failure not in failures.classes():
            continue
        matter = None
        if failure in new:
            if not is_young and sum(by_age.values()) >= NEW_LEAST:
                matter = f"a new class of failure: {sum(by_age.values())} builds"
        else:
            matter = _growth(by_age, min(BEFORE_DAYS, (today - began).days - 1))
        if matter:
            url = admin_list("builds_build", stage=Build.State.FAILED, failure=failure)
            said = f"{failures.classes()[failure].title}: {matter}."
            since = first[failure] if failure in new else now - timedelta(days=1)
            yield Matter(f"failure:{failure}", said, since, url, "Write a recipe, or start a campaign")


def _growth(by_age: dict[int, int], days: int) -> str:
    """Say how much more often a class happened today and yesterday than on so many days before; "" if not."""
    lately = by_age.get(0, 0) + by_age.get(1, 0)
    mean = sum(count for age, count in by_age.items() if age > 1) / days
    if lately < GROWN_LEAST or lately <= GROWN * 2 * mean:
        return ""
    return f"{counted(lately)} builds since yesterday, {mean:.1f} a day before"


def find_broken(now: datetime) -> Iterator[Matter]:
    """Find new releases that fail of packages which were built before and which many people want."""
    wanted = Demand.objects.most_wanted().values("package")[:WANTED]
    by_version: dict[Version, list[Build]] = defaultdict(list)
    for build in breakages.standing(now).filter(version__package__in=wanted):
        by_version[build.version].append(build)
    for version, found in by_version.items():
        first = found[-1]
        targets = ", ".join(sorted(build.target.key for build in found))
        title = failure_title(first.failure)
        said = f"{clean(str(version))}, a new release, fails for {targets} ({title});"
        said += f" {clean(first.breakage.good.number)} was built."
        url = first.get_absolute_url()
        yield Matter(f"release-fails:{version.pk}", said, first.finished_at, url, "Read why")


def find_stuck(now: datetime) -> Iterator[Matter]:
    """Find what should move and does not."""
    unswept = Build.objects.lost(now - UNSWEPT).order_by("lease_until").values_list("lease_until", flat=True)
    if leases := list(unswept[: COUNTED + 1]):
        said = f"{say_waiting(len(leases), 'build')} to be taken back from builders that fell silent."
        yield Matter(
            "unswept", said, leases[0], admin_list("builds_build", stage="running"), "Look at the worker"
        )
    given_up = list(Build.objects.given_up().values_list("finished_at", flat=True)[: COUNTED + 1])
    if given_up:
        said = f"{say_waiting(len(given_up), 'build')} for a person: each ended four times or more by no"
        said += " fault of its package."
        url = admin_list("builds_build", stage="given-up")
        yield Matter("given-up", said, min(filter(None, given_up)), url, "Requeue, or skip")
    at_work = set(Builder.objects.at_work(now).values_list("target", flat=True))
    queues = TargetQueue.objects.filter(target__is_active=True, ready__gt=0, oldest_at__lt=now - STUCK)
    for queue in queues.exclude(target__in=at_work).select_related("target"):
        said = f"{counted(queue.ready)} builds wait for {queue.target}, and no builder is at work for it."
        url = admin_list("builds_builder", target__id__exact=queue.target_id)
        yield Matter(
            f"no-builder:{queue.target}", said, queue.oldest_at, url, "Resume or enrol one", is_urgent=True
        )


def find_upstream(now: datetime) -> Iterator[Matter]:
    """Find that builders cannot get what builds are made of, as the last builds say, whoever had them."""
    ended = Build.objects.ended().filter(finished_at__gte=now - AWAY)
    last = list(ended.values_list("failure", "finished_at")[: farm.LAST])
    away = [at for failure, at in last if failures.is_upstream(failure)]
    if len(away) >= AWAY_LEAST and 2 * len(away) > len(last) and failures.is_upstream(last[0][0]):
        said = f"Builders cannot reach upstream: {len(away)} of the last {len(last)} builds ended of that."
        url = admin_list("builds_build", stage=Build.State.FAILED)
        yield Matter("upstream-away", said, away[-1], url, "Read their reasons", is_urgent=True)


def find_refused(now: datetime) -> Iterator[Matter]:
    """Find files that were not taken, and wheels that wait for somebody to look at them."""
    last = Refusal.objects.order_by("-pk").values_list("at", "filename", "reason")[:LAST_REFUSED]
    recent = [row for row in last if row[0] > now - REFUSED]
    if recent:
        count = f"More than {LAST_REFUSED}" if len(recent) == LAST_REFUSED else str(len(recent))
        noun = "file was" if len(recent) == 1 else "files were"
        said = f"{count} {noun} refused since yesterday, the last one {clean(recent[0][1])[:100]}: "
        said += clean(recent[0][2])[:200]
        yield Matter("refused", said, recent[-1][0], admin_list("builds_refusal"), "See why")
    held = list(Wheel.objects.held().values_list("published_at", flat=True)[: COUNTED + 1])
    if held:
        said = f"{say_waiting(len(held), 'wheel')} to be looked at before the index shows what is held."
        yield Matter(
            "held", said, min(held), admin_list("builds_wheel", standing="held"), "Release, or take down"
        )


def find_taken_down(now: datetime) -> Iterator[Matter]:
    """Find wheels that were taken down and whose bytes are still there."""
    late = Wheel.objects.to_remove().filter(taken_down_at__lt=now - UNREMOVED).order_by("taken_down_at")
    if since := list(late.values_list("taken_down_at", flat=True)[: COUNTED + 1]):
        said = f"{say_waiting(len(since), 'wheel')} to be removed, as a storage fails or no worker does it."
        url = admin_list("builds_wheel", standing="to be removed")
        yield Matter("unremoved", said, since[0], url, "Read what the worker says", is_urgent=True)


def find_campaigns(now: datetime) -> Iterator[Matter]:
    """Find campaigns of which most fails, while they go on and for some days after their end."""
    for campaign in (
        Campaign.objects.exclude(state=Campaign.State.STOPPED)
        .filter(Q(ended_at=None) | Q(ended_at__gt=now - LATELY))
        .defer(*Campaign.LONG)
    ):
        figures = campaign.counted or {}
        built, failed = int(figures.get("succeeded", 0)), int(figures.get("failed", 0))
        if built + failed >= JUDGED and failed >= BAD_SHARE * (built + failed):
            goes_on = campaign.state == Campaign.State.RUNNING
            said = (
                f"Of the campaign {campaign}, {counted(failed)} of {counted(built + failed)} builds failed."
            )
            url = reverse("admin:builds_campaign_change", args=[campaign.pk])
            deed = "Stop it, or read why" if goes_on else "Read why"
            yield Matter(f"campaign:{campaign.pk}", said, campaign.ended_at or campaign.started_at, url, deed)
