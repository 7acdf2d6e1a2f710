import gzip
import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from builds.models import Build, Demand
from builds.tests.rows import NOON, make_running_build, make_version, make_wheel
from packages.models import Package, Version
from piwheels_site.search import _similar, has_trigrams, near, search
from simple import catalogue
from simple.models import PackageDownload
from tests.seen import text

pytestmark = pytest.mark.django_db


def make_packages(*names, **demands):
    for name in [*names, *demands]:
        package = Package.objects.create(name=name, display_name=name)
        if name in demands:
            Demand.objects.create(package=package, downloads=demands[name])


def names(packages):
    return [package.name for package in packages]


def test_the_very_name_is_first_then_what_begins_so_by_popularity():
    make_packages("numpy-stl", "unrelated", numpy=5, numpydoc=10, numpyro=90)

    found = search("NumPy")

    assert found.exact.name == "numpy"
    assert names(found.beginning) == ["numpyro", "numpydoc", "numpy-stl"]


@pytest.mark.parametrize("typed", ["ruamel.yaml", "Ruamel_YAML", " ruamel-yaml ", "ruamel yaml"])
def test_a_name_is_found_in_any_spelling(typed):
    make_packages("ruamel-yaml")

    assert search(typed).exact.name == "ruamel-yaml"


def test_a_beginning_may_end_in_a_dash():
    make_packages("types-requests", "typesetting")

    assert names(search("types-").packages) == ["types-requests", "typesetting"]


def test_a_word_within_a_name_is_found_behind_the_names_that_begin_with_it():
    cache.clear()
    make_packages(*(f"gpio{number}" for number in range(30)), "adafruit-gpio", "spidev", lgpio=5)
    make_packages(**{"rpi-gpio": 90})

    found = search("GPIO")

    assert names(found.containing) == ["rpi-gpio", "lgpio", "adafruit-gpio"]
    assert names(found.packages)[25:] == names(found.containing)
    assert names(search("gpio rpi").containing) == ["rpi-gpio"]


def test_a_word_that_thousands_have_in_their_names_gives_the_most_wanted_of_them():
    cache.clear()
    Package.objects.bulk_create(
        Package(name=f"a-python-{number:05d}", display_name=f"{number:05d}") for number in range(1500)
    )
    make_packages(**{"zzz-python": 1_000_000})

    assert names(search("python").containing)[0] == "zzz-python"


def test_letters_that_no_index_knows_are_looked_for_at_beginnings_alone():
    cache.clear()
    make_packages("a-io", "io-b")

    found = search("io")

    assert (names(found.beginning), found.containing) == (["io-b"], [])


@pytest.mark.parametrize("typed", ["requets", "reqeusts", "requestss"])
def test_a_slip_of_the_finger_is_forgiven(typed):
    cache.clear()
    make_packages("requests", "flask", "rope")

    assert "requests" in names(search(typed).packages)
    assert near(typed)[0] == "requests"


@pytest.mark.parametrize("typed", ["", "   ", "%", "_", "☃", "\\", "'; DROP TABLE x", "a" * 500])
def test_whatever_is_typed_nothing_breaks(client, typed):
    make_packages("demo")

    assert client.get("/packages.html", {"q": typed}).status_code == 200


@pytest.fixture
def trigrams():
    """Have what only PostgreSQL has; every statement is noted, as where one looks for slow ones."""
    cache.clear()
    if not has_trigrams():
        pytest.skip("the database cannot say what looks alike")
    with CaptureQueriesContext(connection):
        yield


def settings_of(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), show_limit()")
        return cursor.fetchone()


def test_the_limits_of_a_search_end_with_it(trigrams):
    make_packages("azure-storage-queue")
    before = settings_of(connection)

    # So far from it that only the database finds it.
    assert names(search("storage-queue-azure").packages) == ["azure-storage-queue"]

    assert settings_of(connection) == before


def test_a_search_that_takes_too_long_finds_nothing_and_leaves_the_transaction_usable(trigrams):
    other = connection.copy()
    with transaction.atomic(), other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE packages_package IN ACCESS EXCLUSIVE MODE")
        try:
            assert _similar("requets") == []
        finally:
            cursor.execute("ROLLBACK")
            other.close()

        make_packages("requests")
        assert Package.objects.count() == 1


def test_a_percent_sign_finds_not_everything():
    make_packages("demo")

    assert search("%").packages == []


def test_of_thousands_that_begin_so_the_most_wanted_is_found():
    Package.objects.bulk_create(
        Package(name=f"py{number:05d}", display_name=f"py{number:05d}") for number in range(1500)
    )
    make_packages(pyzzz=1_000_000)

    assert search("py").beginning[0].name == "pyzzz"


def test_what_is_shown_costs_the_same_however_much_there_is(client, django_assert_max_num_queries):
    make_packages(**{f"demo{number}": number for number in range(60)})
    client.get("/packages.html?q=demo")

    with django_assert_max_num_queries(9):
        client.get("/packages.html?q=demo1")


def test_a_page_says_what_was_found(client):
    build, _ = make_running_build(version=make_version(package="demo"))
    make_wheel(build=build)
    Package.objects.update(summary="<b>Bold</b>")
    make_packages(demonstration=7)

    page = client.get("/packages.html?q=demo").content.decode()

    assert "There are wheels" in page
    assert "&lt;b&gt;Bold" in page
    assert 'href="/project/demonstration/"' in page


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Package, {"status": "quarantined"}),
        (Package, {"registered_anew_at": NOON + timedelta(days=9999)}),
        (Version, {"gone_at": NOON}),
    ],
)
def test_of_what_nobody_can_install_there_are_no_wheels(client, model, fields):
    build, _ = make_running_build(version=make_version(package="demo"))
    make_wheel(build=build)
    model.objects.update(**fields)

    assert "There are wheels" not in text(client.get("/packages.html?q=demo"))


def test_what_is_not_followed_can_be_asked_for(client):
    page = client.get("/packages.html?q=Some.Thing").content.decode()

    assert 'href="/project/some-thing/request"' in page


def test_without_a_question_the_most_downloaded_are_listed(client):
    make_packages(**{f"demo{number:03d}": number for number in range(1, 61)})

    first, second = text(client.get("/packages.html")), text(client.get("/packages.html?page=2"))

    assert first.index("demo060") < first.index("demo059")
    assert "demo001" not in first
    assert "demo001" in second


def test_other_addresses_lead_to_it(client):
    assert client.get("/packages?q=demo").url == "/packages.html?q=demo"
    assert client.get("/project").url == "/packages.html"
    assert client.get("/p/demo").url == "/project/demo/"
    assert client.get("/p/demo/json/").url == "/project/demo/json/"
    assert client.get("/p/demo/index.html").url == "/project/demo/index.html"


def test_what_is_not_here_suggests_what_was_meant(client):
    cache.clear()
    make_packages("requests")

    response = client.get("/project/requets/")

    assert response.status_code == 404
    assert "Did you mean requests?" in text(response)
    assert 'href="/project/requets/request"' in response.content.decode()


@pytest.mark.parametrize("path", ["/nothing", "/project/%00/", "/project/<script>/", "/p/-/x", "/explain/"])
def test_what_is_no_name_has_a_plain_404(client, path):
    response = client.get(path)

    assert response.status_code == 404
    assert "<script>" not in response.content.decode()


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_postgresql_says_what_looks_alike():
    from piwheels_site.search import has_trigrams

    cache.clear()

    assert has_trigrams()


def test_an_index_that_is_not_there_is_not_asked():
    cache.clear()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX IF EXISTS packages_package_name_trigrams")
    make_packages("requests")

    assert near("requets") == ["requests"]


# --- /packages.json


def make_downloaded():
    build, _ = make_running_build(version=make_version(package="demo"))
    make_wheel(build=build)
    build.close(Build.State.SUCCEEDED, "", NOON, 10.0)
    make_packages("other")
    package = build.version.package
    PackageDownload.objects.create(package=package, day=NOON.date(), count=3)
    PackageDownload.objects.create(package=package, day=NOON.date() - timedelta(days=31), count=4)
    return [["demo", 3, 7], ["other", 0, 0]]


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_all_packages_are_listed_with_their_downloads(client, encoding):
    listed = make_downloaded()
    catalogue.publish(NOON)

    response = client.get("/packages.json", headers={"Accept-Encoding": encoding})

    body = b"".join(response) if response.streaming else response.content
    assert json.loads(gzip.decompress(body) if encoding else body) == listed
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Content-Type"] == "application/json"
    again = client.get(
        "/packages.json", headers={"Accept-Encoding": encoding, "If-None-Match": response["ETag"]}
    )
    assert again.status_code == 304


def test_a_list_that_took_long_is_left_alone_for_a_while(monkeypatch):
    cache.clear()
    assert (catalogue.publish(NOON), catalogue.publish(NOON)) == (True, True)

    monkeypatch.setattr(catalogue, "PART", 1e-9)

    assert (catalogue.publish(NOON), catalogue.publish(NOON)) == (True, False)
    cache.clear()


def test_before_the_list_was_ever_written_it_is_made(client):
    make_packages("demo")

    assert json.loads(b"".join(client.get("/packages.json"))) == [["demo", 0, 0]]


def test_an_empty_list_is_json(client):
    assert json.loads(b"".join(client.get("/packages.json"))) == []
