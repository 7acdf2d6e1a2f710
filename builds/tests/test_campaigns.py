"""Campaigns: what they queue, how much at a time, and that they starve nobody."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import DataError, OperationalError, connection, transaction
from django.urls import reverse

from builder.tests.waiting import until
from builds.figures import counting
from builds.models import Build, Campaign, Demand
from builds.planning import campaigns, plan
from builds.planning.priority import Rank, class_of
from builds.tests.rows import NOON, make_build, make_builder, make_source, make_target, make_version
from packages.clock import database_now
from packages.models import Package, Version
from packages.tests import deeds
from packages.tests.locks import is_one_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

OLD = NOON - timedelta(days=400)


@pytest.fixture
def target():
    return make_target()


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Have a tick take its time: one of two seconds may be over after one build on a busy machine."""
    monkeypatch.setitem(campaigns.advance.__kwdefaults__, "run_s", 60.0)


def make_packages(*names, depth=0):
    """Packages with two old versions, of which nothing is built unless somebody asks for it."""
    for name in names:
        make_version("1.0", name, released_at=OLD - timedelta(days=9))
        make_version("2.0", name, released_at=OLD)
    Package.objects.update(depth=depth, plan_needed=False)


def begin(target, now=NOON, **fields):
    campaign = Campaign(**{"name": "spring", "target": target, "kind": "packages", **fields})
    campaigns.begin(campaign, now)
    return campaign


def waiting(**filters):
    found = Build.objects.waiting().filter(**filters).select_related("version__package")
    return [f"{build.version.package.name} {build.version.number}" for build in found]


def plan_all():
    Package.objects.update(plan_needed=True)
    return plan.plan_changed(NOON, limit=1000)


def test_a_list_of_packages_has_their_newest_versions_built(target):
    make_packages("one", "two", "three")
    campaign = begin(target, packages="One three")

    assert campaigns.advance(NOON) == 2

    assert sorted(waiting(campaign=campaign)) == ["one 2.0", "three 2.0"]


def test_the_most_wanted_go_first_and_no_more_than_that(target):
    make_packages("loved", "base", "leaf", "other")
    for name, downloads, dependents in [("leaf", 1, 0), ("base", 1, 50), ("loved", 1000, 0)]:
        package = Package.objects.get(name=name)
        Demand.objects.create(package=package, downloads=downloads, dependents=dependents)

    begin(target, kind="wanted", count=2)
    campaigns.advance(NOON)

    assert waiting() == ["loved 2.0", "base 2.0"]


@pytest.mark.parametrize(
    ("fields", "since", "is_again"),
    [
        ({}, None, True),
        ({}, NOON - timedelta(days=2), True),
        ({"finished_at": NOON - timedelta(days=3)}, NOON - timedelta(days=2), False),
        ({"failure": "out-of-memory"}, None, False),
        ({"state": "succeeded", "failure": ""}, None, False),
    ],
)
def test_what_failed_in_one_way_is_tried_again(target, fields, since, is_again):
    failed = {"state": "failed", "failure": "missing-header", "finished_at": NOON - timedelta(days=1)}
    make_build(make_version(), target, **{**failed, **fields})
    make_build(make_version("0.9"), target, **failed)

    begin(target, kind="failed", failure="missing-header", since=since)
    campaigns.advance(NOON)

    assert sorted(waiting()) == (["demo 0.9", "demo 1.0"] if is_again else ["demo 0.9"])
    assert Build.objects.waiting()[0].attempt == 2


def test_what_fails_again_is_not_tried_for_ever(target):
    make_build(make_version(), target, state="failed", failure="missing-header", finished_at=OLD)
    campaign = begin(target, kind="failed", failure="missing-header")
    campaigns.advance(NOON)
    Build.objects.waiting().update(state="failed", failure="missing-header", finished_at=NOON)

    assert (campaigns.advance(NOON), campaigns.advance(NOON)) == (0, 0)

    campaign.refresh_from_db()
    assert campaign.state == "finished"


def test_when_all_that_failed_was_looked_at_no_failure_is_passed_again(target):
    """There may be a million of them, and a campaign that waits for its last builds ticks on."""
    make_build(make_version(), target, state="failed", failure="missing-header", finished_at=OLD)
    campaign = begin(target, kind="failed", failure="missing-header")
    campaigns.advance(NOON)
    campaign.refresh_from_db()
    assert not Build.objects.filter(pk__gt=campaign.cursor).exists()

    assert campaigns.advance(NOON) == 0

    campaign.refresh_from_db()
    assert (campaign.state, campaign.looked_at) == ("running", 1)
    Build.objects.waiting().update(state="succeeded", finished_at=NOON)
    campaigns.advance(NOON)
    campaign.refresh_from_db()
    assert campaign.state == "finished"


def test_a_plan_leaves_a_running_campaign_what_it_wants(target):
    make_packages("one")
    begin(target, packages="one")
    campaigns.advance(NOON)

    plan_all()

    assert waiting() == ["one 2.0"]
    assert class_of(Build.objects.get().priority)[0] == Rank.NEWEST


def test_what_upstream_serves_or_is_built_already_is_passed_over(target):
    make_packages("served", "built", "failed", "left")
    make_source(
        Package.objects.get(name="served").versions.get(number="2.0"), "-py3-none-any.whl", kind="wheel"
    )
    for name, state in [("built", "succeeded"), ("failed", "failed")]:
        version = Package.objects.get(name=name).versions.get(number="2.0")
        make_build(version, target, state=state, finished_at=OLD)
    campaign = begin(target, packages="served built failed left")

    campaigns.advance(NOON)

    assert waiting() == ["left 2.0"]
    campaign.refresh_from_db()
    assert (campaign.looked_at, campaign.total) == (4, 4)


def test_only_a_few_hundred_wait_at_a_time_and_it_ends_when_all_are_built(target, monkeypatch):
    monkeypatch.setattr(campaigns, "WAITING", 3)
    names = [f"demo-{number}" for number in range(7)]
    make_packages(*names)
    campaign = begin(target, packages=" ".join(names))

    queued = []
    for _ in range(4):
        queued.append(campaigns.advance(NOON) + campaigns.advance(NOON))
        Build.objects.waiting().update(state="succeeded", finished_at=NOON)

    assert queued == [3, 3, 1, 0]
    campaign.refresh_from_db()
    assert (campaign.state, campaign.looked_at) == ("finished", 7)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("packages", {"packages": "one two three"}), ("failed", {"failure": "missing-header"})],
)
def test_a_tick_whose_time_is_over_leaves_the_rest_to_the_next(target, kind, fields):
    make_packages("one", "two", "three")
    for version in Version.objects.filter(number="2.0") if kind == "failed" else ():
        make_build(version, target, state="failed", failure="missing-header", finished_at=OLD)
    begin(target, kind=kind, **fields)

    queued = [campaigns.advance(NOON, run_s=0) for _ in range(4)]

    assert queued == [1, 1, 1, 0]


def test_it_goes_on_when_a_package_vanishes_meanwhile(target, monkeypatch):
    monkeypatch.setattr(campaigns, "LOOKED_AT", 1)
    make_packages("one", "two", "three")
    begin(target, packages="one two three")
    campaigns.advance(NOON)
    Package.objects.get(name="two").delete()

    campaigns.advance(NOON)
    campaigns.advance(NOON)

    assert sorted(waiting()) == ["one 2.0", "three 2.0"]


def test_a_package_that_cannot_be_looked_at_is_passed_over(target, caplog):
    make_packages("one", "bad", "three")
    Version.objects.filter(package__name="bad").update(canonical="this is no version")
    campaign = begin(target, packages="one bad three")

    assert campaigns.advance(NOON) == 2

    assert sorted(waiting()) == ["one 2.0", "three 2.0"]
    campaign.refresh_from_db()
    assert campaign.looked_at == 3
    assert caplog.text.count("The campaign spring passes over bad") == 1


def test_a_campaign_that_fails_keeps_no_other(target, caplog):
    make_packages("one", "two")
    bad = begin(target, packages="one")
    Campaign.objects.filter(pk=bad.pk).update(todo=["this is no key"])
    begin(target, name="summer", packages="two")

    assert campaigns.advance(NOON) == 1

    assert waiting() == ["two 2.0"]
    assert "spring cannot go on" in caplog.text


def test_no_package_is_passed_over_because_the_database_is_away(target):
    make_packages("one")
    campaign = begin(target, packages="one")

    def away(execute, sql, *rest):
        if "packages_version" in sql:
            raise OperationalError("the connection is closed")
        return execute(sql, *rest)

    with connection.execute_wrapper(away), pytest.raises(OperationalError):
        campaigns.advance(NOON)

    campaign.refresh_from_db()
    assert campaign.looked_at == 0
    assert campaigns.advance(NOON) == 1


def test_what_waits_already_joins_it_and_is_not_queued_twice(target):
    make_packages("one", depth=None)
    plan_all()
    campaign = begin(target, packages="one")

    campaigns.advance(NOON)

    assert sorted(waiting()) == ["one 1.0", "one 2.0"]
    assert waiting(campaign=campaign) == ["one 2.0"]


def test_what_failed_long_ago_is_tried_behind_newest_versions_and_before_history(target):
    make_packages("campaigned", "historic")
    make_build(Package.objects.get(name="campaigned").versions.get(number="1.0"), target, state="failed",
               failure="missing-header", finished_at=OLD)  # fmt: skip
    begin(target, kind="failed", failure="missing-header")
    campaigns.advance(NOON)
    Package.objects.filter(name="historic").update(depth=2)

    plan_all()

    assert waiting() == ["historic 2.0", "campaigned 1.0", "historic 1.0"]


def test_stopping_it_drops_what_waits_and_leaves_the_farm_its_own(target):
    make_packages("mine", "both")
    Package.objects.filter(name="both").update(depth=1)
    running = make_build(make_version("1.0", "begun"), target)
    plan_all()
    campaign = begin(target, packages="mine both begun")
    campaigns.advance(NOON)
    running.refresh_from_db()
    assert sorted(waiting(campaign=campaign)) == ["begun 1.0", "both 2.0", "mine 2.0"]
    running.assign(make_builder(target=target), NOON)

    assert campaigns.stop(campaign, "admin", NOON) == 2
    plan_all()

    assert waiting() == ["both 2.0"]
    assert Build.objects.get(pk=running.pk).state == "dispatched"
    assert campaigns.progress(campaign, NOON).waiting == 0
    assert campaigns.advance(NOON) == 0


@pytest.mark.django_db(transaction=True)
def test_a_tick_that_began_before_it_was_stopped_queues_nothing_more(target):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time.")
    make_packages("one")
    campaign = begin(target, packages="one")

    def tick():
        try:
            return campaigns.advance(NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Package.objects.get().hold()
            ticking = pool.submit(tick)
            until(is_one_waiting)
            campaigns.stop(campaign, "ben", NOON)

        assert ticking.result(10) == 0

    assert waiting() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(lambda build: build.assign(make_builder(target=build.target), NOON), id="given out"),
        pytest.param(lambda build: build.want_anew("The compiler was bad."), id="wanted"),
    ],
)
def test_what_is_given_out_or_wanted_while_it_is_stopped_stays(target, deed):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time.")
    make_packages("one")
    campaign = begin(target, packages="one")
    campaigns.advance(NOON)
    build = Build.objects.get()

    def stop():
        try:
            return campaigns.stop(campaign, "ben", NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Package.objects.get().hold()
            stopping = pool.submit(stop)
            until(is_one_waiting)
            deed(build)

        assert stopping.result(10) == 0

    build.refresh_from_db()
    assert build.is_open
    assert build.campaign == campaign


def test_what_a_crash_left_of_its_end_is_finished_by_the_next_tick(target):
    make_packages("one", "two")
    campaign = begin(target, packages="one two")
    campaigns.advance(NOON)
    # As a process leaves it that dies before the first build is dropped.
    campaign.stop(database_now())

    campaigns.advance(NOON)

    assert waiting() == []
    assert Package.objects.filter(plan_needed=True).count() == 2
    assert {build.reason for build in Build.objects.all()} == {"Its campaign spring was stopped."}


def test_a_campaign_of_which_nothing_can_be_dropped_keeps_no_other(target, caplog):
    make_packages("one", "two", "three")
    names = {"spring": "one", "summer": "two", "autumn": "three"}
    stopped = [begin(target, name=name, packages=package) for name, package in names.items()]
    campaigns.advance(NOON)
    for campaign in stopped:
        campaign.stop(database_now())

    def refusing(execute, sql, params, *rest):
        if "Its campaign summer was stopped." in (params or ()):
            raise DataError("such a reason cannot be written")
        return execute(sql, params, *rest)

    with connection.execute_wrapper(refusing):
        campaigns.advance(NOON)

    assert waiting() == ["two 2.0"]
    assert "What waits for the campaign summer, which was stopped, cannot be dropped." in caplog.text
    campaigns.advance(NOON)
    assert waiting() == []


def test_what_a_crash_left_of_its_end_is_finished_by_stopping_it_again(target):
    make_packages("one")
    campaign = begin(target, packages="one")
    campaigns.advance(NOON)
    campaign.stop(NOON)

    assert campaigns.stop(Campaign.objects.get(), "ben", NOON) == 1


def test_stopping_it_leaves_what_is_wanted_by_others(target):
    """An operator wants one built again that waits for it, and tries another again later."""
    make_packages("anew", "later")
    campaign = begin(target, packages="anew later")
    campaigns.advance(NOON)
    anew, later = Build.objects.order_by("version__package__name")
    anew.want_anew("The compiler was bad.")
    campaigns.stop(campaign, "ben", database_now())
    again = later.again(losses=0, priority=0, why="", campaign=campaign.pk)

    campaigns.advance(database_now())

    assert set(Build.objects.waiting()) == {anew, again}


def test_it_tells_its_progress_and_what_became_worse_than_on_the_release_before(target):
    make_target("bookworm-armhf-cp311", glibc="2.36")
    make_target("bullseye-armhf-cp39", glibc="2.31")
    target = make_target(glibc="2.41")
    before = campaigns.release_before(target)
    names = [f"demo-{number}" for number in range(6)]
    make_packages(*names)
    campaign = begin(target, packages=" ".join(names))
    campaigns.advance(NOON)
    campaign.refresh_from_db()
    built = list(Build.objects.filter(campaign=campaign).order_by("pk"))
    for build, state in zip(built[:3], ["succeeded", "failed", "failed"], strict=True):
        Build.objects.filter(pk=build.pk).update(state=state, finished_at=NOON + timedelta(hours=1))
    make_build(built[1].version, before, state="succeeded", finished_at=OLD)

    told = campaigns.progress(campaign, NOON + timedelta(hours=2))

    assert before.key == "bookworm-armhf-cp311"
    assert (told.waiting, told.succeeded, told.failed, told.left) == (3, 1, 2, 0)
    assert (told.per_hour, told.left_s, told.regressions) == (1.5, 2 * 3600, 1)
    assert list(campaigns.regressions(campaign)) == [built[1]]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"packages": "nobody"}, "does not follow nobody"),
        ({"kind": "failed", "failure": "bad-luck"}, "There is no class 'bad-luck'"),
        ({"kind": "failed", "failure": "missing-header"}, "nothing that it would go through"),
        ({"kind": "wanted", "count": 10}, "nothing that it would go through"),
    ],
)
def test_what_cannot_begin_says_why(target, fields, says):
    with pytest.raises(campaigns.CannotBegin, match=says):
        begin(target, **fields)

    assert not Campaign.objects.exists()


def test_nothing_begins_for_a_target_that_is_not_built_for():
    with pytest.raises(campaigns.CannotBegin, match="activate it first"):
        begin(make_target(is_active=False), packages="one")


def call(*words):
    out = StringIO()
    call_command("campaign", "--yes", *words, stdout=out)
    return out.getvalue()


def test_the_command_starts_shows_and_stops_one(target):
    make_packages("one", "two")

    assert "spring goes through 2 for trixie-armhf-cp313." in call(
        "start", "spring", "--target", target.key, "--packages", "one", "two"
    )
    campaigns.advance(NOON)
    assert "0 built, 0 failed" in call("show")
    assert "2 waiting, 0 to look at" in call("show", "spring")
    assert "spring is stopped; 2 waiting builds were dropped" in call("stop", "spring")
    assert "spring had stopped before; nothing was done." in call("stop", "spring")
    assert LogEntry.objects.filter(change_message__startswith="stop campaign").count() == 1


def test_the_command_stops_none_that_nobody_named(target):
    make_packages("one")
    begin(target, packages="one")

    with pytest.raises(CommandError, match="Name the campaign; going on: spring") as refusal:
        call("stop")

    assert refusal.value.returncode == 2
    assert Campaign.objects.running().exists()


def test_the_command_does_not_stop_what_is_finished(target):
    make_packages("one")
    begin(target, packages="one").finish(NOON)

    assert "spring had finished before" in call("stop", "spring")
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stop", "nobody"], "There is no campaign nobody"),
        (["start", "spring", "--most-wanted", "5"], "Name a target with --target"),
        (["start", "spring", "--target", "x", "--most-wanted", "5"], "no target x; there are: .*trixie"),
        (["start", "spring", "--target", "trixie-armhf-cp313"], "nothing that it would go through"),
        (
            ["start", "spring", "--target", "trixie-armhf-cp313", "--most-wanted", "0"],
            "Give what its kind needs",
        ),
        (["start", "--target", "trixie-armhf-cp313", "--packages", "one"], "This field cannot be blank"),
        (["start", "a", "--target", "trixie-armhf-cp313", "--packages", "one"], "does not follow one"),
    ],
)
def test_the_command_says_what_is_wrong(target, words, says):
    with pytest.raises(CommandError, match=says):
        call(*words)


def test_an_operator_starts_and_stops_one_in_the_admin(admin_client, target):
    make_packages("one")
    values = {"name": "spring", "target": target.pk, "kind": "packages", "packages": "nobody"}
    add = reverse("admin:builds_campaign_add")

    assert "does not follow nobody" in admin_client.post(add, values).content.decode()
    asked = admin_client.post(add, {**values, "packages": "one"}).content.decode()
    said = "This goes through 1 package for trixie-armhf-cp313."
    assert said in asked
    admin_client.post(add, {**values, "packages": "one", "asked": said})
    campaigns.advance(NOON)

    campaign = Campaign.objects.get()
    changelist = reverse("admin:builds_campaign_changelist")
    assert campaign.by == "admin"
    assert "not counted yet" in admin_client.get(changelist).content.decode()
    counting.count_due(database_now())
    assert "1 waiting" in admin_client.get(changelist).content.decode()
    shown = admin_client.get(reverse("admin:builds_campaign_change", args=[campaign.pk]))
    assert "1 waiting" in shown.content.decode()
    assert (
        "stops spring, with 1 waiting build." in deeds.act(admin_client, Campaign, "stop", campaign).question
    )
    campaign.refresh_from_db()
    assert campaign.state == "stopped"
    assert waiting() == []
