"""Whatever happens upstream, goes wrong or is killed, in any order: in the end we have what upstream has.

And at each step on the way what is promised of it: nothing is listed that upstream hides, nothing withdrawn
that it always had, and no event is forgotten.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from packaging.utils import canonicalize_name

from packages.models import Dirty, Package, SyncCursor, UpstreamFile
from packages.project import canonical
from packages.sync import PATIENCE
from tests.mirror import POINTS, Mirror, die
from tests.synthetic_pypi import DEEDS, SyntheticPyPI
from tests.upstream_state import differences, listed_though_hidden

PROJECTS = 4
STEPS = ("poll", "watch", "compare", "refresh")
SWITCHES = ("json", "json_api", "xmlrpc", "etags", "serials")
# What is in the journal and changes nothing that anybody reads.
NOISE = ("add Owner", "docdestroy", "nuke user")
SECONDS = (1, 10, 100, 700, 4000, 20_000)
FAULTS: dict[str, Callable[[SyntheticPyPI, str, random.Random], None]] = {
    "server error": lambda upstream, path, chance: upstream.fail(path, 500, chance.randrange(1, 5)),
    "outage": lambda upstream, path, chance: upstream.fail(path, 503, chance.randrange(1, 5)),
    "too many": lambda upstream, path, chance: upstream.fail(path, 429, 1, retry_after=20),
    "too many calls": lambda upstream, path, chance: upstream.limit_calls(20),
    "cut": lambda upstream, path, chance: upstream.truncate(path, chance.randrange(400)),
    "half": lambda upstream, path, chance: upstream.garble(path, chance.randrange(400)),
    "absence": lambda upstream, path, chance: upstream.fail(path, 404, 2),
    "flapping": lambda upstream, path, chance: upstream.flap(path, 404, 2),
}
# So often something may be denied; for ever would be no fault but a removal.
DENIALS, MOST_DENIALS = ("absence", "flapping"), 3

Deed = tuple[str, int, int]
NUMBER, SEED = st.integers(0, 7), st.integers(0, 99)
DEED = st.tuples(st.sampled_from(sorted(DEEDS)), NUMBER, SEED)
DEEDS_BEFORE = st.lists(DEED, max_size=2)
STEP, POINT = st.sampled_from([*STEPS, "poll", "refresh"]), st.integers(0, 999)
PATH = st.sampled_from(["/", "/simple/", "/simple/{}/", "/pypi", "/pypi/{}/"])


def _point(step: str, number: int) -> int:
    """Return one of the points of a step."""
    return 1 + number % POINTS[step]


class Following(RuleBasedStateMachine):
    """A small PyPI, what goes wrong, and a farm that follows it."""

    # What was done in the middle of a step, in all histories.
    strikes: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.upstream = SyntheticPyPI(PROJECTS, versions=2)
        self.upstream.__enter__()
        self.mirror = Mirror(self.upstream, ["all"])
        self.names: set[str] = set()
        self.shown: dict[str, str] = {}  # every file that ever was, and its digest
        self.start = self.serial = 0  # of the cursor
        self.denials = 0
        self.has_silence = False
        self.stubborn: set[str] = set()
        self.look()

    def teardown(self) -> None:
        """Let everything be well again, unless something failed: then we have what upstream has."""
        try:
            if sys.exception() is None:
                self.everything_settles()
        finally:
            self.strikes.update(self.mirror.strikes)
            self.mirror.close()
            self.upstream.__exit__(None, None, None)

    @initialize(everything=st.booleans(), is_new=st.sampled_from([True, False, False, False]))
    def begin(self, everything: bool, is_new: bool) -> None:
        """Follow everything, or some; since today, or since some time."""
        if not everything:
            self.mirror.watched = [self.upstream.catalogue.name(number) for number in range(2)]
        if not is_new:
            self.the_farm_works(1)
            self.the_farm_works(1)

    # What happens.

    @rule(deeds=st.lists(DEED, min_size=1, max_size=5))
    def much_happens(self, deeds: list[Deed]) -> None:
        """Let some things happen before anybody looks."""
        for deed in deeds:
            self.something_happens(deed)

    def something_happens(self, deed: Deed) -> None:
        """Let something happen to a project."""
        kind, number, seed = deed
        self.has_silence |= kind in ("archive", "add role")
        self.upstream.do(kind, self.name(number), random.Random(seed))
        self.look()

    @rule(number=st.integers(0, 999))
    def old_news_comes_again(self, number: int) -> None:
        """I4: have a past event told once more, in another order."""
        past = [entry for entry in self.upstream.since(0, 100_000) if entry.serial <= self.serial]
        if past and (name := canonical(past[number % len(past)].name)):
            Dirty.hint({name: past[number % len(past)].serial}, Dirty.Why.JOURNAL, self.mirror.now)

    # What the farm does.

    @rule(seconds=st.sampled_from(SECONDS))
    def the_farm_works(self, seconds: int) -> None:
        """Take all steps, some time later."""
        self.mirror.pass_time(seconds)
        for step in STEPS:
            self.work(step)

    @rule(step=STEP, point=POINT, is_late=st.booleans(), deeds=DEEDS_BEFORE)
    def the_farm_is_killed(self, step: str, point: int, is_late: bool, deeds: list[Deed]) -> None:
        """Take a step, and be killed before or after some statement or request."""
        self.much_happens(deeds)
        with self.mirror.struck(_point(step, point), die, is_late=is_late):
            self.work(step)

    @rule(step=STEP, point=POINT, deeds=DEEDS_BEFORE, meanwhile=DEED)
    def something_happens_meanwhile(self, step: str, point: int, deeds: list[Deed], meanwhile: Deed) -> None:
        """Take a step, in the middle of which something happens."""

        def happen() -> None:
            self.something_happens(meanwhile)

        self.much_happens(deeds)
        with self.mirror.struck(_point(step, point), happen, is_late=True):
            self.work(step)

    @rule(step=STEP, other=STEP, point=POINT, deeds=DEEDS_BEFORE, meanwhile=st.none() | DEED)
    def two_workers_meet(
        self, step: str, other: str, point: int, deeds: list[Deed], meanwhile: Deed | None
    ) -> None:
        """Take a step, in the middle of which another worker takes one, perhaps as something happened."""

        def meet() -> None:
            if meanwhile:
                self.something_happens(meanwhile)
            self.work(other)

        self.much_happens(deeds)
        with self.mirror.struck(_point(step, point), meet, is_late=False, outside=True):
            self.work(step)

    @rule(deed=DEED, news=DEED, point=POINT)
    def news_comes_during_a_look_up(self, deed: Deed, news: Deed, point: int) -> None:
        """Look a name up, and hear of it again before that is written down."""

        def hear() -> None:
            self.something_happens((news[0], deed[1], news[2]))
            self.work("poll")

        self.something_happens(deed)
        self.work("poll")
        with self.mirror.struck(_point("refresh", point), hear, is_late=False, outside=True):
            self.work("refresh")

    # What goes wrong.

    @rule(fault=st.sampled_from(sorted(FAULTS)), path=PATH, number=NUMBER, seed=SEED)
    def something_goes_wrong(self, fault: str, path: str, number: int, seed: int) -> None:
        """Have some of the next requests fail."""
        if fault in DENIALS:
            self.denials += 1
        if self.denials <= MOST_DENIALS:
            FAULTS[fault](self.upstream, path.format(self.name(number)), random.Random(seed))

    @rule(switch=st.sampled_from(SWITCHES))
    def upstream_can_do_less_or_more(self, switch: str) -> None:
        """Take something from what upstream can do, or give it back."""
        setattr(self.upstream, switch, not getattr(self.upstream, switch))
        if not self.upstream.serials:
            # Nobody could tell an old page from a new one.
            self.caches_catch_up()

    @precondition(lambda self: self.upstream.serials)
    @rule(number=NUMBER, apis=st.sampled_from([(), ("simple",), ("pypi",)]), is_root=st.booleans())
    def a_page_grows_old(self, number: int, apis: tuple[str, ...], is_root: bool) -> None:
        """Serve a project or the list of all as it is now for some time."""
        if is_root:
            self.upstream.freeze_root()
        else:
            self.upstream.go_stale(self.name(number), *apis)

    @rule()
    def caches_catch_up(self) -> None:
        """Serve everything as it is."""
        self.upstream.catch_up()

    @rule(
        serials=st.integers(0, 3),
        seconds=st.sampled_from([-5000, 0, 5000]),
        copies=st.sampled_from([1, 2]),
        rows=st.sampled_from([1, 3, 50_000]),
    )
    def the_journal_is_odd(self, serials: int, seconds: int, copies: int, rows: int) -> None:
        """Leave serials out, set the journal's clock, show each row twice, and less of them at once."""
        self.upstream.journal.skip(serials)
        self.upstream.journal.jump(seconds)
        self.upstream.journal.copies = copies
        # The real one never shows half of what it has at a serial.
        self.upstream.page_rows = rows * copies

    # What is true at the end ...

    @rule()
    def everything_settles(self) -> None:
        """Let everything be well again: then we have what upstream has."""
        self.upstream.mend()
        self.caches_catch_up()
        for switch in SWITCHES:
            setattr(self.upstream, switch, True)
        self.mirror.settle()
        self.stubborn.clear()
        assert differences(self.upstream, self.followed()) == {}

    # ... and at each step.

    @invariant()
    def nothing_is_listed_that_is_hidden(self) -> None:
        """I3."""
        assert listed_though_hidden() == []

    @invariant()
    def nothing_is_listed_that_never_was(self) -> None:
        """I1, as far as a farm can know that is behind."""
        for filename, sha256 in UpstreamFile.objects.values_list("filename", "sha256"):
            assert self.shown[filename] == sha256

    @invariant()
    def nothing_is_withdrawn_that_always_was(self) -> None:
        """No fault is taken for a removal."""
        gone = UpstreamFile.objects.exclude(gone_at=None).values_list("filename", flat=True)
        away = Package.objects.filter(status=Package.Status.GONE).values_list("name", flat=True)
        assert {*gone, *away} <= self.upstream.withdrawn

    @invariant()
    def no_event_is_passed_over(self) -> None:
        """I6."""
        serial = SyncCursor.objects.values_list("serial", flat=True).first() or 0
        assert self.serial <= serial <= self.upstream.serial
        self.start = self.start or serial
        self.serial = serial

    @invariant()
    def no_event_is_forgotten(self) -> None:
        """I5: a name with an event that was read is either marked, or known as it was then or later."""
        marked = set(Dirty.objects.values_list("name", flat=True))
        for name, serial in self.events().items():
            if name not in marked | self.stubborn:
                package = Package.objects.filter(name=name).first()
                if package is None or package.status == Package.Status.GONE:
                    assert name in self.upstream.withdrawn
                else:
                    assert package.serial is None or package.serial >= serial

    @invariant()
    def no_event_is_missed(self) -> None:
        """What the list of all projects shows, the journal has told of before.

        It tells of no archive, and the serial of an event that nobody heeds has a package looked at again,
        which may bring that to light, or what an answer by one API alone had left out.
        """
        assert self.has_silence or not SyncCursor.objects.filter(corrections__gt=0).exists()

    def events(self) -> dict[str, int]:
        """Return the last event of each project that we follow, of those events that were read."""
        followed = set(self.followed())
        return {
            name: entry.serial
            for entry in self.upstream.since(self.start, 100_000)
            if entry.serial <= self.serial and not entry.action.startswith(NOISE)
            if (name := canonicalize_name(entry.name)) in followed
        }

    def look(self) -> None:
        """Note what upstream has now."""
        self.names.update(self.upstream.projects)
        for name in self.names:
            project = self.upstream.catalogue.peek(name)
            self.shown.update((file.filename, file.sha256) for file in (project.files if project else ()))

    def work(self, step: str) -> None:
        """Take a step, and note of which names an old answer may have been believed."""
        getattr(self.mirror, step)()
        long = Dirty.objects.filter(attempts__gte=PATIENCE - 1)
        # An answer may have no serial, and then nobody can tell how old it is.
        self.stubborn.update(long.values_list("name", flat=True) if self.upstream.serials else self.names)

    def followed(self) -> list[str]:
        """Return the names of which we must know everything."""
        return sorted(self.names) if self.mirror.watched == ["all"] else self.mirror.watched

    def name(self, number: int) -> str:
        """Return one of the names that there ever were."""
        return sorted(self.names)[number % len(self.names)]


EVERYDAY = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


def follow(histories: settings, least: int) -> None:
    """Follow some histories, in which each thing that is done in the middle of a step is done so often."""
    Following.strikes.clear()
    run_state_machine_as_test(Following, settings=histories)
    strikes = [Following.strikes[deed] for deed in ("die", "happen", "meet", "hear")]
    assert min(strikes) >= least, Following.strikes


@pytest.mark.django_db(transaction=True)
def test_in_the_end_we_have_what_upstream_has():
    follow(EVERYDAY, least=1)


@pytest.mark.day
@pytest.mark.django_db(transaction=True)
def test_in_the_end_of_a_hundred_histories_we_have_what_upstream_has():
    often = settings(EVERYDAY, max_examples=100, stateful_step_count=50, derandomize=False)

    follow(often, least=5)
