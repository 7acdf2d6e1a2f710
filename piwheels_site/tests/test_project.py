import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from builds.models import Build, Demand, Dependency, Skip, Target, Wheel
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_built,
    make_running_build,
    make_source,
    make_target,
    make_version,
    make_wheel,
)
from packages.models import Package, UpstreamFile, Version
from simple.models import PackageDownload
from tests.seen import markup, text

pytestmark = pytest.mark.django_db


def test_a_package_page_answers_first(client):
    wheel = make_built()
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5", requirement="libpq5 (>= 10)")
    Dependency.objects.create(wheel=wheel, tool="pip", name="requests", requirement="requests>=2")

    page = text(client.get("/project/demo/"))

    assert (
        "sudo apt install libpq5 pip install --extra-index-url http://testserver/simple/"
        " --trusted-host testserver demo"
    ) in page
    assert "✔ built" in page
    assert 'href="/project/requests/"' in client.get("/project/demo/").content.decode()


def test_what_the_image_has_is_not_asked_for(client):
    wheel = make_built()
    Target.objects.update(preinstalled=["libc6"])
    Dependency.objects.create(wheel=wheel, tool="apt", name="libc6")

    assert "apt install" not in text(client.get("/project/demo/"))
    assert (
        json.loads(client.get("/project/demo/json").content)["releases"]["1.0"]["files"][wheel.filename][
            "apt_dependencies"
        ]
        == []
    )


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("queued", "waiting"),
        ("failed", "✘ failed"),
        ("cancelled", "– cancelled"),
        ("lost", "lost with its builder"),
    ],
)
def test_every_state_has_a_word(client, state, word):
    finished = None if state == "queued" else NOON
    make_build(state=state, finished_at=finished)

    assert word in text(client.get("/project/demo/"))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"source": False}, "no source"),
        ({"yanked": True}, "yanked upstream"),
        ({"gone_at": NOON}, "removed upstream"),
        ({"skip_reason": "too big"}, "skipped: too big"),
        ({"number": "2004d"}, "not a version that pip can read"),
        ({}, "not among the newest"),
    ],
)
def test_what_is_not_built_says_why(client, fields, why):
    make_target()
    make_version(**fields)

    assert why in text(client.get("/project/demo/"))


@pytest.mark.parametrize("source", [{"yanked": True}, {"ending": ".tar.Z"}])
def test_a_source_that_nobody_can_build_is_none(client, source):
    make_target()
    make_source(make_version(source=False), **source)

    assert "– no source that can be built" in text(client.get("/project/demo/"))
    assert "1.0 is there upstream without a source that can be built." in answers(client)[0]
    assert "Build this for me" not in text(client.get("/project/demo/"))


def test_of_two_spellings_of_a_version_the_one_that_is_built_speaks(client):
    make_target()
    make_version("1.0.0", released_at=NOON - timedelta(days=2))
    built = make_build(make_version("1.0", released_at=NOON), state="succeeded", finished_at=NOON)

    before = answers(client)
    make_wheel(build=built, filename="demo-1.0-cp313-cp313-linux_armv7l.whl")
    (after,) = answers(client)

    assert "– the same version as 1.0, which is built" in text(client.get("/project/demo/"))
    assert "1.0 was built, but" in before[0]
    assert "1.0 has a wheel." in after
    assert "compiles" not in after


def test_of_a_quarantined_package_nothing_is_built(client):
    make_target()
    make_version()
    Package.objects.update(status="quarantined")

    assert "1.0 is quarantined upstream." in answers(client)[0]


@pytest.mark.parametrize(
    ("policy", "says"),
    [("gaps", "✔ served by upstream's wheel"), ("everything", "– not among the newest")],
)
def test_what_upstream_serves_is_shown_as_served_where_it_counts(client, policy, says):
    make_target(policy=policy)
    make_source(make_version(), "-py3-none-any.whl", kind="wheel")

    assert says in text(client.get("/project/demo/"))
    served = client.get("/project/demo/json").json()["releases"]["1.0"]["served_upstream"]
    assert served == ({"trixie-armhf-cp313": ["demo-1.0-py3-none-any.whl"]} if policy == "gaps" else {})


def test_what_an_operator_skips_for_one_target_says_why_there(client):
    version = make_version()
    Skip(package=version.package, target=make_target(), reason="Its tests burn the board.").begin()

    assert "– skipped: Its tests burn the board." in text(client.get("/project/demo/"))


def test_a_prerelease_does_not_speak_for_its_package(client):
    make_built("1.0")
    Build.objects.all()
    build = make_build(make_version("2.0a1"), make_target("bookworm-armhf-cp311"))
    make_wheel(build=build, filename="demo-2.0a1-cp311-cp311-linux_armv7l.whl")

    page = text(client.get("/project/demo/"))
    assert "demo 1.0" in page
    assert "2.0a1 has" not in page


def test_other_spellings_lead_to_the_page(client):
    make_version()

    assert client.get("/project/Demo/").url == "/project/demo/"
    assert client.get("/project/demo", follow=True).status_code == 200
    assert client.get("/project/DEMO/json").url == "/project/demo/json"


@pytest.mark.parametrize(
    "path", ["/project/nothing/", "/project/%00/", "/builds/99999/", "/nothing", "/project/nothing/json"]
)
def test_what_is_not_here_is_404(client, path):
    assert client.get(path).status_code == 404


def test_hostile_text_stays_text(client):
    version = make_version(yanked=True, yanked_reason='"><script>alert(1)</script>')
    Package.objects.update(summary="<img src=x onerror=alert(1)>")

    page = client.get("/project/demo/").content.decode()

    assert version.yanked_reason not in page
    assert "<img src=x" not in page


def test_many_versions_come_in_pages_at_a_constant_cost(client, django_assert_max_num_queries):
    for minor in range(60):
        make_built(f"1.{minor}")

    with django_assert_max_num_queries(20):
        first = text(client.get("/project/demo/"))

    assert "versions 1 to 25 of 60" in first
    assert "1.59" in first
    assert "versions 51 to 60 of 60" in text(client.get("/project/demo/?page=3"))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "It was not tried. No second build was made."),
        (
            {"trial": "works", "reproducible": True, "glibc": "2.34"},
            "Installed alone, it can be imported. Needs glibc 2.34 or newer. "
            "A second build gave the same bytes.",
        ),
        (
            {"trial": "fails", "reproducible": False, "glibc": "2.34", "glibcxx": "3.4.30"},
            "Installed alone, it cannot be imported. Needs glibc 2.34 and GLIBCXX 3.4.30 or newer. "
            "A second build gave other bytes.",
        ),
    ],
)
def test_the_pages_say_what_is_known_of_a_wheel(client, fields, says):
    wheel = make_built()
    Wheel.objects.update(trial_detail="ImportError: libpq.so.5", **fields)
    Dependency.objects.create(wheel=wheel, tool="lib", name="libfoo.so.1")

    package, build = text(client.get("/project/demo/")), text(client.get(wheel.build.get_absolute_url()))

    assert says in package
    assert "in no package: libfoo.so.1" in package
    assert says in build
    assert "ImportError: libpq.so.5" in build
    assert "<dt>library of no package</dt><dd>libfoo.so.1</dd>" in markup(
        client.get(wheel.build.get_absolute_url())
    )


def test_a_held_wheel_is_no_file_yet_and_its_target_says_so(client):
    wheel = make_built()
    Wheel.objects.update(held_reason="demo.pth runs at each start.")

    page = text(client.get("/project/demo/"))

    assert "built, waits for an operator" in page
    assert wheel.filename not in page


def test_a_rebuild_that_is_held_leaves_what_there_is(client):
    wheel = make_built("1.0")
    again = make_build(wheel.version, attempt=2, state="succeeded", finished_at=NOON)
    make_wheel(build=again, filename="demo-1.0-1-cp313-cp313-linux_armv7l.whl", held_reason="Odd.")

    assert "✔ Yes" in answers(client)[0]


def test_the_json_lists_equal_versions_apart_and_the_newest_first(client):
    for number in ["1.0", "1.0.0", "2004d", "1.1"]:
        make_version(number)

    releases = json.loads(client.get("/project/demo/json").content)["releases"]

    assert list(releases) == ["1.1", "1.0.0", "1.0", "2004d"]


def answers(client):
    """What each target gets, as the page says it."""
    page = client.get("/project/demo/").content.decode()
    items = page.partition('class="answers verdicts"')[2].partition("</ul>")[0].split("<li")[1:]
    return [" ".join(unescape(strip_tags("<li" + item)).split()) for item in items]


def test_a_wheel_is_a_yes(client):
    make_built("2.3.5")
    Target.objects.update(os_name="Raspberry Pi OS 13")

    (answer,) = answers(client)

    assert answer.startswith("✔ Yes Raspberry Pi OS 13 (Trixie), 32-bit, Python 3.13: 2.3.5 has a wheel.")


@pytest.mark.parametrize(
    ("platforms", "is_for_all"),
    [("linux_armv6l.linux_armv7l", True), ("linux_armv7l", False), ("any", True), ("linux_aarch64", True)],
)
def test_a_wheel_that_a_pi_1_cannot_run_is_said_to_be_none_for_it(client, platforms, is_for_all):
    key = "trixie-arm64-cp313" if platforms == "linux_aarch64" else "trixie-armhf-cp313"
    build, _ = make_running_build(make_builder(target=make_target(key)), version=make_version())
    make_wheel(build=build, filename=f"demo-1.0-cp313-cp313-{platforms}.whl")
    build.close("succeeded", "", NOON, 12.5)

    page = text(client.get("/project/demo/"))

    assert ("1.0 has a wheel. Not for a Pi 1 or the first Zeros" in page) != is_for_all
    assert page.count("whose processor cannot run it") == (0 if is_for_all else 2)


def test_each_version_has_its_command(client):
    make_built()
    make_version("2.0")

    page = text(client.get("/project/demo/"))

    assert "http://testserver/simple/ --trusted-host testserver demo==1.0" in page
    assert "demo==2.0" not in page


def test_a_failure_says_of_what_and_what_helps(client):
    make_build(
        make_version("2.3.5"),
        state="failed",
        finished_at=NOON,
        failure="missing-header",
        failure_about="ffi.h",
    )

    (answer,) = answers(client)

    assert "✘ No" in answer
    assert "2.3.5 failed to build." in answer
    assert "To build it yourself: sudo apt install libffi-dev" in answer


def test_after_a_failure_an_older_wheel_is_for_who_names_it(client):
    make_built("2.3.4")
    make_build(make_version("2.3.5"), state="failed", finished_at=NOON, failure="unknown")

    (answer,) = answers(client)

    assert "✘ An older one" in answer
    assert (
        "2.3.4 has a wheel, but pip compiles 2.3.5 instead unless you name the version. 2.3.5 failed to build"
    ) in answer
    page = text(client.get("/project/demo/"))
    assert (
        "pip install --extra-index-url http://testserver/simple/ --trusted-host testserver demo==2.3.4"
        in page
    )
    assert "uv pip install --default-index http://testserver/simple-full/ demo==2.3.4" in page
    assert "pipx install demo==2.3.4" in page


@pytest.mark.parametrize(
    "source", [{"ending": ".tar.Z"}, {"yanked": True}, {"requires_python": ">=3.14"}, {"gone_at": NOON}]
)
def test_where_pip_can_compile_nothing_newer_it_takes_the_older_wheel_by_itself(client, source):
    make_built("2.3.4")
    make_source(make_version("2.3.5", source=False), **source)

    assert "2.3.4 has a wheel, which pip takes. 2.3.5 is" in answers(client)[0]
    above, _, files = text(client.get("/project/demo/")).partition(" Files ")
    assert "pip install" in above and "demo==" not in above
    assert "demo==2.3.4" in files


def test_each_target_names_the_version_that_it_needs(client):
    make_built("2.3.4")
    failed = make_version("2.3.5")
    make_build(failed, state="failed", finished_at=NOON, failure="unknown")
    bookworm = make_target("bookworm-armhf-cp311")
    build = make_build(failed, bookworm, state="succeeded", finished_at=NOON)
    make_wheel(build=build, filename="demo-2.3.5-cp311-cp311-linux_armv7l.whl")

    page = text(client.get("/project/demo/"))

    assert "Python 3.13 uv pip install --default-index http://testserver/simple-full/ demo==2.3.4" in page
    assert "Python 3.11 uv pip install --default-index http://testserver/simple-full/ demoPIPX_" in page


LATER = NOON + timedelta(days=36500)


@pytest.mark.parametrize(
    ("rows", "fields", "why"),
    [
        (Wheel, {"withdrawn_at": NOON, "withdrawn_reason": "It crashes."}, "withdrawn: It crashes"),
        (Wheel, {"withdrawn_at": NOON}, "withdrawn"),
        (
            Wheel,
            {"withdrawn_at": NOON, "taken_down_at": NOON, "withdrawn_reason": "Malware"},
            "taken down: Malware",
        ),
        (Package, {"status": "quarantined"}, "its package is quarantined upstream"),
        (Package, {"status": "gone"}, "removed upstream"),
        (Package, {"registered_anew_at": LATER}, "somebody else has had the package's name since"),
        (UpstreamFile, {"gone_at": NOON}, "its source was removed upstream"),
    ],
)
def test_what_was_built_and_is_not_offered_is_no_wheel_and_says_why(client, rows, fields, why):
    wheel = make_built()
    rows.objects.update(**fields)

    page = text(client.get("/project/demo/"))

    assert "– No" in answers(client)[0]
    assert f"1.0 was built, but {why}." in answers(client)[0]
    assert f"– built, but {why}" in page
    assert "pip install" not in page
    assert "pip install" not in text(client.get(wheel.build.get_absolute_url()))
    assert "0 of 1 target" in client.get("/project/demo/badge.svg").content.decode()
    assert f"was built, but {why}." in " ".join(
        client.get("/project/demo/", headers={"Accept": "text/plain"}).content.decode().split()
    )
    release = client.get("/project/demo/json").json()["releases"]["1.0"]
    assert (release["files"], release["builds"]["trixie-armhf-cp313"]["not_offered"]) == ({}, why)


@pytest.mark.parametrize(
    ("filename", "why"),
    [
        ("demo-1.0-cp312-cp312-linux_armv7l.whl", "its wheel does not fit this system"),
        ("", "no wheel of it is here"),
    ],
)
def test_a_build_without_a_wheel_for_its_target_is_no_yes(client, filename, why):
    build = make_build(state="succeeded", finished_at=NOON)
    if filename:
        make_wheel(build=build, filename=filename)

    assert f"1.0 was built, but {why}." in answers(client)[0]


@pytest.mark.parametrize(
    ("rows", "fields", "word", "reason"),
    [
        (Wheel, {"yanked": True, "yanked_reason": "It crashes."}, "yanked here", "It crashes."),
        (Wheel, {"yanked": True}, "yanked here", ""),
        (UpstreamFile, {"yanked": True, "yanked_reason": "broken"}, "yanked upstream", "broken"),
    ],
)
def test_a_yanked_wheel_is_no_yes_and_says_why(client, rows, fields, word, reason):
    wheel = make_built()
    rows.objects.update(**fields)

    (answer,) = answers(client)
    page = text(client.get("/project/demo/"))

    said = f"{word}: {reason}".rstrip(" .:")
    assert "– No" in answer
    assert f"1.0 has a wheel, but it is {said}. pip passes over it." in answer
    assert f"– built, but {said}" in page
    assert f"{wheel.filename} {word} {reason}".strip() in page
    assert "pip install" not in page
    assert "0 of 1 target" in client.get("/project/demo/badge.svg").content.decode()
    told = client.get("/project/demo/json").json()["releases"]["1.0"]["files"][wheel.filename]
    assert (told["yanked"], told["yanked_reason"]) == (True, reason)


def test_a_wheel_that_upstreams_own_replaces_leads_to_that_one(client):
    build = make_build(state="succeeded", finished_at=NOON)
    make_wheel(build=build)
    make_source(build.version, "-py3-none-any.whl", kind="wheel")

    assert "✔ Yes" in answers(client)[0]
    assert "PyPI's own wheel of 1.0 fits" in answers(client)[0]
    assert "demo-1.0-py3-none-any.whl yanked PyPI has a wheel of its own" in text(
        client.get("/project/demo/")
    )
    assert "pip install" not in text(client.get("/project/demo/"))


def test_a_wheel_for_whoever_has_our_index_alone_is_not_replaced(client):
    build = make_build(target=make_target(policy="everything"), state="succeeded", finished_at=NOON)
    make_wheel(build=build)
    make_source(build.version, "-py3-none-any.whl", kind="wheel")

    page = text(client.get("/project/demo/"))

    assert "1.0 has a wheel" in answers(client)[0]
    assert "pip install" in page
    assert "yanked" not in page


def test_a_yanked_version_says_so_in_its_row(client):
    make_built("1.0")
    make_built("0.9")
    Version.objects.filter(number="0.9").update(yanked=True, yanked_reason="It eats disks.")

    assert "– built, but yanked upstream: It eats disks" in text(client.get("/project/demo/"))


def test_an_older_wheel_that_is_yanked_is_not_offered_instead(client):
    make_built("2.3.4").yank("It crashes.")
    make_build(make_version("2.3.5"), state="failed", finished_at=NOON, failure="unknown")

    assert "2.3.4" not in answers(client)[0]


def test_another_targets_wheel_serves_where_the_own_one_is_yanked(client):
    wheel = make_built("1.0")
    wheel.yank("It crashes.")
    other = make_build(
        wheel.version, make_target("bookworm-armhf-cp311"), state="succeeded", finished_at=NOON
    )
    make_wheel(build=other, filename="demo-1.0-py3-none-any.whl")

    assert all("✔ Yes" in answer for answer in answers(client))
    assert "1.0 has a wheel that fits." in " ".join(answers(client))


def test_a_waiting_build_says_how_long(client):
    make_build(make_version("2.3.5"), priority=1)
    make_build(make_version("1.0", package="other"), priority=2)

    (answer,) = answers(client)

    assert "… Not yet" in answer
    assert "2.3.5 waits for a builder, behind 1 other." in answer
    assert "No builder that could have it is at work." in answer


def test_what_is_being_built_says_so(client):
    make_running_build(version=make_version("2.3.5"))

    assert "2.3.5 is being built now." in answers(client)[0]


def test_what_upstream_has_is_not_needed_from_here(client):
    make_target(policy="gaps")
    make_source(make_version("2.3.5"), "-py3-none-any.whl", kind="wheel")

    assert "✔ Yes" in answers(client)[0]
    assert "PyPI's own wheel of 2.3.5 fits, so none is needed from here." in answers(client)[0]


def test_where_the_newest_is_not_for_a_python_upstreams_older_wheel_is_what_pip_takes(client):
    target = make_target("bookworm-armhf-cp311")
    build = make_build(make_version("4.2"), target, state="succeeded", finished_at=NOON)
    make_wheel(build=build, filename="demo-4.2-cp311-cp311-linux_armv6l.linux_armv7l.whl")
    make_source(make_version("5.2.9"), "-py3-none-any.whl", kind="wheel")
    make_source(make_version("6.0", source=False), requires_python=">=3.12")

    (answer,) = answers(client)

    assert "– An older one" in answer
    assert "PyPI's own wheel of 5.2.9 fits, and pip takes it. 6.0 is not for Python 3.11. On PyPI" in answer
    assert "demo==4.2" not in text(client.get("/project/demo/")).partition(" Files ")[0]
    assert "1 of 1 target" in client.get("/project/demo/badge.svg").content.decode()


def test_upstreams_older_wheel_is_for_who_names_it_where_pip_compiles_a_newer_one(client):
    make_source(make_version("2.3.4"), "-py3-none-any.whl", kind="wheel")
    make_build(make_version("2.3.5"), state="failed", finished_at=NOON, failure="unknown")

    (answer,) = answers(client)

    assert "✘ An older one" in answer
    assert (
        "PyPI's own wheel of 2.3.4 fits, but pip compiles 2.3.5 instead unless you name the version."
        " 2.3.5 failed to build; its log says more. The build"
    ) in answer


def test_what_we_build_although_upstream_has_a_wheel_installs_before_it_is_built(client):
    make_target(policy="everything")
    make_built("1.0")
    newest = make_version("2.0")
    make_source(newest, "-py3-none-any.whl", kind="wheel")
    make_build(newest, state="failed", finished_at=NOON, failure="missing-header", failure_about="ffi.h")

    (answer,) = answers(client)

    assert "✔ Yes" in answer
    assert "PyPI's own wheel of 2.0 fits, and pip takes it. 2.0 failed to build." in answer
    assert "libffi-dev" not in answer


def test_a_python_that_was_dropped_many_releases_ago_gets_the_last_one_for_it(client):
    target = make_target("bullseye-armhf-cp39")
    build = make_build(make_version("1.0"), target, state="succeeded", finished_at=NOON)
    make_wheel(build=build, filename="demo-1.0-cp39-cp39-linux_armv6l.linux_armv7l.whl")
    for minor in range(30):
        make_source(make_version(f"2.{minor}", source=False), requires_python=">=3.10")

    (answer,) = answers(client)

    assert "1.0 has a wheel, which pip takes. 2.29 is not for Python 3.9." in answer


def test_where_all_versions_are_yanked_they_say_so(client):
    make_target()
    make_version("1.0", yanked=True)
    make_version("2.0", yanked=True)
    make_version("3.0", gone_at=NOON)

    assert "2.0 is yanked upstream." in answers(client)[0]


def test_where_targets_need_other_debian_packages_each_has_its_command(client):
    trixie = make_built("1.0")
    bookworm = make_target("bookworm-armhf-cp311")
    build = make_build(trixie.version, bookworm, state="succeeded", finished_at=NOON)
    other = make_wheel(build=build, filename="demo-1.0-cp311-cp311-linux_armv7l.whl")
    Dependency.objects.create(wheel=trixie, tool="apt", name="libpq5t64")
    Dependency.objects.create(wheel=other, tool="apt", name="libpq5")

    page = text(client.get("/project/demo/"))

    assert "Trixie, 32-bit, Python 3.13 sudo apt install libpq5t64 pip" in page
    assert "Bookworm, 32-bit, Python 3.11 sudo apt install libpq5 pip" in page


def test_a_replaced_file_says_by_which(client):
    old = make_built("1.0")
    new = make_wheel(build=old.build, filename="demo-1.0-1-cp313-cp313-linux_armv7l.whl")
    old.supersede(new)

    says = f"{old.filename} replaced it was built anew, and {new.filename} replaces it"
    assert says in text(client.get("/project/demo/"))


def test_who_needs_it_is_listed_by_popularity(client):
    make_version()
    for name, downloads in [("little", 1), ("much", 500), ("extra-only", 900)]:
        build, _ = make_running_build(make_builder(name), version=make_version(package=name))
        wheel = make_wheel(build=build, filename=f"{name.replace('-', '_')}-1.0-py3-none-any.whl")
        marker = "; extra == 'all'" if name == "extra-only" else ""
        Dependency.objects.create(wheel=wheel, tool="pip", name="demo", requirement=f"demo{marker}")
        Demand.objects.create(package=wheel.package, downloads=downloads)
    make_version(package="unneeded")

    page = text(client.get("/project/demo/"))

    assert "Needed bymuch, little Downloads" in page


def test_a_name_with_extra_in_it_is_needed_like_any_other(client):
    make_version(package="demo-extra-types")
    build, _ = make_running_build(make_builder("pi-1"), version=make_version(package="other"))
    wheel = make_wheel(build=build, filename="other-1.0-py3-none-any.whl")
    name = "demo-extra-types"
    Dependency.objects.create(wheel=wheel, tool="pip", name=name, requirement=f"{name}>=2")

    assert "Needed byother Downloads" in text(client.get(f"/project/{name}/"))


def test_the_time_spared_is_the_same_on_each_page_of_versions(client):
    wheel = make_built("100.0")
    PackageDownload.objects.create(package=wheel.package, day=datetime.now(UTC).date(), count=288)
    for minor in range(1, 60):
        make_version(f"2.{minor}")
    slow = make_built("1.0").build
    Build.objects.filter(pk=slow.pk).update(duration_s=9000.0)

    pages = [text(client.get("/project/demo/", {"page": page})) for page in (1, 2, 3)]

    assert [re.findall("have spared (.*?) of compiling", page) for page in pages] == [["1 hour"]] * 3


def test_whoever_shares_the_page_of_a_package_shows_what_it_is(client):
    make_built()
    Package.objects.update(summary='"Fast" & <small>')

    page = client.get("/project/demo/?page=1").content.decode()

    assert '<link rel="canonical" href="http://testserver/project/demo/">' in page
    assert '<meta property="og:title" content="demo for the Raspberry Pi">' in page
    said = "&quot;Fast&quot; &amp; &lt;small&gt;"
    assert f'<meta property="og:description" content="{said}">' in page
    assert f'name="description" content="Does demo install on a Raspberry Pi? {said}"' in page


def test_downloads_are_shown_with_the_time_that_they_spared(client):
    wheel = make_built("1.0")
    today = datetime.now(UTC).date()
    PackageDownload.objects.create(package=wheel.package, day=today, count=288)
    PackageDownload.objects.create(package=wheel.package, day=today - timedelta(days=60), count=288)

    page = text(client.get("/project/demo/"))

    assert "288 in 30 days, 576 in all." in page
    # 576 downloads of what takes 12.5 s to build
    assert "have spared 2 hours of compiling" in page
    assert "at most 288" in page


def test_the_cost_is_that_of_the_targets_not_of_the_rows(client, django_assert_num_queries):
    make_built("1.0")
    with CaptureQueriesContext(connection) as few:
        client.get("/project/demo/")
    cost = len(few)
    for minor in range(1, 40):
        wheel = make_built(f"1.{minor}")
        Dependency.objects.create(wheel=wheel, tool="pip", name="demo", requirement="demo")

    # Of many versions it is read which Pythons they want.
    with django_assert_num_queries(cost + 1):
        client.get("/project/demo/")


def test_what_runs_on_its_own_release_alone_is_got_from_the_index_of_that(client):
    version = make_version("1.0")
    for target, tag in (make_target("bookworm-armhf-cp311"), ""), (make_target(), "-1"):
        build = make_build(version, target, state="succeeded", finished_at=NOON)
        make_wheel(build=build, filename=f"demo-1.0{tag}-cp311-abi3-linux_armv7l.whl")

    bookworm, trixie = sorted(answers(client), key=lambda answer: "Trixie" in answer)

    own = "It is in the index of this release alone."
    assert (own in bookworm, own in trixie) == (False, True)
    page = text(client.get("/project/demo/"))
    pip = "pip install --extra-index-url http://testserver{}/simple/ --trusted-host testserver demo"
    assert pip.format("/trixie") in page
    assert pip.format("") in page
    assert "uv pip install --index http://testserver/trixie/simple/ demo" in page
    assert "In the index /trixie/simple/ alone" in page
    assert f"This version by name: {pip.format('')}==1.0" in page
    assert f"This version by name, on Trixie: {pip.format('/trixie')}==1.0" in page
