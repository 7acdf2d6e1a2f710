"""C and X: what caches and web pages are told (standards.md 1.5)."""

import gzip
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.utils import timezone
from django.utils.http import http_date

from builds.tests.rebuilds import Farm
from builds.tests.rows import make_build
from packages.models import Package
from simple import files, tree
from simple.tests.conftest import Reader, publish_all
from simple.tests.pages import HTML_V1, JSON, PIP, json_of
from simple.tests.rows import make_package, make_version, make_wheel
from tests import buckets
from tests.stack import NOWHERE, Stack

pytestmark = pytest.mark.django_db

PAGES = ["/simple/", "/simple/demo/"]


def etag(client, path="/simple/demo/", accept=JSON):
    return client.get(path, headers={"Accept": accept})["ETag"]


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("path", PAGES)
def test_C01_a_known_page_is_304_after_one_query_or_none(client, path, method):
    make_wheel()
    known = etag(client, path)

    with client.costing(1):
        response = getattr(client, method)(path, headers={"Accept": JSON, "If-None-Match": known})

    assert (response.status_code, response.content) == (304, b"")
    assert (response["ETag"], response["Vary"]) == (known, "Accept, Accept-Encoding")
    assert response["Cache-Control"] == "public, max-age=300, stale-if-error=86400"


@pytest.mark.parametrize("path", PAGES)
def test_C02_each_format_has_its_own_strong_etag(client, path):
    make_wheel()

    etags = {etag(client, path, accept) for accept in (JSON, HTML_V1, "text/html")}

    # The tree keeps one file for both kinds of HTML, as they are the same bytes.
    assert len(etags) == (2 if client.reads_tree else 3)
    assert etag(client, path, JSON) != etag(client, path, "text/html")
    assert all(re.fullmatch(r'"[\x21\x23-\x7e]+"', each) for each in etags)


def test_C02_the_etag_changes_with_each_visible_change(client):
    wheel = make_wheel()
    seen = [etag(client)]

    for change in (lambda: wheel.yank("broken"), wheel.unyank, lambda: make_wheel(number="2.0")):
        change()
        seen.append(etag(client))

    assert len(set(seen)) == 4
    assert etag(client) == seen[-1]


def test_C02_the_list_changes_when_a_package_comes_or_goes(client):
    wheel = make_wheel()
    seen = [etag(client, "/simple/")]

    for change in (lambda: make_wheel("other"), lambda: wheel.withdraw(timezone.now())):
        change()
        seen.append(etag(client, "/simple/"))

    assert len(set(seen)) == 3


@pytest.mark.parametrize("path", [*PAGES, "/simple", "/simple/Demo"])
def test_C03_pages_may_be_kept_for_ten_minutes_at_most(client, path):
    make_wheel()

    [max_age] = re.findall(r"max-age=(\d+)", client.get(path)["Cache-Control"])

    assert int(max_age) <= 600


def test_C04_a_new_wheel_is_on_the_page_at_once(client):
    farm = Farm()
    assert farm.make(make_build()).status_code == 200
    again = farm.again()
    known = etag(client)
    assert farm.make(again, b"2").status_code == 200

    response = client.get("/simple/demo/", headers={"Accept": JSON, "If-None-Match": known})

    assert response.status_code == 200
    names = [file["filename"] for file in response.json()["files"]]
    assert names == ["demo-1.0-py3-none-any.whl", "demo-1.0-1-py3-none-any.whl"]


@pytest.mark.parametrize("validator", ["W/{}", '"other", {}', '"other", W/{}'])
def test_C05_a_proxy_that_weakened_the_validator_gets_304(client, validator):
    make_wheel()

    response = client.get(
        "/simple/demo/", headers={"Accept": JSON, "If-None-Match": validator.format(etag(client))}
    )

    assert response.status_code == 304


def test_404_is_kept_for_a_minute(client):
    response = client.get("/simple/none/")

    assert response["Cache-Control"] == "public, max-age=60"


def answers(client):
    """Return one answer of each kind."""
    wheel = make_wheel()
    known = etag(client)
    return {
        "200": client.get("/simple/demo/"),
        "200 file": client.get(wheel.url),
        "200 sidecar": client.get(f"{wheel.url}.metadata"),
        "206": client.get(wheel.url, headers={"Range": "bytes=0-9"}),
        "204": client.options("/simple/demo/"),
        "301": client.get("/simple/Demo"),
        "304": client.get("/simple/demo/", headers={"Accept": JSON, "If-None-Match": known}),
        "404": client.get("/simple/none/"),
        "404 file": client.get("/simple/demo/none.whl"),
        "405": client.post("/simple/demo/"),
        "406": client.get("/simple/demo/", headers={"Accept": "image/png"}),
        "412": client.get("/simple/demo/", headers={"If-Match": '"other"'}),
        "416": client.get(wheel.url, headers={"Range": "bytes=999999-"}),
    }


def test_X01_web_pages_may_read_every_answer(client):
    for kind, response in answers(client).items():
        assert str(response.status_code) == kind[:3]
        # nginx gives headers twice where a part is asked for that is not there, and no web page does.
        if kind != "416" or not client.is_nginx:
            assert response["Access-Control-Allow-Origin"] == "*", kind


@pytest.mark.parametrize(
    "path", ["/simple/", "/simple/demo/", "/simple/demo/x.whl", "/simple/demo/x.whl.metadata"]
)
def test_X02_a_preflight_is_204(client, path):
    with client.costing(0):
        response = client.options(
            path, headers={"Origin": "https://example.org", "Access-Control-Request-Method": "GET"}
        )

    assert (response.status_code, response.content) == (204, b"")
    assert response["Access-Control-Allow-Methods"] == "GET"
    assert "If-None-Match" in response["Access-Control-Allow-Headers"]
    assert response["Access-Control-Max-Age"] == "86400"
    assert "Content-Length" not in response


@pytest.mark.parametrize("accept", [JSON, "text/html"])
def test_X03_a_page_of_500_files_asks_no_more_of_the_database_than_one_of_one(client, accept):
    """How long it takes is `python -m benchmarks index`: a busy machine is not to fail a test."""
    package = make_package()
    for number in range(500):
        _copy(package, number)

    with client.costing(2):
        response = client.get("/simple/demo/", headers={"Accept": accept})

    assert response.content.count(b"-cp313-linux_armv6l.linux_armv7l.whl") >= 500


def _copy(package, number):
    """Give a package another wheel, without bytes."""
    if not number:
        make_wheel()
        return
    wheel = package.wheels.first()
    wheel.pk = None
    wheel.version = make_version(package, f"1.{number}")
    wheel.filename = wheel.filename.replace("-1.0-", f"-1.{number}-")
    wheel.save()
    for path in (wheel.path, wheel.metadata_path):
        stored = Path(default_storage.path(path))
        stored.parent.mkdir(exist_ok=True)
        stored.write_bytes(b"a wheel")


@pytest.mark.parametrize("cookie", ["sessionid", "csrftoken"])
@pytest.mark.parametrize("value", ["broken", "a" * 32])
def test_X04_nothing_of_the_index_depends_on_cookies(client, cookie, value):
    client.cookies[cookie] = value

    for kind, response in answers(client).items():
        assert not response.cookies, kind
        assert "Cookie" not in response.get("Vary", ""), kind


def test_C02_a_page_that_is_kept_is_the_page_that_was_given(client):
    make_wheel()
    before = json_of(client), etag(client)
    Package.objects.get().mark_changed()

    assert json_of(client) == before[0]
    # What is published is compared, what is made from rows is not.
    assert (etag(client) == before[1]) == client.reads_tree


def test_a_published_page_comes_packed_to_whoever_takes_that(client):
    make_wheel()
    plain = client.get("/simple/demo/").content

    response = client.get("/simple/demo/", headers={"Accept-Encoding": "gzip, deflate"})

    if client.reads_tree:
        assert response["Content-Encoding"] == "gzip"
        assert response["Content-Length"] == str(len(response.content))
        assert gzip.decompress(response.content) == plain
    else:
        assert response.content == plain
    assert response["Vary"] == "Accept, Accept-Encoding"
    again = client.get(
        "/simple/demo/", headers={"Accept-Encoding": "gzip", "If-None-Match": response["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_published_pages_have_nginxs_validators_and_are_304_by_either():
    reader = Reader(reads_tree=True)
    make_wheel()

    response = reader.get("/simple/demo/")

    told = (tree.folder("simple", "demo") / "index.html").stat()
    assert response["ETag"] == f'"{int(told.st_mtime):x}-{told.st_size:x}"'
    assert response["Last-Modified"] == http_date(int(told.st_mtime))
    since = {"If-Modified-Since": response["Last-Modified"]}
    assert reader.get("/simple/demo/", headers=since).status_code == 304


def test_a_list_that_is_too_large_for_memory_is_streamed(monkeypatch):
    monkeypatch.setattr(files, "_IN_MEMORY", 10)
    reader = Reader(reads_tree=True)
    make_wheel()

    response = reader.get("/simple/", headers={"Accept": JSON})

    content = response.getvalue()
    assert json.loads(content)["projects"] == [{"name": "demo"}]
    assert response["Content-Type"] == JSON
    assert "Content-Disposition" not in response
    assert response["Content-Length"] == str(len(content))
    head = reader.head("/simple/", headers={"Accept": JSON})
    assert (head["Content-Length"], head.content) == (response["Content-Length"], b"")
    for each in reader.answers:
        each.close()


def test_C06_published_pages_and_files_are_there_when_the_database_is_not(caplog):
    reader = Reader(reads_tree=True)
    wheel = make_wheel()

    def fail(execute, sql, params, many, context):
        raise OperationalError("the server has gone")

    with reader.quiet(), connection.execute_wrapper(fail):
        statuses = [
            reader.get(path).status_code
            for path in (
                "/simple/",
                "/simple/demo/",
                "/simple-full/demo/",
                wheel.url,
                f"{wheel.url}.metadata",
            )
        ]

    assert statuses == [200] * 5
    assert "could not be counted now" in caplog.text
    for each in reader.answers:
        each.close()


def test_C06_files_in_a_bucket_are_found_when_the_database_is_not(settings):
    settings.STORAGES = {**settings.STORAGES, "default": buckets.make_bucket("wheels")}
    reader = Reader(reads_tree=True)
    wheel = make_wheel()
    paths = [wheel.url, f"{wheel.url}.metadata"]
    before = [reader.get(path) for path in paths]

    def fail(execute, sql, params, many, context):
        raise OperationalError("the server has gone")

    with reader.quiet(), connection.execute_wrapper(fail):
        after = [reader.get(path) for path in paths]

    # What is signed differs with the second.
    found = [[urlsplit(answer["Location"]).path for answer in answers] for answers in (before, after)]
    assert [answer.status_code for answer in after] == [302] * 2
    assert found[0] == found[1]


@pytest.fixture
def without_database(settings, tmp_path):
    """nginx and the web server, whose database does not answer."""
    with Stack(tmp_path / "stack", "postgresql://nobody@127.0.0.1:9/none") as running:
        settings.PIWHEELS_PUBLIC = running.public
        yield running


def ask(url, accept):
    return requests.get(url, headers={"Accept": accept}, timeout=30, allow_redirects=False)


@pytest.mark.parametrize("door", ["gunicorn", "nginx"])
def test_C06_who_asks_for_what_is_not_published_goes_on_elsewhere_while_the_database_is_down(
    without_database, door
):
    make_wheel()
    publish_all()
    web = f"http://127.0.0.1:{without_database.web_port}"
    url = web if door == "gunicorn" else without_database.nginx.url

    # nginx knows the words of known clients, and asks the web server what others mean.
    for accept in (PIP, f"{HTML_V1}, {JSON};q=0.5"):
        assert ask(f"{url}/simple/demo/", accept).status_code == 200
        for path in (
            "/simple/none/",
            f"/simple/none/?format={JSON}",
            "/simple-platform/none/",
            "/x/simple/none/",
        ):
            answer = ask(url + path, accept)
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, "*"), path
        answer = ask(f"{url}/simple-full/none/", accept)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"{NOWHERE}none/")


def test_what_only_the_database_knows_is_kept_by_no_cache(without_database):
    publish_all()

    answer = ask(f"http://127.0.0.1:{without_database.web_port}/simple/none/", PIP)

    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


def test_a_farm_that_has_published_nothing_yet_does_not_say_without_its_database_what_there_is(
    without_database,
):
    answer = ask(f"http://127.0.0.1:{without_database.web_port}/simple/none/", PIP)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
