from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from packages import merge, sync
from packages.models import Package, UpstreamFile, Version
from packages.page import Page, PageFile
from packages.project import join
from tests.fake_pypi import UPLOADED_AT

pytestmark = pytest.mark.django_db


def version(number="1.0"):
    return Version.objects.get(number=number)


def settle():
    """Plan everything, so that the next request for a plan is seen."""
    Package.objects.update(plan_needed=False)


def test_a_new_package_is_written_down(upstream, look_up, now):
    sdist = upstream.add_sdist("Demo.Pkg", "1.0rc1", requires_python=">=3.9")

    package = look_up("demo-pkg")

    assert (package.name, package.display_name, package.status) == ("demo-pkg", "Demo.Pkg", "active")
    assert (package.serial, package.fetched_at, package.generation) == (upstream.serial, now, 1)
    assert (package.plan_needed, package.revision) == (True, 1)
    assert [alias.name for alias in package.aliases.all()] == ["Demo.Pkg"]
    [version] = package.versions.all()
    assert (version.number, version.canonical, version.is_prerelease) == ("1.0rc1", "1.0rc1", True)
    assert (version.released_at, version.yanked, version.gone_at) == (UPLOADED_AT, False, None)
    [file] = version.files.all()
    assert (file.filename, file.kind, file.sha256) == (sdist.filename, "source", sdist.sha256)
    assert (file.size, file.requires_python, file.uploaded_at) == (
        len(sdist.content),
        ">=3.9",
        UPLOADED_AT,
    )


def written(name):
    """Return all that is known of a package but what differs with its name."""
    facts = ("summary", "status", "etag", "fetched_at", "plan_needed", "revision", "generation")
    of_version = ("number", "canonical", "is_prerelease", "released_at", "yanked", "yanked_reason", "gone_at")
    of_file = (
        "version__number",
        "kind",
        "requires_python",
        "uploaded_at",
        "yanked",
        "yanked_reason",
        "gone_at",
    )
    versions = Version.objects.filter(package__name=name).order_by("number")
    files = UpstreamFile.objects.filter(version__package__name=name).order_by("kind")
    return [
        Package.objects.values(*facts).get(name=name) | {"etag": ""},
        list(versions.values(*of_version)),
        list(files.values(*of_file)),
    ]


def test_many_new_packages_are_written_as_one_is(upstream, pypi, look_up, now):
    for name in ("one", "two", "Three"):
        upstream.add_sdist(name, "1.0rc1", requires_python=">=3.9")
        upstream.add_wheel(name, "1.0")
        upstream.yank(name, "1.0", "bad")
        upstream.add_version(name, "2.0")
    look_up("one")

    merge.create([pypi.project("two"), pypi.project("three")], now)

    assert written("one") == written("two") == written("three")
    assert [len(rows) for rows in written("three")[1:]] == [3, 2]
    assert [alias.name for alias in Package.objects.get(name="three").aliases.all()] == ["Three"]


def test_the_same_state_again_changes_nothing_but_when_we_looked(upstream, pypi, look_up, now):
    upstream.add_sdist("demo", "1.0")
    upstream.yank("demo", "1.0", "bad")
    upstream.add_version("demo", "2.0")
    first = look_up()
    settle()

    sync.look_up(pypi, "demo", now=now + timedelta(hours=1))

    again = Package.objects.get()
    assert again.fetched_at == now + timedelta(hours=1)
    assert (again.revision, again.changed_at, again.plan_needed) == (1, first.changed_at, False)


def test_a_change_asks_for_a_plan_and_makes_pages_old(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    look_up()
    settle()

    upstream.add_sdist("demo", "1.1")
    package = look_up()

    assert (package.plan_needed, package.revision) == (True, 2)


def test_several_sources_of_a_version_are_all_kept(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("demo", "1.0", filename="demo-1.0.zip")

    look_up()

    assert {file.filename for file in version().files.sources()} == {"demo-1.0.tar.gz", "demo-1.0.zip"}


def test_a_legacy_version_is_kept_as_it_is_written(upstream, look_up):
    upstream.add_sdist("demo", "2004d", filename="demo-2004d.tar.gz")

    look_up()

    assert (version("2004d").canonical, version("2004d").files.count()) == ("", 1)


def test_versions_that_are_equal_are_two(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("demo", "1.0.0")

    look_up()

    assert {v.number: v.files.get().filename for v in Version.objects.all()} == {
        "1.0": "demo-1.0.tar.gz",
        "1.0.0": "demo-1.0.0.tar.gz",
    }


def test_a_source_that_comes_after_the_wheels_is_seen(upstream, look_up):
    upstream.add_wheel("demo", "1.0", uploaded_at=UPLOADED_AT)
    look_up()
    settle()
    assert not version().files.sources().exists()

    upstream.add_sdist("demo", "1.0", uploaded_at=UPLOADED_AT + timedelta(days=2))
    package = look_up()

    assert version().files.sources().exists()
    assert version().released_at == UPLOADED_AT
    assert package.plan_needed


def test_a_yank_and_its_reason_come_and_go(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    look_up()

    upstream.yank("demo", "1.0", "it eats data")
    look_up()
    assert (version().yanked, version().yanked_reason) == (True, "it eats data")
    assert UpstreamFile.objects.get().yanked

    upstream.yank("demo", "1.0", "it eats <all> data")
    look_up()
    assert version().yanked_reason == "it eats <all> data"

    upstream.unyank("demo", "1.0")
    package = look_up()
    assert (version().yanked, version().yanked_reason) == (False, "")
    assert not UpstreamFile.objects.get().yanked
    assert package.revision == 4


def test_a_removed_file_is_gone_and_its_version_is_not(upstream, look_up, now):
    upstream.add_sdist("demo", "1.0", uploaded_at=UPLOADED_AT)
    upstream.add_wheel("demo", "1.0", uploaded_at=UPLOADED_AT + timedelta(days=1))
    look_up()

    upstream.remove("demo", "1.0", "demo-1.0.tar.gz")
    look_up()

    assert UpstreamFile.objects.get(kind="source").gone_at == now
    assert UpstreamFile.objects.get(kind="wheel").gone_at is None
    assert (version().gone_at, version().released_at) == (None, UPLOADED_AT)


def test_a_removed_version_is_gone_with_its_files(upstream, look_up, now):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("demo", "2.0")
    look_up()

    upstream.remove("demo", "1.0")
    look_up()

    assert (version("1.0").gone_at, version("2.0").gone_at) == (now, None)
    assert version("1.0").files.get().gone_at == now


def test_since_when_a_version_is_gone_does_not_change(upstream, pypi, look_up, now):
    upstream.add_sdist("demo", "1.0")
    upstream.add_sdist("demo", "2.0")
    look_up()
    upstream.remove("demo", "1.0")
    look_up()

    sync.look_up(pypi, "demo", now=now + timedelta(days=1))

    assert version("1.0").gone_at == now
    assert Package.objects.get().revision == 2


def test_a_requires_python_that_nobody_can_read_counts_as_none(upstream, look_up):
    upstream.add_sdist("demo", "1.0", requires_python="three or so")

    look_up()

    assert UpstreamFile.objects.get().requires_python == ""


def test_a_version_gets_files_days_later(upstream, look_up):
    upstream.add_version("demo", "1.0")
    look_up()
    assert (version().files.count(), version().released_at) == (0, None)

    upstream.add_sdist("demo", "1.0")
    package = look_up()

    assert (version().files.count(), version().released_at) == (1, UPLOADED_AT)
    assert package.revision == 2


def test_each_spelling_of_a_name_is_remembered(upstream, look_up):
    upstream.add_sdist("Demo", "1.0")
    look_up()

    upstream.spell("demo", "DEMO")
    package = look_up()

    assert package.display_name == "DEMO"
    assert {alias.name for alias in package.aliases.all()} == {"Demo", "DEMO"}
    upstream.spell("demo", "Demo")
    assert look_up().aliases.count() == 2


def test_a_summary_may_be_absent_or_too_long(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    upstream.summarise("demo", None)
    assert look_up().summary == ""

    upstream.summarise("demo", "x" * 500)
    assert look_up().summary == "x" * 299 + "…"


def test_a_file_may_turn_out_to_be_of_another_version(upstream, look_up, now):
    upstream.json_api = False
    upstream.add_sdist("demo", "1.0-beta", filename="demo-1.0b0.tar.gz")
    look_up()
    assert version("1.0b0").files.count() == 1

    upstream.json_api = True
    look_up()

    assert version("1.0-beta").files.count() == 1
    assert version("1.0b0").gone_at == now


def test_what_an_operator_decided_outlives_a_look_up(upstream, look_up):
    upstream.add_sdist("demo", "1.0")
    package = look_up()
    package.skip("no")
    package.follow(3)
    version().skip("neither")

    upstream.yank("demo", "1.0")
    package = look_up()

    assert (package.skip_reason, package.depth, version().skip_reason) == ("no", 3, "neither")


@pytest.mark.parametrize("happening", ["nothing", "new versions", "yanks", "removal"])
def test_the_number_of_queries_does_not_grow_with_the_versions(upstream, pypi, now, happening):
    def queries(name, versions):
        for minor in range(versions):
            upstream.add_sdist(name, f"1.{minor}", b"")
        project = pypi.project(name)
        if happening != "new versions":
            merge.apply(project, now)
            for minor in range(versions - 1):
                if happening == "yanks":
                    upstream.yank(name, f"1.{minor}")
                if happening == "removal":
                    upstream.remove(name, f"1.{minor}")
            project = pypi.project(name)
        with CaptureQueriesContext(connection) as captured:
            merge.apply(project, now)
        return len(captured)

    few, many = queries("few", 2), queries("many", 40)

    assert few == many
    assert many < 20


@pytest.mark.parametrize("write", [merge.apply, lambda project, now: merge.create([project], now)])
def test_the_hash_of_a_wheels_metadata_is_written_and_stays_where_a_page_does_not_tell(write, now):
    def told(sha256):
        url = "https://files.invalid/x.whl"
        wheel = PageFile("demo-1.0-py3-none-any.whl", url, "0" * 64, None, 1, now, False, "", sha256)
        return join("demo", Page("demo", "active", None, 1, (wheel,)), None, allow_http=False)

    write(told("A" * 64), now)
    assert UpstreamFile.objects.get().metadata_sha256 == "a" * 64

    merge.apply(told("nonsense"), now)
    assert UpstreamFile.objects.get().metadata_sha256 == "a" * 64


def test_an_hour_without_the_json_api_takes_no_file_away(upstream, look_up):
    upstream.add_sdist("demo", "2004d", filename="demo-2004d.tar.gz")
    upstream.add_sdist("demo", "1.0-beta", filename="demo-1.0b0.tar.gz")
    upstream.add_version("demo", "2.0")
    before = look_up()

    upstream.json_api = False
    upstream.add_role("demo", "bob")
    after = look_up()

    assert (version("2004d").gone_at, version("1.0-beta").gone_at, version("2.0").gone_at) == (None,) * 3
    assert UpstreamFile.objects.listed().count() == 2
    assert after.revision == before.revision


def test_a_file_that_is_removed_in_an_hour_without_the_json_api_is_gone(upstream, look_up, now):
    upstream.add_sdist("demo", "2004d", filename="demo-2004d.tar.gz")
    upstream.add_sdist("demo", "1.0")
    look_up()

    upstream.json_api = False
    upstream.remove("demo", "2004d")
    look_up()

    assert (version("2004d").gone_at, version("1.0").gone_at) == (now, None)
    assert version("2004d").files.get().gone_at == now
