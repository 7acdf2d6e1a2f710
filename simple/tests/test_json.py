"""J: the JSON of a project's page (standards.md 1.5)."""

import hashlib
import re
from datetime import datetime, timedelta
from urllib.parse import urljoin

import pytest
import requests
from django.core.management import call_command
from django.utils import timezone
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from pypi_simple import ProjectPage, PyPISimple

from builds.models import Wheel
from builds.tests.storages import metadata_of
from simple.tests.pages import HTML_V1, JSON, json_of
from simple.tests.rows import make_rebuild, make_version, make_wheel, tell

pytestmark = pytest.mark.django_db

PAGE = "http://testserver/simple/demo/"


def test_J01_J02_it_names_its_version_and_its_project(client):
    make_wheel("De.mo")

    page = json_of(client, "/simple/de-mo/")

    assert isinstance(page, dict)
    assert page["meta"] == {"api-version": "1.4"}
    assert page["name"] == "de-mo"


def test_rebuilds_come_after_what_they_replace_in_their_order(client):
    """pip 9 knows no build tags and takes the first, which is what is in lock files."""
    wheel = last = make_wheel()
    for answer in range(43, 53):
        last = make_rebuild(last, answer)
    newer = make_wheel(number="1.1")

    listed = [file["filename"] for file in json_of(client)["files"]]

    assert [listed[0], listed[-2], listed[-1]] == [wheel.filename, last.filename, newer.filename]
    assert [parse_wheel_filename(name)[2] for name in listed[1:-1]] == [(tag, "") for tag in range(1, 11)]


def yanks(client):
    """Return of each file whether the page has it yanked, or why."""
    return [file["yanked"] for file in json_of(client)["files"]]


def test_what_an_operator_yanked_stays_yanked_when_the_rebuild_that_replaced_it_goes(client):
    first = make_wheel()
    rebuild = make_rebuild(first)
    call_command("yank", "demo==1.0", "--reason", "Wrong results.", "--yes")

    rebuild.withdraw(timezone.now())

    assert yanks(client) == ["Wrong results."]


def test_a_rebuild_that_was_lost_and_found_stands_where_it_would_had_it_always_been_there(client):
    second = make_rebuild(make_wheel())
    second.lose(timezone.now(), "Lost.")
    assert yanks(client) == [False]

    Wheel.objects.restore(second.filename)
    assert yanks(client) == [f"it was built anew, and {second.filename} replaces it", False]

    Wheel.objects.get(pk=second.pk).lose(timezone.now(), "Lost again.")
    third = make_rebuild(second, answer=44)
    Wheel.objects.restore(second.filename)

    assert yanks(client) == [*[f"it was built anew, and {third.filename} replaces it"] * 2, False]


def test_J03_every_file_has_what_it_must_have(client):
    make_wheel(requires_python=">=3.9")
    make_wheel(number="2.0")

    files = json_of(client)["files"]

    assert len(files) == 2
    for file in files:
        assert {"filename", "url", "hashes", "size", "upload-time", "core-metadata", "yanked"} <= set(file)
        assert set(file["hashes"]) == {"sha256"}


def test_J04_upload_time_is_when_we_published(client):
    published = timezone.now() - timedelta(days=3)
    wheel = make_wheel(published_at=published)
    before = json_of(client)["files"][0]["upload-time"]
    wheel.yank("something changes")

    told = json_of(client)["files"][0]["upload-time"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", told)
    assert datetime.fromisoformat(told) == published
    assert told == before


def test_J05_J06_size_and_hash_are_those_of_the_file(client):
    make_wheel()
    file = json_of(client)["files"][0]

    response = client.get(urljoin(PAGE, file["url"]))
    content = response.getvalue()

    assert file["size"] == int(response["Content-Length"]) == len(content)
    assert file["hashes"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_J07_J13_no_key_is_there_that_must_not_be(client):
    make_wheel()

    body = client.get("/simple/demo/", headers={"Accept": JSON}).content.decode()

    for key in ("dist-info-metadata", "namespaces", "tracks", "alternate-locations", "gpg-sig"):
        assert key not in body


def test_J08_the_metadata_beside_the_file_has_the_hash_told(client):
    make_wheel(requires_python=">=3.9")
    file = json_of(client)["files"][0]
    wheel = client.get(urljoin(PAGE, file["url"])).getvalue()

    response = client.get(urljoin(PAGE, file["url"] + ".metadata"))

    assert response.status_code == 200
    content = response.getvalue()
    assert file["core-metadata"] == {"sha256": hashlib.sha256(content).hexdigest()}
    assert content == metadata_of(wheel)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"yanked": True}, True),
        ({"yanked": True, "yanked_reason": "broken"}, "broken"),
        ({"yanked_reason": "taken back"}, False),
    ],
)
def test_J09_yanked_is_false_true_or_a_reason(client, fields, expected):
    make_wheel(**fields)

    told = json_of(client)["files"][0]["yanked"]

    assert told == expected
    assert type(told) is type(expected)


def test_J10_versions_are_those_of_the_files_in_order(client):
    for number in ("1.10", "1.9", "1!0.1", "2.0.RC1"):
        make_wheel(number=number)
    make_wheel(number="1.9", build_tag="-1")

    page = json_of(client)

    assert page["versions"] == ["1.9", "1.10", "2.0rc1", "1!0.1"]
    assert {str(parse_wheel_filename(file["filename"])[1]) for file in page["files"]} <= set(page["versions"])


def test_J11_requires_python_is_verbatim_or_null(client):
    make_wheel(requires_python=">= 3.9, !=3.10.*")
    make_wheel(number="2.0")

    first, second = json_of(client)["files"]

    assert first["requires-python"] == ">= 3.9, !=3.10.*"
    assert SpecifierSet(first["requires-python"]).contains("3.13")
    assert second["requires-python"] is None


@pytest.mark.parametrize("status", ["active", "archived", "deprecated", "quarantined"])
def test_J12_the_status_is_on_top(client, status):
    make_wheel()
    tell(status=status)

    page = json_of(client)

    assert page["project-status"] == {"status": status}
    assert set(page["meta"]) == {"api-version"}


def test_J14_nothing_is_said_of_provenance(client):
    make_wheel()

    assert "provenance" not in json_of(client)["files"][0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("accept", [JSON, HTML_V1])
def test_J15_pypi_simple_reads_the_page(live_server, accept):
    wheel = make_wheel(number="1!2.0+pi.1", requires_python=">=3.9", yanked=True, yanked_reason='a "b"')
    page = f"{live_server.url}/simple/demo/"

    response = requests.get(page, headers={"Accept": accept}, timeout=10)
    project = ProjectPage.from_response(response, "demo")
    if accept == JSON:
        # `from_response` joins no relative addresses of JSON; `get_project_page` does, as all installers do.
        project = ProjectPage.from_json_data(response.json(), page)

    [package] = project.packages
    assert (project.repository_version, package.filename) == ("1.4", wheel.filename)
    assert package.digests == {"sha256": wheel.sha256}
    assert (package.is_yanked, package.yanked_reason) == (True, 'a "b"')
    assert requests.get(package.url, timeout=10).content == wheel_bytes(wheel)
    assert requests.get(package.metadata_url, timeout=10).content == metadata_of(wheel_bytes(wheel))


@pytest.mark.django_db(transaction=True)
def test_J15_pypi_simple_reads_the_whole_index(live_server):
    wheel = make_wheel("De.mo")

    with PyPISimple(f"{live_server.url}/simple/") as index:
        [name] = index.get_index_page().projects
        page = index.get_project_page(name)

        assert canonicalize_name(name) == page.project == "de-mo"
        assert index.get_package_metadata_bytes(page.packages[0]) == metadata_of(wheel_bytes(wheel))


def test_J16_names_of_files_are_unique_and_parse(client):
    for tag in ("cp313-cp313-linux_armv6l.linux_armv7l", "cp39-abi3-linux_armv7l", "py2.py3-none-any"):
        make_wheel("De_mo", tag=tag)

    names = [file["filename"] for file in json_of(client, "/simple/de-mo/")["files"]]

    assert len(names) == len(set(names)) == 3
    assert {parse_wheel_filename(name, validate_order=True)[:2] for name in names} == {
        ("de-mo", Version("1.0"))
    }


def test_upstreams_yank_reaches_the_file_and_our_reason_goes_first(client):
    wheel = make_wheel()
    package = wheel.package
    make_wheel(number="2.0")
    make_version(package, "3.0")
    package.versions.update(yanked=True, yanked_reason="upstream says so")
    wheel.yank("replaced by build 2")

    assert [file["yanked"] for file in json_of(client)["files"]] == [
        "replaced by build 2",
        "upstream says so",
    ]


def wheel_bytes(wheel):
    from django.core.files.storage import default_storage

    with default_storage.open(wheel.path) as file:
        return file.read()
