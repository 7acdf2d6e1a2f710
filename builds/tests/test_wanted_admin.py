"""The operators' door to what is wanted."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from builds.models import Build, Push, Skip, Target
from builds.planning.priority import Rank
from builds.tests.rows import make_build, make_target, make_version
from packages.models import Package
from packages.tests import deeds

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def test_a_skip_is_decided_and_taken_back_in_an_operators_name(admin_client):
    version, target = make_version(), make_target()
    Package.objects.update(plan_needed=False)

    admin_client.post(
        reverse("admin:builds_skip_add"),
        {"package": version.package.pk, "target": target.pk, "reason": "Burns boards."},
    )

    skip = Skip.objects.get()
    assert (skip.reason, skip.by) == ("Burns boards.", "admin")
    assert Package.objects.get().plan_needed

    Package.objects.update(plan_needed=False)
    admin_client.post(reverse("admin:builds_skip_delete", args=[skip.pk]), {"post": "yes"})
    assert not Skip.objects.exists()
    assert Package.objects.get().plan_needed


def test_several_are_taken_back_for_a_reason_that_is_noted(admin_client):
    target = make_target()
    packages = [make_version(package=name).package for name in ("demo", "other")]
    skips = [Skip.objects.create(package=package, target=target, reason="Big.") for package in packages]
    Package.objects.update(plan_needed=False)

    done = deeds.act(admin_client, Skip, "take_back", *skips, reason="It has become smaller.")

    assert done.question == "This takes 2 skips back."
    assert "2 skips taken back." in done.page
    assert not Skip.objects.exists()
    assert set(Package.objects.values_list("plan_needed", flat=True)) == {True}
    [noted] = LogEntry.objects.values_list("change_message", flat=True)
    assert noted == "take back: 2 skips taken back. Reason: It has become smaller."


def test_a_skip_needs_a_reason(admin_client):
    version, target = make_version(), make_target()

    page = admin_client.post(
        reverse("admin:builds_skip_add"), {"package": version.package.pk, "target": target.pk, "reason": ""}
    )

    assert "This field is required." in page.content.decode()


@pytest.mark.parametrize(("action", "field"), [("push_version", "version"), ("push_package", "package")])
def test_a_build_leads_to_a_push_of_its_version_or_package(admin_client, action, field):
    build = make_build()
    Package.objects.update(plan_needed=False)

    deeds.act(admin_client, Build, action, build)

    push = Push.objects.get()
    assert getattr(push, field) == (build.version if field == "version" else build.version.package)
    assert (push.target, push.by) == (build.target, "admin")
    assert Package.objects.get().plan_needed


def test_a_class_is_raised(admin_client):
    admin_client.post(reverse("admin:builds_push_add"), {"rank": int(Rank.HISTORY), "reason": "Spring."})

    assert Push.objects.get().rank == Rank.HISTORY


@pytest.mark.parametrize("given", [(), ("package", "rank")])
def test_a_push_is_of_one_thing(admin_client, given):
    values = {"package": make_version().package.pk, "rank": int(Rank.HISTORY)}

    page = admin_client.post(reverse("admin:builds_push_add"), {name: values[name] for name in given})

    assert "Name a package, a version or a class: one of them." in page.content.decode()
    assert not Push.objects.exists()


def test_another_policy_is_followed_at_once(admin_client):
    target = make_target()
    make_version()
    Package.objects.update(plan_needed=False)

    deeds.change(admin_client, target, policy="everything")

    target.refresh_from_db()
    assert target.policy == "everything"
    assert target.ask_some()
    assert Package.objects.get().plan_needed


@pytest.mark.parametrize(("field", "is_planned"), [("glibc", True), ("abi", True), ("os_name", False)])
def test_what_decides_which_wheels_serve_a_target_is_followed_at_once(admin_client, field, is_planned):
    target = make_target()
    Target.objects.update(plan_from=None)
    new = {"glibc": "2.99", "abi": "cp399", "os_name": "Another"}

    deeds.change(admin_client, target, **{field: new[field]})

    target.refresh_from_db()
    assert getattr(target, field) == new[field]
    assert (target.plan_from is not None) == is_planned


@pytest.mark.parametrize("name", ["skip", "push", "demand"])
def test_the_lists_show_themselves(admin_client, name):
    assert admin_client.get(reverse(f"admin:builds_{name}_changelist")).status_code == 200
    assert Build.objects.count() == 0
