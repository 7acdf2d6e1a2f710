from datetime import UTC, datetime

import pytest
from django.contrib.admin import site
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from packages.admin import SubjectFilter
from packages.models import (
    Alias,
    Dirty,
    ImportRefusal,
    ImportStep,
    Package,
    SyncCursor,
    UpstreamFile,
    Version,
)
from packages.tests import deeds

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

MODELS = [Package, Alias, Version, UpstreamFile, Dirty, SyncCursor, ImportStep, ImportRefusal]


def make_rows():
    """Make a row of each model."""
    package = Package.objects.create(name="demo", display_name="Demo", plan_needed=False)
    Alias.objects.create(package=package, name="Demo")
    version = Version.objects.create(package=package, number="1.0", canonical="1.0")
    UpstreamFile.objects.create(version=version, filename="demo-1.0.tar.gz", kind="source", sha256="0" * 64)
    Dirty.objects.create(name="other")
    SyncCursor.objects.create()
    ImportStep.objects.create(name="builds")
    ImportRefusal.objects.create(subject="files", key="demo.whl", reason="there is no such file")
    return package, version


def act(client, model, action, reason=""):
    return deeds.act(client, model, action, *model.objects.all(), reason=reason)


@pytest.mark.parametrize("model", MODELS)
def test_each_model_can_be_looked_at_and_not_made_up(admin_client, model):
    make_rows()
    base = f"admin:packages_{model._meta.model_name}"
    row = model.objects.get()

    assert admin_client.get(reverse(f"{base}_changelist"), {"q": "demo"}).status_code == 200
    assert admin_client.get(reverse(f"{base}_change", args=[row.pk])).status_code == 200
    assert admin_client.get(reverse(f"{base}_add")).status_code == 403
    assert admin_client.post(reverse(f"{base}_delete", args=[row.pk])).status_code == 403


@pytest.mark.parametrize("model", [Alias, UpstreamFile, Dirty, SyncCursor])
def test_what_upstream_says_cannot_be_edited(admin_client, model):
    make_rows()

    path = reverse(f"admin:packages_{model._meta.model_name}_change", args=[model.objects.get().pk])

    assert admin_client.post(path, {"name": "x"}).status_code == 403


def test_an_operator_skips_a_package_and_limits_it(admin_client):
    package, _ = make_rows()
    path = reverse("admin:packages_package_change", args=[package.pk])

    admin_client.post(
        path, {"skip_reason": "no licence", "depth": "2", "display_name": "Mine", "summary": "x"}
    )

    package.refresh_from_db()
    assert (package.skip_reason, package.depth, package.plan_needed) == ("no licence", 2, True)
    assert (package.display_name, package.summary) == ("Demo", "")


def test_a_form_without_a_change_changes_nothing(admin_client):
    package, _ = make_rows()

    admin_client.post(
        reverse("admin:packages_package_change", args=[package.pk]), {"skip_reason": "", "depth": ""}
    )

    package.refresh_from_db()
    assert (package.plan_needed, package.revision) == (False, 0)


def test_an_operator_skips_a_version(admin_client):
    package, version = make_rows()
    path = reverse("admin:packages_version_change", args=[version.pk])

    admin_client.post(path, {"skip_reason": "broken", "number": "6.6"})

    version.refresh_from_db()
    package.refresh_from_db()
    assert (version.skip_reason, version.number, package.plan_needed) == ("broken", "1.0", True)


def test_what_somebody_else_has_decided_since_a_form_was_opened_stays(admin_client):
    package, _ = make_rows()
    form = deeds.shown(admin_client, package)
    package.skip("no licence")

    deeds.send(admin_client, package, form | {"depth": "2"})

    package.refresh_from_db()
    assert (package.skip_reason, package.depth) == ("no licence", 2)


def test_a_decision_is_taken_back_by_emptying_its_field(admin_client):
    package, _ = make_rows()
    package.skip("no licence")

    deeds.change(admin_client, package, skip_reason="")

    package.refresh_from_db()
    assert package.skip_reason == ""


@pytest.mark.parametrize("model", [Package, Version])
def test_rows_are_skipped_and_taken_back_together(admin_client, model):
    make_rows()

    act(admin_client, model, "skip", "It has no licence.")
    assert model.objects.get().skip_reason == "It has no licence."

    act(admin_client, model, "unskip")
    assert model.objects.get().skip_reason == ""


def test_a_package_is_looked_up_and_planned_again(admin_client):
    package, _ = make_rows()

    act(admin_client, Package, "look_up")
    act(admin_client, Package, "plan")

    package.refresh_from_db()
    assert package.plan_needed
    assert Dirty.objects.filter(name="demo").exists()


def test_a_version_is_asked_for(admin_client):
    _, version = make_rows()

    act(admin_client, Version, "ask")

    version.refresh_from_db()
    assert version.requested_at is not None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"yanked": True, "yanked_reason": "It eats files."}, "is yanked upstream: It eats files"),
        ({"gone_at": NOON}, "is gone from upstream"),
    ],
)
def test_a_version_that_cannot_be_built_is_not_asked_for_and_it_is_said_why(admin_client, fields, why):
    _, version = make_rows()
    Version.objects.update(**fields)

    page = act(admin_client, Version, "ask").page

    assert f"Demo 1.0 {why}. Ask for another version." in page
    version.refresh_from_db()
    assert version.requested_at is None


def test_all_models_of_the_app_are_there():
    registered = {model for model in site._registry if model._meta.app_label == "packages"}
    assert registered == set(MODELS)


def test_a_list_of_versions_asks_the_database_no_more_for_more_of_them(
    admin_client, django_assert_max_num_queries
):
    package, _ = make_rows()
    for minor in range(20):
        Version.objects.create(package=package, number=f"2.{minor}")

    with django_assert_max_num_queries(10):
        admin_client.get(reverse("admin:packages_version_changelist"))


def test_the_state_of_sync_is_shown(admin_client):
    SyncCursor.objects.create(serial=7, upstream_serial=9, journal="xml-rpc", doubted_at=NOON, doubted=33)
    Dirty.objects.create(name="demo", marked_at=NOON)

    page = admin_client.get(reverse("admin:packages_synccursor_changelist")).content.decode()

    assert "XML-RPC" in page
    assert "33 packages were to vanish" in page
    assert "days" in page


def test_an_operator_believes_what_upstream_removed(admin_client):
    SyncCursor.objects.create(doubted_at=NOON, doubted=33)

    act(admin_client, SyncCursor, "believe")

    cursor = SyncCursor.objects.get()
    assert cursor.doubted_at is None
    assert cursor.believed_until > timezone.now()


def test_an_operator_says_that_a_name_did_not_change_hands(admin_client):
    make_rows()
    Package.objects.update(registered_anew_at=NOON)

    act(admin_client, Package, "rejoin")

    assert Package.objects.get().registered_anew_at is None


def test_refusals_are_chosen_by_what_they_are_and_not_all_read_for_it(
    admin_client, django_assert_num_queries
):
    for number, subject in enumerate(["builds", "files", "files", "logs"]):
        ImportRefusal.objects.create(subject=subject, key=f"{number}", reason="Bad.")
    request = RequestFactory().get("/")

    with django_assert_num_queries(4):
        choices = SubjectFilter(request, {}, ImportRefusal, None).lookup_choices
    assert choices == [("builds", "builds"), ("files", "files"), ("logs", "logs")]
    rows = admin_client.get("/admin/packages/importrefusal/", {"subject": "files"})
    assert [row.key for row in rows.context["cl"].result_list] == ["1", "2"]
