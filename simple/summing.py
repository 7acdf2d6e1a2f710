"""Sums up downloads for the statistics: who had them, how long they would have compiled, and what led.

A day is summed up again when it has more downloads than it had then: today's now and then, an old one when an
old log is read.  Summing up twice does no harm, and what was cut short is done by the next tick.

**Time saved.** Each download by an installer saves as long as the build of that wheel took here, and six
times as long where the client says that its processor is an ARMv6: it is a Pi 1 or Zero, which takes about
six times as long as a Pi 3, says the FAQ of the original farm, whose builders those were.  Other models do
not tell which they are; for them the factor is 1, as for the builder itself.
"""

import time
from collections import Counter
from datetime import date, datetime
from typing import NamedTuple

from django.core.cache import cache
from django.db import transaction
from django.db.models import Case, F, FloatField, Sum, When
from django.db.models.functions import Cast

from builds.models import Build
from packages.models import Package
from simple.agents import INSTALLERS
from simple.models import Client, Download, DownloadDay, DownloadShare, PackageDownload, TopPackages
from simple.spans import SPANS, Span

SLOWER = {"armv6l": 6.0}
# To sum up the day that goes on, over and over, takes no more than this part of the time; two ticks of the
# schedule are five minutes apart.
PART, TICK_S = 0.02, 300
_RESTS = "summing-rests"
# Of old logs that bring many days at once, so many are looked up at a time.
MOST_DAYS = 500


def sum_due(now: datetime, for_s: float) -> int:
    """Sum up what is due, the newest day first; begin nothing more after so many seconds."""
    until = time.monotonic() + for_s
    done = sum(_sum_packages(span, now) for span in SPANS.values())
    due = DownloadDay.objects.exclude(summed=F("count")).order_by("-day")
    for day, count in list(due.values_list("day", "count")[:MOST_DAYS]):
        if day == now.date() and cache.get(_RESTS):
            continue
        began = time.monotonic()
        sum_day(day, count)
        done += 1
        rest_s = (time.monotonic() - began) / PART
        if day == now.date() and rest_s > TICK_S:
            cache.set(_RESTS, "for a while", rest_s)
        if time.monotonic() > until:
            break
    return done


class _Kind(NamedTuple):
    """What one kind of client had on a day."""

    client: Client
    downloads: int
    build_s: float


def sum_day(day: date, count: int) -> None:
    """Sum up one day, which had so many downloads before this began.

    Whoever counts more meanwhile does not wait for us, and has the day summed up again.
    """
    kinds = _kinds(day)
    shares = [
        DownloadShare(day=day, fact=fact, name=name, count=counted)
        for fact in DownloadShare.Fact
        for name, counted in _named(kinds, fact).items()
    ]
    with transaction.atomic():
        # Two that sum up the same day come here one after the other.
        DownloadDay.objects.select_for_update(no_key=True).get(pk=day)
        DownloadShare.objects.filter(day=day).delete()
        DownloadShare.objects.bulk_create(shares)
        DownloadDay.objects.filter(pk=day).update(summed=count, saved_s=sum(map(saved_s, kinds)))


def _kinds(day: date) -> list[_Kind]:
    """Return what each kind of client had, by one query of the day's downloads."""
    # Rows from before such a thing was refused may say years.
    took = F("wheel__build__duration_s")
    believed = Case(When(wheel__build__duration_s__lt=Build.LONGEST_S, then=took), default=0.0)
    build_s = Sum(Cast("count", FloatField()) * believed)
    downloads = Download.objects.filter(day=day).order_by()
    counted = list(downloads.values_list("client").annotate(downloads=Sum("count"), build_s=build_s))
    clients = Client.objects.in_bulk()
    return [_Kind(clients[key], count, seconds) for key, count, seconds in counted if key in clients]


def saved_s(kind: _Kind) -> float:
    """Return how long the downloads of one kind of client would have compiled."""
    if kind.client.installer not in INSTALLERS:
        return 0.0
    return kind.build_s * SLOWER.get(kind.client.architecture, 1.0)


def _named(kinds: list[_Kind], fact: DownloadShare.Fact) -> dict[str, int]:
    """Return the downloads by a fact; what is not among the most frequent has one name."""
    found: Counter[str] = Counter()
    for kind in kinds:
        found[_name(kind.client, fact)] += kind.downloads
    named = dict(found.most_common(DownloadShare.MOST_NAMES))
    rest = found.total() - sum(named.values())
    return {**named, DownloadShare.OTHERS: rest} if rest else named


def _name(client: Client, fact: DownloadShare.Fact) -> str:
    if fact == DownloadShare.Fact.SYSTEM:
        return f"{client.os} {client.os_release}".strip()
    return str(getattr(client, fact.value))


def _sum_packages(span: Span, now: datetime) -> bool:
    """Note which packages were downloaded most, if it is time."""
    row, _ = TopPackages.objects.get_or_create(pk=span.key)
    if not row.is_due(now):
        return False
    began = time.monotonic()
    downloads = PackageDownload.objects.filter(day__gte=span.first(now.date())).order_by()
    summed = (
        downloads.values_list("package").annotate(downloads=Sum("count")).order_by("-downloads", "package")
    )
    top = dict(summed[: TopPackages.MOST])
    names = dict(Package.objects.filter(pk__in=top).values_list("pk", "name"))
    found = [(names[key], count) for key, count in top.items() if key in names]
    row.note(found, time.monotonic() - began, now)
    return True
