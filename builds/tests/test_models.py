from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from builds.models import Build, Builder, Target, Wheel
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_target,
    make_version,
    make_wheel,
)

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def refused(rule):
    return pytest.raises(IntegrityError, match=rule)


def test_only_the_assigned_builder_gets_a_build():
    build, mine, other = make_build(), make_builder("pi-07"), make_builder("pi-08")
    build.assign(mine, NOON)
    source = build.version.files.get()

    assert build.claim(other, source, NOON) == ""
    assert build.claim(mine, source, NOON) != ""
    assert build.claim(mine, source, NOON) == ""


def test_a_build_is_assigned_once():
    build = make_build()

    assert build.assign(make_builder("pi-07"), NOON)
    assert not Build.objects.get().assign(make_builder("pi-08"), NOON)


def test_the_database_allows_one_open_build_of_a_version_and_target():
    version = make_version()
    make_build(version)

    with transaction.atomic(), refused("builds_build_one_open|UNIQUE"):
        make_build(version, attempt=2)


def test_the_database_allows_one_build_for_each_builder():
    builder = make_builder()
    make_running_build(builder)
    second = make_build(make_version("2.0"))

    with transaction.atomic(), refused("builds_build_one_per_builder|UNIQUE"):
        second.assign(builder, NOON)


def test_the_database_allows_no_assigned_build_without_a_lease():
    build, _ = make_running_build()

    with transaction.atomic(), refused("builds_build_leased"):
        Build.objects.filter(pk=build.pk).update(lease_until=None)


def test_the_database_allows_no_end_without_a_time():
    build = make_build()

    with transaction.atomic(), refused("builds_build_finished"):
        Build.objects.filter(pk=build.pk).update(state=Build.State.FAILED)


@pytest.mark.parametrize("name", ["", "Pi", "pi 7", "pi/7", "-pi", "pi\n", "p" * 41])
def test_the_database_allows_no_builder_whose_name_is_no_queue(name):
    with transaction.atomic(), pytest.raises((IntegrityError, Exception), match=r"name_plain|too long"):
        make_builder(name)


def test_a_ticket_dies_when_its_lease_is_over_and_somebody_takes_the_build_back():
    build, ticket = make_running_build()
    late = build.lease_until + timedelta(hours=1)

    assert build.renew(ticket, NOON)
    assert not build.renew("another", NOON)
    assert not build.renew("", NOON)
    assert build.renew(ticket, late)
    assert build.lose(late + 2 * (build.lease_until - NOON))
    assert not build.renew(ticket, late)


def test_a_ticket_dies_with_its_build():
    build, ticket = make_running_build()

    assert build.close(Build.State.FAILED, "no compiler", NOON)

    assert not build.renew(ticket, NOON)
    assert not build.close(Build.State.SUCCEEDED, "", NOON)


def test_a_ticket_dies_with_its_builder():
    build, ticket = make_running_build()

    Builder.objects.update(is_enabled=False)

    assert not build.renew(ticket, NOON)


def test_a_ticket_dies_some_time_after_the_time_limit(settings):
    build, ticket = make_running_build()
    long_after = NOON + timedelta(seconds=settings.PIWHEELS_TIME_LIMIT_S) + Build.UPLOAD
    Build.objects.update(lease_until=long_after + timedelta(days=1))

    assert build.renew(ticket, long_after)
    assert not build.renew(ticket, long_after + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("python", "3.13.1"),
        ("python", "3"),
        ("abi", "cp 313"),
        ("platform_tags", []),
        ("platform_tags", "linux_armv7l"),
        ("platform_tags", [7]),
        ("platform_tags", ["any"]),
    ],
)
def test_a_target_that_no_wheel_could_fit_is_refused(field, value):
    target = make_target()
    setattr(target, field, value)

    with pytest.raises(ValidationError) as refused:
        target.full_clean()

    assert list(refused.value.message_dict) == [field]


def test_a_build_that_was_just_heard_of_is_not_lost():
    build, ticket = make_running_build()
    late = build.lease_until + timedelta(seconds=1)
    build.renew(ticket, build.lease_until)

    assert not build.lose(late)
    assert build.lose(late + timedelta(hours=1))


def test_an_unrung_build_goes_back_to_the_queue():
    build = make_build()
    build.assign(make_builder(), NOON)

    assert Build.objects.unassign()

    build.refresh_from_db()
    assert (build.state, build.builder, build.lease_until) == ("queued", None, None)


def test_a_builder_is_ready_when_it_was_heard_and_has_no_build():
    make_builder("silent", heard_at=NOON - timedelta(seconds=181))
    make_builder("never", heard_at=None)
    make_running_build(make_builder("busy"))
    idle = make_builder("idle")

    assert list(Builder.objects.ready(NOON)) == [idle]


def test_a_token_is_kept_as_a_hash_and_dies_with_the_next():
    builder = make_builder()
    first = builder.token

    second = builder.rekey()

    assert Builder.objects.by_token(first) is None
    assert Builder.objects.by_token(second) == builder
    assert second not in str(Builder.objects.values())


def test_a_disabled_builder_has_no_token():
    builder = make_builder()
    Builder.objects.update(is_enabled=False)

    assert Builder.objects.by_token(builder.token) is None


def test_the_shipped_targets_are_those_of_raspberry_pi_os():
    shipped = Target.objects.values_list("key", "is_active")

    assert set(shipped) == {
        (f"{os}-{arch}-{abi}", False)
        for os, abi in [("bullseye", "cp39"), ("bookworm", "cp311"), ("trixie", "cp313")]
        for arch in ["armhf", "arm64"]
    }


def test_a_target_takes_wheels_for_its_python_and_older_stable_abis():
    tags = {str(tag) for tag in make_target().supported_tags()}

    assert {"cp313-cp313-linux_armv7l", "cp37-abi3-linux_armv6l", "py3-none-any"} <= tags
    assert not {"cp312-cp312-linux_armv7l", "cp313-cp313-linux_x86_64"} & tags


def test_another_attempt_counts_on():
    build, _ = make_running_build()
    build.close(Build.State.FAILED, "", NOON)

    again = build.again(losses=0, priority=3, why="It was asked for. " * 30)

    assert (again.attempt, again.state, again.priority) == (2, "queued", 3)
    assert len(again.why) == 300


def test_a_held_wheel_is_not_listed_until_it_is_released():
    wheel = make_wheel(held_reason="It has a .pth.")
    before = wheel.package.__class__.objects.get().revision
    assert list(Wheel.objects.listed()) == []

    wheel.release()

    assert list(Wheel.objects.listed()) == [wheel]
    assert wheel.package.__class__.objects.get().revision == before + 1


def test_a_yank_and_a_withdrawal_are_seen_by_the_index():

    wheel = make_wheel()
    before = wheel.package.__class__.objects.get().revision

    wheel.yank("broken")
    wheel.withdraw(NOON)

    assert wheel.package.__class__.objects.get().revision == before + 2
