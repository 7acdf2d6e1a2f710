"""A day of a synthetic PyPI, with all that can happen and all that can go wrong, in minutes."""

import os
import random
import time

import pytest

from packages import doubt
from packages.models import Dirty, Package, SyncCursor, UpstreamFile
from tests.mirror import DAY_S, POINTS, Mirror, die
from tests.synthetic_pypi import SyntheticPyPI
from tests.upstream_state import differences, listed_though_hidden
from tests.weather import Weather

# One step of so many is killed.
KILLED = 20
# Longer than an answer is doubted that is alone.
OUTAGE_S = 5400
# How often somebody who waits for the end is told how far the day is.
SHOWN_S = 7200


class Day:
    """A PyPI, its weather, and a farm that follows all of it."""

    def __init__(self, upstream: SyntheticPyPI, seed: int, round_s: int) -> None:
        # The farm takes all its steps once in this time, and what goes wrong changes as often.
        self.round_s = round_s
        self.upstream = upstream
        self.weather = Weather(upstream, upstream.somebody, seed)
        self.mirror = Mirror(upstream, ["all"], fetchers=4)
        self.chance = random.Random(seed)
        self.began = time.monotonic()

    @property
    def kills(self) -> int:
        """How many steps were killed: what has few points may end before."""
        return self.mirror.strikes["die"]

    def begin(self) -> None:
        """Get to know all that upstream has."""
        for _ in range(3):
            self.work()
            self.mirror.pass_time(self.round_s)

    def live(self, events: int) -> None:
        """Let a day pass, with an outage that says so in its first half and one that lies in its second."""
        rounds, outage = DAY_S // self.round_s, OUTAGE_S // self.round_s
        outages = {rounds // 4: 503, rounds * 3 // 4: 404}
        for turn in range(rounds):
            self.upstream.happen(events * (turn + 1) // rounds - events * turn // rounds)
            if turn in outages:
                self.weather.clear()
                self.upstream.fail("/", outages[turn], times=10**9)
            elif turn - outage in outages:
                self.upstream.mend()
            elif not any(turn - outage < start < turn for start in outages):
                self.weather.turn()
            self.work()
            self.check()
            if not any(start <= turn <= start + outage for start in outages):
                self.confirm()
            self.mirror.pass_time(self.round_s)
            if turn * self.round_s % SHOWN_S == 0:
                print(f"{turn + 1} of {rounds} rounds, {time.monotonic() - self.began:.0f} s", flush=True)

    def work(self) -> None:
        """Take all steps; some of them are killed."""
        for step in (self.mirror.poll, self.mirror.watch, self.mirror.compare, self.refresh):
            if self.chance.randrange(KILLED):
                step()
                continue
            point = self.chance.randint(1, POINTS[step.__name__])
            with self.mirror.struck(point, die, is_late=self.chance.random() < 0.5):
                step()

    def refresh(self) -> None:
        """Look up all that is due, in as many runs as it takes."""
        while self.mirror.refresh():
            pass

    def confirm(self) -> None:
        """Be an operator who has looked: so much does vanish from a PyPI as busy as this one."""
        if SyncCursor.current().doubted_at:
            doubt.believe(self.mirror.now)

    def check(self) -> None:
        """Look at what must be true at any time."""
        assert listed_though_hidden() == []
        gone = UpstreamFile.objects.exclude(gone_at=None).values_list("filename", flat=True)
        away = Package.objects.filter(status=Package.Status.GONE).values_list("name", flat=True)
        assert {*gone, *away} <= self.upstream.withdrawn

    def end(self) -> None:
        """Let everything be well again: then we have what upstream has."""
        self.weather.clear()
        self.mirror.settle(self.confirm)
        self.check()
        cursor = SyncCursor.current()
        assert not Dirty.objects.exists()
        assert cursor.serial == self.upstream.last_serial()
        assert cursor.doubted_at is None
        assert (
            differences(self.upstream, sorted({*self.upstream.catalogue, *self.upstream.catalogue.changed}))
            == {}
        )


def live_a_day(projects: int, events: int, *, round_s: int, seed: int = 1) -> Day:
    """Let a farm follow a PyPI for a day, and print what that was."""
    with SyntheticPyPI(projects, seed, versions=4) as upstream:
        day = Day(upstream, seed, round_s)
        with day.mirror:
            day.begin()
            day.live(events)
            day.end()
    took_s = time.monotonic() - day.began
    print(
        f"{events} events to {projects} projects, {upstream.asked} requests, {day.kills} kills,"
        f" {SyncCursor.current().stale_answers} old answers, {SyncCursor.current().corrections} corrections,"
        f" {took_s:.0f} s"
    )
    return day


@pytest.mark.django_db(transaction=True)
def test_after_a_day_of_a_small_pypi_we_have_what_it_has():
    day = live_a_day(projects=30, events=300, round_s=1800)

    assert day.kills > 5
    assert Package.objects.count() >= 30


@pytest.mark.day
@pytest.mark.django_db(transaction=True)
def test_after_a_day_of_a_hundred_thousand_events_we_have_what_upstream_has():
    day = live_a_day(
        projects=int(os.environ.get("PIWHEELS_DAY_PROJECTS", "5000")),
        events=int(os.environ.get("PIWHEELS_DAY_EVENTS", "100000")),
        round_s=600,
    )

    assert day.kills > 5
