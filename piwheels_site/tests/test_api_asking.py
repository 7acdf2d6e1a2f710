"""What one can ask for by the API: builds, and a bundle."""

import pytest

from builds.models import Dependency
from builds.tests.rows import make_target, make_version
from packages.clock import database_now
from packages.models import Dirty, Package
from simple.bundle import work
from simple.bundle.asking import MOST_BYTES
from simple.models import Bundle, Request
from simple.tests.rows import make_wheel

pytestmark = pytest.mark.django_db

API = "/api/v1"


@pytest.fixture(autouse=True)
def _nothing_counted(settings):
    settings.PIWHEELS_API_A_MINUTE = 10_000


def post(client, path, body, **headers):
    return client.post(f"{API}{path}", body, "application/json", headers=headers)


def ask(client, *packages, **fields):
    return post(client, "/requests", {"packages": packages, **fields})


def pack(client, text, **fields):
    return post(client, "/bundles", {"text": text, "target": "test-armhf-cp313", **fields})


def outcomes(response):
    assert response.status_code == 200, response.content
    return {each["package"]: each["outcome"] for each in response.json()["requests"]}


def test_packages_are_asked_for_in_any_spelling(client):
    target = make_target()
    make_version(package="demo")

    first = ask(client, "Demo", "Some.Stranger", target=target.key)

    assert outcomes(first) == {"demo": "counted", "some-stranger": "counted"}
    assert outcomes(ask(client, "demo", target=target.key)) == {"demo": "again"}
    assert first.json()["requests"][0]["page"] == "/project/demo/"
    assert set(Request.objects.values_list("name", "target")) == {
        ("demo", target.pk),
        ("some-stranger", target.pk),
    }
    assert Dirty.objects.filter(name="some-stranger").exists()


def test_an_address_has_as_many_requests_as_on_the_pages(client, settings):
    settings.PIWHEELS_REQUESTS_A_DAY = 2
    client.post("/project/one/request")

    assert outcomes(ask(client, "two", "three")) == {"two": "counted", "three": "too-many"}
    assert Request.objects.count() == 2


def test_what_is_never_built_is_not_counted_and_says_why(client):
    make_version(package="demo")
    Package.objects.update(skip_reason="too big")

    answer = ask(client, "demo")

    assert outcomes(answer) == {"demo": "not-built"}
    said = "Nothing of it is built, whoever asks. It is skipped here: too big"
    assert answer.json()["requests"][0]["said"] == said
    assert not Request.objects.exists()


def test_all_addresses_together_name_only_so_much_that_nobody_follows(client, settings):
    settings.PIWHEELS_REQUESTED_NAMES_A_DAY = 1
    make_version(package="demo")

    assert outcomes(ask(client, "one", "two", "demo")) == {"one": "counted", "two": "full", "demo": "counted"}


def test_a_bundle_is_asked_for_followed_and_downloaded(client):
    make_target("test-armhf-cp313")
    wheel = make_wheel("one", requires=("two",))
    make_wheel("two")
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5", requirement="libpq5")

    asked = pack(client, "one\r\n", model="4").json()
    assert (asked["state"], asked["before"], asked["download"]) == ("waiting", 0, None)
    assert work.make_next(database_now)
    made = client.get(asked["status"]).json()
    zipped = b"".join(client.get(made["download"]).streaming_content)

    assert (made["state"], made["apt"], len(made["wheels"])) == ("ready", ["libpq5"], 2)
    assert len(zipped) == made["size"]
    assert client.get(made["page"]).status_code == 200
    assert pack(client, "one", model="4").json()["key"] == asked["key"]


def test_a_bundle_that_cannot_be_says_why(client):
    make_target("test-armhf-cp313")
    status = pack(client, "nobody-has-this").json()["status"]

    work.make_next(database_now)
    failed = client.get(status).json()

    assert (failed["state"], failed["download"]) == ("failed", None)
    assert "nobody-has-this" in failed["problem"]


def test_of_a_bundle_that_is_gone_there_is_no_address(client):
    make_target("test-armhf-cp313")
    make_wheel("one")
    status = pack(client, "one").json()["status"]
    work.make_next(database_now)
    work.zip_path(Bundle.objects.get().digest).unlink()

    found = client.get(status).json()

    assert (found["state"], found["download"]) == ("gone", None)


def test_an_address_has_as_many_bundles_as_on_the_page(client, settings):
    settings.PIWHEELS_BUNDLES_A_DAY = 1
    make_target("test-armhf-cp313")

    assert pack(client, "one").status_code == 200
    refused = pack(client, "two")

    assert refused.status_code == 429
    assert "1 bundles a day" in refused.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/requests", "{", 422),
        ("/requests", {"packages": []}, 422),
        ("/requests", {"packages": ["--"]}, 422),
        ("/requests", {"packages": ["a"] * 101}, 422),
        ("/requests", {"packages": ["demo"], "odd": 1}, 422),
        ("/requests", {"packages": ["demo"], "target": "nowhere"}, 404),
        ("/bundles", {"text": ""}, 422),
        ("/bundles", {"text": "-e ."}, 422),
        ("/bundles", {"text": "demo\0"}, 422),
        ("/bundles", {"text": "demo", "installed": "[[package]]\nname = 1 2"}, 422),
        ("/bundles", {"text": "demo", "model": "odd"}, 422),
        ("/bundles", {"text": "demo", "target": "nowhere"}, 404),
        ("/bundles", {"text": "x" * (3 * MOST_BYTES)}, 413),
    ],
)
def test_what_cannot_be_asked_for_is_refused(client, path, body, status):
    make_target("test-armhf-cp313")

    response = post(client, path, body)

    assert response.status_code == status, response.content
    assert set(response.json()) == {"error", "what_to_do"}
    assert not Request.objects.exists() and not Bundle.objects.exists()


@pytest.mark.parametrize("key", ["nobody", "x" * 21, "%00"])
def test_a_key_has_to_be_known(client, key):
    assert client.get(f"{API}/bundles/{key}").status_code in (404, 422)


@pytest.mark.parametrize(
    ("path", "body"), [("/requests", {"packages": ["demo"]}), ("/bundles", {"text": "demo"})]
)
def test_a_farm_may_take_neither(client, settings, path, body):
    settings.PIWHEELS_REQUESTS_A_DAY = settings.PIWHEELS_BUNDLES_A_DAY = 0
    make_target("test-armhf-cp313")

    assert post(client, path, body).status_code == 403


@pytest.mark.parametrize(
    ("path", "body"), [("/requests", {"packages": ["demo"]}), ("/bundles", {"text": "demo"})]
)
def test_a_page_of_another_site_cannot_ask_in_its_readers_name(client, path, body):
    make_target("test-armhf-cp313")

    assert post(client, path, body, origin="https://other.test").status_code == 403
    assert post(client, path, body, origin="null").status_code == 403
    assert post(client, path, body, origin="http://testserver").status_code == 200


@pytest.mark.parametrize("path", ["/requests", "/bundles"])
def test_such_a_request_costs_as_much_as_ten(client, settings, path):
    settings.PIWHEELS_API_A_MINUTE = 15
    post(client, path, "{")

    assert post(client, path, "{").status_code == 429
