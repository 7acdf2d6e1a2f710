from datetime import timedelta

import pytest
from django.core.cache import cache

from builds.figures import counting
from builds.models import Builder, Target
from builds.tests.rows import (
    make_builder,
    make_built,
    make_running_build,
    make_target,
    make_version,
)
from packages.clock import database_now
from simple.models import DownloadDay, Shown
from tests.seen import text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _counts_anew():
    cache.clear()


def test_the_lines_are_those_for_the_host_that_was_asked(client, settings):
    settings.ALLOWED_HOSTS = ["pi.example"]

    page = text(client.get("/", headers={"Host": "pi.example:8000"}))

    assert "--extra-index-url http://pi.example:8000/simple/ --trusted-host pi.example PACKAGE" in page
    assert "extra-index-url = http://pi.example:8000/simple/ trusted-host = pi.example" in page
    assert 'url = "http://pi.example:8000/simple-full/" default = true' in page


def test_with_tls_no_host_has_to_be_trusted(client):
    assert "trusted-host" not in text(client.get("/", secure=True))


def test_it_counts(client):
    wheel = make_built()
    Shown.objects.create(package=wheel.package, indexes="simple")
    DownloadDay.objects.create(day=database_now().date(), count=1234)
    counting.count_due(database_now())

    page = client.get("/").content.decode()

    assert "<b>1</b> package with wheels" in page
    assert "<b>1</b> wheel built" in page
    assert "<b>1</b> build finished" in page
    assert "<b>1,234</b> downloads in 30 days" in page


def test_the_time_spared_is_that_of_the_statistics(client):
    for days_ago, saved_s in ((1, 3600.0), (2, 3600.0)):
        DownloadDay.objects.create(
            day=database_now().date() - timedelta(days=days_ago), count=9, summed=9, saved_s=saved_s
        )

    page = client.get("/").content.decode()
    assert '<b>2 hours</b> of <a href="/stats.html">compiling spared</a>' in page


def test_an_empty_farm_says_what_to_do(client):
    Target.objects.all().delete()

    page = text(client.get("/"))

    assert "activates a target" in page
    assert "None yet." in page


def test_each_target_says_whether_it_is_built_for(client):
    Target.objects.all().delete()
    make_builder(target=make_target(os_name="Raspberry Pi OS 13"), heard_at=database_now())
    make_target("bookworm-armhf-cp311")
    make_target("bullseye-armhf-cp39", is_active=False)

    page = text(client.get("/"))

    assert "Raspberry Pi OS 13 (Trixie)3.13 armhf 32-bit, every Pi ✔ built, by 1 builder" in page
    assert "Bookworm (Bookworm)3.11 armhf 32-bit, every Pi … built, when a builder is at work" in page
    assert "– not built any more, or not yet" in page


def test_the_newest_wheels_and_what_is_built_are_there(client):
    make_built("1.0")
    make_built("2.0")
    make_running_build(
        Builder.objects.get(), now=database_now() - timedelta(minutes=3), version=make_version("3.0")
    )

    page = text(client.get("/"))

    assert page.index("demo 2.0") < page.index("demo 1.0")
    assert "demo 3.0 trixie-armhf-cp313, began 3 minutes ago" in page


def test_it_costs_the_same_however_much_there_is(client, django_assert_max_num_queries):
    for number in range(15):
        make_built(f"1.{number}")
    client.get("/")

    with django_assert_max_num_queries(7):
        client.get("/")
