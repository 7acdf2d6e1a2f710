import json

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from builder import contract
from builds.models import Build, Recipe
from builds.planning import plan, recipes
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_target, make_version
from packages.models import Package

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def save(recipe):
    """How many builds are queued again as a recipe is saved."""
    recipes.save(recipe, NOON)
    return recipes.requeue_failed(recipe)


def make_failed(version=None, failure="missing-header", target=None, **fields):
    return make_build(version, target, state="failed", failure=failure, finished_at=NOON, **fields)


def order_of(build):
    builder = make_builder()
    build.assign(builder, NOON)
    client = Client(headers={"Authorization": f"Bearer {builder.token}"})
    response = client.post(f"/builder/v1/builds/{build.pk}/{build.attempt}/claim")
    return contract.decode(contract.BuildOrder, response.content)


def test_a_recipe_for_a_package_builds_again_what_failed_and_decides_the_order(settings):
    build = make_failed()
    recipe = Recipe(
        package=build.version.package,
        apt=["libffi-dev"],
        environment={"CYTHON_FORCE": "1"},
        memory_bytes=1 << 30,
        time_limit_s=40_000,
        rung="setuptools<82",
    )

    assert save(recipe) == 1

    order = order_of(Build.objects.waiting().get())
    assert (order.apt, order.environment, order.rung) == (
        ("libffi-dev",),
        {"CYTHON_FORCE": "1"},
        "setuptools<82",
    )
    assert (order.memory_bytes, order.time_limit_s) == (1 << 30, 40_000.0)


def test_without_a_recipe_the_settings_decide_the_order(settings):
    settings.PIWHEELS_BUILD_MEMORY_BYTES = 5 << 30

    order = order_of(make_build())

    assert (order.apt, order.environment, order.rung, order.memory_bytes) == ((), {}, "", 5 << 30)


def test_a_recipe_for_a_class_is_for_builds_that_failed_so_before():
    failed, other = make_failed(), make_failed(make_version(package="other"), failure="unknown")

    assert save(Recipe(failure="missing-header", apt=["libffi-dev"])) == 1

    again = Build.objects.waiting().get()
    assert again.version == failed.version
    assert recipes.ingredients(again).apt == ("libffi-dev",)
    assert recipes.ingredients(other).apt == ()


@pytest.mark.parametrize(
    "since",
    [
        {"state": "lost", "failure": "builder-lost"},
        {"state": "failed", "failure": "out-of-memory"},
        {"state": "cancelled"},
    ],
)
def test_what_the_first_attempt_lacked_the_third_has_whatever_ended_the_second(since):
    failed = make_failed()
    make_build(failed.version, attempt=2, finished_at=NOON, **since)
    third = make_build(failed.version, attempt=3)
    save(Recipe(failure="missing-header", apt=["libffi-dev"]))

    assert recipes.ingredients(third).apt == ("libffi-dev",)


def test_of_two_failures_with_a_recipe_the_later_decides():
    failed = make_failed()
    make_build(failed.version, attempt=2, state="failed", failure="out-of-memory", finished_at=NOON)
    third = make_build(failed.version, attempt=3)
    for failure, apt in [("out-of-memory", "libbig-dev"), ("missing-header", "libffi-dev")]:
        save(Recipe(failure=failure, apt=[apt]))

    assert recipes.ingredients(third).apt == ("libbig-dev",)


def test_a_recipe_for_lost_builders_is_for_what_they_had():
    lost = make_build(state="lost", failure="builder-lost", finished_at=NOON, losses=9)

    assert recipes.count_again(Recipe(failure="builder-lost", size="large")) == (1, 1)
    assert save(Recipe(failure="builder-lost", size="large")) == 1
    assert Build.objects.waiting().get().version == lost.version


def test_a_packages_own_recipe_goes_before_that_of_a_class():
    build = make_failed()
    save(Recipe(package=build.version.package, apt=["libown-dev"]))
    Build.objects.waiting().delete()

    assert save(Recipe(failure="missing-header", apt=["libclass-dev"])) == 0
    assert recipes.ingredients(build).apt == ("libown-dev",)


def test_a_recipe_saved_twice_queues_nothing_twice():
    build = make_failed()
    recipe = Recipe(package=build.version.package)

    assert (save(recipe), save(recipe)) == (1, 0)


def test_what_was_built_since_or_is_for_no_target_any_more_is_left_alone():
    done, gone = make_failed(), make_failed(make_version("2.0"), target=make_target("bookworm-armhf-cp311"))
    make_build(done.version, attempt=2, state="succeeded", finished_at=NOON)
    gone.target.deactivate()

    assert save(Recipe(package=done.version.package)) == 0


def test_a_class_of_many_is_queued_again_bit_by_bit(monkeypatch):
    monkeypatch.setattr(recipes, "MOST_AGAIN", 3)
    for minor in range(5):
        make_failed(make_version(f"1.{minor}"))
    recipe = Recipe(failure="missing-header")

    assert (save(recipe), save(recipe)) == (3, 2)


def test_the_size_of_a_recipe_holds_for_builds_again_and_for_new_ones():
    build = make_failed()
    save(Recipe(package=build.version.package, size="large"))
    make_version("2.0")
    Package.objects.update(plan_needed=True)

    plan.plan(Package.objects.get(), NOON)

    assert set(Build.objects.waiting().values_list("size", flat=True)) == {"large"}


def test_a_ticket_lives_as_long_as_the_recipe_of_its_claim(settings):
    build, ticket = make_running_build()
    settings.PIWHEELS_TIME_LIMIT_S = 60
    Build.objects.update(lease_until=build.must_end_at)

    assert build.renew(ticket, build.must_end_at)
    assert not build.renew(ticket, build.must_end_at.replace(year=2027))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"apt": ["libffi-dev; rm -rf /"]}, "apt"),
        ({"apt": ["-o=Dpkg::Pre-Invoke::=x"]}, "apt"),
        ({"apt": ["libffi-dev-"]}, "apt"),
        ({"apt": "libffi-dev"}, "apt"),
        ({"apt": [7]}, "apt"),
        ({"apt": ["libffi-dev"] * 51}, "apt"),
        ({"environment": ["A"]}, "environment"),
        ({"environment": {"lower": "1"}}, "environment"),
        ({"environment": {"A=B": "1"}}, "environment"),
        ({"environment": {"PATH": "/tmp"}}, "environment"),
        ({"environment": {"LD_PRELOAD": "/tmp/x.so"}}, "environment"),
        ({"environment": {"PIP_INDEX_URL": "http://x"}}, "environment"),
        ({"environment": {"PYTHONPATH": "/tmp"}}, "environment"),
        ({"environment": {"HTTPS_PROXY": "http://x"}}, "environment"),
        ({"environment": {"HOME": "/root"}}, "environment"),
        ({"environment": {"MY_TOKEN": "x"}}, "environment"),
        ({"environment": {"A": 1}}, "environment"),
        ({"environment": {"A": "x\ny"}}, "environment"),
        ({"environment": {"A": "x" * 1001}}, "environment"),
        ({"memory_bytes": 1}, "memory_bytes"),
        ({"memory_bytes": -1}, "memory_bytes"),
        ({"time_limit_s": 10**9}, "time_limit_s"),
        ({"rung": "setuptools<1"}, "rung"),
        ({"failure": "missing-header"}, "package"),
        ({"package": None, "failure": "nonsense"}, "package"),
        ({"package": None}, "package"),
    ],
)
def test_what_no_builder_should_follow_is_refused_at_its_field(fields, field):
    package = make_version().package

    with pytest.raises(ValidationError) as refused:
        save(Recipe(**{"package": package, **fields}))

    assert list(refused.value.message_dict) == [field]
    assert not Recipe.objects.exists()


def test_an_operator_writes_a_recipe_and_is_told_what_is_wrong(django_capture_on_commit_callbacks):
    build = make_failed()
    client = Client()
    client.force_login(User.objects.create_superuser("op"))
    form = {"package": build.version.package.pk, "apt": '["libffi-dev"]', "environment": '{"PATH": "/x"}'}

    refused = client.post("/admin/builds/recipe/add/", form)
    assert "PATH is the builder" in refused.content.decode()

    good = {**form, "environment": json.dumps({"CFLAGS": "-O1"})}
    asked = client.post("/admin/builds/recipe/add/", good).context["adminform"].form["asked"].value()
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/admin/builds/recipe/add/", {**good, "asked": asked})
    assert Recipe.objects.get().environment == {"CFLAGS": "-O1"}
    assert Build.objects.waiting().count() == 1
