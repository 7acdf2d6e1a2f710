from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from builds.models import Build, Demand
from builds.tests.rows import NOON, make_build, make_target, make_version
from packages.models import Dirty, Package, Version
from simple import asking, demand
from simple.asking import Answer, Wish
from simple.models import Miss, Request
from tests.seen import text

pytestmark = pytest.mark.django_db

PATH = "/project/demo/request"
ADDRESS = "192.0.2.1"


def ask(name="demo", address=ADDRESS, now=NOON, target=None):
    return asking.ask(Wish(name, target), address, now)


def test_a_request_is_counted_and_says_what_happens_next(client):
    make_build()

    assert "Build this for me" in text(client.get(PATH))
    page = text(client.post(PATH))

    assert "✔ Your request is counted." in page
    assert "its order is made anew every six hours" in page
    assert Request.objects.get().name == "demo"


def test_a_form_of_another_site_is_refused():
    make_version()

    assert Client(enforce_csrf_checks=True).post(PATH).status_code == 403
    assert not Request.objects.exists()


def test_the_same_client_counts_once_a_day():
    make_version()

    said = [ask(), ask(), ask(address="192.0.2.2"), ask(now=NOON + timedelta(days=1))]

    assert said == [Answer.COUNTED, Answer.AGAIN, Answer.COUNTED, Answer.COUNTED]
    assert Request.objects.count() == 3


def test_each_target_counts_by_itself():
    make_version()

    assert ask() == ask(target=make_target()) == Answer.COUNTED
    assert ask(target=make_target()) == Answer.AGAIN


def test_of_ipv6_one_network_is_one_client():
    make_version()

    assert ask(address="2001:db8::1") == Answer.COUNTED
    assert ask(address="2001:db8::ffff") == Answer.AGAIN
    assert ask(address="2001:db8:1::1") == Answer.COUNTED


def test_ipv4_that_is_written_as_ipv6_is_the_same_client():
    make_version()

    said = [ask(), ask(address=f"::ffff:{ADDRESS}"), ask(address="::ffff:192.0.2.9")]

    assert said == [Answer.COUNTED, Answer.AGAIN, Answer.COUNTED]


def test_a_client_has_so_many_a_day(client, settings):
    settings.PIWHEELS_REQUESTS_A_DAY = 2
    for name in ["one", "two", "three"]:
        make_version(package=name)

    statuses = [client.post(f"/project/{name}/request").status_code for name in ["one", "two", "three"]]

    assert statuses == [200, 200, 429]


def test_who_asks_for_much_at_a_time_has_to_wait(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 15
    make_version()

    first, second = client.post(PATH), client.post(PATH)

    assert [first.status_code, second.status_code] == [200, 429]
    assert "ask again in" in text(second)
    assert 0 < int(second["Retry-After"]) <= 60
    assert client.get(PATH).status_code == 200


def test_an_operator_can_close_the_door(client, settings):
    settings.PIWHEELS_REQUESTS_A_DAY = 0
    make_version()

    assert "takes no requests" in text(client.get(PATH))
    assert client.post(PATH).status_code == 403
    assert not Request.objects.exists()


def test_no_address_is_kept():
    make_version()
    ask()

    row = Request.objects.values().get()

    assert ADDRESS not in str(row)
    assert set(row) == {"id", "day", "client", "name", "target_id"}


def test_whom_a_proxy_names_is_believed_only_where_there_is_one(client, settings):
    make_version()
    headers = {"X-Forwarded-For": "203.0.113.9"}

    client.post(PATH, headers=headers)
    client.post(PATH, headers={"X-Forwarded-For": "203.0.113.10"})
    assert Request.objects.count() == 1

    settings.PIWHEELS_BEHIND_PROXY = True
    client.post(PATH, headers=headers)
    assert Request.objects.count() == 2


def test_a_name_that_nobody_follows_is_looked_up_later(client):
    page = text(client.post("/project/Some.Thing/request", follow=True))
    assert not Dirty.objects.exists()  # the other spelling is only redirected

    page = text(client.post("/project/some-thing/request"))

    assert "some-thing is looked up on PyPI within minutes" in page
    assert Dirty.objects.get().name == "some-thing"
    assert Dirty.objects.get().why == Dirty.Why.PERSON


@pytest.mark.parametrize(("names_a_day", "why"), [(500, "person"), (0, "first")])
def test_a_name_that_waits_anyway_is_looked_up_before_what_nobody_asked_for(settings, names_a_day, why):
    settings.PIWHEELS_REQUESTED_NAMES_A_DAY = names_a_day
    Dirty.remind(["later"], Dirty.Why.FIRST, NOON)

    assert ask("later") == Answer.COUNTED

    assert Dirty.objects.get().why == why


def test_strangers_can_name_so_many_a_day(settings):
    settings.PIWHEELS_REQUESTED_NAMES_A_DAY = 2

    said = [ask(name, address=f"192.0.2.{number}") for number, name in enumerate(["a", "b", "c"])]

    assert said == [Answer.COUNTED, Answer.COUNTED, Answer.FULL]
    assert Dirty.objects.count() == 2


def test_what_strangers_have_named_is_counted_without_going_through_all_packages_for_each():
    make_version(package="followed")
    ask("followed")

    with CaptureQueriesContext(connection) as captured:
        assert ask("stranger") == Answer.COUNTED

    [counted] = [query["sql"] for query in captured if "DISTINCT" in query["sql"]]
    assert "IN (SELECT" not in counted


@pytest.mark.parametrize("name", ["-", "%00", "a b", "<script>", "x" * 300])
def test_what_is_no_name_cannot_be_asked_for(client, name):
    assert client.post(f"/project/{name}/request").status_code == 404
    assert not Dirty.objects.exists()


def test_requests_count_into_the_order_of_the_queue(settings):
    version = make_version()
    Miss.objects.create(package=version.package, day=NOON.date(), count=3)
    ask()
    ask(address="192.0.2.2")

    demand.count(NOON)

    assert Demand.objects.get().misses == 3 + 2 * settings.PIWHEELS_REQUEST_WEIGHT


def test_what_was_asked_for_before_it_was_followed_counts_too():
    ask("later")
    Package.objects.create(name="later", display_name="later")

    demand.count(NOON)

    assert Demand.objects.get().package.name == "later"


def test_requests_are_forgotten():
    ask("old")

    demand.count(NOON + timedelta(days=91))

    assert not Request.objects.exists()


def test_a_version_that_no_plan_would_build_is_asked_for():
    version = make_version("2.0")
    make_version("1.0")
    Package.objects.update(plan_needed=False, depth=0)

    ask()

    assert Version.objects.exclude(requested_at=None).get() == version
    assert Package.objects.get().plan_needed


def test_what_failed_is_not_built_again_by_a_request():
    make_build(state="failed", finished_at=NOON)
    Package.objects.update(plan_needed=False)

    ask()

    assert not Version.objects.exclude(requested_at=None).exists()
    assert Build.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"skip_reason": "too big"}, "It is skipped here: too big"),
        ({"status": "quarantined"}, "PyPI has put it into quarantine."),
        ({"status": "gone"}, "PyPI no longer has it."),
    ],
)
def test_who_asks_for_what_is_never_built_is_told_why_and_not_counted(client, fields, why):
    make_build(state="failed", finished_at=NOON)
    Package.objects.update(**fields)

    asked = client.post(PATH)

    assert asked.status_code == 403
    for page in (asked, client.get(PATH)):
        assert f"Nothing of it is built, whoever asks. {why}" in text(page)
        assert "Build this for me" not in text(page)
    assert not Request.objects.exists()
    assert "Build this for me" not in text(client.get("/project/demo/"))
