"""What each build costs the database, and that rows read in part are whole to whoever asks."""

import pytest
from django.db import IntegrityError, connection, transaction

from builds import statements
from builds.models import Build, Builder
from builds.tests.pi import PURE, Pi
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_target,
    make_version,
    make_wheel,
)
from builds.tests.wheels import make_wheel as wheel_bytes
from packages.clock import database_now

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


@pytest.fixture
def running():
    """A build in the middle of its life, and the builder that holds its ticket."""
    build, ticket = make_running_build(make_builder(heard_at=database_now()), now=database_now())
    return build, Pi(ticket)


def test_a_claim_costs_eight_queries(django_assert_num_queries):
    builder, build = make_builder(), make_build()
    build.assign(builder, database_now())

    with django_assert_num_queries(8):
        assert Pi(builder.token).claim(build).status_code == 200


def test_a_heartbeat_costs_two_queries(running, django_assert_num_queries):
    build, pi = running

    with django_assert_num_queries(2):
        assert pi.heartbeat(build, b"log").status_code == 200


def test_the_first_part_of_a_wheel_costs_four_queries_and_the_next_three(running, django_assert_num_queries):
    build, pi = running
    content = wheel_bytes()

    with django_assert_num_queries(4):
        assert pi.upload(build, PURE, content[:9], total=len(content)).status_code == 200
    with django_assert_num_queries(3):
        pi.upload(build, PURE, content[9:], offset=9, total=len(content))


def test_a_report_costs_as_many_queries_whatever_the_wheel_needs(running, django_assert_num_queries):
    build, pi = running
    content = wheel_bytes(requires=[f"package-{number}" for number in range(50)])
    pi.upload(build, PURE, content)

    # A savepoint and its end are among them, as the tests have a transaction of their own.
    with django_assert_num_queries(14):
        assert pi.report(build, (PURE, content), apt=["libc6", "libpq5"]).status_code == 200


def test_a_build_that_was_read_in_part_reads_the_rest_when_asked():
    build, _ = make_running_build()
    whole = Build.objects.select_related("version__package", "target", "source", "builder").get()

    read = Build.objects.of_request(build.pk)

    for mine, theirs in [
        (read, whole),
        (read.version, whole.version),
        (read.version.package, whole.version.package),
        (read.target, whole.target),
        (read.source, whole.source),
        (read.builder, whole.builder),
    ]:
        fields = [field.attname for field in theirs._meta.concrete_fields]
        assert [getattr(mine, name) for name in fields] == [getattr(theirs, name) for name in fields]


def test_a_builder_that_was_read_in_part_reads_the_rest_when_asked():
    builder = make_builder()
    whole = Builder.objects.get()

    read = Builder.objects.by_token(builder.token)

    fields = [field.attname for field in whole._meta.concrete_fields]
    assert [getattr(read, name) for name in fields] == [getattr(whole, name) for name in fields]
    assert read.target.platform_tags == whole.target.platform_tags


def test_a_build_that_is_not_there_is_none():
    assert Build.objects.of_request(0) is None
    assert Build.objects.given(0, 1, make_builder()) is None


def test_times_are_written_as_the_orm_writes_them():
    build, ticket = make_running_build()
    now = NOON.replace(microsecond=500_000)

    assert build.renew(ticket, now)

    lease = Build.objects.get().lease_until
    assert Build.objects.filter(lease_until=lease).exists()
    assert not Build.objects.lost(lease).exists()


def test_what_a_wheel_needs_is_kept_once_and_in_any_number():
    wheel = make_wheel()
    needs = [("pip", f"package-{number}", f"package-{number}>=1") for number in range(1000)]

    wheel.depend_on([*needs, needs[0]])
    wheel.depend_on([])

    assert wheel.dependencies.count() == 1000


def test_a_failed_statement_ends_the_transaction_as_in_the_orm():
    make_running_build(builder := make_builder())
    second = make_build(make_version("2.0"))

    with transaction.atomic():
        with pytest.raises(IntegrityError):
            second.assign(builder, NOON)
        ended = connection.needs_rollback

    assert ended
    second.refresh_from_db()
    assert second.state == Build.State.QUEUED


def test_the_first_build_that_still_waits_is_found_in_the_order_that_is_asked_for():
    target = make_target()
    builds = [make_build(version=make_version(f"{number}.0"), target=target) for number in range(1, 4)]
    builds[2].assign(make_builder(), NOON)
    builder = make_builder("pi-08")

    # Twice, as PostgreSQL has prepared the statement by then.
    found = [statements.free([builds[2].pk, builds[1].pk, builds[0].pk], builder.pk) for _ in range(2)]

    assert found == [builds[1].pk, builds[1].pk]
    assert statements.free([builds[2].pk], builder.pk) is None
    builder.pause("It is dusted.", NOON)
    assert statements.free([builds[1].pk], builder.pk) is None
