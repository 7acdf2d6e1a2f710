"""Keeps a sample moving: builders speak, logs grow, builds end and begin, a release comes now and then.

Nothing is built.  But what ends goes the way of every report: it is verified, stored, recorded and published.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from django.utils import timezone

from builder.contract import CONTRACT, BuildReport, Trial, WheelReport
from builds import results
from builds.attached import Attached
from builds.builders import hearing
from builds.figures import counting
from builds.files import logs
from builds.models import Build, Builder
from builds.planning import plan
from packages.models import Package, Version, canonical_version
from piwheels_site.sample import catalogue, farm, present, printed, upstream
from piwheels_site.sample.catalogue import Entry
from piwheels_site.sample.history import tag
from piwheels_site.sample.wheels import MadeWheel, make
from simple import publishing
from simple.bundle import work

# A page that looks every 2 seconds shows each step.
TICK_S = 1.0
# So many ticks until a build ends, whatever it would take; and until there is a release.
_SHORTEST, _LONGEST = 15, 90
_RELEASE_EVERY = 20


@dataclass
class Live:
    """What moves a sample: it remembers what the rows do not tell."""

    packages: int
    seed: int
    chance: Random = field(init=False)
    ends_at: dict[int, int] = field(default_factory=dict)  # the tick, by build
    ticks: int = 0

    def __post_init__(self) -> None:
        """Begin where the seed says."""
        self.chance = Random(f"{self.seed}/live")
        self.entries = {
            upstream.canonical(entry): entry for entry in catalogue.entries(self.packages, self.seed)
        }

    def tick(self, now: datetime) -> None:
        """Have a second pass."""
        self.ticks += 1
        if self.ticks % _RELEASE_EVERY == 0:
            self.release(now)
        builders = Builder.objects.filter(is_enabled=True).select_related("target")
        for builder in builders:
            if builder.is_at_work(now) or builder.current_build():
                self._work(builder, now)
        plan.plan_changed(now, limit=20)
        publishing.publish(now)
        counting.count_due(now)
        work.make_next(timezone.now)

    def _work(self, builder: Builder, now: datetime) -> None:
        """Have a builder speak, and go on with its build or with the next."""
        build = (
            builder.builds.filter(state__in=Build.ASSIGNED)
            .select_related("version__package", "target", "builder", "source")
            .first()
        )
        self._speak(builder, build, now)
        if build is None:
            present.begin(builder, self.entries, self.seed, now, back_s=0)
        elif build.state == Build.State.DISPATCHED:
            build.claim(builder, build.sources()[0], now)
        else:
            self._go_on(build, now)

    def _speak(self, builder: Builder, build: Build | None, now: datetime) -> None:
        """Have a builder say how it is."""
        gib = next(pi.gib for pi in farm.PIS if pi.name == builder.name)
        said = farm.facts(builder.name, builder.target, gib, now, self.chance, build.pk if build else 0)
        hearing.hear(builder, said, now)

    def _go_on(self, build: Build, now: datetime) -> None:
        """Print some more of a build's log, or end it."""
        build.prolong(now)
        ends_at = self.ends_at.setdefault(build.pk, self.ticks + self.chance.randint(_SHORTEST, _LONGEST))
        text = present.running_log(build, self._entry(build), self.seed)
        reached = logs.append(build.pk, len(text) + 1, b"")
        if self.ticks >= ends_at:
            del self.ends_at[build.pk]
            self._end(build, reached, text[reached:], now)
        else:
            step = max(1, (len(text) - reached) // (2 * (ends_at - self.ticks)))
            logs.append(build.pk, reached, text[reached : reached + step])

    def _entry(self, build: Build) -> Entry:
        name = build.version.package.name
        return self.entries.get(name) or Entry(name, "native", 60.0, "1.0", (), (), "")

    def _end(self, build: Build, offset: int, rest: bytes, now: datetime) -> None:
        """Report a build as its builder would."""
        entry = self._entry(build)
        spent_s = (now - (build.claimed_at or now)).total_seconds()
        if failed := self._failure(entry):
            report = _report(build, spent_s, reason=failed.reason, failure="")
            results.close(build, report, Attached(offset, failed.log.encode(), None), now)
        else:
            made = make(
                build.version.package.name,
                build.version.canonical,
                tag(entry, build.target),
                summary=entry.summary,
                requires=entry.needs,
                build_tag=build.build_tag,
            )
            report = _report(build, spent_s, made=made, apt=entry.apt)
            results.close(build, report, Attached(offset, rest, (made.content,)), now)

    def _failure(self, entry: Entry) -> printed.Failed | None:
        """Return what a build fails of, if it does."""
        found = printed.by_name()
        if entry.fails:
            return found[entry.fails]
        named = [failed for failed in found.values() if failed.log]
        return self.chance.choice(named) if self.chance.random() < 0.15 else None

    def release(self, now: datetime) -> Version | None:
        """Have a package release another version, which is then planned."""
        packages = Package.objects.filter(skip_reason="", status=Package.Status.ACTIVE).order_by("pk")
        package = packages[self.chance.randrange(packages.count())]
        newest = max(package.versions.all(), key=lambda version: version.sort_key)
        number = f"{newest.canonical or '1'}.post{self.ticks}" if "post" not in newest.canonical else ""
        if not number or not canonical_version(number)[0]:
            return None
        version = Version.objects.create(
            package=package, number=number, canonical=canonical_version(number)[0], released_at=now
        )
        upstream.source(version).save()
        package.request_plan()
        package.mark_changed()
        return version


def _report(
    build: Build,
    spent_s: float,
    *,
    made: MadeWheel | None = None,
    apt: tuple[str, ...] = (),
    reason: str = "",
    failure: str = "",
) -> BuildReport:
    """Return a builder's report."""
    wheels = (
        WheelReport(made.filename, len(made.content), made.sha256, apt, trial=Trial("works", (), ""))
        if made
        else None
    )
    return BuildReport(
        contract=CONTRACT,
        succeeded=made is not None,
        reason=reason,
        duration_s=spent_s,
        wheels=(wheels,) if wheels else (),
        failure=failure,
        cpu_s=spent_s,
        peak_memory_bytes=300 << 20,
        rung="current",
        sandbox="full",
        attached=made is not None,
    )


def run(packages: int, seed: int) -> None:
    """Keep the sample moving, for ever."""
    live = Live(packages, seed)
    while True:
        began = time.monotonic()
        live.tick(timezone.now())
        time.sleep(max(0.0, began + TICK_S - time.monotonic()))
