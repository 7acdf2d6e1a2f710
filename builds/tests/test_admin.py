"""The operators' door to builders."""

import re

import pytest
from django.db import connection
from django.urls import reverse

from builds.admin.builders import BuilderAdmin
from builds.figures import counting
from builds.models import Build, Builder, Target
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_target, make_version
from packages.tests import deeds

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

LIST = reverse("admin:builds_builder_changelist")


def act(client, action, *builders):
    return deeds.act(client, Builder, action, *builders).page


def test_the_list_of_builders_tells_how_each_is(admin_client):
    build, _ = make_running_build()
    build.builder.drain("Dust.", NOON)
    make_builder("pi-08", problem="It is <b>hot</b>.", sandbox="box", size="large")

    page = admin_client.get(LIST).content.decode()

    assert "draining: Dust." in page
    assert f'<a href="/builds/{build.pk}/">' in page
    assert "It is &lt;b&gt;hot&lt;/b&gt;." in page
    assert ">box<" in page
    assert ">Large<" in page


def test_a_form_writes_what_it_changes_and_nothing_that_came_meanwhile(admin_client, monkeypatch):
    builder = make_builder()
    form = {"target": builder.target_id, "size": "large"}
    save_model = BuilderAdmin.save_model

    def save_slowly(self, request, obj, *rest):
        """Let somebody else pause the builder, and give it a new key, since the form was read."""
        other = Builder.objects.get(pk=obj.pk)
        other.pause("Dust.", NOON)
        form["token"] = other.rekey()
        save_model(self, request, obj, *rest)

    monkeypatch.setattr(BuilderAdmin, "save_model", save_slowly)
    admin_client.post(reverse("admin:builds_builder_change", args=[builder.pk]), form)

    builder.refresh_from_db()
    assert (builder.size, builder.mode) == ("large", "paused")
    assert Builder.objects.by_token(form["token"]) == builder


def test_the_list_asks_as_often_for_many_builders_as_for_one(admin_client, django_assert_max_num_queries):
    for number in range(12):
        make_running_build(make_builder(f"pi-{number}"), version=make_version(f"1.{number}"))

    with django_assert_max_num_queries(12):
        admin_client.get(LIST)


@pytest.mark.parametrize(
    ("action", "standing"),
    [
        ("pause", "paused"),
        ("drain", "drained"),
        ("stop", "stopped"),
        ("resume", "active"),
        ("retire", "retired"),
    ],
)
def test_an_action_is_done_in_its_operators_name(admin_client, action, standing):
    builder = make_builder()

    act(admin_client, action, builder)

    builder = Builder.objects.get()
    assert builder.standing == standing
    assert "admin" in builder.mode_reason


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("pause", "1 builder paused."),
        ("drain", "1 builder drained."),
        ("stop", "1 builder stopped."),
        ("resume", "1 builder resumed."),
        ("rekey", "New keys for 1 builder."),
    ],
)
def test_a_builder_that_was_let_go_is_passed_over_and_said(admin_client, action, said):
    gone = make_builder()
    gone.retire("Sold.", NOON)

    page = act(admin_client, action, gone, make_builder("pi-08"))

    assert said in page
    assert "i-07 is retired: `create_builder` takes it in again." in page
    found = Builder.objects.get(name="pi-07")
    assert (found.mode_reason, found.token_hash) == ("Sold.", gone.token_hash)


def test_who_was_retired_before_keeps_the_reason_and_is_not_counted(admin_client):
    gone = make_builder()
    gone.retire("Sold.", NOON)

    page = act(admin_client, "retire", gone, make_builder("pi-08"))

    assert "1 builder retired; 0 builds went back" in page
    assert Builder.objects.get(name="pi-07").mode_reason == "Sold."


def test_what_a_target_loses_is_counted_before(admin_client):
    target = make_target()
    make_running_build(make_builder())
    make_build(make_version("2.0"))
    make_build(make_version("3.0"), not_before=NOON)
    counting.count_due(NOON)

    asked = deeds.ask(admin_client, Target, "deactivate", target)

    assert f"{target.key}, with 2 waiting builds and 1 that builders have" in asked.context["question"]


def test_new_keys_are_shown_once(admin_client):
    page = act(admin_client, "rekey", make_builder())

    token = page.split("token           ")[1].split()[0]
    assert Builder.objects.by_token(token)
    assert token not in admin_client.get(LIST).content.decode()


def test_a_builder_that_is_added_gets_keys(admin_client):
    target = make_target()
    form = {"name": "pi-07", "target": target.pk, "size": "small"}

    page = admin_client.post(reverse("admin:builds_builder_add"), form, follow=True).content.decode()

    assert Builder.objects.by_token(page.split("token           ")[1].split()[0])


def test_a_redis_that_does_not_answer_is_said(admin_client, settings):
    settings.PIWHEELS_REDIS_ADMIN_URL = "unix:///nowhere/redis.sock"

    page = act(admin_client, "retire", make_builder())

    assert "look at PIWHEELS_REDIS_ADMIN_URL" in page
    assert Builder.objects.get().standing == "retired"


def delete(client, builder):
    address = reverse("admin:builds_builder_delete", args=[builder.pk])
    return client.post(address, {"post": "yes"}, follow=True).content.decode()


def test_a_builder_that_never_built_can_be_deleted(admin_client):
    delete(admin_client, make_builder())

    assert not Builder.objects.exists()


@pytest.mark.parametrize("kind", ["builder", "target"])
def test_no_list_deletes_what_builds_lead_to(admin_client, kind):
    build = make_build(builder=make_builder())
    address = reverse(f"admin:builds_{kind}_changelist")
    row = getattr(build, kind)

    chosen = {"action": "delete_selected", "_selected_action": row.pk}
    page = admin_client.post(address, chosen, follow=True).content.decode()

    # Django's own would read all of its builds, to say that they keep it.
    assert "delete_selected" not in page
    assert "would require deleting" not in page


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_no_look_at_all_builds_is_needed_for_a_target_that_has_none():
    first, unused, last = (make_target(f"trixie-armhf-cp{minor}") for minor in (305, 306, 307))
    assert first.pk < unused.pk < last.pk
    make_build(target=first, state="failed", finished_at=NOON)
    alike = {field.column for field in Build._meta.concrete_fields} - {"id", "attempt", "target_id"}
    with connection.cursor() as cursor:
        # Of few rows PostgreSQL reads all in any case.
        cursor.execute(
            f"INSERT INTO builds_build (attempt, target_id, {', '.join(alike)}) SELECT number,"
            f" CASE WHEN number % 2 = 0 THEN target_id ELSE {last.pk} END, {', '.join(alike)}"
            " FROM builds_build, generate_series(2, 20000) number"
        )
        cursor.execute("SELECT brin_summarize_new_values('builds_build_of_target')")
        cursor.execute("ANALYZE builds_build")

    plan = Build.objects.filter(target=unused).explain(analyze=True, buffers=True)

    assert "builds_build_of_target" in plan
    [read] = re.findall(r"Buffers: shared hit=(\d+)", plan)[:1]
    assert int(read) < 50, plan


def test_none_is_deleted_whose_user_stays_in_redis(admin_client, settings):
    settings.PIWHEELS_REDIS_ADMIN_URL = "unix:///nowhere/redis.sock"

    page = delete(admin_client, make_builder())

    assert "look at PIWHEELS_REDIS_ADMIN_URL" in page
    assert Builder.objects.exists()
