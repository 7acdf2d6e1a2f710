"""S: the addresses of the index (standards.md 1.5)."""

import pytest
from django.test import RequestFactory
from django.urls import resolve
from django.utils import timezone

from packages import merge
from simple.tests.pages import JSON, json_of
from simple.tests.rows import make_package, make_version, make_wheel, tell

pytestmark = pytest.mark.django_db

SPELLINGS = {
    "S04 others": "Foo.Bar/",
    "S05 an underscore": "foo_bar/",
    "S05 two dashes": "foo--bar/",
    "S05 a run of all": "foo-._.bar/",
    "S06 no slash": "foo-bar",
    "S07 neither": "Foo_Bar",
    "S07 capitals": "FOO-BAR",
}
NOBODY = [
    "/simple/%2e%2e/",
    "/simple/../",
    "/simple/a%2fb/",
    "/simple/%20/",
    "/simple/-foo/",
    "/simple/foo-/",
    "/simple/foo%0A/",
    "/simple/%ff/",
    "/simple/d%C3%A9mo/",
    "/simple/%E2%84%AAelvin/",
    f"/simple/{'a' * 300}/",
    f"/simple/{'A' * 300}",
    "/simple//",
    "/simple/demo//",
    "/simple/demo/..%2f..%2fsettings.whl",
    "/simple/demo/demo-1.0.tar.gz",
    f"/simple/demo/{'a' * 300}.whl",
]


@pytest.mark.parametrize(("accept", "type_"), [(JSON, JSON), ("text/html", "text/html; charset=utf-8")])
def test_S01_root_is_there_in_the_format_asked_for(client, accept, type_):
    make_wheel()

    response = client.get("/simple/", headers={"Accept": accept})

    assert response.status_code == 200
    assert response["Content-Type"] == type_
    assert "Accept" in response["Vary"]


def test_S01_root_of_an_empty_farm_is_there(client):
    assert json_of(client, "/simple/")["projects"] == []


def test_S02_root_without_slash_redirects(client):
    response = client.get("/simple")

    assert (response.status_code, response["Location"]) == (301, "/simple/")


def test_S03_project_page_is_there(client):
    make_wheel("foo-bar")

    assert client.get("/simple/foo-bar/").status_code == 200


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_S04_S05_S06_S07_other_spellings_redirect_once(client, spelling):
    with client.costing(0):
        response = client.get(f"/simple/{spelling}")

    assert (response.status_code, response["Location"]) == (301, "/simple/foo-bar/")


@pytest.mark.parametrize("path", ["/simple/", "/simple", "/simple/foo-bar/", "/simple/Foo", "/simple/none/"])
def test_S08_head_is_get_without_a_body(client, path):
    make_wheel("foo-bar")

    got, head = client.get(path), client.head(path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert dict(head.items()) == dict(got.items())
    assert got["Content-Length"] == str(len(got.content))


@pytest.mark.parametrize("path", ["/simple/", "/simple/foo-bar/", "/simple/none/"])
def test_S08_a_server_gets_no_body_to_drop_after_head(path):
    make_wheel("foo-bar")
    request = RequestFactory().head(path)
    view, args, kwargs = resolve(path)

    response = view(request, *args, **kwargs)

    assert response.content == b""
    assert int(response["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/simple/Foo.Bar", "/simple/foo-bar", "/simple"])
def test_S09_the_query_survives_the_redirect(client, path):
    make_wheel("foo-bar")

    response = client.get(f"{path}?format={JSON}", follow=True)

    assert len(response.redirect_chain) == 1
    assert response["Content-Type"] == JSON


@pytest.mark.parametrize("accept", [JSON, "text/html", "*/*"])
def test_S10_unknown_projects_are_404_and_small(client, accept):
    response = client.get("/simple/no-such/", headers={"Accept": accept})

    assert response.status_code == 404
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert len(response.content) < 100


@pytest.mark.parametrize("status", ["active", "quarantined"])
def test_S11_a_package_without_wheels_is_404(client, status):
    make_version(make_package(status=status))

    assert client.get("/simple/demo/").status_code == 404
    assert json_of(client, "/simple/")["projects"] == []


def test_S12_a_package_whose_last_wheel_went_is_404_at_once(client):
    wheel = make_wheel()
    etag = client.get("/simple/demo/")["ETag"]
    wheel.withdraw(timezone.now())

    response = client.get("/simple/demo/", headers={"If-None-Match": etag})

    assert response.status_code == 404
    assert "ETag" not in response


def test_S13_a_quarantined_package_has_a_page_without_files(client):
    make_wheel()
    assert client.get("/simple/demo/").status_code == 200
    tell(status="quarantined", status_reason="malware")

    page = json_of(client)

    assert (page["files"], page["versions"]) == ([], [])
    assert page["project-status"] == {"status": "quarantined", "reason": "malware"}


def test_S13_a_package_that_is_gone_upstream_is_404(client):
    make_wheel()
    assert client.get("/simple/demo/").status_code == 200
    merge.vanish("demo", timezone.now())

    assert client.get("/simple/demo/").status_code == 404


@pytest.mark.parametrize("path", NOBODY)
def test_S14_what_cannot_be_a_name_is_404(client, path):
    with client.costing(0):
        response = client.get(path)

    assert response.status_code == 404
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/simple/%00/", "/simple/demo/%00.whl"])
def test_S14_a_zero_byte_is_404_or_nginxs_own_400(client, path):
    """nginx refuses it as it reads the line, before any location has a say; no client sends one."""
    with client.costing(0):
        response = client.get(path)

    assert response.status_code == (400 if client.is_nginx else 404)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
@pytest.mark.parametrize(
    "path", ["/simple/foo-bar/", "/simple/", "/simple", "/simple/a/a-1-py3-none-any.whl"]
)
def test_S15_S16_other_methods_are_405_and_never_403(client, method, path):
    response = getattr(client, method)(path)

    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"
