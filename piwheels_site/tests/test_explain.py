import pytest

from builds.models import Dependency, Target
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_source,
    make_target,
    make_version,
)
from builds.tests.rows import make_wheel as make_row
from packages.models import Package, UpstreamFile
from piwheels_site import limits
from simple.explain import Setup
from tests.seen import markup

pytestmark = pytest.mark.django_db


@pytest.fixture
def trixie():
    return make_target()


def make_wheel(number="1.0", tag="cp313-cp313-linux_armv6l.linux_armv7l", target=None):
    builder = make_builder("pi-" + number.replace(".", "-"), target=target)
    build, _ = make_running_build(builder=builder, version=make_version(number))
    wheel = make_row(build=build, filename=f"demo-{number}-{tag}.whl")
    build.close("succeeded", "", NOON, 12.5)
    return wheel


def test_a_pi_zero_gets_our_wheel_and_what_it_needs(client, trixie):
    Dependency.objects.create(wheel=make_wheel(), tool="apt", name="libpq5", requirement="libpq5")

    page = markup(client.get("/explain/demo/?os=trixie&model=zero"))

    assert "A wheel, built by this farm: nothing is compiled" in page
    assert "demo-1.0-cp313-cp313-linux_armv6l.linux_armv7l.whl" in page
    assert "sudo apt install libpq5" in page
    assert "there is a wheel of this version, which needs no building" in page


def test_a_newer_source_is_what_pip_compiles_and_an_older_version_can_be_asked_for(client, trixie):
    make_wheel()
    make_version("2.0")

    assert "The source, which the Pi has to compile" in markup(client.get("/explain/demo/?os=trixie"))
    assert "built by this farm" in markup(client.get("/explain/demo/?os=trixie&version=1.0"))
    assert "built by this farm" in markup(client.get("/explain/demo/?os=trixie&version=%3C2"))


def test_upstreams_own_wheel_is_said_to_be_upstreams(client, trixie):
    Target.objects.update(glibc="2.41")
    version = make_version("2.0")
    UpstreamFile.objects.create(
        version=version,
        kind="wheel",
        filename="demo-2.0-cp313-cp313-manylinux_2_17_armv7l.whl",
        url="http://upstream.test/files/demo.whl",
        sha256="0" * 64,
    )

    assert "A wheel, upstream's own" in markup(client.get("/explain/demo/?os=trixie&model=4"))
    # No manylinux wheel is for the processor of a Pi Zero.
    zero = markup(client.get("/explain/demo/?os=trixie&model=zero"))
    assert "The source, which the Pi has to compile" in zero
    assert "and here is armv6l" in zero


def test_a_wheel_of_another_release_is_taken_but_may_not_run(client, trixie):
    wheel = make_wheel(tag="cp39-abi3-linux_armv6l.linux_armv7l", target=trixie)
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5t64", requirement="libpq5t64")
    bookworm = Target.objects.get(key="bookworm-armhf-cp311")
    bookworm.activate()

    page = markup(client.get(f"/explain/demo/?os={bookworm.key}"))

    assert "apt install" not in page
    assert "It may not run:</b> it was built on trixie" in page


@pytest.mark.parametrize("setup", list(Setup))
def test_every_set_up_has_an_answer(client, trixie, setup):
    make_wheel()

    assert "demo-1.0-cp313" in markup(client.get(f"/explain/demo/?os=trixie&setup={setup}"))


def test_what_the_index_of_a_release_alone_has_is_found_by_who_asks_that_one(client, trixie):
    """A rebuild that the other release cannot run is listed there alone."""
    version, tag = make_version(), "cp311-abi3-linux_armv6l.linux_armv7l"
    for release, build_tag in (make_target("bookworm-armhf-cp311"), ""), (trixie, "-1"):
        build = make_build(version, release, state="succeeded", finished_at=NOON)
        make_row(build=build, filename=f"demo-1.0{build_tag}-{tag}.whl")

    def taken(setup, os="trixie"):
        page = markup(client.get(f"/explain/demo/?os={os}&setup={setup}"))
        return f"demo-1.0-1-{tag}.whl" in page.partition("Why not the others")[0]

    assert not taken("pip")
    assert taken("pip-release")
    assert not taken("pip-release", os="bookworm")
    said = markup(client.post("/check/", {"os": "trixie", "text": "demo", "setup": "pip-release"}))
    assert "from trixie/simple" in said


def test_nothing_fits_is_said(client, trixie):
    make_version("1.0", source=False)

    assert "Nothing: no file fits" in markup(client.get("/explain/demo/"))


def test_a_model_that_cannot_run_the_system_is_told(client, trixie):
    make_wheel()
    arm64 = Target.objects.get(key="trixie-arm64-cp313")
    arm64.activate()

    page = markup(client.get(f"/explain/demo/?os={arm64.key}&model=zero"))

    assert "runs no arm64 system: choose a 32-bit one" in page


def test_a_release_means_the_system_that_the_model_runs(client, trixie):
    Target.objects.get(key="trixie-arm64-cp313").activate()
    Target.objects.filter(key="trixie-arm64-cp313").update(order=1)
    make_wheel()

    assert "built by this farm" in markup(client.get("/explain/demo/?os=trixie&model=zero"))


@pytest.mark.parametrize("query", ["version=%3E%3E1", "version=x", "os=none&model=none&setup=none&page=x"])
def test_nonsense_is_no_error(client, trixie, query):
    make_wheel()

    response = client.get(f"/explain/demo/?{query}")

    assert response.status_code == 200
    if "version" in query:
        assert "is no version" in markup(response)


def test_a_farm_without_a_target_says_so(client):
    make_version()
    Target.objects.all().delete()

    response = client.get("/explain/demo/")

    assert response.status_code == 404
    assert "no target yet" in markup(response)


@pytest.mark.parametrize("path", ["/explain/De.mo/?os=trixie", "/explain/De.mo?os=trixie"])
def test_other_spellings_lead_to_it(client, path):
    Package.objects.create(name="de-mo", display_name="De.mo")

    assert client.get(path, follow=True).redirect_chain[-1][0] == "/explain/de-mo/?os=trixie"


def test_it_costs_the_same_however_many_files_there_are(client, trixie, django_assert_max_num_queries):
    make_wheel()
    for number in range(2, 30):
        make_source(make_version(f"{number}.0", source=False))

    with django_assert_max_num_queries(11):
        assert "29 other files" in markup(client.get("/explain/demo/"))


def test_who_asks_for_many_has_to_wait(client, trixie, settings):
    settings.PIWHEELS_API_A_MINUTE = 2 * limits.COSTS["explain"]
    make_wheel()

    # Whatever else is asked with it.
    answers = [client.get("/explain/demo/?offset=1") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert answers[-1]["Cache-Control"] == "no-store"
    assert client.get("/explain/demo/", REMOTE_ADDR="10.1.2.3").status_code == 200
