"""Rebuilds: their build tags, what they replace, and that nothing that was published ever changes."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command

from builder.tests.elves import armhf
from builds import orders
from builds.models import Build, Refusal, Skip, Wheel
from builds.planning import plan, rebuilding, retry
from builds.planning.priority import Rank, class_of
from builds.tests.pi import error
from builds.tests.rebuilds import COMPILED, PURE, Farm
from builds.tests.rows import (
    NOON,
    make_build,
    make_source,
    make_target,
    make_version,
    make_wheel,
)
from packages.clock import database_now
from packages.models import Package
from packages.tests import deeds

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

STABLE = "cp311-abi3-linux_armv6l.linux_armv7l"


@pytest.fixture
def farm():
    return Farm()


def states():
    """Return the wheels by name: whether they are yanked, and what superseded them."""
    wheels = Wheel.objects.order_by("pk").select_related("superseded_by")
    return {
        wheel.filename: (wheel.yanked, wheel.superseded_by and wheel.superseded_by.filename)
        for wheel in wheels
    }


FIRST, SECOND, THIRD = (f"demo-1.0{tag}-{PURE}.whl" for tag in ("", "-1", "-2"))


def test_what_was_skipped_since_it_was_looked_at_is_not_built_again(farm):
    farm.make(make_build())
    stale = Package.objects.get()
    Package.objects.get().skip("It takes builders down.")

    answer = rebuilding.rebuild(stale, rebuilding.of_package(stale), "Ann wants it.", NOON)

    assert (answer.queued, len(answer.refused)) == (0, 1)


def test_a_first_build_has_no_build_tag(farm):
    assert farm.order(make_build())["build_tag"] == ""


def test_a_rebuild_gets_the_next_build_tag_and_takes_the_place_of_the_wheel_before(farm):
    farm.make(make_build())

    assert farm.make(farm.again(), b"2").status_code == 200
    assert states() == {FIRST: (True, SECOND), SECOND: (False, None)}
    assert farm.make(farm.again(), b"3").status_code == 200

    assert states() == {FIRST: (True, SECOND), SECOND: (True, THIRD), THIRD: (False, None)}
    reason = Wheel.objects.get(filename=FIRST).yanked_reason
    assert reason == f"it was built anew, and {SECOND} replaces it"


def test_a_rebuild_that_comes_out_the_same_publishes_nothing(farm):
    first = make_build()
    farm.make(first)
    again = farm.again()

    response = farm.make(again)

    again.refresh_from_db()
    assert (response.status_code, again.state) == (200, "succeeded")
    assert (
        again.reason == f"It came out the same as {FIRST} of build {first.pk}, so nothing new is published."
    )
    assert json.loads(response.content)["reason"] == again.reason
    assert states() == {FIRST: (False, None)}
    # No row would tell of its files.
    stored = {path.name for path in Path(default_storage.path("")).rglob("*.whl*")}
    assert stored == {FIRST, f"{FIRST}.metadata", f"{FIRST}.{first.pk}.provenance"}


def test_a_rebuild_that_goes_back_to_what_was_superseded_is_published(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")

    farm.make(farm.again(), b"1")

    assert states()[THIRD] == (False, None)


def test_a_builder_that_knows_no_build_tags_is_told_to_be_updated(farm):
    farm.make(make_build())

    response = farm.make(farm.again(), b"2", ignores_tag=True)

    assert response.status_code == 422
    assert "update the builder" in error(response)
    assert states() == {FIRST: (False, None)}


def test_a_name_that_was_withdrawn_is_never_given_again(farm):
    farm.make(make_build())
    Wheel.objects.get().withdraw(NOON)

    assert farm.make(farm.again(), b"1").status_code == 200
    assert states() == {FIRST: (False, None), SECOND: (False, None)}


@pytest.mark.parametrize("key", ["trixie-armhf-cp313", "trixie-arm64-cp313"])
def test_a_version_of_a_new_owner_of_the_name_gets_a_build_tag(key, farm):
    """The old owner's wheel is shown no more, but its name is taken, whichever target has it now."""
    farm.make(make_build())
    Package.objects.update(generation=2, registered_anew_at=database_now() + timedelta(milliseconds=1))
    other = farm if farm.builder.target.key == key else Farm("pi-08", key=key)
    before = Wheel.objects.get()
    target = other.builder.target
    build = (
        before.build.again(losses=0, priority=0, why="")
        if other is farm
        else make_build(before.version, target)
    )

    assert other.make(build, b"1").status_code == 200
    assert list(Wheel.objects.sourced().values_list("filename", flat=True)) == [SECOND]
    assert states()[FIRST] == (False, None)


def test_another_spelling_of_a_version_has_the_same_names(farm):
    first = make_build(make_version("1.0-1"))
    make_wheel(first, filename=f"demo-1.0.post1-{PURE}.whl")

    order = farm.order(make_build(make_version("1.0.post1")))

    assert order["build_tag"] == "1"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ([COMPILED], "1"),
        ([PURE], "1"),
        # Numbers of theirs that ours have not got to are left to them, however high.
        ([f"20261124999-{COMPILED}"], ""),
        ([COMPILED, f"1-{COMPILED}", f"2b-{COMPILED}"], "3"),
        # No wheel of ours has such a name.
        (["cp312-cp312-linux_armv7l", "cp313-cp313-manylinux2014_armv7l", "py2-none-any", "odd"], ""),
    ],
)
def test_no_wheel_gets_the_name_of_one_of_upstreams(theirs, ours, farm):
    build = make_build()
    for each in theirs:
        make_source(build.version, f"-{each}.whl", kind="wheel", gone_at=NOON)

    assert farm.order(build)["build_tag"] == ours


def test_a_rebuild_goes_past_the_names_that_upstream_has(farm):
    farm.make(make_build(), tag=COMPILED)
    make_source(Wheel.objects.get().version, f"-1-{COMPILED}.whl", kind="wheel")

    assert farm.order(farm.again())["build_tag"] == "2"


def test_the_next_order_of_a_builder_that_reports_has_its_build_tag_too(farm):
    farm.make(make_build())
    again = farm.again()

    order = orders.next_for(farm.builder, database_now())

    assert (order.build, order.build_tag) == (again.pk, "1")


def test_wheels_of_other_tags_stay_as_they_are(farm):
    old = Farm("pi-11", key="bookworm-armhf-cp311")
    farm.make(make_build(), tag=COMPILED)
    make_wheel(
        make_build(Wheel.objects.get().version, old.builder.target),
        filename="demo-1.0-cp311-cp311-linux_armv7l.whl",
    )

    farm.make(farm.again(), b"2", tag=COMPILED)

    assert [name for name, (yanked, _) in states().items() if yanked] == [f"demo-1.0-{COMPILED}.whl"]


def test_a_rebuild_under_other_tags_replaces_its_targets_own_wheel(farm):
    """Else installers would go on taking the old one, as they prefer the tags that fit best."""
    farm.make(make_build(), tag=COMPILED)

    farm.make(farm.again(), b"2", tag=PURE)

    assert states() == {f"demo-1.0-{COMPILED}.whl": (True, SECOND), SECOND: (False, None)}


def test_a_rebuild_that_a_pi_zero_cannot_take_leaves_it_the_wheel_from_before(farm):
    farm.make(make_build(), tag=COMPILED)

    farm.make(farm.again(), b"2", tag="cp313-cp313-linux_armv7l")

    assert states() == {
        f"demo-1.0-{COMPILED}.whl": (False, None),
        "demo-1.0-1-cp313-cp313-linux_armv7l.whl": (False, None),
    }


def test_a_rebuild_never_takes_a_wheel_from_systems_that_it_does_not_run_on():
    """Both stay, and `simple.index` keeps the newer one from those systems."""
    old = Farm("pi-11", key="bookworm-armhf-cp311", glibc="2.36", glibcxx="3.4.30")
    new = Farm("pi-07", glibc="2.41", glibcxx="3.4.33")
    code = {"demo/fast.abi3.so": armhf(needed=["libc.so.6"], asked={"libc.so.6": ["GLIBC_2.34"]})}
    newer = {"demo/fast.abi3.so": armhf(needed=["libc.so.6"], asked={"libc.so.6": ["GLIBC_2.38"]})}
    assert old.make(make_build(target=old.builder.target), tag=STABLE, **code).status_code == 200

    assert new.make(new.again(), tag=STABLE, **newer).status_code == 200

    assert states() == {f"demo-1.0-{STABLE}.whl": (False, None), f"demo-1.0-1-{STABLE}.whl": (False, None)}


def test_a_target_that_comes_later_is_not_served_by_what_a_rebuild_superseded():
    new = Farm("pi-07", glibc="2.41", glibcxx="3.4.33")
    code = {"demo/fast.abi3.so": armhf(needed=["libc.so.6"], asked={"libc.so.6": ["GLIBC_2.34"]})}
    newer = {"demo/fast.abi3.so": armhf(needed=["libc.so.6"], asked={"libc.so.6": ["GLIBC_2.38"]})}
    new.make(make_build(), tag=STABLE, **code)
    new.make(new.again(), tag=STABLE, **newer)
    assert states()[f"demo-1.0-{STABLE}.whl"] == (True, f"demo-1.0-1-{STABLE}.whl")
    later = make_target("bookworm-armhf-cp311", glibc="2.36", glibcxx="3.4.30")

    later.activate()
    plan.plan_changed(database_now(), limit=10)

    assert Build.objects.waiting().get().target == later


def test_what_came_out_the_same_on_another_release_is_published_where_that_is_not_known_to_run():
    old = Farm("pi-11", key="bookworm-armhf-cp311", glibc="2.36", glibcxx="3.4.30")
    new = Farm("pi-07", glibc="2.41", glibcxx="3.4.33")
    code = {"demo/fast.abi3.so": armhf(needed=["libssl.so.3"])}
    old.make(make_build(target=old.builder.target), tag=STABLE, **code)

    assert new.make(new.again(), tag=STABLE, **code).status_code == 200

    assert states() == {f"demo-1.0-{STABLE}.whl": (False, None), f"demo-1.0-1-{STABLE}.whl": (False, None)}


def twins(*farms):
    """Return a build of one version for each farm's target."""
    version = make_version()
    return [make_build(version, farm.builder.target) for farm in farms]


def test_of_two_that_make_one_name_at_once_the_later_gets_another_name():
    old = Farm("pi-11", key="bookworm-armhf-cp311")
    new = Farm("pi-07")
    first, second = twins(old, new)
    orders = {farm: farm.order(build) for farm, build in ((old, first), (new, second))}
    old.report(first, orders[old], tag=STABLE)

    late = new.report(second, orders[new], b"2", tag=STABLE)

    again = Build.objects.waiting().get()
    assert (json.loads(late.content)["state"], Refusal.objects.count()) == ("failed", 0)
    assert (again.target, again.losses, again.not_before) == (new.builder.target, 0, None)
    assert new.make(again, b"2", tag=STABLE).status_code == 200
    assert states().keys() == {f"demo-1.0-{STABLE}.whl", f"demo-1.0-1-{STABLE}.whl"}


def test_who_came_too_late_is_not_built_again_where_the_first_one_serves():
    old = Farm("pi-11", key="bookworm-armhf-cp311")
    new = Farm("pi-07")
    first, second = twins(old, new)
    orders = {farm: farm.order(build) for farm, build in ((old, first), (new, second))}
    old.report(first, orders[old])
    new.report(second, orders[new], b"2")

    plan.plan(Package.objects.get(), database_now())

    assert not Build.objects.waiting().exists()


def test_what_is_held_replaces_nothing_until_a_person_has_looked(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2", **{"demo.pth": b"import demo\n"})
    held = Wheel.objects.get(filename=SECOND)
    assert held.held_reason
    assert states()[FIRST] == (False, None)

    held.release()

    assert states()[FIRST] == (True, SECOND)


def test_a_rebuild_that_is_withdrawn_gives_its_place_back(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")
    farm.make(farm.again(), b"3")

    Wheel.objects.get(filename=SECOND).withdraw(NOON)
    assert states() == {FIRST: (True, THIRD), SECOND: (True, THIRD), THIRD: (False, None)}
    Wheel.objects.get(filename=THIRD).withdraw(NOON)

    assert states()[FIRST] == (False, None)


def test_an_operators_yank_outlasts_the_rebuild_that_had_taken_the_place(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")
    call_command("yank", "demo==1.0", "--reason", "Wrong results.", "--yes")
    assert states() == {FIRST: (True, None), SECOND: (True, None)}

    Wheel.objects.get(filename=SECOND).withdraw(NOON)

    first = Wheel.objects.get(filename=FIRST)
    assert (first.yanked, first.yanked_reason) == (True, "Wrong results.")


def test_an_operators_yank_that_is_taken_back_leaves_the_choice_to_the_rebuild(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")
    call_command("yank", "demo==1.0", "--reason", "Wrong results.", "--yes")

    call_command("unyank", "demo==1.0", "--yes")

    assert states() == {FIRST: (True, SECOND), SECOND: (False, None)}


def test_what_a_rebuild_that_was_yanked_and_replaced_had_replaced_is_not_offered_beside_the_last_one(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")
    Wheel.objects.get(filename=SECOND).yank("Wrong results.")
    farm.make(farm.again(), b"3")

    Wheel.objects.get(filename=SECOND).withdraw(NOON)

    assert states() == {FIRST: (True, THIRD), SECOND: (True, None), THIRD: (False, None)}


def test_a_rebuild_that_was_lost_and_found_takes_its_place_again(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")
    Wheel.objects.get(filename=SECOND).lose(NOON, "Lost.")
    assert states()[FIRST] == (False, None)

    assert Wheel.objects.restore(SECOND)

    assert states() == {FIRST: (True, SECOND), SECOND: (False, None)}


def test_a_rebuild_that_was_found_gives_way_to_the_one_that_came_meanwhile(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")
    Wheel.objects.get(filename=SECOND).lose(NOON, "Lost.")
    farm.make(farm.again(), b"3")

    assert Wheel.objects.restore(SECOND)

    assert states() == {FIRST: (True, THIRD), SECOND: (True, THIRD), THIRD: (False, None)}


def test_a_yanked_rebuild_that_was_found_takes_nobodys_place(farm):
    farm.make(make_build())
    farm.make(farm.again(), b"2")
    Wheel.objects.get(filename=SECOND).yank("Wrong results.")
    Wheel.objects.get(filename=SECOND).lose(NOON, "Lost.")

    assert Wheel.objects.restore(SECOND)

    assert states() == {FIRST: (False, None), SECOND: (True, None)}


# --- An operator asks ------------------------------------------------------------------------------------


def test_a_plan_keeps_what_an_operator_wants_anew_and_where_it_stands(farm):
    farm.make(make_build())
    again = farm.again()
    package = Package.objects.get()
    package.request_plan()

    plan.plan(package, database_now())

    again.refresh_from_db()
    assert (again.state, class_of(again.priority)[0]) == ("queued", Rank.OPERATOR)
    assert again.why.startswith("The compiler was bad. An operator wants it first.")


def test_a_plan_drops_a_rebuild_that_can_no_longer_be_made(farm):
    farm.make(make_build())
    again = farm.again()
    package = Package.objects.get()
    Skip.objects.create(package=package, target=farm.builder.target, reason="no")
    package.request_plan()

    plan.plan(package, database_now())

    again.refresh_from_db()
    assert again.state == "cancelled"


def test_a_rebuild_whose_builder_was_lost_is_tried_again_as_one(farm):
    farm.make(make_build())
    lost = farm.again()
    farm.order(lost)
    Build.objects.filter(pk=lost.pk).update(state="lost", finished_at=NOON)

    retry.after_loss(Build.objects.of_request(lost.pk), NOON)

    assert Build.objects.waiting().get().rebuild_reason == "The compiler was bad."


def test_a_rebuild_is_asked_for_by_a_command(farm, capsys):
    farm.make(make_build())

    call_command("rebuild", "Demo==1.0", "--target", "trixie-armhf-cp313", "--reason", "Bad flags.")

    build = Build.objects.waiting().get()
    assert "1 build is queued." in capsys.readouterr().out
    assert build.attempt == 2
    assert "wants it built again. Bad flags." in build.why


def test_a_command_without_a_version_builds_all_again_that_has_wheels(farm):
    farm.make(make_build())
    make_wheel(make_build(make_version("0.9")), filename=f"demo-0.9-{PURE}.whl")
    make_wheel(make_build(make_version("0.8")), filename=f"demo-0.8-{PURE}.whl", withdrawn_at=NOON)
    make_version("0.7")
    Build.objects.update(state="succeeded", finished_at=NOON)

    call_command("rebuild", "demo", "--yes")

    assert {build.version.number for build in Build.objects.waiting()} == {"1.0", "0.9"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["other"], "does not follow"),
        (["demo==9"], "no demo 9"),
        (["demo", "--target", "x"], "no target x"),
        (["demo"], "no wheels"),
    ],
)
def test_a_command_says_what_it_cannot_do(arguments, why):
    make_version()

    with pytest.raises(CommandError, match=why):
        call_command("rebuild", *arguments)


def test_a_command_of_which_nothing_comes_fails(farm, capsys):
    farm.make(make_build())
    Wheel.objects.get().version.skip("broken")

    with pytest.raises(CommandError, match="Nothing of it can be built again"):
        call_command("rebuild", "demo==1.0", "--target", "trixie-armhf-cp313")

    assert "it is skipped" in capsys.readouterr().out


def test_what_cannot_be_built_again_is_said(farm):
    farm.make(make_build())
    version = Wheel.objects.get().version
    version.skip("broken")

    answer = rebuilding.rebuild(version.package, {(version.pk, farm.builder.target.pk)}, "", NOON)

    assert str(answer).startswith(
        "0 builds are queued. demo 1.0 cannot be built for trixie-armhf-cp313: it is skipped"
    )


def test_the_admins_action_builds_again_what_there_are_wheels_of(farm, admin_client):
    farm.make(make_build())
    build = Build.objects.get()

    deeds.act(admin_client, Build, "rebuild", build)

    assert Build.objects.waiting().get().rebuild_reason == "admin wants it built again."
