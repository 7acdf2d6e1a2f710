"""What operators do to rows of lists: asked with a count, done to what was counted, and noted."""

from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command

from builds.models import Build, Builder, Push, Skip, Wheel
from builds.planning.requeueing import requeue
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_version, make_wheel
from packages import audit
from packages.models import Dirty, Package
from packages.tests import deeds

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def make_failed(number="1.0", package="demo", **fields):
    fields = {"state": "failed", "finished_at": NOON, **fields}
    return make_build(make_version(number, package), **fields)


def test_a_question_counts_before_anything_is_done(admin_client):
    builds = [make_failed("1.0"), make_failed("2.0"), make_failed("1.0", "other")]

    asked = deeds.ask(admin_client, Build, "requeue", *builds)

    assert asked.context["question"].startswith(
        "This requeues 3 builds of 2 packages for trixie-armhf-cp313, in"
    )
    assert f"build {builds[0].pk}: demo 1.0" in asked.content.decode()
    assert not Build.objects.filter(state="queued").exists()
    assert not LogEntry.objects.exists()


def test_what_is_confirmed_is_done_to_what_was_counted(admin_client):
    first = make_failed("1.0")
    asked = deeds.ask(admin_client, Build, "requeue", first, query="?stage=failed")
    make_failed("2.0")

    hidden = {key: asked.context[key] for key in ("action", "index", "chosen")}
    admin_client.post(
        "/admin/builds/build/?stage=failed",
        {**hidden, "select_across": "1", "_selected_action": "0", "confirmed": "yes"},
    )

    assert [build.version.number for build in Build.objects.filter(state="queued")] == ["1.0"]


def test_all_of_a_filtered_list_can_be_chosen(admin_client):
    make_failed("1.0")
    make_failed("2.0", failure="missing-header")
    chosen = {"action": "requeue", "index": "0", "_selected_action": "0", "select_across": "1"}

    asked = admin_client.post("/admin/builds/build/?failure=missing-header", chosen)

    assert "requeues 1 build of 1 package" in asked.context["question"]


def test_more_than_one_deed_may_do_are_refused(admin_client):
    Package.objects.bulk_create(Package(name=f"p{n}", display_name=f"p{n}") for n in range(2001))
    chosen = {"action": "look_up", "index": "0", "_selected_action": "0", "select_across": "1"}

    page = admin_client.post("/admin/packages/package/", chosen, follow=True).content.decode()

    assert "These are more than 2,000" in page
    assert not Dirty.objects.exists()


def test_a_deed_is_noted_with_who_what_how_many_and_why(admin_client, admin_user):
    builds = [make_build(make_version("1.0")), make_build(make_version("2.0"))]

    deeds.act(admin_client, Build, "cancel", *builds, reason="The disk is full.")

    entry = LogEntry.objects.get()
    assert (entry.user, entry.content_type.model_class()) == (admin_user, Build)
    assert audit.action_of(entry) == "cancel"
    assert audit.said_of(entry) == "2 builds cancelled. Reason: The disk is full."
    assert "demo 1.0" in entry.object_repr
    assert {build.reason for build in Build.objects.all()} == {"The disk is full. (Cancelled by admin.)"}


def test_what_needs_a_reason_is_not_done_without_one(admin_client):
    wheel = make_wheel()

    done = deeds.act(admin_client, Wheel, "take_down", wheel, reason=" ")

    assert "This field is required." in done.page
    wheel.refresh_from_db()
    assert (wheel.withdrawn_at, LogEntry.objects.count()) == (None, 0)


@pytest.mark.parametrize("chosen", ["x", "1,x", "", ",,"])
def test_keys_that_are_none_do_nothing(admin_client, chosen):
    make_failed()
    answer = {"action": "requeue", "index": "0", "select_across": "1", "_selected_action": "0"}

    page = admin_client.post(
        "/admin/builds/build/", {**answer, "confirmed": "yes", "chosen": chosen}, follow=True
    )

    assert page.status_code == 200
    assert not Build.objects.filter(state="queued").exists()


def test_what_ended_is_requeued_once(admin_client):
    done, running = make_failed("1.0"), make_build(make_version("2.0"))
    newer = requeue(done, "Again.")

    page = deeds.act(admin_client, Build, "requeue", done, running).page

    assert newer
    assert "0 builds requeued; 2 had not ended, or something newer had come of them." in page
    assert Build.objects.count() == 3


def test_a_requeued_build_begins_anew(admin_client):
    failed = make_failed(losses=3, priority=7)

    deeds.act(admin_client, Build, "requeue", failed, reason="The mirror is back.")

    again = Build.objects.get(attempt=2)
    assert (again.state, again.losses, again.priority) == ("queued", 0, 7)
    assert again.why == "The mirror is back. (Requeued by admin.)"
    assert Package.objects.get().plan_needed


def test_builds_are_rebuilt_whatever_wheels_there_are(admin_client):
    build, _ = make_running_build(version=make_version("1.0"))
    Build.objects.update(state="succeeded", finished_at=NOON)
    make_wheel(build)

    done = deeds.act(admin_client, Build, "rebuild", build, reason="A bad compiler.")

    assert "1 build queued before others." in done.page
    assert Build.objects.get(attempt=2).rebuild_reason == "admin wants it built again. A bad compiler."


def test_packages_are_skipped_from_their_builds(admin_client):
    builds = [make_failed("1.0"), make_failed("2.0")]

    deeds.act(admin_client, Build, "skip_here", *builds, reason="Burns boards.")
    deeds.act(admin_client, Build, "skip_here", *builds, reason="Burns boards.")
    deeds.act(admin_client, Build, "skip", *builds, reason="No licence.")

    skip = Skip.objects.get()
    assert (skip.reason, skip.by, skip.target) == ("Burns boards.", "admin", builds[0].target)
    assert Package.objects.get().skip_reason == "No licence."


def test_a_version_that_failed_often_is_pushed_once(admin_client):
    version = make_version("1.0")
    builds = [make_build(version, state="failed", finished_at=NOON, attempt=n) for n in (1, 2)]

    deeds.act(admin_client, Build, "push_version", *builds, reason="Wanted.")

    assert (Push.objects.get().reason, Push.objects.get().version) == ("Wanted.", version)


@pytest.mark.parametrize(
    ("builds", "leads_to"),
    [
        ([("1.0", "demo", "x"), ("2.0", "demo", "y")], "/admin/builds/recipe/add/?package="),
        ([("1.0", "demo", "missing-header"), ("1.0", "other", "missing-header")], "?failure=missing-header"),
        ([("1.0", "demo", "missing-header"), ("1.0", "other", "y")], "/admin/builds/build/"),
    ],
)
def test_builds_lead_to_a_recipe(admin_client, builds, leads_to):
    rows = [make_failed(number, package, failure=failure) for number, package, failure in builds]

    assert leads_to in deeds.ask(admin_client, Build, "recipe", *rows).headers["Location"]


def test_a_recipe_for_a_package_begins_with_what_its_builds_did_not_find(admin_client):
    missing = {"failure": "missing-header", "failure_about": "ffi.h"}
    rows = [make_failed("1.0", **missing), make_failed("2.0", failure="unknown", failure_about="x")]

    form = admin_client.get(deeds.ask(admin_client, Build, "recipe", *rows).headers["Location"])

    assert form.context["adminform"].form["apt"].value() == '["libffi-dev"]'
    assert form.context["adminform"].form["package"].value() == str(rows[0].version.package_id)


def test_a_recipe_for_a_class_begins_with_no_packages_of_debians(admin_client):
    missing = {"failure": "missing-header", "failure_about": "ffi.h"}
    rows = [make_failed("1.0", **missing), make_failed("1.0", "other", **missing)]

    form = admin_client.get(deeds.ask(admin_client, Build, "recipe", *rows).headers["Location"])

    assert form.context["adminform"].form["apt"].value() == "[]"


def test_the_operators_page_of_a_failed_build_says_what_an_operator_can_do(admin_client):
    build = make_failed(failure="numpy-too-new", failure_about="float_")

    page = admin_client.get(f"/admin/builds/build/{build.pk}/change/").content.decode()

    assert "A recipe with the rung &quot;older-tools&quot; builds with numpy&lt;2." in page
    assert "older-tools" not in admin_client.get(build.get_absolute_url()).content.decode()


def test_a_recipe_asks_before_it_queues(admin_client, django_capture_on_commit_callbacks):
    build = make_failed()
    form = {"package": build.version.package_id, "apt": '["libffi-dev"]', "environment": "{}"}

    asked = admin_client.post("/admin/builds/recipe/add/", form)
    said = "This queues 1 build of 1 package again."
    assert said in asked.content.decode()
    assert not Build.objects.filter(state="queued").exists()

    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post("/admin/builds/recipe/add/", {**form, "asked": said})
    assert Build.objects.get(state="queued").why == "A recipe changed."


def test_a_recipe_asks_again_when_it_would_do_more(admin_client):
    build = make_failed()
    make_failed("2.0")
    form = {"package": build.version.package_id, "apt": "[]", "environment": "{}"}

    admin_client.post(
        "/admin/builds/recipe/add/", {**form, "asked": "This queues 1 build of 1 package again."}
    )

    assert not Build.objects.filter(state="queued").exists()


def test_wheels_are_yanked_with_a_reason_for_all_to_read(admin_client):
    wheel = make_wheel()

    deeds.act(admin_client, Wheel, "yank", wheel, reason="it is slow")
    wheel.refresh_from_db()
    assert (wheel.yanked, wheel.yanked_reason) == (True, "it is slow")

    deeds.act(admin_client, Wheel, "unyank", wheel)
    wheel.refresh_from_db()
    assert not wheel.yanked


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("yank", "1 wheel yanked; 1 had been so before."),
        ("withdraw", "1 wheel out of the index; 1 had been so before."),
    ],
)
def test_an_older_reason_stays_where_there_is_nothing_to_do(admin_client, action, said):
    build = make_build()
    before, other = (make_wheel(build, filename=f"demo-1.0-{tag}-py3-none-any.whl") for tag in (1, 2))
    if action == "yank":
        before.yank("It crashes.")
    else:
        before.withdraw(NOON, "It crashes.")

    done = deeds.act(admin_client, Wheel, action, before, other, reason="It is slow.")

    assert said in done.page
    before.refresh_from_db()
    assert before.yanked_reason + before.withdrawn_reason == "It crashes."


def test_the_yank_of_an_import_can_be_made_ones_own(admin_client):
    wheel = make_wheel()
    Wheel.objects.all().note_yank(yanked=True)

    done = deeds.act(admin_client, Wheel, "yank", wheel, reason="It crashes here, too.")

    assert "1 wheel yanked." in done.page
    wheel.refresh_from_db()
    assert wheel.yanked_reason == "It crashes here, too."


def test_what_was_lost_stays_out_if_somebody_says_so(admin_client):
    wheel = make_wheel()
    wheel.lose(NOON, "It is not there.")

    deeds.act(admin_client, Wheel, "withdraw", wheel, reason="It crashes.")

    wheel.refresh_from_db()
    assert (wheel.lost_at, wheel.withdrawn_reason) == (None, "It crashes. (Withdrawn by admin.)")


def test_what_a_rebuild_replaced_comes_back_only_by_itself(admin_client):
    build = make_build()
    old, new = (make_wheel(build, filename=f"demo-1.0-{tag}-py3-none-any.whl") for tag in (1, 2))
    old.supersede(new)
    new.yank("It is slow.")

    done = deeds.act(admin_client, Wheel, "unyank", old, new)

    assert "The yank of 1 wheel taken back; 1 replaced by rebuilds stay." in done.page
    assert set(Wheel.objects.filter(yanked=True)) == {old}
    deeds.act(admin_client, Wheel, "unyank", old)
    assert not Wheel.objects.filter(yanked=True).exists()


def test_keys_are_on_a_page_that_nobody_keeps(admin_client):
    builder = make_builder()
    asked = deeds.ask(admin_client, Builder, "rekey", builder)

    hidden = {key: asked.context[key] for key in ("action", "index", "chosen")}
    answer = {**hidden, "select_across": "1", "_selected_action": "0", "confirmed": "yes"}
    shown = admin_client.post("/admin/builds/builder/", answer)

    token = shown.content.decode().split("token           ")[1].split()[0]
    assert "no-store" in shown.headers["Cache-Control"]
    assert not any(token in cookie.value for cookie in admin_client.cookies.values())
    assert token not in LogEntry.objects.get().change_message


def test_a_command_is_noted_as_the_systems():
    builder = make_builder()

    audit.note_command("drain builder", [builder], model=Builder, said="1 builder drained.", reason="Dust.")

    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.user.is_active) == (audit.SYSTEM, False)
    assert entry.object_id == str(builder.pk)
    assert "on the command line" in audit.said_of(entry)


def test_a_builder_that_is_only_looked_at_is_not_noted():
    make_builder()

    call_command("builder", "pi-07", "show", stdout=StringIO())

    assert not LogEntry.objects.exists()
