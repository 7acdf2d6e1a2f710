"""Whatever befalls a version for a target, in any order, its builds are as a model says (Hypothesis)."""

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.conf import settings as site
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from builds import dispatch
from builds.models import Build
from builds.tests.rows import NOON, make_build, make_builder

pytestmark = pytest.mark.django_db

ASSIGNED, RUNNING = {"dispatched", "building", "uploading"}, {"building", "uploading"}
CLAIM, LEASE = timedelta(seconds=site.PIWHEELS_CLAIM_S), timedelta(seconds=site.PIWHEELS_LEASE_S)
LONGEST = timedelta(seconds=site.PIWHEELS_TIME_LIMIT_S) + Build.UPLOAD


@dataclass
class Model:
    """What must be so: of the last attempt, and how many there were."""

    state: str = "queued"
    builder: int = 0
    ticket: str = ""
    lease_until: datetime = NOON
    must_end_at: datetime = NOON
    was_claimed: bool = False
    attempts: int = 1
    losses: int = 0
    ended: list[str] = field(default_factory=list)

    def end(self, state, losses=None):
        """End the attempt, and begin the next one if there is one with so many losses."""
        self.state, self.ticket = state, ""
        if losses is not None and losses <= Build.MAX_LOSSES:
            self.ended.append(state)
            self.state, self.was_claimed = "queued", False
            self.attempts, self.losses = self.attempts + 1, losses


class Walk:
    """Does things to the last attempt, and to the model."""

    def __init__(self):
        self.build = make_build()
        self.builders = [make_builder(f"pi-{number}") for number in range(2)]
        self.model, self.now, self.tickets = Model(), NOON, ["forged"]

    def last(self):
        """Return the last attempt as the database has it."""
        return Build.objects.order_by("-attempt").first()

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    def assign(self, number):
        model, may = self.model, self.model.state == "queued"
        assert self.last().assign(self.builders[number], self.now) == may
        if may:
            model.state, model.builder, model.lease_until = "dispatched", number, self.now + CLAIM

    def claim(self, number):
        model, build = self.model, self.last()
        may = model.state == "dispatched" and model.builder == number
        ticket = build.claim(self.builders[number], build.version.files.first(), self.now)
        assert bool(ticket) == may
        if may:
            self.tickets.append(ticket)
            model.state, model.ticket, model.was_claimed = "building", ticket, True
            model.lease_until, model.must_end_at = self.now + LEASE, self.now + LONGEST

    def renew(self, number):
        model, ticket = self.model, self.tickets[-1 - number % len(self.tickets)]
        # Also when its lease is over, as long as nobody has taken it back.
        may = model.state in RUNNING and ticket == model.ticket and model.must_end_at > self.now
        assert self.last().renew(ticket, self.now) == may
        if may:
            model.lease_until = self.now + LEASE

    def upload(self, number):
        self.last().begin_upload()
        self.model.state = "uploading" if self.model.state == "building" else self.model.state

    def close(self, number):
        state, may = ("succeeded", "failed")[number], self.model.state in RUNNING
        assert self.last().close(state, "", self.now) == may
        if may:
            self.model.end(state)

    def cancel(self, number):
        may = self.model.state in {"queued", *ASSIGNED}
        assert self.last().cancel("", self.now) == may
        if may:
            self.model.end("cancelled")

    def sweep(self, number):
        model = self.model
        may = model.state in ASSIGNED and model.lease_until < self.now
        assert dispatch.close_lost(self.now) == may
        if may:
            # Who never began is no loss of the build's.
            model.end("lost", model.losses + model.was_claimed)

    def take_back(self, number):
        model = self.model
        may = model.state in ASSIGNED and model.builder == number
        assert dispatch.take_back(self.builders[number], "", self.now) == may
        if may:
            model.end("lost", model.losses)

    def check(self):
        """Fail unless all is as the model has it."""
        builds, model = list(Build.objects.order_by("attempt")), self.model
        assert [build.state for build in builds] == [*model.ended, model.state]
        last = builds[-1]
        assert (last.attempt, last.losses) == (model.attempts, model.losses)
        if model.state in ASSIGNED:
            assert (last.builder, last.lease_until) == (self.builders[model.builder], model.lease_until)
        assert all(build.ticket_hash == "" for build in builds if build.state not in RUNNING)


# What goes on as it mostly does is drawn most often, so that a walk comes far.
FORTH = st.sampled_from(["assign", "claim", "upload"]).map(lambda deed: (deed, 0))
DEEDS = st.one_of(
    *[FORTH] * 5,
    st.tuples(st.sampled_from(["assign", "claim", "take_back"]), st.integers(0, 1)),
    st.tuples(st.just("wait"), st.sampled_from([1, 31, 301, 901, 7201])),
    st.tuples(st.just("renew"), st.integers(0, 5)),
    st.just(("sweep", 0)),
    st.sampled_from([("close", 0), ("close", 1), ("cancel", 0)]),
)
SEEN = {"queued", "dispatched", "building", "uploading", "succeeded", "failed", "cancelled", "lost"}


@pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="SQLite takes too long")
@pytest.mark.parametrize(
    "examples", [pytest.param(70, id="some"), pytest.param(400, id="many", marks=pytest.mark.faults)]
)
def test_T52_builds_are_in_the_state_that_a_model_has(examples):
    seen = set()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.lists(DEEDS, min_size=20, max_size=50))
    def walk(deeds):
        with transaction.atomic():
            walking = Walk()
            for deed, number in deeds:
                getattr(walking, deed)(number)
                walking.check()
                seen.update([*walking.model.ended, walking.model.state])
            transaction.set_rollback(True)

    walk()

    assert seen == SEEN
