"""What is around the pages: badges, feeds, the card for a terminal, apt's line, sitemap, robots, FAQ."""

import re
import tomllib
from configparser import ConfigParser
from html import unescape
from xml.etree import ElementTree

import pytest

from builds.models import Dependency, Target
from builds.tests.rows import (
    NOON,
    make_build,
    make_built,
    make_target,
    make_version,
    make_wheel,
)
from packages.models import Package
from piwheels_site import snippets
from tests.seen import text

pytestmark = pytest.mark.django_db

ATOM = "{http://www.w3.org/2005/Atom}"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
HOSTILE = "<script>alert(1)</script>&\x1b[31m\x07"


# --- Badge


def test_a_badge_says_how_many_targets_are_served(client):
    make_built()
    make_target("bookworm-armhf-cp311")

    response = client.get("/project/demo/badge.svg")

    drawing = ElementTree.fromstring(response.content)
    assert drawing.get("aria-label") == "wheel for Pi: 1 of 2 targets"
    assert response["Content-Type"] == "image/svg+xml"
    assert "max-age" in response["Cache-Control"]
    assert not response.cookies


def test_a_badge_that_is_known_is_not_sent_again(client):
    make_built()
    etag = client.get("/project/demo/badge.svg")["ETag"]

    assert client.get("/project/demo/badge.svg", headers={"If-None-Match": etag}).status_code == 304

    Target.objects.update(is_active=False)
    assert client.get("/project/demo/badge.svg", headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("Demo", 301), ("nothing", 404), ("-", 404)])
def test_a_badge_of_nothing_is_none(client, path, status):
    assert client.get(f"/project/{path}/badge.svg").status_code == status


# --- Feeds


def test_new_wheels_are_a_feed(client):
    make_built("1.0")
    make_built("2.0")

    feed = ElementTree.fromstring(client.get("/feeds/new-wheels.atom").content)

    titles = [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")]
    assert titles == ["demo 2.0 for trixie-armhf-cp313", "demo 1.0 for trixie-armhf-cp313"]
    assert feed.find(f"{ATOM}entry/{ATOM}link").get("href") == "http://testserver/project/demo/"


def test_the_builds_of_a_package_are_a_feed(client):
    make_built("1.0")
    make_build(
        make_version("2.0"), state="failed", finished_at=NOON, failure="missing-header", failure_about="ffi.h"
    )
    make_build(make_version("3.0"))

    feed = ElementTree.fromstring(client.get("/project/demo/builds.atom").content)

    entries = list(feed.iter(f"{ATOM}entry"))
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == [
        "2.0 for trixie-armhf-cp313: failed",
        "1.0 for trixie-armhf-cp313: built",
    ]
    assert "ffi.h" in str(entries[0].findtext(f"{ATOM}summary"))


def test_what_strangers_wrote_breaks_no_feed(client):
    make_built()
    Package.objects.update(summary=HOSTILE, display_name="de\x00mo".replace("\x00", "\x1b"))

    for path in ["/feeds/new-wheels.atom", "/project/demo/builds.atom"]:
        assert ElementTree.fromstring(client.get(path).content).tag == f"{ATOM}feed"


def test_what_strangers_wrote_is_text_to_readers_of_a_feed(client):
    """A reader takes a summary for HTML, as Atom says of those that Django writes."""
    wheel = make_built()
    wheel.build.reason = HOSTILE
    wheel.build.save(update_fields=["reason"])
    Package.objects.update(summary="Parse <config> files<img src=x>")

    for path, said in [
        ("/feeds/new-wheels.atom", "Parse &lt;config&gt; files&lt;img src=x&gt;"),
        ("/project/demo/builds.atom", "&lt;script&gt;alert(1)&lt;/script&gt;&amp;"),
    ]:
        entry = ElementTree.fromstring(client.get(path).content).find(f"{ATOM}entry")
        assert said in str(entry.findtext(f"{ATOM}summary"))


# --- The card for a terminal


@pytest.mark.parametrize("path", ["/project/demo/", "/project/demo"])
@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
        {"User-Agent": "Wget/1.21", "Accept": "*/*"},
        {"User-Agent": "HTTPie/3.2", "Accept": "*/*"},
        {"User-Agent": "anything", "Accept": "text/plain"},
    ],
)
def test_in_a_terminal_a_package_is_a_card(client, path, headers):
    wheel = make_built()
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5")
    Target.objects.update(os_name="Raspberry Pi OS 13")

    response = client.get(path, headers=headers)

    card = response.content.decode()
    assert response["Content-Type"].startswith("text/plain")
    assert {"Accept", "User-Agent"} <= set(response["Vary"].split(", "))
    assert "✔ Raspberry Pi OS 13 (Trixie), 32-bit, Python 3.13: yes. 1.0 has a wheel." in card
    assert f"\n#   {snippets.ENVIRONMENT}\n" in card
    assert (
        "\nsudo apt install libpq5\npip install --extra-index-url http://testserver/simple/"
        " --trusted-host testserver demo\n"
    ) in card


@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "text/html", "application/json"])
def test_a_browser_gets_the_page(client, accept):
    make_built()

    response = client.get("/project/demo/", headers={"User-Agent": "Mozilla/5.0", "Accept": accept})

    assert response["Content-Type"].startswith("text/html")
    assert "User-Agent" in response["Vary"]


def test_a_summary_gives_no_orders_to_a_terminal(client):
    make_built()
    Package.objects.update(summary=HOSTILE)

    card = client.get("/project/demo/", headers={"User-Agent": "curl/8", "Accept": "*/*"}).content

    assert b"\x1b" not in card
    assert b"\x07" not in card


def test_the_card_names_an_older_version_that_pip_would_not_take_by_itself(client):
    make_built("1.0")
    make_build(make_version("1.1"), state="failed", finished_at=NOON, failure="unknown")

    card = client.get("/project/demo/", headers={"User-Agent": "curl/8", "Accept": "*/*"}).content.decode()

    assert "an older one. 1.0 has a wheel, but pip compiles 1.1 instead unless" in " ".join(card.split())
    assert "--trusted-host testserver demo==1.0\n" in card


# --- apt's line


def test_a_shell_gets_the_debian_packages(client):
    Dependency.objects.create(wheel=make_built(), tool="apt", name="libpq5")
    Dependency.objects.create(wheel=make_built("1.1"), tool="apt", name="libopenblas0")

    response = client.get("/apt/trixie/demo")

    assert response.content == b"libopenblas0\n"
    assert response["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path",
    [
        "/apt/trixie/nothing",
        "/apt/sarge/demo",
        "/apt/trixie/-",
        "/apt/trixie/" + ",".join(["demo"] * 21),
        "/apt/trixie/%3Cscript%3E",
    ],
)
def test_a_shell_gets_no_nonsense(client, path):
    make_built()

    response = client.get(path)

    assert response.status_code == 404
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert b"<" not in response.content


def test_a_shell_that_asks_for_many_packages_has_to_wait(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 5
    make_built()
    make_version("1.0", "other")

    statuses = [client.get("/apt/trixie/demo,other").status_code for _ in range(3)]

    assert statuses == [200, 200, 429]
    # What is no line costs no look.
    assert client.get("/apt/trixie/nothing").status_code == 404


def test_the_line_for_a_shell_gives_it_nothing_where_there_is_a_fault(client):
    make_built()

    assert "$(curl -fsS http://testserver/apt/trixie/demo)" in text(client.get("/faq.html"))


def test_the_faq_names_releases_and_packages_that_this_farm_has(client):
    release = r"trixie|bookworm"
    without = text(client.get("/faq.html"))
    build = make_build(target=make_target("bullseye-armhf-cp39"), state="succeeded", finished_at=NOON)
    make_wheel(build=build, filename="demo-1.0-cp39-cp39-linux_armv6l.linux_armv7l.whl")

    page = text(client.get("/faq.html"))

    assert not re.search(release, without + page)
    assert "curl" not in without
    assert "/bullseye/simple/ has what runs on that release" in page
    (path,) = re.findall(r"curl -fsS http://testserver(\S+)\)", page)
    assert client.get(path).status_code == 200


# --- Sitemap, robots, FAQ


def test_all_pages_are_in_the_sitemap(client):
    make_version()
    index = ElementTree.fromstring(client.get("/sitemap.xml").content)
    parts = [each.text for each in index.iter(f"{MAP}loc")]

    found = []
    for part in parts:
        body = b"".join(client.get(part.removeprefix("http://testserver")))
        found += [each.text for each in ElementTree.fromstring(body).iter(f"{MAP}loc")]

    assert "http://testserver/" in found
    assert found[-1] == "http://testserver/project/demo/"


def test_there_is_no_part_beyond_the_last(client):
    assert client.get("/sitemap9.xml").status_code == 404


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("/project/numpy/", True),
        ("/project/simple/", True),
        ("/simple/numpy/", False),
        ("/simple-full/", False),
        ("/trixie/simple/", False),
        ("/trixie/simple/numpy/", False),
    ],
)
def test_robots_are_kept_from_every_index_and_from_no_package(client, path, may):
    rules = re.findall(r"(?m)^(Allow|Disallow): (\S+)$", client.get("/robots.txt").content.decode())

    # RFC 9309, 2.2.2: the longest that fits counts.
    fitting = [
        (len(rule), said) for said, rule in rules if re.match(re.escape(rule).replace(r"\*", ".*"), path)
    ]

    assert (max(fitting, default=(0, "Allow"))[1] == "Allow") == may


def test_robots_are_told_where_all_is(client):
    assert "Sitemap: http://testserver/sitemap.xml" in client.get("/robots.txt").content.decode()


def test_the_faq_has_the_lines_of_each_client_and_each_target(client):
    Target.objects.all().delete()
    make_target(os_name="Raspberry Pi OS 13")

    page = unescape(client.get("/faq.html").content.decode())

    for snippet in [*snippets.once("http://testserver/"), *snippets.for_good("http://testserver/")]:
        assert snippet.text in page
    assert "Raspberry Pi OS 13 (Trixie), 32-bit, Python 3.13" in page
    assert "runs on every Pi with a 32-bit system" in page


@pytest.mark.parametrize(("path", "leads_to"), [("/faq", "/faq.html"), ("/stats", "/stats.html")])
def test_short_addresses_lead_on(client, path, leads_to):
    assert client.get(path).url == leads_to


@pytest.mark.parametrize("has_full", [True, False])
def test_the_lines_are_what_their_files_can_hold(settings, has_full):
    settings.PIWHEELS_FULL_INDEX = has_full
    lines = {snippet.client: snippet.text for snippet in snippets.for_good("http://pi.example:8000/")}

    pip = ConfigParser()
    pip.read_string(lines["pip"])
    assert dict(pip["global"]) == {
        "extra-index-url": "http://pi.example:8000/simple/",
        "trusted-host": "pi.example",
    }
    (uv,) = tomllib.loads(lines["uv"])["index"]
    assert uv.get("default", False) is has_full
    poetry = tomllib.loads(lines["poetry"])["tool"]["poetry"]["source"]
    assert [source["name"] for source in poetry] == (["piwheels"] if has_full else ["piwheels", "PyPI"])
    assert {source["priority"] for source in poetry} == {"primary"}
    (pdm,) = tomllib.loads(lines["pdm"])["tool"]["pdm"]["source"]
    assert pdm["url"].endswith("/simple-platform/") and pdm["verify_ssl"] is False
