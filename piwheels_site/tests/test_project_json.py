"""The JSON of a package, against the shape of piwheels.org and against our own example.

`piwheels_org.json` has the keys and types that piwheels.org's scribe writes, for ever; `project_example.json`
is what /json.html shows, and must be what we answer for such rows, to the last key.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from builds.models import Dependency, Target
from builds.tests.rows import NOON, make_build, make_source, make_target, make_version, make_wheel
from packages.models import Package
from piwheels_site.pages.json_help import EXAMPLE
from simple.models import PackageDownload

pytestmark = pytest.mark.django_db

GOLDEN = Path(__file__).with_name("piwheels_org.json")
TYPES = {"string": str, "integer": int, "boolean": bool, "list": list, "null": type(None)}


@pytest.fixture
def answer(client):
    """What is answered of a package that has all there can be."""
    released = datetime(2026, 11, 20, 4, 5, 6, tzinfo=UTC)
    Target.objects.all().delete()
    trixie, bookworm = make_target(), make_target("bookworm-armhf-cp311")
    version = make_version("2.3.5", package="numpy", released_at=released)
    before = make_version("2.3.4", package="numpy", released_at=released - timedelta(days=30))
    done = make_build(
        version,
        trixie,
        pk=14701945,
        state="succeeded",
        finished_at=NOON,
        duration_s=1423.5,
        why="It is a new release.",
    )
    make_build(version, bookworm, pk=14701946, why="It is a new release.")
    make_build(
        before,
        bookworm,
        pk=14701002,
        state="failed",
        finished_at=NOON,
        reason="pip wheel ended with 1.",
        failure="missing-header",
        failure_about="ffi.h",
        duration_s=61.25,
    )
    wheel = make_wheel(
        build=done,
        filename="numpy-2.3.5-cp313-cp313-linux_armv6l.linux_armv7l.whl",
        size=5801234,
        requires_python=">=3.11",
        glibc="2.38",
        reproducible=True,
        trial="works",
        published_at=NOON,
    )
    Dependency.objects.create(wheel=wheel, tool="apt", name="libopenblas0")
    Dependency.objects.create(wheel=wheel, tool="pip", name="requests")
    make_source(before, "-py3-none-any.whl", kind="wheel")
    Target.objects.filter(pk=trixie.pk).update(policy="gaps")
    Package.objects.update(summary="Fundamental package for array computing")
    today = datetime.now(UTC).date()
    PackageDownload.objects.create(package=wheel.package, day=today, count=1234)
    PackageDownload.objects.create(package=wheel.package, day=today - timedelta(days=40), count=4321)
    return client.get("/project/numpy/json")


def test_the_example_is_what_is_answered(answer):
    body = answer.json()
    body["pypi_url"] = "https://upstream.example.org/project/numpy"
    body["piwheels_url"] = body["piwheels_url"].replace("http://testserver", "https://wheels.example.org")

    assert body == json.loads(EXAMPLE.read_text())
    assert answer["Access-Control-Allow-Origin"] == "*"


def check(value, shape, place="answer"):
    """Fail where a value lacks what the shape has, or is of another type; more keys may be there."""
    if isinstance(shape, dict) and set(shape) == {"*"}:
        assert isinstance(value, dict) and value, f"{place} is no object"
        for key, each in value.items():
            check(each, shape["*"], f"{place}.{key}")
    elif isinstance(shape, dict):
        for key, each in shape.items():
            assert key in value, f"{place} has no {key}"
            check(value[key], each, f"{place}.{key}")
    else:
        allowed = tuple(TYPES[name] for name in shape.split("|"))
        is_right = type(value) in allowed
        assert is_right, f"{place} is {value!r}, no {shape}"


def test_all_that_piwheels_org_has_is_there_in_its_types(answer):
    body = answer.json()
    body["releases"] = {number: each for number, each in body["releases"].items() if each["files"]}

    check(body, json.loads(GOLDEN.read_text()))


def test_the_times_are_as_piwheels_org_writes_them(answer):
    assert answer.json()["releases"]["2.3.5"]["released"] == "2026-11-20 04:05:06"


def test_it_costs_the_same_however_many_versions_there_are(answer, client, django_assert_max_num_queries):
    with CaptureQueriesContext(connection) as few:
        client.get("/project/numpy/json")
    for minor in range(30):
        make_build(make_version(f"1.{minor}", package="numpy"))

    # One more for each target for which something waits.
    with django_assert_max_num_queries(len(few) + 1):
        client.get("/project/numpy/json")


def test_both_addresses_and_other_spellings_lead_to_it(answer, client):
    assert client.get("/project/numpy/json/").json()["package"] == "numpy"
    assert client.get("/project/NumPy/json").url == "/project/numpy/json"
    assert client.get("/project/NumPy/json").status_code == 301


def test_the_help_shows_the_example_and_explains_each_key(client):
    page = client.get("/json.html").content.decode()

    for key in ["queue_position", "upload_time", "downloads", "apt_dependencies", "failure_class"]:
        assert f"&quot;{key}&quot;" in page
        assert f"<code>{key}</code>" in page
