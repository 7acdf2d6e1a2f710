"""What upstream does to a version reaches the published pages of all of its wheels, from look-up to link."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from builds.models import Build
from builds.planning import plan
from builds.tests.rebuilds import Farm
from packages import fetch, sync
from packages.models import Package
from packages.pypi import PyPI
from simple import publishing, tree
from simple.models import Shown
from tests.fake_pypi import FakePyPI

pytestmark = pytest.mark.django_db

OLD, NEW = "demo-1.0-py3-none-any.whl", "demo-1.0-1-py3-none-any.whl"
SDIST, WINDOWS = "demo-1.0.tar.gz", "demo-1.0-cp313-cp313-win_amd64.whl"
REBUILT = f"it was built anew, and {NEW} replaces it"


class Chain:
    """Upstream, the farm that follows it, and the tree that clients read."""

    def __init__(self, upstream, session):
        self.upstream = upstream
        self._pypi = PyPI(upstream.simple_url, session)
        self._published_at = timezone.now()

    def follow(self):
        """Look upstream, make a plan of what it says, and publish."""
        now = timezone.now()
        package = sync.look_up(self._pypi, "demo", now=now, believes_absence=True)
        plan.plan(package, now)
        self.publish()

    def publish(self, after=1.0):
        self._published_at += timedelta(seconds=after)
        publishing.publish(self._published_at)

    def listed(self):
        """Return the files of the page, each with its yank; both forms of the page have the same."""
        folder = tree.folder("simple", "demo")
        if not (folder / "index.v1_json").exists():
            assert not (folder / "index.html").exists()
            return {}
        found = {
            each["filename"]: each for each in json.loads((folder / "index.v1_json").read_text())["files"]
        }
        html = (folder / "index.html").read_text()
        assert {name: each["url"] + "#" in html for name, each in found.items()} == dict.fromkeys(found, True)
        assert html.count("data-yanked") == sum(bool(each["yanked"]) for each in found.values())
        return {name: each["yanked"] for name, each in found.items()}

    def links(self):
        """Return the wheels that are in the tree; of files elsewhere it is not what serves them."""
        folder = tree.folder("simple", "demo")
        return {path.name for path in folder.iterdir() if path.suffix == ".whl"} if folder.exists() else set()


@pytest.fixture(params=["", "https://files.invalid/"], ids=["with us", "elsewhere"])
def chain(request, settings):
    """A version of which there are a wheel and its rebuild, published, wherever the files are."""
    settings.PIWHEELS_FILES_URL = request.param
    farm = Farm()
    with FakePyPI() as upstream, fetch.Session() as session:
        upstream.add_sdist("demo", "1.0")
        upstream.add_wheel("demo", "1.0", tag="cp313-cp313-win_amd64")
        chain = Chain(upstream, session)
        chain.follow()
        assert farm.make(Build.objects.get(), b"1").status_code == 200
        assert farm.make(farm.again(), b"2").status_code == 200
        chain.publish()
        yield chain


def test_a_rebuild_is_listed_beside_what_it_replaces(chain):
    assert chain.listed() == {OLD: REBUILT, NEW: False}
    assert chain.links() == {OLD, NEW}


def test_a_yank_reaches_every_wheel_with_its_reason_and_is_taken_back(chain):
    chain.upstream.yank("demo", "1.0", "it deletes files")
    chain.follow()
    assert chain.listed() == dict.fromkeys([OLD, NEW], "it deletes files")
    assert chain.links() == {OLD, NEW}

    chain.upstream.unyank("demo", "1.0")
    chain.follow()

    assert chain.listed() == {OLD: REBUILT, NEW: False}


def test_a_yank_of_the_very_source_reaches_its_wheels_and_one_of_another_file_does_not(chain):
    chain.upstream.yank("demo", "1.0", "it is for another system", WINDOWS)
    chain.follow()
    assert chain.listed() == {OLD: REBUILT, NEW: False}

    chain.upstream.unyank("demo", "1.0")
    chain.upstream.yank("demo", "1.0", "it deletes files", SDIST)
    chain.follow()

    assert chain.listed() == dict.fromkeys([OLD, NEW], "it deletes files")
    assert chain.links() == {OLD, NEW}


@pytest.mark.parametrize("removed", ["file", "version", "project"])
def test_T47_what_upstream_removes_is_out_of_the_listing_at_once_and_soon_of_the_tree(chain, removed):
    content = next(file.content for file in chain.upstream.projects["demo"].versions["1.0"])
    arguments = {"file": ("1.0", SDIST), "version": ("1.0",), "project": ()}[removed]
    chain.upstream.remove("demo", *arguments)

    chain.follow()

    assert chain.listed() == {}
    chain.publish(after=Shown.LINGER.total_seconds() + 3600)
    assert chain.links() == set()
    if removed != "project":
        chain.upstream.add_sdist("demo", "1.0", content)
        chain.follow()
        assert chain.listed() == {OLD: REBUILT, NEW: False}
        assert chain.links() == {OLD, NEW}


def test_T47_what_is_quarantined_is_out_of_the_listing_at_once(chain):
    chain.upstream.quarantine("demo", "malware")

    chain.follow()

    assert chain.listed() == {}


@pytest.mark.parametrize("chain", [""], ids=["with us"], indirect=True)
def test_T47_what_is_quarantined_cannot_be_downloaded_from_us_any_more_at_once(chain):
    chain.upstream.quarantine("demo", "malware")

    chain.follow()

    assert chain.links() == set()


def test_a_number_that_returns_under_a_new_owner_has_names_of_its_own(chain):
    """Who has the old owner's hash in a lock file must never get the new one's bytes."""
    chain.upstream.remove("demo")
    chain.follow()
    # Upstream never gives a file's name again, whoever owns the project.
    chain.upstream.add_sdist("demo", "1.0", filename="demo-1.0.zip", uploaded_at=timezone.now())
    chain.follow()
    assert chain.listed() == {}
    assert Package.objects.get().generation == 2

    assert Farm("pi-08").make(Build.objects.waiting().get(), b"2").status_code == 200
    chain.publish()

    assert chain.listed() == {"demo-1.0-2-py3-none-any.whl": False}
