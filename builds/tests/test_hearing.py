from dataclasses import replace
from datetime import timedelta

import pytest

from builder.contract import CONTRACT, BuilderFacts
from builds.builders import hearing
from builds.models import Build, Builder
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_target

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

GIB = 1 << 30
GOOD = BuilderFacts(
    contract=CONTRACT,
    python="3.13",
    platform="linux-armv7l",
    os_release="trixie",
    model="Raspberry Pi 4 Model B",
    memory_bytes=4 * GIB,
    memory_free_bytes=3 * GIB,
    swap_bytes=0,
    swap_free_bytes=0,
    disk_bytes=32 * GIB,
    disk_free_bytes=20 * GIB,
    load=0.1,
    temperature_c=50.0,
    clock=NOON.timestamp(),
    sandbox="full",
    sandbox_lacks=(),
    problems=(),
    build=0,
    versions={},
)


def test_a_builder_with_which_nothing_is_wrong_is_ready():
    builder = make_builder(heard_at=None)

    welcome = hearing.hear(builder, GOOD, NOON)

    assert (welcome.stop, welcome.problem) == (False, "")
    assert list(Builder.objects.ready(NOON)) == [builder]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"problems": ("Its disk is full.", "It is too hot.")}, "Its disk is full. It is too hot."),
        ({"problems": ("x" * 5000,) * 500}, "x" * 300),
        ({"problems": ("\x1b[31mred\u202e",)}, "red\ufffd"),
        ({"clock": NOON.timestamp() - 3600}, "Its clock is 3600 s behind the server's"),
        ({"clock": NOON.timestamp() + 301}, "Its clock is 301 s ahead of the server's"),
        ({"sandbox": "bare", "sandbox_lacks": ("No bwrap.",)}, 'and PIWHEELS_SANDBOX wants "box". No bwrap.'),
        ({"sandbox": "heavenly"}, 'Its sandbox is "heavenly"'),
        ({"python": "3.11"}, "It runs Python 3.11, and its target trixie-armhf-cp313 needs 3.13"),
        ({"platform": "linux-aarch64"}, "needs linux-armv6l or linux-armv7l"),
        ({"os_release": "bookworm"}, "It runs the release bookworm"),
        ({"os_release": ""}, "It runs the release unknown"),
    ],
)  # fmt: skip
def test_a_builder_with_a_problem_gets_nothing_and_its_operator_reads_why(change, says):
    builder = make_builder()

    welcome = hearing.hear(builder, replace(GOOD, **change), NOON)

    builder.refresh_from_db()
    assert says in builder.problem == welcome.problem
    assert len(builder.problem) < 5000
    assert list(Builder.objects.ready(NOON)) == []


@pytest.mark.parametrize(
    "change",
    [{"platform": "linux-armv6l"}, {"clock": NOON.timestamp() - 299}, {"sandbox": "box"}],
)
def test_what_is_good_enough_is_no_problem(change):
    assert hearing.hear(make_builder(), replace(GOOD, **change), NOON).problem == ""


def test_a_problem_passes_with_the_next_hello():
    builder = make_builder()
    hearing.hear(builder, replace(GOOD, problems=("Hot.",)), NOON)

    hearing.hear(builder, GOOD, NOON)

    assert list(Builder.objects.ready(NOON)) == [builder]


def test_a_sandbox_that_the_operator_allows_is_no_problem(settings):
    settings.PIWHEELS_SANDBOX = "bare"

    assert hearing.hear(make_builder(), replace(GOOD, sandbox="bare"), NOON).problem == ""


def test_a_builder_with_a_problem_gives_back_what_it_has_not_begun():
    builder, build = make_builder(), make_build()
    build.assign(builder, NOON)

    hearing.hear(builder, replace(GOOD, problems=("Hot.",)), NOON)

    build.refresh_from_db()
    assert (build.state, build.builder) == ("queued", None)


def test_a_builder_with_a_problem_keeps_what_it_has_begun():
    build, ticket = make_running_build()

    hearing.hear(build.builder, replace(GOOD, problems=("Hot.",)), NOON)

    assert build.renew(ticket, NOON + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("memory", "size"),
    [(GIB, "small"), (1900 << 20, "medium"), (4 * GIB, "medium"), (int(7.6 * GIB), "large"), (-1, "small")],
)
def test_a_builders_size_is_its_memorys(memory, size):
    builder = make_builder()

    hearing.hear(builder, replace(GOOD, memory_bytes=memory), NOON)

    builder.refresh_from_db()
    assert builder.size == size


def test_a_size_that_an_operator_chose_stays_until_the_memory_is_another():
    builder = make_builder()
    hearing.hear(builder, GOOD, NOON)
    Builder.objects.update(size="small")

    hearing.hear(Builder.objects.get(), replace(GOOD, memory_bytes=3 * GIB), NOON)
    chosen = Builder.objects.get().size
    hearing.hear(Builder.objects.get(), replace(GOOD, memory_bytes=8 * GIB), NOON)

    assert (chosen, Builder.objects.get().size) == ("small", "large")


def test_a_builder_learns_that_it_is_to_stop():
    builder = make_builder()
    builder.stop("It moves house.", NOON)

    assert hearing.hear(builder, GOOD, NOON).stop


def test_a_builder_of_another_architecture_is_told_what_its_target_needs():
    builder = make_builder(target=make_target("bookworm-arm64-cp311"))

    problem = hearing.hear(builder, GOOD, NOON).problem

    assert "needs linux-aarch64" in problem
    assert "needs bookworm" in problem


def test_a_build_that_its_builder_knows_no_more_is_lost_soon():
    build, _ = make_running_build(now=NOON)
    later = NOON + timedelta(seconds=70)

    hearing.hear(build.builder, replace(GOOD, clock=later.timestamp(), build=build.pk), later)
    assert not Build.objects.lost(later + timedelta(seconds=1)).exists()
    hearing.hear(build.builder, replace(GOOD, clock=later.timestamp()), later)

    assert list(Build.objects.lost(later + timedelta(seconds=1))) == [build]


def test_a_build_that_was_claimed_before_a_clock_was_put_back_is_not_waited_for():
    build, _ = make_running_build(now=NOON)
    yesterday = NOON - timedelta(days=1)

    hearing.hear(build.builder, replace(GOOD, clock=yesterday.timestamp()), yesterday)

    assert list(Build.objects.lost(yesterday + timedelta(seconds=1))) == [build]


def test_a_hello_that_was_under_way_at_the_claim_loses_nothing():
    build, _ = make_running_build(now=NOON)

    hearing.hear(build.builder, GOOD, NOON + timedelta(seconds=5))

    assert not Build.objects.lost(NOON + timedelta(seconds=30)).exists()
