"""The indexes that are parts of ours, or ours with upstream's files: same files, other pages."""

import re

import pytest
from django.urls import get_resolver
from django.utils import timezone

from builds.models import Target, Wheel
from builds.tests.rows import make_build, make_target
from builds.wheels.yanks import SUPERSEDED
from deploy.farm import ROOT
from packages.models import Package
from simple.indexes import OWN, TAKEN, of_release
from simple.tests.pages import HTML_V1, JSON, json_of, page_of
from simple.tests.rows import make_package, make_upstream, make_version, make_wheel

pytestmark = pytest.mark.django_db

PLATFORM, FULL, RELEASE = "/simple-platform/demo/", "/simple-full/demo/", "/test/simple/demo/"
PURE = "py3-none-any"


def files_of(client, path):
    return {file["filename"]: file for file in json_of(client, path)["files"]}


@pytest.mark.parametrize("path", [PLATFORM, FULL, RELEASE])
def test_every_index_has_the_same_files_at_the_same_addresses(client, path):
    wheel = make_wheel()
    Target.objects.update(is_active=True)

    assert files_of(client, path) == files_of(client, "/simple/demo/")
    assert page_of(client, path).anchors[0][0]["href"].startswith(f"/simple/demo/{wheel.filename}#sha256=")
    assert client.get(path, headers={"Accept": HTML_V1})["Content-Type"] == f"{HTML_V1}; charset=utf-8"


@pytest.mark.parametrize("index", ["simple-platform", "simple-full", "test/simple"])
@pytest.mark.parametrize("spelling", ["De.mo", "De.mo/", "de-mo"])
def test_other_spellings_redirect_within_the_index(client, index, spelling):
    response = client.get(f"/{index}/{spelling}?format={JSON}")

    assert (response.status_code, response["Location"]) == (301, f"/{index}/de-mo/?format={JSON}")


def test_upstreams_pure_wheel_supersedes_ours_which_stays_where_it_is(client):
    wheel = make_wheel(tag=PURE)
    native = make_wheel()
    make_upstream(wheel.version, wheel.filename)

    files = files_of(client, "/simple/demo/")

    assert files[wheel.filename]["yanked"] == SUPERSEDED
    assert files[native.filename]["yanked"] is False
    assert client.get(wheel.url).status_code == 200


@pytest.mark.parametrize(
    ("filename", "fields"),
    [
        ("demo-1.0-cp313-cp313-manylinux_2_28_armv7l.whl", {}),
        ("demo-1.0-py2-none-any.whl", {}),
        ("demo-1.0-py3-none-any.whl", {"gone_at": timezone.now()}),
        ("demo-1.0-py3-none-any.whl", {"yanked": True}),
        ("demo-1.0.tar.gz", {}),
    ],
)
def test_what_does_not_replace_our_pure_wheel_does_not_yank_it(client, filename, fields):
    wheel = make_wheel(tag=PURE)
    make_upstream(wheel.version, filename, **fields)

    assert files_of(client, "/simple/demo/")[wheel.filename]["yanked"] is False
    assert wheel.filename in files_of(client, PLATFORM)


@pytest.mark.parametrize(("theirs", "is_yanked"), [("py2", False), ("py27", False), ("py2.py3", True)])
def test_ours_for_both_pythons_is_not_superseded_by_one_for_python_2(client, theirs, is_yanked):
    wheel = make_wheel(tag="py2.py27.py3-none-any")
    make_upstream(wheel.version, f"demo-1.0-{theirs}-none-any.whl")

    assert files_of(client, "/simple/demo/")[wheel.filename]["yanked"] == (is_yanked and SUPERSEDED)


def test_upstreams_pure_wheel_replaces_none_of_a_target_that_needs_no_index_beside_ours(client):
    wheel, gap = make_wheel(tag=PURE), make_wheel("gap", tag=PURE)
    wheel.build.target = make_target("bookworm-armhf-cp311", policy=Target.Policy.EVERYTHING)
    wheel.build.save()
    make_upstream(wheel.version, wheel.filename)
    make_upstream(gap.version, gap.filename)

    assert files_of(client, "/simple/demo/")[wheel.filename]["yanked"] is False
    assert files_of(client, "/bookworm/simple/demo/")[wheel.filename]["yanked"] is False
    assert files_of(client, "/simple/gap/")[gap.filename]["yanked"] == SUPERSEDED
    assert client.get(PLATFORM).status_code == 404


def test_our_own_reason_goes_before_that_of_being_superseded(client):
    wheel = make_wheel(tag=PURE, yanked=True, yanked_reason="broken")
    make_upstream(wheel.version, wheel.filename)

    assert files_of(client, "/simple/demo/")[wheel.filename]["yanked"] == "broken"


def test_the_platforms_index_has_no_pure_wheel_of_what_upstream_has_one_of(client):
    both, ours = make_wheel(tag=PURE), make_wheel(number="2.0", tag=PURE)
    native = make_wheel()
    make_upstream(both.version, "demo-1.0-py2.py3-none-any.whl")

    assert files_of(client, PLATFORM).keys() == {ours.filename, native.filename}


def test_the_platforms_index_is_404_where_nothing_is_left(client):
    wheel = make_wheel(tag=PURE)
    make_upstream(wheel.version, wheel.filename)

    assert client.get(PLATFORM).status_code == 404
    assert client.get("/simple/demo/").status_code == 200


def test_the_full_index_has_upstreams_files_as_upstream_has_them(client):
    wheel = make_wheel(number="2.0")
    older = make_version(wheel.package, "1.0")
    source = make_upstream(
        older,
        "demo-1.0.tar.gz",
        size=7,
        requires_python=">=3.9",
        uploaded_at=timezone.now(),
        yanked=True,
        yanked_reason="broken",
    )
    theirs = make_upstream(older, "demo-1.0-py3-none-any.whl", metadata_sha256="b" * 64)
    make_upstream(older, "demo-1.0-py2-none-any.whl", gone_at=timezone.now())

    page = json_of(client, FULL)

    files = {file["filename"]: file for file in page["files"]}
    assert list(files) == [theirs.filename, source.filename, wheel.filename]
    assert page["versions"] == ["1.0", "2.0"]
    assert files[source.filename] == {
        "filename": source.filename,
        "url": source.url,
        "hashes": {"sha256": source.sha256},
        "requires-python": ">=3.9",
        "size": 7,
        "upload-time": f"{source.uploaded_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "core-metadata": False,
        "yanked": "broken",
    }
    assert files[theirs.filename]["core-metadata"] == {"sha256": "b" * 64}
    assert {"size", "upload-time"}.isdisjoint(files[theirs.filename])


def test_the_full_indexs_html_says_no_more_than_is_known(client):
    wheel = make_wheel(number="2.0")
    make_upstream(make_version(wheel.package, "1.0"), "demo-1.0.tar.gz")

    anchor, _ = page_of(client, FULL).anchors[0]

    assert anchor == {"href": f"https://files.invalid/demo-1.0.tar.gz#sha256={'a' * 64}"}


def test_a_name_that_both_have_is_upstreams_file_in_the_full_index(client):
    wheel = make_wheel(tag=PURE)
    theirs = make_upstream(wheel.version, wheel.filename)

    assert files_of(client, FULL)[wheel.filename]["url"] == theirs.url


def test_files_of_versions_that_no_standard_knows_are_listed_without_a_version(client):
    wheel = make_wheel()
    make_upstream(make_version(wheel.package, "2004-final"), "demo-2004-final.tar.gz")

    page = json_of(client, FULL)

    assert [file["filename"] for file in page["files"]] == ["demo-2004-final.tar.gz", wheel.filename]
    assert page["versions"] == ["1.0"]


@pytest.mark.parametrize("make", [lambda: None, make_package])
def test_the_full_index_sends_whoever_wants_what_we_have_not_to_upstream(client, settings, make):
    make()
    settings.PIWHEELS_PYPI = "http://127.0.0.1:9/simple/"

    response = client.get(FULL)

    assert (response.status_code, response["Location"]) == (302, "http://127.0.0.1:9/simple/demo/")
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", [PLATFORM, FULL, RELEASE, "/simple/demo/"])
def test_a_quarantined_package_has_no_file_in_any_index(client, path):
    wheel = make_wheel()
    make_upstream(wheel.version, "demo-1.0.tar.gz")
    Target.objects.update(is_active=True)
    Package.objects.update(status="quarantined")

    assert json_of(client, path)["files"] == []


def test_a_releases_index_has_what_some_target_of_it_takes_and_runs(client):
    Target.objects.update(is_active=True)
    runs, pure = make_wheel(is_portable=True), make_wheel(number="2.0", tag=PURE)
    Target.objects.update(is_active=True, os_release="test", glibc="2.36")
    fields = {"architecture": "armhf", "python": "3.13", "abi": "cp313", "platform_tags": ["linux_armv7l"]}
    Target.objects.create(key="next", os_release="next", is_active=True, glibc="2.41", **fields)
    bound = make_wheel(number="3.0")
    make_wheel(number="4.0", tag="cp314-cp314-linux_armv7l")

    assert files_of(client, RELEASE).keys() == {runs.filename, pure.filename, bound.filename}
    assert files_of(client, "/next/simple/demo/").keys() == {runs.filename, pure.filename}


STABLE = "cp311-abi3-linux_armv6l.linux_armv7l"
EARLIER, LATER = f"demo-1.0-{STABLE}.whl", f"demo-1.0-1-{STABLE}.whl"


@pytest.fixture
def twins():
    """Return two wheels for the stable ABI, the second of which has a build tag and is of another release."""
    earlier = make_wheel(tag=STABLE)
    Target.objects.update(is_active=True, glibc="2.36")
    fields = {"architecture": "armhf", "python": "3.13", "abi": "cp313"}
    platforms = ["linux_armv6l", "linux_armv7l"]
    later = Target.objects.create(
        key="next", os_release="next", is_active=True, glibc="2.41", platform_tags=platforms, **fields
    )
    return earlier, make_wheel(tag=STABLE, build_tag="-1", build=make_build(earlier.version, later))


@pytest.mark.parametrize("path", ["/simple/demo/", PLATFORM, FULL])
def test_what_does_not_run_everywhere_is_kept_from_installers_that_would_take_it(client, twins, path):
    """Between equal tags they go by the build tag alone."""
    assert files_of(client, path).keys() == {EARLIER}


@pytest.mark.parametrize(
    ("platform", "fields", "is_listed"),
    [
        ("linux_armv7l", {}, False),
        ("linux_armv7l", {"is_portable": True, "glibc": "2.34"}, True),
        # Nobody takes it who takes the one before.
        ("linux_aarch64", {}, True),
    ],
)
def test_one_tag_in_common_is_enough_to_keep_it_from_them(client, twins, platform, fields, is_listed):
    twins[1].withdraw(timezone.now())
    narrow = make_wheel(tag=f"cp311-abi3-{platform}", build_tag="-2", build=twins[1].build, **fields)

    listed = {EARLIER, narrow.filename} if is_listed else {EARLIER}
    assert files_of(client, "/simple/demo/").keys() == listed


def test_it_is_in_the_index_of_its_own_release(client, twins):
    assert files_of(client, RELEASE).keys() == {EARLIER}
    assert files_of(client, "/next/simple/demo/").keys() == {LATER}
    assert client.get(twins[1].url).status_code == 200


def test_what_runs_wherever_the_one_before_does_is_for_all(client, twins):
    Wheel.objects.filter(pk=twins[1].pk).update(is_portable=True, glibc="2.34")

    assert files_of(client, "/simple/demo/").keys() == {EARLIER, LATER}


@pytest.mark.parametrize(
    ("later", "listed"), [(">=3.13", {EARLIER, LATER}), (">=3.11,<3.12", {EARLIER}), ("", {EARLIER})]
)
def test_what_requires_python_keeps_from_other_releases_is_for_all(client, twins, later, listed):
    Target.objects.filter(os_release="test").update(python="3.11", abi="cp311")
    Wheel.objects.filter(pk=twins[0].pk).update(requires_python=">=3.11,<3.12")
    Wheel.objects.filter(pk=twins[1].pk).update(requires_python=later)

    assert files_of(client, "/simple/demo/").keys() == listed


def test_what_nobody_takes_keeps_nothing_apart(client, twins):
    twins[0].yank("It crashes.")

    assert files_of(client, "/simple/demo/").keys() == {EARLIER, LATER}


def test_it_is_for_all_when_the_one_before_is_out(client, twins):
    twins[0].withdraw(timezone.now())

    assert files_of(client, "/simple/demo/").keys() == {LATER}


@pytest.mark.parametrize(
    "path", ["/none/simple/", "/none/simple/demo/", "/simple/simple/demo/", "/%2e/simple/"]
)
def test_what_is_no_release_has_no_index(client, path):
    make_wheel()

    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/simple-full/", FULL])
def test_the_full_index_can_be_left_out(client, settings, path):
    make_wheel()
    settings.PIWHEELS_FULL_INDEX = False

    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/project/simple/", "/admin/simple/download/"])
def test_other_things_of_the_site_keep_their_addresses(client, path):
    response = client.get(path)

    assert "index has nothing here" not in response.content.decode()


def first_parts(patterns):
    """Return what the addresses of a site begin with, of those that something is below or could be."""
    found = set()
    for each in patterns:
        route = str(each.pattern).lstrip("^")
        if not route and hasattr(each, "url_patterns"):
            found |= first_parts(each.url_patterns)
        # What has a dot, or a number at once behind it, is a file and no folder.
        elif first := re.match(r"([a-z0-9-]+)(?![a-z0-9.<-])", route):
            found.add(first[1])
    return found


def test_no_release_is_called_as_something_else_of_the_site(settings):
    of_site = first_parts(get_resolver().url_patterns) | {settings.STATIC_URL.strip("/")}
    nginx = (ROOT / "deploy" / "nginx" / "piwheels.conf.template").read_text()

    assert {"failures", "bundle", "logs", "simple-full"} <= of_site
    assert of_site == set(TAKEN)
    listed = [set(each.split("|")) for each in re.findall(r"\(\?!\(([a-z|]+)\)/\)", nginx)]
    assert listed == [of_site - set(OWN)] * 2
    assert [of_release(name) for name in ("farm", "trixie", "farm2", "faq.x")] == [
        *("", "trixie/simple", "farm2/simple", "faq.x/simple"),
    ]
