import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client

from builds.tests.rows import make_target

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    # What was read before would be shown.
    cache.clear()
    return Client(raise_request_exception=False)


@pytest.fixture
def is_away():
    """Have the database answer nothing."""

    def refuse(*_):
        raise OperationalError("could not connect to server: Connection refused")

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.parametrize("path", ["/", "/project/numpy/", "/nothing", "/farm/", "/packages.html?q=num"])
def test_without_a_database_every_page_says_so_and_that_pip_is_not_concerned(client, is_away, path):
    answer = client.get(path)

    assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "30", "no-store")
    page = answer.content.decode()
    assert "Our database does not answer" in page
    assert "pip and uv are not concerned" in page
    assert "refused" not in page


@pytest.mark.parametrize("path", ["/api/v1/packages/numpy", "/builder/v1/hello"])
def test_who_asks_for_json_is_told_in_json(client, is_away, path):
    how = client.get if path.startswith("/api/") else client.post
    answer = how(path, headers={"Authorization": "Bearer token"})

    assert answer.status_code == 503
    assert answer.json() == {
        "error": "The database does not answer at the moment.",
        "what_to_do": "Try again in 30 seconds.",
    }


def test_a_file_that_the_tree_lacks_may_be_asked_for_again(client, is_away):
    answer = client.get("/simple/numpy/numpy-1.0-py3-none-any.whl")

    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert answer.content == b"503: the database does not answer.\n"


def test_a_fault_of_ours_has_a_name_by_which_it_is_found_in_the_log(client, monkeypatch, caplog):
    monkeypatch.setattr("piwheels_site.pages.faq.render", lambda *_: 1 // 0)
    client.cookies["theme"] = "dark"

    answer = client.get("/faq.html")

    page = answer.content.decode()
    assert answer.status_code == 500
    assert answer["X-Request-Id"] in page
    assert 'data-theme="dark"' in page
    assert "ZeroDivisionError" not in page
    assert "ZeroDivisionError" in caplog.text
    assert "Retry-After" not in answer


def test_a_fault_of_the_interface_for_scripts_may_be_read_by_those_of_any_site(client, monkeypatch):
    make_target("test-armhf-cp313")
    monkeypatch.setattr("piwheels_site.api.targets._whole", lambda *_: 1 // 0)

    answer = client.get("/api/v1/targets")

    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (500, "*")
    assert answer.json()["error"] == "This is our fault, and was noted."
    assert answer["X-Request-Id"] in answer.json()["what_to_do"]
