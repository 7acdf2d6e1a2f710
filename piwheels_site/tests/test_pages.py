import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from builds.models import (
    Build,
    BuildDay,
    Campaign,
    Counting,
    Demand,
    Dependency,
    Push,
    Recipe,
    Skip,
    StandingFailure,
    StorageCheck,
    Target,
    TargetQueue,
    Wheel,
)
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_source,
    make_target,
    make_version,
    make_wheel,
)
from packages.models import Package

pytestmark = pytest.mark.django_db


def text(response):
    return " ".join(response.content.decode().split())


def make_built(number="1.0", **fields):
    """A version with a wheel, as a finished build leaves it."""
    build, _ = make_running_build(version=make_version(number), **fields)
    wheel = make_wheel(build=build, filename=f"demo-{number}-cp313-cp313-linux_armv7l.whl")
    build.close(Build.State.SUCCEEDED, "", NOON, 12.5)
    return wheel


def test_home_shows_the_line_for_pip_of_the_host_that_was_asked(client, settings):
    settings.ALLOWED_HOSTS = ["pi.example"]

    page = text(client.get("/", headers={"Host": "pi.example:8000"}))

    assert "pip install --extra-index-url http://pi.example:8000/simple/" in page
    assert "trusted-host = pi.example" in page


def test_home_counts(client):
    from django.core.cache import cache

    cache.clear()
    make_built()

    page = text(client.get("/"))

    assert "<b>1</b> packages with wheels" in page
    assert "<b>1</b> builds finished" in page
    assert "<b>0</b> downloads in 30 days" in page


def test_home_of_an_empty_farm_says_what_to_do(client):
    Target.objects.update(is_active=False)

    assert "activates a target" in text(client.get("/"))


def test_a_package_page_answers_first(client):
    wheel = make_built()
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5", requirement="libpq5 (>= 10)")
    Dependency.objects.create(wheel=wheel, tool="pip", name="requests", requirement="requests>=2")

    page = text(client.get("/project/demo/"))

    assert "sudo apt install libpq5 pip install --extra-index-url http://testserver/simple/ demo" in page
    assert "✔ built" in page
    assert 'href="/project/requests/"' in page


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


@pytest.mark.parametrize(
    ("policy", "says"),
    [("gaps", "✔ served by upstream&#x27;s wheel"), ("everything", "– not among the newest")],
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

    assert "Version 1.0 installs" in text(client.get("/project/demo/"))


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
    assert "<img" not in page


def test_many_versions_come_in_pages_at_a_constant_cost(client, django_assert_max_num_queries):
    for minor in range(60):
        make_version(f"1.{minor}")
    make_target()

    with django_assert_max_num_queries(12):
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
    assert "library of no package: libfoo.so.1" in build


def test_a_held_wheel_is_no_file_yet_and_its_target_says_so(client):
    wheel = make_built()
    Wheel.objects.update(held_reason="demo.pth runs at each start.")

    page = text(client.get("/project/demo/"))

    assert "built, waits for an operator" in page
    assert wheel.filename not in page


def test_the_json_has_the_shape_of_piwheels_org(client):
    released = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    build, _ = make_running_build(version=make_version("1.0", released_at=released))
    build.close(Build.State.SUCCEEDED, "", NOON, 12.5)
    wheel = make_wheel(
        build=build, filename="demo-1.0-cp313-cp313-linux_armv6l.linux_armv7l.whl", requires_python=">=3.9"
    )
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5")
    Dependency.objects.create(wheel=wheel, tool="pip", name="requests")
    Package.objects.update(summary="A demo")

    response = client.get("/project/demo/json")

    body = json.loads(response.content)
    assert response["Access-Control-Allow-Origin"] == "*"
    assert body.pop("pypi_url").endswith("/project/demo")
    assert body == {
        "package": "demo",
        "summary": "A demo",
        "piwheels_url": "http://testserver/project/demo",
        "releases": {
            "1.0": {
                "released": "2020-02-03 04:05:06",
                "prerelease": False,
                "yanked": False,
                "skip_reason": "",
                "files": {
                    wheel.filename: {
                        "file_url": f"/simple/demo/{wheel.filename}",
                        "filehash": wheel.sha256,
                        "filesize": wheel.size,
                        "builder_abi": "cp313",
                        "file_abi_tag": "cp313",
                        "platform": "linux_armv6l.linux_armv7l",
                        "requires_python": ">=3.9",
                        "glibc": None,
                        "reproducible": None,
                        "trial": "unknown",
                        "apt_dependencies": ["libpq5"],
                        "unresolved_libraries": [],
                        "pip_dependencies": ["requests"],
                    }
                },
                "builds": {
                    "trixie-armhf-cp313": {
                        "build_id": build.pk,
                        "state": "succeeded",
                        "reason": "",
                        "why": "",
                        "failure": "",
                        "failure_about": "",
                        "rung": "",
                        "duration": 12.5,
                    }
                },
                "served_upstream": {},
            }
        },
    }


def test_the_json_lists_equal_versions_apart_and_the_newest_first(client):
    for number in ["1.0", "1.0.0", "2004d", "1.1"]:
        make_version(number)

    releases = json.loads(client.get("/project/demo/json").content)["releases"]

    assert list(releases) == ["1.1", "1.0.0", "1.0", "2004d"]


def test_a_running_build_page_looks_again_and_a_finished_one_does_not(client):
    build, _ = make_running_build()
    assert 'http-equiv="refresh"' in text(client.get(f"/builds/{build.pk}/"))

    build.close(Build.State.FAILED, "no compiler", NOON)

    page = text(client.get(f"/builds/{build.pk}/"))
    assert 'http-equiv="refresh"' not in page
    assert "no compiler" in page


def test_pages_set_no_cookie(client):
    make_built()

    for path in ["/", "/project/demo/", "/project/demo/json", "/healthz"]:
        response = client.get(path)
        assert not response.cookies
        assert "Cookie" not in response.headers.get("Vary", "")


@pytest.mark.embedded
def test_health_is_good_when_everything_answers(client, broker):
    response = client.get("/healthz")

    assert response.status_code == 200
    answer = json.loads(response.content)
    assert (answer["sync"]["journal"], answer["sync"]["warning"]) == ("not asked yet", "")
    assert answer["storage"]["faults"] is None  # no night was yet
    del answer["sync"], answer["storage"]
    assert answer == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "orders": "ok",
    }


def test_health_says_which_broker_does_not_answer(client, settings):
    from piwheels_site.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = "redis+socket:///nowhere/redis.sock"
    try:
        response = client.get("/healthz")
    finally:
        app.conf.broker_url = before

    assert response.status_code == 503
    assert json.loads(response.content)["broker"].startswith("failing")
    assert json.loads(response.content)["database"] == "ok"
    assert "nowhere" not in response.content.decode()


def test_health_says_that_the_database_does_not_answer(client):
    from django.db import connection

    class Dead:
        def __call__(self, *args):
            raise connection.Database.OperationalError("gone")

    with connection.execute_wrapper(Dead()):
        response = client.get("/healthz")

    assert response.status_code == 503
    assert json.loads(response.content)["database"].startswith("failing")
    assert json.loads(response.content)["sync"] is None


RECORDED = [
    *("builds_build", "builds_wheel", "builds_dependency", "builds_refusal", "builds_storagecheck"),
    *("builds_counting", "builds_targetqueue", "builds_buildday", "builds_standingfailure"),
    *("simple_client", "simple_download", "simple_log", "simple_shown", "simple_publishedtree"),
]
# Rows with a key of two columns, which the admin cannot show, and secrets.
NOT_SHOWN = {"RawDownload", "DailySalt"}


@pytest.fixture
def every_row():
    """One row of each of our models."""
    from packages.models import Alias, Dirty, SyncCursor
    from simple.models import (
        Client,
        Download,
        DownloadDay,
        Log,
        Miss,
        MonthlyDownload,
        PackageDownload,
        PublishedTree,
        Shown,
    )

    wheel = make_built()
    package = wheel.package
    pip = Client.objects.create(installer="pip", python="3.13")
    return [
        pip,
        wheel,
        wheel.build,
        wheel.build.builder,
        wheel.build.target,
        package,
        wheel.version,
        wheel.version.files.get(),
        Alias.objects.create(package=package, name="Demo"),
        Dirty.objects.create(name="demo"),
        SyncCursor.objects.create(),
        Download.objects.create(wheel=wheel, day=NOON.date(), client=pip, count=3),
        MonthlyDownload.objects.create(wheel=wheel, month=NOON.date(), client=pip, count=3),
        PackageDownload.objects.create(package=package, day=NOON.date(), count=3),
        DownloadDay.objects.create(day=NOON.date(), count=3),
        Log.objects.create(path="/var/log/nginx/access.log"),
        Miss.objects.create(package=package, day=NOON.date(), count=3),
        Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5"),
        wheel.build.refusals.create(filename="x.whl", reason="no"),
        Recipe.objects.create(package=package, apt=["libffi-dev"]),
        Demand.objects.create(package=package, downloads=3),
        Push.objects.create(package=package),
        Skip.objects.create(package=package, target=wheel.build.target, reason="no"),
        Campaign.objects.create(name="spring", target=wheel.build.target, kind="wanted", count=10),
        Counting.objects.create(thing="queue"),
        TargetQueue.objects.create(target=wheel.build.target),
        BuildDay.objects.create(day=NOON.date(), target=wheel.build.target, state="lost"),
        StandingFailure.objects.create(failure="timeout"),
        StorageCheck.objects.create(prefix="ab"),
        Shown.objects.create(package=package, indexes="simple"),
        PublishedTree.current(),
    ]


def test_the_admin_shows_every_model(admin_client, every_row):
    from django.apps import apps

    ours = {m for app in ("packages", "builds", "simple") for m in apps.get_app_config(app).get_models()}
    assert {type(row) for row in every_row} == {model for model in ours if model.__name__ not in NOT_SHOWN}

    for row in every_row:
        name = f"{row._meta.app_label}_{row._meta.model_name}"
        assert admin_client.get(reverse(f"admin:{name}_changelist")).status_code == 200
        assert admin_client.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 200


def test_what_is_only_recorded_cannot_be_edited_added_or_deleted(admin_client, every_row):
    for row in every_row:
        name = f"{row._meta.app_label}_{row._meta.model_name}"
        if name in RECORDED:
            assert admin_client.post(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 403
            assert admin_client.get(reverse(f"admin:{name}_add")).status_code == 403
            assert admin_client.post(reverse(f"admin:{name}_delete", args=[row.pk])).status_code == 403


def act(admin_client, model, action, *rows):
    response = admin_client.post(
        reverse(f"admin:builds_{model}_changelist"),
        {"action": action, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )
    return [str(message) for message in response.context["messages"]]


def test_an_operator_cancels_and_requeues(admin_client):
    build = make_build()

    assert act(admin_client, "build", "cancel", build) == ["1 builds cancelled."]
    assert act(admin_client, "build", "requeue", build) == ["demo: 1 build is queued."]

    assert sorted(Build.objects.values_list("attempt", "state")) == [(1, "cancelled"), (2, "queued")]


def test_an_operator_sees_a_new_token_once(admin_client):
    builder = make_builder()

    (said,) = act(admin_client, "builder", "rekey", builder)

    token = said.split("token")[1].split()[0]
    assert type(builder).objects.by_token(token) == builder


def test_an_operator_activates_a_target(admin_client):
    target = make_target(is_active=False)

    act(admin_client, "target", "activate", target)

    target.refresh_from_db()
    assert target.is_active


def test_an_operator_releases_what_was_held(admin_client):
    wheel = make_wheel(held_reason="demo.pth runs at each start.")

    page = admin_client.post(
        reverse("admin:builds_wheel_changelist"),
        {"action": "release", "_selected_action": [wheel.pk]},
        follow=True,
    )

    assert "1 wheels are shown from now on." in text(page)
    assert list(Wheel.objects.listed()) == [wheel]


def test_an_operator_yanks_and_withdraws(admin_client):
    wheel = make_built()

    act(admin_client, "wheel", "yank", wheel)
    wheel.refresh_from_db()
    assert wheel.yanked_reason == "Yanked by admin."

    act(admin_client, "wheel", "withdraw", wheel)
    wheel.refresh_from_db()
    assert wheel.withdrawn_at - datetime.now(UTC) < timedelta(minutes=1)
