import json
from datetime import timedelta

import pytest

from builder.contract import CONTRACT, MAX_FETCHED, BuildReport, Fetched
from builds import provenance
from builds.files import logs
from builds.models import Build, Recipe, Wheel
from builds.tests.pi import PURE, Pi
from builds.tests.rows import NOON, make_build, make_running_build, make_wheel
from builds.tests.wheels import make_wheel as wheel_bytes

pytestmark = pytest.mark.django_db


def report(**fields):
    defaults = {"succeeded": True, "reason": "", "duration_s": 2.0, "wheels": ()}
    return BuildReport(contract=CONTRACT, **{**defaults, **fields})


def statement(build, **fields):
    content = provenance.statement(build, PURE, "a" * 64, report(**fields), NOON + timedelta(minutes=1))
    return json.loads(content)


def test_a_statement_has_the_form_that_an_attestation_signs():
    build, _ = make_running_build()

    found = statement(build, made_with={"python": "3.13.5", "pip": "26.3"}, rung="current", sandbox="full")

    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [{"name": PURE, "digest": {"sha256": "a" * 64}}]
    definition, run = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    source = build.version.files.get()
    assert definition["resolvedDependencies"][0]["uri"] == source.url
    assert definition["resolvedDependencies"][0]["digest"] == {"sha256": source.sha256}
    assert definition["internalParameters"] == {"rung": "current", "sandbox": "full", "environment": {}}
    assert run["builder"] == {
        "id": "urn:piwheels:builder:pi-07",
        "version": {"python": "3.13.5", "pip": "26.3"},
    }
    assert run["metadata"] == {
        "invocationId": f"{build.pk}/1",
        "startedOn": "2026-11-24T12:00:00Z",
        "finishedOn": "2026-11-24T12:01:00Z",
    }


def test_what_a_builder_says_is_cut_cleaned_and_without_secrets():
    build, _ = make_running_build()
    bad = Fetched("x.whl", "http://u/x", "no hash", 1)
    good = Fetched("y" * 900, "http://name:pass@index.test/\x1b[31my", "b" * 64, 5)

    found = statement(
        build,
        fetched=(bad, *[good] * 600),
        made_with={f"tool{number}": "x" * 900 for number in range(300)},
        environment={"CFLAGS": "-O2", "PYPI_TOKEN": "s3cret", "API_KEY": "s3cret", "DB_PASSWORD": "s3cret"},
    )

    text = json.dumps(found)
    fetched = found["predicate"]["buildDefinition"]["resolvedDependencies"][1:]
    assert len(fetched) == MAX_FETCHED
    assert fetched[0]["uri"] == "http://index.test/y"
    assert "s3cret" not in text
    assert "CFLAGS" in text
    assert len(found["predicate"]["runDetails"]["builder"]["version"]) == provenance.MOST_FACTS
    assert "x" * 301 not in text and "y" * 301 not in text


def test_the_apt_packages_of_the_order_are_stated_unless_the_recipe_changed_since():
    build, _ = make_running_build()
    recipe = Recipe.objects.create(package=build.version.package, apt=["libffi-dev"], changed_at=NOON)
    stated = statement(build)["predicate"]["buildDefinition"]["externalParameters"]["apt"]
    recipe.changed_at = NOON + timedelta(seconds=1)
    recipe.save()

    assert stated == ["libffi-dev"]
    assert statement(build)["predicate"]["buildDefinition"]["externalParameters"]["apt"] == []


def test_a_published_wheel_is_served_with_its_statement_for_ever(client):
    from packages.clock import database_now

    build, ticket = make_running_build(now=database_now())
    pi, content = Pi(ticket), wheel_bytes()
    pi.upload(build, PURE, content)
    assert pi.report(build, (PURE, content)).status_code == 200
    wheel = Wheel.objects.get()

    response = client.get(wheel.provenance_url)

    assert "immutable" in response["Cache-Control"]
    assert json.loads(response.content)["subject"] == [{"name": PURE, "digest": {"sha256": wheel.sha256}}]
    assert wheel.provenance_url in client.get(f"/builds/{build.pk}/").content.decode()


@pytest.mark.parametrize("path", ["1/provenance/demo-1.0-py3-none-any.whl.json", "1/provenance/..%2fx.json"])
def test_a_statement_that_is_not_there_is_not_found(client, path):
    make_wheel()

    assert client.get(f"/builds/{path}").status_code == 404


def test_the_page_of_a_failed_build_explains_it(client):
    build = make_build(
        state="failed", finished_at=NOON, failure="missing-header", failure_about="ffi.h", cpu_s=3.25,
        peak_memory_bytes=5 << 20, rung="current", sandbox="box", reason="pip ended with 1.",
    )  # fmt: skip

    page = client.get(f"/builds/{build.pk}/").content.decode()

    for text in ("A header is missing", "sudo apt install libffi-dev", "5.0", "3.2 s", "current", "box"):
        assert text in page


def test_the_page_of_an_unknown_failure_shows_its_last_error_escaped(client):
    build = make_build(state="failed", finished_at=NOON, failure="unknown", failure_about="<b>boom</b>")
    logs.append(build.pk, 0, b"ValueError: <b>boom</b>\n")

    page = client.get(f"/builds/{build.pk}/").content.decode()

    assert "&lt;b&gt;boom" in page
    assert "<b>boom" not in page


def test_the_packages_page_and_json_say_why_it_failed(client):
    Build.objects.all().delete()
    make_build(
        state="failed", finished_at=NOON, failure="rust-missing", failure_about="cargo", rung="current"
    )

    page = client.get("/project/demo/").content.decode()
    told = client.get("/project/demo/json").json()["releases"]["1.0"]["builds"]["trixie-armhf-cp313"]

    assert "failed: Needs Rust" in page
    assert (told["failure"], told["failure_about"], told["rung"]) == ("rust-missing", "cargo", "current")
