"""The page of the farm, and what it tells of builders."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from builder.contract import BuilderFacts
from builds.models import Build, Builder
from builds.tests.rows import make_build, make_builder, make_running_build, make_target, make_version

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

FACTS = {
    **{"contract": 2, "python": "3.13", "platform": "linux-armv7l", "os_release": "trixie"},
    **{"model": "Raspberry Pi 4 Model B Rev 1.4", "memory_bytes": 4 << 30, "memory_free_bytes": 3 << 30},
    **{"swap_bytes": 0, "swap_free_bytes": 0, "disk_bytes": 100 << 30, "disk_free_bytes": 5 << 30},
    **{"load": 3.25, "temperature_c": 61.2, "clock": 0.0, "sandbox": "box", "sandbox_lacks": []},
    **{"problems": [], "build": 0, "versions": {"piwheels": "1.2.3", "kernel": "6.12"}, "up_s": 3600.5},
}


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()


@pytest.fixture
def now():
    return timezone.now()


def page(client, path="/farm/"):
    return " ".join(client.get(path).content.decode().split())


def make_ended(builder, state, ended_at, number):
    build = make_build(make_version(number, package="demo"), builder.target)
    Build.objects.filter(pk=build.pk).update(state=state, builder=builder, finished_at=ended_at)
    return build


def test_a_farm_without_builders_says_what_to_do(client):
    assert "create_builder" in page(client)


def test_a_builder_shows_how_its_machine_is(client, now):
    make_builder(heard_at=now, facts=FACTS)

    found = page(client)

    assert "1 of 1 builder is at work" in found
    assert "✔</span> waiting for a build" in found
    for figure in ("3.2<svg", "61 °C", "25 %<svg", '<dd class="bad">95 %, much<svg'):
        assert figure in found
    assert "Swap" not in found
    assert "Raspberry Pi 4 Model B Rev 1.4, software 1.2.3" in found


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "paused"}, "paused"),
        ({"mode": "draining"}, "drained"),
        ({"mode": "stopped"}, "stopped"),
        ({"mode": "quarantined", "mode_reason": "Its last 5 builds failed."}, "Its last 5 builds failed."),
        ({"problem": "It is too hot: 86 °C."}, "not fit to build</b> <br><span"),
        ({"problem": "It is too hot: 86 °C."}, "It is too hot: 86 °C."),
        ({"heard_at": None}, "never heard of"),
        ({"is_enabled": False}, "1 switched off"),
    ],
)
def test_why_a_builder_builds_nothing_is_said(client, now, fields, said):
    make_builder(**{"heard_at": now, **fields})

    found = page(client)

    assert said in found
    assert "at work, " not in found


def test_a_builder_that_fell_silent_says_since_when_and_needs_a_look(client, now):
    make_builder(heard_at=now - timedelta(minutes=12))

    found = page(client)

    assert "silent</b> since <time" in found
    assert "12 minutes ago" in found
    assert "1 needs a look" in found


def test_an_operators_note_is_not_for_everybody(client, now):
    make_builder(heard_at=now, mode="paused", mode_reason="Paused by root-account.")

    assert "root-account" not in page(client)


@pytest.mark.parametrize(
    ("state", "mode", "said"),
    [
        ("building", "active", "building"),
        ("uploading", "active", "bringing a wheel"),
        ("dispatched", "active", "told of a build"),
        ("building", "draining", "draining after this build"),
    ],
)
def test_what_a_builder_builds_is_linked(client, now, state, mode, said):
    build, _ = make_running_build(make_builder(heard_at=now), now, version=make_version("2.0", "numpy"))
    Build.objects.update(state=state, claimed_at=now - timedelta(minutes=3), expected_s=600)
    Builder.objects.update(mode=mode)

    found = page(client)

    assert f"{said}</b>" in found
    assert f'href="/builds/{build.pk}/">numpy 2.0</a>' in found
    assert "3 minutes ago" in found
    assert "takes about 10 minutes" in found


def test_the_last_ten_builds_are_signs_with_words(client, now):
    builder = make_builder(heard_at=now)
    for number in range(12):
        state = "failed" if number % 4 == 3 else "succeeded"
        make_ended(builder, state, now - timedelta(minutes=10 * (12 - number) - 5), f"1.{number}")

    found = page(client)

    assert "7 of the last 10 built · 6 in the last hour" in found
    assert found.count('class="state succeeded"') == 7
    assert '<span class="unseen">demo 1.11: failed</span>' in found
    assert "demo 1.1:" not in found
    assert "In the last hour 6 builds ended, 4 of them with a wheel." in found


@pytest.mark.parametrize(
    "facts",
    [
        {"load": -1.0, "temperature_c": 1e9, "memory_bytes": 1, "memory_free_bytes": 2, "disk_bytes": 0},
        {"load": True, "temperature_c": "hot", "memory_bytes": None, "disk_bytes": [], "versions": "1"},
        {"model": ["<b>"], "versions": {"piwheels": 3}},
        {},
        [],
        "nothing",
    ],
)
def test_what_cannot_be_is_not_shown(client, now, facts):
    make_builder(heard_at=now, facts=facts)

    found = page(client)

    assert "<dl" not in found
    assert "Raspberry Pi 4" not in found


def test_what_a_builder_says_cannot_become_markup_or_a_long_page(client, now):
    shout = "\x1b[31m<script>alert(1)</script>" + "A" * 5000
    facts = {**FACTS, "model": shout, "versions": {"piwheels": shout}}
    make_builder(heard_at=now, facts=facts, problem=shout, target=make_target())

    found = page(client)

    assert "<script>alert" not in found
    assert "\x1b" not in found
    assert "A" * 301 not in found


def test_the_live_part_is_the_page_without_its_frame(client, now):
    make_builder(heard_at=now)

    response = client.get("/farm/now")

    assert b"pi-07" in response.content
    assert b"<html" not in response.content
    assert response["Cache-Control"] == "no-cache"


def test_the_page_can_be_had_to_stand_still(client):
    moving, still = page(client), page(client, "/farm/?still")

    assert 'hx-get="/farm/now"' in moving
    assert '<noscript><meta http-equiv="refresh"' in moving
    for word in ("hx-get", "<script", "http-equiv"):
        assert word not in still


def test_however_many_builders_there_are_the_queries_are_the_same(client, now, django_assert_num_queries):
    client.get("/farm/")
    for name in ("pi-1", "pi-2", "pi-3"):
        builder = make_builder(name, make_target(), heard_at=now, facts=FACTS)
        make_ended(builder, "succeeded", now, name[-1])
    make_running_build(builder, now, version=make_version("9.0"))
    cache.delete("farm")

    # Once in a while the frame asks for notices; the time, and five for the farm.
    with django_assert_num_queries(6):
        client.get("/farm/now")
    with django_assert_num_queries(0):
        client.get("/farm/now")


def test_an_address_without_its_slash_leads_to_the_page(client):
    assert client.get("/farm")["Location"] == "/farm/"


def test_the_facts_of_these_tests_are_those_of_the_contract():
    assert set(FACTS) == set(BuilderFacts.__dataclass_fields__)
