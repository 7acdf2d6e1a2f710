"""The operators' lists and forms, one for each model, and the first things that they do in them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from builds.models import Build, Builder, Target, Wheel
from builds.tests.rows import make_build, make_builder, make_built, make_target, make_wheel
from packages.tests.deeds import act
from piwheels_site.tests.every_row import make_every_row

pytestmark = pytest.mark.django_db

RECORDED = [
    *("builds_build", "builds_wheel", "builds_dependency", "builds_refusal", "builds_storagecheck"),
    *("builds_counting", "builds_targetqueue", "builds_buildday", "builds_standingfailure"),
    *("simple_client", "simple_download", "simple_log", "simple_shown", "simple_publishedtree"),
]
# Rows with a key of two columns, which the admin cannot show, secrets, and sums that pages show.
NOT_SHOWN = {"RawDownload", "DailySalt", "BuilderDay", "WheelDay", "DownloadShare", "TopPackages"}


@pytest.fixture
def every_row():
    return make_every_row()


def test_the_admin_shows_every_model(admin_client, every_row):
    from django.apps import apps

    ours = {m for app in ("packages", "builds", "simple") for m in apps.get_app_config(app).get_models()}
    assert {type(row) for row in every_row} == {model for model in ours if model.__name__ not in NOT_SHOWN}

    for row in every_row:
        name = f"{row._meta.app_label}_{row._meta.model_name}"
        assert admin_client.get(reverse(f"admin:{name}_changelist")).status_code == 200
        assert admin_client.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code == 200


def test_the_form_of_an_account_has_no_hash_of_its_password(admin_client, admin_user):
    page = admin_client.get(reverse("admin:auth_user_change", args=[admin_user.pk])).content.decode()

    assert 'name="initial-username"' in page
    assert admin_user.password not in page


def test_what_is_only_recorded_cannot_be_edited_added_or_deleted(admin_client, every_row):
    rows = {f"{row._meta.app_label}_{row._meta.model_name}": row for row in every_row}

    for name in RECORDED:
        key = rows[name].pk
        assert admin_client.post(reverse(f"admin:{name}_change", args=[key])).status_code == 403
        assert admin_client.get(reverse(f"admin:{name}_add")).status_code == 403
        assert admin_client.post(reverse(f"admin:{name}_delete", args=[key])).status_code == 403


def test_an_operator_cancels_and_requeues(admin_client):
    build = make_build()

    assert "1 build cancelled." in act(admin_client, Build, "cancel", build).page
    assert "1 build requeued." in act(admin_client, Build, "requeue", build).page

    assert sorted(Build.objects.values_list("attempt", "state")) == [(1, "cancelled"), (2, "queued")]


def test_an_operator_sees_a_new_token_once(admin_client):
    builder = make_builder()

    page = act(admin_client, Builder, "rekey", builder).page

    token = page.split("token           ")[1].split()[0]
    assert Builder.objects.by_token(token) == builder


def test_an_operator_activates_a_target(admin_client):
    target = make_target(is_active=False)

    act(admin_client, Target, "activate", target)

    target.refresh_from_db()
    assert target.is_active


def test_an_operator_releases_what_was_held(admin_client):
    wheel = make_wheel(held_reason="demo.pth runs at each start.")

    assert "1 wheel shown from now on." in act(admin_client, Wheel, "release", wheel).page
    assert list(Wheel.objects.listed()) == [wheel]


def test_an_operator_withdraws(admin_client):
    wheel = make_built()

    act(admin_client, Wheel, "withdraw", wheel, reason="It does not work.")

    wheel.refresh_from_db()
    assert wheel.withdrawn_at - datetime.now(UTC) < timedelta(minutes=1)
    assert wheel.withdrawn_reason == "It does not work. (Withdrawn by admin.)"
