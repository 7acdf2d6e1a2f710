"""Days in a farm's life: plan, queue, dispatch and the orders in Redis together, and what becomes of whom.

What each of them decides by itself is in the tests of its module.
"""

import base64
import json
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from django.db import connection

from builder.contract import queue_for
from builds import dispatch
from builds.models import Build, Builder, Campaign, Demand, Push
from builds.planning import campaigns, plan
from builds.tests.rows import NOON, make_build, make_builder, make_target, make_version
from packages.models import Package, UpstreamFile, Version, canonical_version

pytestmark = pytest.mark.django_db

TRIXIE, BOOKWORM, ARM64 = "trixie-armhf-cp313", "bookworm-armhf-cp311", "trixie-arm64-cp313"
OLD = NOON - timedelta(days=400)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Farm:
    """The server at its ticks, and builders who read orders in Redis and end builds as they are told."""

    def __init__(self, redis):
        self.redis = redis
        self.now = NOON
        redis.flushdb()

    def tick(self, after=timedelta(seconds=1)):
        """Let the server do what it does each second; return what builders were told to build."""
        self.now += after
        plan.plan_changed(self.now, limit=1000)
        campaigns.advance(self.now)
        dispatch.dispatch(self.now)
        return self.read()

    def read(self):
        """Have each builder read its queue and claim what it is told of."""
        return [build for builder in Builder.objects.at_work(self.now) for build in self._read(builder)]

    def _read(self, builder):
        begun = []
        while message := self.redis.rpop(queue_for(builder.name)):
            (number, attempt), _, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
            build = Build.objects.select_related("version__package", "target").get(pk=number, attempt=attempt)
            assert build.claim(builder, build.version.files.first(), self.now)
            begun.append(build)
        return begun

    def end(self, *builds, after=MINUTE):
        """Let builds come to a good end, some time after they began."""
        self.now += after
        for build in builds:
            build.close(Build.State.SUCCEEDED, "", self.now, duration_s=after.total_seconds())
        Builder.objects.update(heard_at=self.now)

    def orders(self):
        """Return how many orders lie in Redis, for whomever."""
        return sum(self.redis.llen(key) for key in self.redis.keys("b.*"))


@pytest.fixture
def farm(broker):
    return Farm(broker)


def make_builders(target, count):
    """Builders for a target, named for its release."""
    return [make_builder(f"{target.key.replace('-', '')}-{number}", target) for number in range(count)]


def make_package(name, versions=1, released_at=OLD, **fields):
    """A package of so many versions, a minute apart and the last one then, in few statements."""
    package = Package.objects.create(name=name, display_name=name, **fields)
    made = Version.objects.bulk_create(
        Version(
            package=package,
            number=f"1.{minor}",
            canonical=canonical_version(f"1.{minor}")[0],
            released_at=released_at - MINUTE * (versions - 1 - minor),
        )
        for minor in range(versions)
    )
    UpstreamFile.objects.bulk_create(
        UpstreamFile(
            version=version,
            filename=f"{name}-{version.number}.tar.gz",
            kind="source",
            url=f"http://upstream.test/files/{name}-{version.number}.tar.gz",
            sha256=f"{version.pk:064x}",
            uploaded_at=version.released_at,
        )
        for version in made
    )
    return package


def analyze():
    """Have the database count its rows, as it does by itself a minute after many have come."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def release(name, number, at):
    """Have a version come out, as the sync notes it."""
    version = make_version(number, name, released_at=at)
    version.package.request_plan()
    return version


def said(builds):
    return [f"{build.version.package.name} {build.version.number}" for build in builds]


def names(builds):
    return Counter(build.version.package.name for build in builds)


class TestANewReleaseDuringACampaign:
    @pytest.fixture
    def campaign(self, farm):
        """A campaign for a target with three builders, all of them busy with it."""
        target = make_target()
        make_builders(target, 3)
        packages = [make_package(f"wanted-{number}", depth=0) for number in range(30)]
        Demand.objects.bulk_create(
            Demand(package=package, downloads=1000 - number) for number, package in enumerate(packages)
        )
        campaign = Campaign(name="spring", target=target, kind="wanted", count=30)
        campaigns.begin(campaign, NOON)
        return campaign

    def test_it_has_the_next_builder_and_the_campaign_goes_on_behind_it(self, farm, campaign):
        begun = farm.tick()
        assert said(begun) == ["wanted-0 1.0", "wanted-1 1.0", "wanted-2 1.0"]
        release("fresh", "7.0", farm.now)
        assert farm.tick() == [], "nobody is taken from a build"

        farm.end(begun[0])

        assert said(farm.tick()) == ["fresh 7.0"]
        farm.end(begun[1])
        assert said(farm.tick()) == ["wanted-3 1.0"]

    def test_however_many_come_none_waits_for_the_campaign_and_it_comes_to_its_end(self, farm, campaign):
        waited = []
        for number in range(40):
            fresh = release(f"fresh-{number}", "1.0", farm.now)
            begun = farm.tick()
            waited.append(fresh.pk not in {build.version_id for build in begun})
            farm.end(*begun)
        farm.tick()

        assert waited == [False] * 40
        campaign.refresh_from_db()
        assert campaign.state == "finished"
        assert campaign.builds.filter(state="succeeded").count() == 30


class TestFiveThousandVersionsOfOnePackage:
    """It once blocked the first farm's queue for weeks."""

    OTHERS = 20

    @pytest.fixture
    def huge(self, farm):
        """The package beside others of three versions each, on three targets with five builders each."""
        for key in (BOOKWORM, TRIXIE, ARM64):
            make_builders(make_target(key), 5)
        for number in range(self.OTHERS):
            make_package(f"other-{number}", versions=3)
        huge = make_package("huge", versions=5000)
        Demand.objects.create(package=huge, downloads=10**9)
        # Until a database knows how much there is it may read all of it for each statement.
        analyze()
        plan.plan_changed(NOON, limit=100)
        analyze()
        return huge

    def test_it_has_no_more_than_its_share_while_anything_else_waits(self, farm, huge):
        begun = defaultdict(list)
        for _ in range(11):
            told = farm.tick()
            assert len(told) == 15, "nobody is idle"
            for build in told:
                begun[build.target.key].append(build.version.package.name)
            farm.end(*told)

        # Of the first 55 for each target, out of the 63 that have a third of a share each.
        assert {key: first.count("huge") for key, first in begun.items()} == dict.fromkeys(begun, 3)
        assert all(Counter(first)["other-0"] >= 2 for first in begun.values())

    def test_releases_go_before_all_of_it_and_its_own_is_planned_in_a_few_statements(
        self, farm, huge, django_assert_max_num_queries
    ):
        farm.end(*farm.tick())
        release("fresh", "1.0", farm.now)
        assert names(farm.tick())["fresh"] == 1
        release("huge", "2.0", farm.now)

        # Each of its versions is one deeper now, on three targets.
        with django_assert_max_num_queries(60):
            assert plan.plan(huge, farm.now) == 3

        assert Build.objects.waiting()[0].version.number == "2.0"
        farm.end(*Build.objects.assigned())
        assert "huge 2.0" in said(farm.tick())


class TestABuildOfThreeHours:
    @pytest.fixture
    def target(self, farm):
        """Four builders, a package whose builds take three hours, as is known, and others."""
        target = make_target()
        make_builders(target, 4)
        slow = make_package("slow", versions=6)
        tried = make_version("0.1", "slow", released_at=OLD - HOUR)
        make_build(tried, target, state="succeeded", finished_at=OLD, duration_s=3 * 3600)
        Demand.objects.create(package=slow, downloads=10**9)
        for number in range(12):
            make_package(f"quick-{number}", versions=3)
        plan.plan_changed(NOON, limit=100)
        return target

    def test_it_never_has_more_than_half_of_the_builders_while_short_ones_wait(self, farm, target):
        slow, quick = [], []
        while Build.objects.waiting().exclude(version__package__name="slow").exists():
            slow += [build for build in farm.tick() if build.version.package.name == "slow"]
            running = Build.objects.assigned().select_related("version__package")
            assert names(running)["slow"] <= 2
            ended = [build for build in running if build.version.package.name != "slow"]
            quick.append(len(ended))
            farm.end(*ended, after=10 * MINUTE)

        # It has its turn as any other, and nobody is idle: the newest of each package before any history.
        assert said(slow) == ["slow 1.5", "slow 1.4"]
        assert quick == [3] * 4 + [2] * 12
        # Now nothing shorter waits.
        assert said(farm.tick()) == ["slow 1.3", "slow 1.2"]


class TestATargetWithoutBuilders:
    def test_nothing_piles_up_in_redis_and_nobody_else_waits(self, farm):
        make_target(ARM64)
        make_builders(make_target(TRIXIE), 1)
        for number in range(30):
            make_package(f"old-{number}")

        for _ in range(5):
            farm.end(*farm.tick())
            assert farm.orders() == 0

        assert Build.objects.filter(target__key=TRIXIE, state="succeeded").count() == 5
        assert Build.objects.waiting().filter(target__key=ARM64).count() == 30

    def test_who_comes_first_gets_what_is_wanted_most(self, farm):
        target = make_target()
        for number in range(10):
            make_package(f"old-{number}")
        release("fresh", "1.0", NOON)
        assert farm.tick() == []

        make_builder(target=target, heard_at=farm.now)

        assert said(farm.tick()) == ["fresh 1.0"]

    def test_a_builder_that_does_not_read_its_orders_has_one_of_them(self, farm):
        make_builder()
        for number in range(10):
            make_package(f"old-{number}")
        plan.plan_changed(NOON, limit=100)

        for _ in range(60):
            farm.now += 5 * timedelta(seconds=1)
            dispatch.dispatch(farm.now)
            dispatch.ring_again(farm.now)
            dispatch.close_lost(farm.now)

        assert farm.orders() == 1
        assert Build.objects.assigned().count() <= 1


class TestAnOperatorsPush:
    def test_it_goes_before_requests_releases_and_campaigns_and_says_why(self, farm):
        target = make_target()
        builder = make_builder(target=target)
        make_package("campaigned", depth=0)
        museum = make_package("museum", versions=9)
        farm.end(*farm.tick())
        campaigns.begin(
            Campaign(name="spring", target=target, kind="packages", packages="campaigned"), farm.now
        )
        release("fresh", "1.0", farm.now)
        release("asked", "1.0", OLD).request(farm.now)
        push = Push(version=museum.versions.get(number="1.0"), reason="A museum needs it.")
        push.begin()

        begun = farm.tick()

        assert said(begun) == ["museum 1.0"]
        begun[0].refresh_from_db()
        assert begun[0].builder == builder
        assert begun[0].why == (
            "A museum needs it. An operator wants it first. 8 newer versions of it come first."
            " It takes about 60 s."
        )
        rest = []
        for _ in range(3):
            farm.end(*begun)
            begun = farm.tick()
            rest += said(begun)
        assert rest == ["asked 1.0", "fresh 1.0", "campaigned 1.0"]

    def test_one_that_is_taken_back_leaves_it_where_it_stood(self, farm):
        make_target()
        make_version("2.0", released_at=NOON, requested_at=NOON)
        old = make_version("1.0", released_at=OLD)
        push = Push(version=old, reason="A museum needs it.")
        push.begin()
        farm.tick()
        assert [build.version.number for build in Build.objects.waiting()] == ["1.0", "2.0"]

        push.end()
        farm.tick()

        assert [build.version.number for build in Build.objects.waiting()] == ["2.0", "1.0"]
