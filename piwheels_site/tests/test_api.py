import hashlib
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext

from builds.files import logs
from builds.models import BuildDay, Dependency, Target, TargetQueue
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
from builds.wheels.yanks import SUPERSEDED
from packages import keyset
from packages.clock import database_now
from packages.models import Package
from simple.models import DownloadDay, PackageDownload
from simple.requirements import MOST_BYTES

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

API = "/api/v1"


@pytest.fixture(autouse=True)
def _nothing_remembered():
    for name in ("default", "limits"):
        caches[name].clear()


def ask(client, path, **said):
    """Return what an address gives."""
    response = client.get(f"{API}{path}", said)
    assert response.status_code == 200, response.content
    return response.json()


def walk(client, path, key):
    """Yield after each page what a list has had so far."""
    found = []
    while path:
        page = client.get(path).json()
        found += page[key]
        path = page["next"]
        yield found


def built(name="demo", number="1.0", target=None, apt=(), **fields):
    builder = make_builder(f"pi-{name}-{number.replace('.', '-')}", target=target)
    build, _ = make_running_build(builder, version=make_version(number, name))
    wheel = make_wheel(build, filename=f"{name}-{number}-cp313-cp313-linux_armv6l.linux_armv7l.whl", **fields)
    build.close("succeeded", "", NOON, 90)
    for package in apt:
        Dependency.objects.create(wheel=wheel, tool="apt", name=package, requirement=package)
    return wheel


def test_packages_are_listed_by_name(client):
    for name in ("numpy", "lxml", "numexpr", "num-2"):
        make_version(package=name)

    assert [each["name"] for each in ask(client, "/packages")["packages"]] == [
        *("lxml", "num-2", "numexpr", "numpy"),
    ]
    assert [each["name"] for each in ask(client, "/packages", search="NUM.")["packages"]] == [
        *("num-2", "numexpr", "numpy"),
    ]
    assert ask(client, "/packages", search="!")["packages"] == []


def test_each_package_is_given_once_while_others_are_added(client):
    names = [f"p{number:02}" for number in range(20)]
    for name in names:
        make_version(package=name)

    found: list[dict] = []
    for number, found in enumerate(walk(client, f"{API}/packages?limit=3", "packages")):  # noqa: B007
        make_version(package=f"p{number * 2:02}-new")
        make_version(package=f"a{number}")

    given = [each["name"] for each in found]
    assert [name for name in given if name in names] == names
    assert len(set(given)) == len(given)


def test_a_package_is_found_in_whatever_spelling(client):
    version = make_version(package="demo-name")
    today = database_now().date()
    for ago, count in ((0, 3), (100, 4)):
        day = today - timedelta(days=ago)
        PackageDownload.objects.create(package=version.package, day=day, count=count)

    found = ask(client, "/packages/Demo.Name")

    assert found["name"] == "demo-name"
    assert (found["downloads"], found["downloads_30_days"]) == (7, 3)
    for link in ("versions", "wheels", "builds"):
        assert client.get(found[link]).status_code == 200


def test_a_version_comes_with_its_wheels_and_builds(client):
    wheel = built(number="2.0")
    make_build(make_version("1.0"), wheel.build.target, state="failed", finished_at=NOON)

    [old, new] = ask(client, "/packages/demo/versions")["versions"]

    assert (old["version"], old["wheels"]) == ("1.0", [])
    assert old["builds"]["trixie-armhf-cp313"]["state"] == "failed"
    assert new["wheels"] == [wheel.filename]
    assert new["builds"]["trixie-armhf-cp313"] == {"build": wheel.build_id, "state": "succeeded"}


def test_builds_are_found_by_what_they_are(client):
    target, other = make_target(), make_target("bookworm-armhf-cp311")
    version = make_version()
    failed = make_build(version, target, state="failed", failure="missing-header", finished_at=NOON)
    waiting = make_build(version, other)
    strange = make_build(make_version(package="other"), target, state="lost", finished_at=NOON)

    def found(**said):
        return [each["id"] for each in ask(client, "/builds", **said)["builds"]]

    assert found() == [strange.pk, waiting.pk, failed.pk]
    assert found(package="DEMO") == [waiting.pk, failed.pk]
    assert found(target=target.key) == [strange.pk, failed.pk]
    assert found(state="queued") == [waiting.pk]
    assert found(failure="missing-header", package="demo") == [failed.pk]
    assert found(package="other", state="failed") == []


@pytest.mark.parametrize("query", ["limit=3", "limit=3&package=demo", "limit=3&state=queued"])
def test_each_build_is_given_once_while_others_are_added(client, query, monkeypatch):
    monkeypatch.setattr(keyset, "SPAN", 4)
    make_target()
    keys = {make_build(make_version(f"{number}.0")).pk for number in range(10)}

    found: list[dict] = []
    for number, found in enumerate(walk(client, f"{API}/builds?{query}", "builds")):  # noqa: B007
        make_build(make_version(f"{number}.1"))

    given = [each["id"] for each in found]
    assert sorted(given, reverse=True) == given
    assert keys <= set(given)
    assert len(set(given)) == len(given)


def test_what_is_rare_is_looked_for_a_part_at_a_time(client, monkeypatch):
    monkeypatch.setattr(keyset, "SPAN", 4)
    rare = make_build(make_version("0.1"), state="lost", finished_at=NOON)
    for number in range(10):
        make_build(make_version(f"{number}.0"))

    pages = list(walk(client, f"{API}/builds?state=lost", "builds"))

    assert len(pages) > 2
    assert [each["id"] for each in pages[-1]] == [rare.pk]


def test_a_build_says_why_it_failed_and_what_may_help(client):
    build = make_build(
        state="failed",
        failure="missing-header",
        failure_about="zlib.h",
        finished_at=NOON,
        reason="It failed.",
    )

    found = ask(client, f"/builds/{build.pk}")

    assert "zlib.h" in found["said"]
    assert found["apt"] == "zlib1g-dev"
    assert found["waits"] is None


def test_a_waiting_build_says_where_it_stands(client):
    make_build(make_version("1.0"), priority=5)
    second = make_build(make_version("2.0"))

    assert ask(client, f"/builds/{second.pk}")["waits"] == {
        "ahead": 1,
        "more_ahead": False,
        "starts_in_s": None,
    }


def test_a_log_is_read_as_it_grows(client):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"one\n\x1b[31mtwo\nthr")

    response = client.get(f"{API}/builds/{build.pk}/log")
    assert response.content == b"one\ntwo\n"
    assert response["X-Build-State"] == "building"
    offset = int(response["X-Log-Offset"])
    logs.append(build.pk, offset, b"three\n")
    response = client.get(f"{API}/builds/{build.pk}/log", {"offset": offset})

    assert response.content == b"three\n"
    assert response["Content-Type"] == "text/plain; charset=utf-8"


def test_a_wheel_tells_what_it_needs(client):
    target = make_target(preinstalled=["libc6"])
    wheel = built(apt=["libc6", "libpq5"], target=target)
    Dependency.objects.create(wheel=wheel, tool="pip", name="six", requirement="six>=1")

    [listed] = ask(client, "/wheels", package="demo", version="1.0", target=target.key)["wheels"]

    assert listed == ask(client, f"/wheels/{wheel.filename}")
    assert (listed["apt"], listed["pip"]) == (["libpq5"], ["six>=1"])
    assert listed["sha256"] == hashlib.sha256(wheel.filename.encode()).hexdigest()
    assert listed["tags"] == ["cp313-cp313-linux_armv6l", "cp313-cp313-linux_armv7l"]
    assert listed["provenance"] == f"/builds/{wheel.build_id}/provenance/{wheel.filename}.json"
    assert client.get(listed["build"]).status_code == 200


def test_a_wheel_whose_very_source_upstream_yanked_is_yanked(client):
    wheel = built()
    wheel.version.files.update(yanked=True, yanked_reason="it deletes files")

    told = ask(client, f"/wheels/{wheel.filename}")

    assert (told["yanked"], told["yanked_reason"]) == (True, "it deletes files")


def test_a_wheel_that_upstreams_own_replaces_is_yanked(client):
    build, _ = make_running_build()
    wheel = make_wheel(build)
    make_source(build.version, "-py3-none-any.whl", kind="wheel")

    told = ask(client, f"/wheels/{wheel.filename}")

    assert (told["yanked"], told["yanked_reason"]) == (True, SUPERSEDED)


def test_an_operators_reason_goes_before_upstreams(client):
    wheel = built()
    wheel.version.files.update(yanked=True, yanked_reason="it deletes files")
    wheel.yank("Ours crashes.")

    assert ask(client, "/wheels")["wheels"][0]["yanked_reason"] == "Ours crashes."


def test_what_pip_may_not_have_is_no_wheel_here(client):
    held, withdrawn = built("held", held_reason="odd"), built("gone", withdrawn_at=NOON)
    hidden = built("hidden")
    Package.objects.filter(name="hidden").update(status="quarantined")

    assert ask(client, "/wheels")["wheels"] == []
    for wheel in (held, withdrawn, hidden):
        assert client.get(f"{API}/wheels/{wheel.filename}").status_code == 404


def test_the_farm_shows_builders_and_nothing_secret(client):
    build, _ = make_running_build(make_builder(heard_at=database_now(), facts={"hostname": "secret"}))
    make_builder("pi-08", heard_at=database_now(), mode="paused", mode_reason="Ann says so")

    response = client.get(f"{API}/farm")

    first, second = response.json()["builders"]
    assert (first["name"], first["state"], first["target"]) == ("pi-07", "building", "trixie-armhf-cp313")
    assert first["building"]["build"] == f"{API}/builds/{build.pk}"
    assert (second["state"], second["building"]) == ("paused", None)
    assert b"secret" not in response.content
    assert b"Ann" not in response.content


def test_the_queue_says_how_long_it_is_and_what_is_next(client):
    build = make_build()
    TargetQueue.objects.create(target=build.target, ready=1, per_hour=10, levels={"1": 1})
    make_builder(heard_at=database_now())

    queue = next(each for each in ask(client, "/queue")["queues"] if each["target"] == "trixie-armhf-cp313")

    assert (queue["ready"], queue["builders"], queue["empty_in_s"]) == (1, 1, 360)
    assert queue["next"][0]["package"] == "demo"
    [standing] = ask(client, "/queue/demo")["builds"]
    assert (standing["build"], standing["ahead"]) == (f"{API}/builds/{build.pk}", 0)


def test_targets_are_listed(client):
    target = make_target(preinstalled=["libc6"])

    found = {each["key"]: each for each in ask(client, "/targets")["targets"]}

    assert found[target.key]["preinstalled"] == ["libc6"]
    assert found[target.key]["index"] == "/trixie/simple/"


def test_statistics_have_downloads_and_builds_by_day(client):
    today = database_now().date()
    DownloadDay.objects.create(day=today, count=5)
    DownloadDay.objects.create(day=today - timedelta(days=40), count=6)
    BuildDay.objects.create(day=today, target=make_target(), state="succeeded", count=2)
    BuildDay.objects.create(day=today, target=make_target(), state="failed", failure="unknown", count=3)

    found = ask(client, "/statistics", days=2)

    assert (found["downloads"], found["downloads_30_days"]) == (11, 5)
    yesterday = today - timedelta(days=1)
    assert found["builds"] == [
        {"day": str(today), "succeeded": 2, "failed": 3, "lost": 0},
        {"day": str(yesterday), "succeeded": 0, "failed": 0, "lost": 0},
    ]


def test_failures_have_counts_and_advice(client):
    today = database_now().date()
    BuildDay.objects.create(
        day=today, target=make_target(), state="failed", failure="missing-header", count=3
    )

    [found] = ask(client, "/failures")["failures"]

    assert (found["key"], found["last_30_days"], found["in_all"]) == ("missing-header", 3, 3)
    assert client.get(found["builds"]).status_code == 200


def check(client, body):
    return client.post(f"{API}/check", body, "application/json")


def test_a_file_is_checked(client):
    target = make_target()
    wheel = built("one", apt=["libpq5"])

    report = check(client, {"text": "one\nstranger", "target": target.key, "model": "4"}).json()

    assert (report["good"], report["apt"], report["saved_s"]) == (1, ["libpq5"], 90)
    assert [each["verdict"] for each in report["packages"]] == ["wheel", "unknown"]
    assert report["packages"][0]["filename"] == wheel.filename


def test_an_explanation_names_the_file_and_what_is_against_the_others(client):
    new, old = built("demo", "2.0"), built("demo", "1.0")

    found = ask(client, "/explain/Demo", target="trixie", version=">=1")

    assert found["taken"] == {"filename": new.filename, "index": "simple", "against": ""}
    assert (found["is_ours"], found["runs"]) == (True, True)
    others = {each["filename"]: each["against"] for each in found["others"]}
    assert others.keys() == {old.filename, "demo-1.0.tar.gz", "demo-2.0.tar.gz"}
    assert all(others.values())


REFUSED = [
    ("/nothing", 404),
    ("/packages/", 404),
    ("/packages/nobody", 404),
    ("/packages/%00", 404),
    ("/packages/" + "x" * 300, 422),
    ("/packages?limit=0", 422),
    ("/packages?limit=201", 422),
    ("/builds?after=9223372036854775808", 422),
    ("/builds?after=x", 422),
    ("/breakages?after=x", 422),
    ("/breakages?after=2026-02-30.1", 422),
    ("/builds?state=odd", 422),
    ("/builds?failure=%00", 422),
    ("/builds?target=nowhere", 404),
    ("/builds?package=nobody", 404),
    ("/builds/0", 422),
    ("/builds/999999999999", 404),
    ("/builds/999999999999/log", 404),
    ("/builds/1/log?offset=-1", 422),
    ("/wheels/%00.whl", 404),
    ("/wheels?package=%00", 404),
    ("/queue/nobody", 404),
    ("/explain/nobody", 404),
    ("/explain/demo?version=odd", 422),
    ("/explain/demo?model=odd", 422),
    ("/explain/demo?model=zero&target=bookworm-arm64-cp311", 422),
    ("/explain/demo?target=nowhere", 404),
    ("/explain/demo?setup=odd", 422),
    ("/packages?" + "&".join(["a=1"] * 1500), 422),
]


@pytest.mark.parametrize(("path", "status"), REFUSED)
def test_a_refusal_says_what_to_do(client, path, status):
    make_version()
    make_target("bookworm-arm64-cp311")
    response = client.get(f"{API}{path}")

    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert set(response.json()) == {"error", "what_to_do"}


def test_a_farm_without_a_target_has_no_system_to_ask_about(client):
    make_version()
    Target.objects.all().delete()

    answers = [client.get(f"{API}/explain/demo"), check(client, {"text": "numpy"})]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert all("no target yet" in answer.json()["error"] for answer in answers)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 422),
        ("[" * 100_000, 422),
        ("", 422),
        ("{}", 422),
        ('{"text": "\\ud800"}', 422),
        ('{"text": 1}', 422),
        ('{"text": "numpy", "odd": 1}', 422),
        ('{"text": "numpy", "target": "nowhere"}', 404),
        ('{"text": "numpy", "model": "nothing"}', 422),
        ('{"text": "numpy", "setup": "nothing"}', 422),
        ('{"text": "[[package]]\\nname = 1 2"}', 422),
        ('{"text": "' + "x" * MOST_BYTES + '"}', 413),
    ],
)
def test_a_body_that_is_none_is_refused(client, body, status):
    make_target()
    response = check(client, body)

    assert response.status_code == status, response.content
    assert set(response.json()) == {"error", "what_to_do"}


def test_a_method_that_is_not_taken_is_refused(client):
    response = client.delete(f"{API}/packages")
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert response.json()["what_to_do"] == "It takes GET, HEAD, OPTIONS."
    assert client.get(f"{API}/check")["Allow"] == "POST, OPTIONS"


def test_scripts_of_other_sites_may_ask(client):
    asked = client.options(f"{API}/check", headers={"Origin": "https://other.test"})

    assert asked.status_code == 204
    assert asked["Access-Control-Allow-Origin"] == "*"
    assert "POST" in asked["Access-Control-Allow-Methods"]
    assert "Content-Type" in asked["Access-Control-Allow-Headers"]
    for path in ("/packages", "/openapi.json"):
        assert client.get(f"{API}{path}")["Access-Control-Allow-Origin"] == "*"


def test_what_has_not_changed_is_not_sent_again(client):
    make_version(package="one")
    first = client.get(f"{API}/packages")

    def again(etag):
        return client.get(f"{API}/packages", headers={"If-None-Match": etag})

    assert again(first["ETag"]).status_code == 304
    assert again(f'"x", W/{first["ETag"]}').status_code == 304
    assert again('"x"').status_code == 200
    make_version(package="two")
    assert again(first["ETag"]).status_code == 200


def test_head_is_get_without_a_body(client):
    asked, looked = client.get(f"{API}/packages"), client.head(f"{API}/packages")

    assert (looked.status_code, looked.content) == (200, b"")
    assert looked["ETag"] == asked["ETag"]


def test_nobody_gets_a_cookie(client):
    make_version()

    for path in ("/packages", "/farm", "/openapi.json", "/nothing"):
        response = client.get(f"{API}{path}", headers={"Cookie": f"sessionid={'x' * 32}"})
        assert not response.cookies
        assert "Cookie" not in response.get("Vary", "")


def test_who_asks_too_much_has_to_wait(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 5

    statuses = [client.get(f"{API}/targets").status_code for _ in range(6)]
    refused = client.get(f"{API}/targets")

    assert statuses == [200] * 5 + [429]
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert refused["Access-Control-Allow-Origin"] == "*"
    assert set(refused.json()) == {"error", "what_to_do"}
    assert client.get(f"{API}/targets", REMOTE_ADDR="10.1.2.3").status_code == 200


def test_a_check_costs_as_much_as_ten_requests(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 15
    make_target()

    assert check(client, {"text": "x"}).status_code == 200
    assert check(client, {"text": "x"}).status_code == 429


def test_an_explanation_costs_as_much_as_five_and_is_counted_once(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 10
    make_target()
    make_version()

    assert [client.get(f"{API}/explain/demo").status_code for _ in range(3)] == [200, 200, 429]


def test_the_address_that_a_client_makes_up_counts_for_nothing(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 1

    def asked(number):
        return client.get(f"{API}/targets", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code

    assert [asked(1), asked(2)] == [200, 429]
    settings.PIWHEELS_BEHIND_PROXY = True
    assert [asked(3), asked(4), asked(4)] == [200, 200, 429]


QUERIES = {
    "/packages": 2,
    "/packages/demo": 2,
    "/packages/demo/versions": 5,
    "/wheels": 5,
    "/wheels?package=demo": 5,
    "/wheels?package=demo&version=1.0&target=trixie-armhf-cp313": 6,
    "/builds": 3,
    "/builds?package=demo&state=queued": 3,
    "/builds?target=trixie-armhf-cp313": 4,
    "/targets": 1,
    "/farm": 6,
    "/queue": 6,
    "/queue/demo": 7,
    "/statistics": 3,
    "/failures": 5,
    "/breakages": 2,
    "/explain/demo": 5,
}


@pytest.mark.parametrize("path", QUERIES)
def test_the_queries_are_as_many_however_much_there_is(client, path):
    def queries():
        caches["default"].clear()
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"{API}{path}").status_code == 200
        return len(captured)

    make_some(1)
    few = queries()
    make_some(12)

    assert (few, queries()) == (QUERIES[path], QUERIES[path])


def make_some(first):
    for number in range(first, first + first):
        built("demo", f"{number}.0", apt=["libpq5", f"lib{number}"])
        make_build(make_version(f"{number}.1"))
        make_version(package=f"other-{number}")


def test_the_description_names_every_address(client):
    described = client.get(f"{API}/openapi.json").json()

    assert described["openapi"].startswith("3.1")
    assert len(described["paths"]) == 22
    for path, methods in described["paths"].items():
        assert urlsplit(path).path.startswith(f"{API}/")
        for operation in methods.values():
            assert operation["description"], path
            assert {"200", "405", "429"} <= operation["responses"].keys()


def test_an_address_that_there_is_not_is_no_fault_however_it_is_asked(client):
    assert client.get("/api/odd?" + "&".join(["a=1"] * 1500)).status_code == 404


def test_the_farm_says_how_each_builders_machine_is(client):
    facts = {"model": "Raspberry Pi 4", "load": 1.5, "temperature_c": 51.0, "up_s": 60.0, "python": "3.13"}
    make_builder(heard_at=database_now(), facts={**facts, "disk_bytes": 100, "disk_free_bytes": 25})

    [found] = ask(client, "/farm")["builders"]

    machine = {name: found["machine"][name] for name in (*facts, "disk_used", "swap_used")}
    assert machine == {**facts, "disk_used": 0.75, "swap_used": None}
    assert (found["mode"], found["reason"], found["since"]) == ("active", "", None)
