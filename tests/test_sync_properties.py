"""Whatever happens upstream, goes wrong or is killed, in any order: in the end we have what upstream has.

And at each step on the way what is promised of it: nothing is listed that upstream hides, nothing withdrawn
that it always had, and no event is forgotten.
"""

import random
import sys

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from packages.models import Dirty, Package, SyncCursor, UpstreamFile
from packages.sync import PATIENCE
from tests.mirror import Mirror, die
from tests.synthetic_pypi import DEEDS, SyntheticPyPI
from tests.upstream_state import differences, listed_though_hidden

PROJECTS = 4
STEPS = ("poll", "compare", "watch", "refresh")
PATHS = ("/", "/simple/", "/simple/{}/", "/pypi", "/pypi/{}/")
SECONDS = (1, 10, 100, 700, 4000)
# So often everything may be denied; for ever would be no fault but a removal.
DENIALS = 3


class Following(RuleBasedStateMachine):
    """A small PyPI, what goes wrong, and a farm that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.upstream = SyntheticPyPI(PROJECTS, versions=2)
        self.upstream.__enter__()
        self.mirror = Mirror(self.upstream, ["all"])
        self.names: set[str] = set()
        self.shown: dict[str, str] = {}  # every file that ever was, and its digest
        self.missed: set[str] = set()  # files and names that upstream was without at some time
        self.serial = 0
        self.denials = 0
        self.stubborn: set[str] = set()
        self.look()

    def teardown(self) -> None:
        """Let everything be well again, unless something failed: then we have what upstream has."""
        try:
            if sys.exception() is None:
                self.everything_settles()
        finally:
            self.mirror.session.close()
            self.upstream.__exit__(None, None, None)

    @initialize(everything=st.booleans())
    def begin(self, everything: bool) -> None:
        """Follow everything, or some."""
        if not everything:
            self.mirror.watched = [self.upstream.catalogue.name(number) for number in range(2)]

    # What happens.

    @rule(deed=st.sampled_from(sorted(DEEDS)), number=st.integers(0, 7), chance=st.randoms())
    def something_happens(self, deed: str, number: int, chance: random.Random) -> None:
        """Let something happen to a project."""
        names = sorted(self.names)
        self.upstream.do(deed, names[number % len(names)], chance)
        self.look()

    @rule(serials=st.integers(1, 3), seconds=st.sampled_from([-5000, 5000]))
    def the_journal_is_odd(self, serials: int, seconds: int) -> None:
        """Leave serials out and set the journal's clock."""
        self.upstream.journal.skip(serials)
        self.upstream.journal.jump(seconds)

    @rule(seconds=st.sampled_from(SECONDS))
    def time_passes(self, seconds: int) -> None:
        """Let time pass."""
        self.mirror.pass_time(seconds)

    # What the farm does.

    @rule(step=st.sampled_from(STEPS))
    def the_farm_works(self, step: str) -> None:
        """Take a step."""
        getattr(self.mirror, step)()
        self.note_stubborn()

    @rule(step=st.sampled_from(STEPS), point=st.integers(1, 60), is_late=st.booleans())
    def the_farm_is_killed(self, step: str, point: int, is_late: bool) -> None:
        """Take a step, and be killed before or after some statement or request."""
        with self.mirror.struck(point, die, is_late=is_late):
            getattr(self.mirror, step)()
        self.note_stubborn()

    @rule(
        step=st.sampled_from(STEPS),
        point=st.integers(1, 60),
        deed=st.sampled_from(sorted(DEEDS)),
        number=st.integers(0, 7),
        chance=st.randoms(),
    )
    def something_happens_meanwhile(
        self, step: str, point: int, deed: str, number: int, chance: random.Random
    ) -> None:
        """Take a step in the middle of which something happens."""
        with self.mirror.struck(point, lambda: self.something_happens(deed, number, chance), is_late=True):
            getattr(self.mirror, step)()
        self.note_stubborn()

    # What goes wrong.

    @rule(
        path=st.sampled_from(PATHS),
        number=st.integers(0, 7),
        status=st.sampled_from([429, 500, 503]),
        times=st.integers(1, 4),
    )
    def upstream_fails(self, path: str, number: int, status: int, times: int) -> None:
        """Fail some requests."""
        self.upstream.fail(self.below(path, number), status, times, retry_after=5 if status == 429 else None)

    @precondition(lambda self: self.denials < DENIALS)
    @rule(path=st.sampled_from(PATHS), number=st.integers(0, 7), flaps=st.booleans())
    def upstream_denies(self, path: str, number: int, flaps: bool) -> None:
        """Deny that something is there, or be in two minds about it."""
        self.denials += 1
        (self.upstream.flap if flaps else self.upstream.fail)(self.below(path, number), 404, 2)

    @rule(path=st.sampled_from(PATHS), number=st.integers(0, 7), kept=st.integers(0, 400), cuts=st.booleans())
    def an_answer_is_not_whole(self, path: str, number: int, kept: int, cuts: bool) -> None:
        """Send some bytes of an answer."""
        (self.upstream.truncate if cuts else self.upstream.garble)(self.below(path, number), kept)

    @rule()
    def too_many_calls(self) -> None:
        """Have enough of calls for a while."""
        self.upstream.limit_calls(20)

    @rule(switch=st.sampled_from(["json", "json_api", "xmlrpc", "etags", "serials"]))
    def upstream_can_do_less_or_more(self, switch: str) -> None:
        """Take something from what upstream can do, or give it back."""
        setattr(self.upstream, switch, not getattr(self.upstream, switch))
        if not self.upstream.serials:
            # Nobody could tell an old page from a new one.
            self.caches_catch_up()

    @precondition(lambda self: self.upstream.serials)
    @rule(number=st.integers(0, 7), apis=st.sampled_from([(), ("simple",), ("pypi",)]))
    def a_page_grows_old(self, number: int, apis: tuple[str, ...]) -> None:
        """Serve a project as it is now for some time."""
        names = sorted(self.names)
        self.upstream.go_stale(names[number % len(names)], *apis)

    @precondition(lambda self: self.upstream.serials)
    @rule()
    def the_root_grows_old(self) -> None:
        """Serve the root as it is now for some time."""
        self.upstream.freeze_root()

    @rule()
    def caches_catch_up(self) -> None:
        """Serve everything as it is."""
        self.upstream.thaw_root()
        for name in self.names:
            self.upstream.refresh(name)

    @rule()
    def rows_come_twice(self) -> None:
        """Show each row of the journal twice, or no longer."""
        self.upstream.journal.copies = 3 - self.upstream.journal.copies

    @rule(rows=st.sampled_from([1, 2, 50_000]))
    def pages_of_the_journal_are_short(self, rows: int) -> None:
        """Show less of the journal at once."""
        self.upstream.page_rows = rows

    # What is true at the end ...

    @rule()
    def everything_settles(self) -> None:
        """Let everything be well again: then we have what upstream has."""
        self.upstream.mend()
        self.caches_catch_up()
        for switch in ("json", "json_api", "xmlrpc", "etags", "serials"):
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
        assert {*gone, *away} <= self.missed

    @invariant()
    def no_event_is_forgotten(self) -> None:
        """I5 and I6."""
        serial = SyncCursor.objects.values_list("serial", flat=True).first() or 0
        assert self.serial <= serial <= self.upstream.serial
        self.serial = serial

    def look(self) -> None:
        """Note what upstream has now."""
        self.names.update(self.upstream.projects)
        here = set()
        for name in self.names:
            project = self.upstream.catalogue.peek(name)
            if project is None:
                self.missed.add(name)
            for file in project.files if project else ():
                here.add(file.filename)
                self.shown[file.filename] = file.sha256
        self.missed |= self.shown.keys() - here

    def note_stubborn(self) -> None:
        """Note whose old answers are about to be believed, because they did not change for so long."""
        self.stubborn.update(Dirty.objects.filter(attempts__gte=PATIENCE - 1).values_list("name", flat=True))

    def followed(self) -> list[str]:
        """Return the names of which we must know everything."""
        return sorted(self.names) if self.mirror.watched == ["all"] else self.mirror.watched

    def below(self, path: str, number: int) -> str:
        """Return a path, which may be a project's."""
        names = sorted(self.names)
        return path.format(names[number % len(names)])


EVERYDAY = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.django_db(transaction=True)
def test_in_the_end_we_have_what_upstream_has():
    run_state_machine_as_test(Following, settings=EVERYDAY)
