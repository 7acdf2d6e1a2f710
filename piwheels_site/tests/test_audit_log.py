"""The list of who did what."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError, connection

from builds.models import Build, Builder, Skip, Wheel
from builds.tests.rows import make_build, make_builder, make_built, make_version, make_wheel
from packages import audit
from packages.tests import deeds
from piwheels_site.tests.accounts import PASSWORD, make_account, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

LIST = "/admin/admin/logentry/"


@pytest.fixture
def log():
    """What two people, a form and a command did."""
    operator = signed_in("operator")
    builder, version = make_builder(), make_version()
    deeds.act(operator, Builder, "drain", builder, reason="Dust.")
    deeds.act(signed_in("administrator"), Build, "cancel", make_build(version, builder.target))
    skip = {"package": version.package_id, "target": builder.target_id, "reason": "Burns boards."}
    operator.post("/admin/builds/skip/add/", skip)
    operator.post(f"/admin/builds/skip/{Skip.objects.get().pk}/delete/", {"post": "yes"})
    audit.note_command("retire builder", [builder], model=Builder, said="1 builder retired.", reason="Old.")
    return signed_in("viewer")


def shown(client, query=""):
    """The rows of the list, each as who, action, what came of it."""
    rows = client.get(LIST + query).context["cl"].result_list
    return [(row.user.username, audit.action_of(row), audit.said_of(row)) for row in rows]


def test_everything_that_was_done_is_there(log):
    assert shown(log)[1:] == [
        ("some-operator", "Deleted", ""),
        ("some-operator", "Added", "Added."),
        ("some-administrator", "cancel", "1 build cancelled."),
        ("some-operator", "drain builder", "1 builder drained. Reason: Dust."),
    ]
    who, action, said = shown(log)[0]
    assert (who, action) == ("system", "retire builder")
    assert said.startswith("1 builder retired. (")
    assert said.endswith("on the command line.) Reason: Old.")
    assert "pi-07" in log.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("?did=cancel", ["cancel"]),
        ("?did=drain+builder", ["drain builder"]),
        ("?did=Added", ["Added"]),
        ("?did=Deleted", ["Deleted"]),
        ("?did=Changed", []),
        ("?q=Dust", ["drain builder"]),
    ],
)
def test_it_is_narrowed_by_action(log, query, actions):
    assert [action for _, action, _ in shown(log, query)] == actions


def test_it_is_narrowed_by_person(log):
    pk = User.objects.get(username="some-administrator").pk

    assert {who for who, *_ in shown(log, f"?user__id__exact={pk}")} == {"some-administrator"}


def test_it_is_narrowed_by_day(log):
    entry = LogEntry.objects.get(change_message__startswith="cancel")
    LogEntry.objects.filter(pk=entry.pk).update(action_time=entry.action_time - timedelta(days=400))
    day = entry.action_time - timedelta(days=400)
    query = f"?action_time__year={day.year}&action_time__month={day.month}&action_time__day={day.day}"

    assert [action for _, action, _ in shown(log, query)] == ["cancel"]


def test_each_deed_of_a_list_can_be_narrowed_to(log):
    page = log.get(LIST).content.decode()

    for name in (
        "requeue",
        "rebuild",
        "take down wheel",
        "re-key builder",
        "stop campaign",
        "unskip package",
    ):
        assert f">{name}</a>" in page


@pytest.mark.parametrize("is_right", [True, False])
def test_who_changes_their_own_password_is_on_record(client, is_right):
    ann = make_account("ann", "viewer")
    client.force_login(ann)
    new = "what nobody guesses"

    old = PASSWORD if is_right else "wrong"
    client.post("/admin/password_change/", {"old_password": old, "new_password1": new, "new_password2": new})

    assert User.objects.get().check_password(new) == is_right
    changed = ("ann", "change own password", "The password was changed.")
    assert shown(client, "?did=change+own+password") == [changed] * is_right
    assert LogEntry.objects.count() == is_right
    assert ">change own password</a>" in client.get(LIST).content.decode()


def test_nobody_changes_it(admin_client, log):
    entry = LogEntry.objects.first()

    assert admin_client.get(f"{LIST}{entry.pk}/change/").status_code == 200
    for page in (f"{entry.pk}/change/", f"{entry.pk}/delete/", "add/"):
        assert admin_client.post(LIST + page, {"post": "yes"}).status_code == 403
    assert admin_client.post(f"/admin/auth/user/{make_account('ann').pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    ("words", "action", "said"),
    [
        (["skip", "demo", "--reason", "Broken.", "--yes"], "skip", "Broken."),
        (["yank", "demo==1.0", "--reason", "Broken.", "--yes"], "yank wheel", "Broken."),
        (["take_down", "WHEEL", "--reason", "Malware.", "--now", "--yes"], "take down wheel", "1"),
        (["rebuild", "demo==1.0", "--reason", "A bad compiler."], "rebuild", "Reason: A bad compiler."),
        (["remove_package", "demo", "--builds", "--reason", "Broken.", "--yes"], "remove builds", "Broken."),
        (["remove_package", "demo", "--yes"], "remove", "demo"),
        (["builder", "pi-07", "drain", "--reason", "Dust."], "drain builder", "Reason: Dust."),
        (["builder", "pi-07", "retire", "--yes"], "retire builder", "pi-07 is retired"),
        (["builder", "pi-07", "rekey", "--yes"], "re-key builder", "New keys for 1 builder."),
    ],
)
def test_a_command_is_noted(words, action, said):
    make_built()
    wheel = Wheel.objects.get().filename

    call_command(*[wheel if word == "WHEEL" else word for word in words])

    entry = LogEntry.objects.get()
    assert (entry.user.username, audit.action_of(entry)) == ("system", action)
    assert said in audit.said_of(entry)


def test_a_command_is_noted_for_whoever_said_sudo(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ben")
    make_built()

    call_command("rebuild", "demo==1.0")
    call_command("skip", "demo", "--reason", "Broken.", "--yes")

    said = [audit.said_of(entry) for entry in LogEntry.objects.order_by("pk")]
    assert said[0].endswith("(ben on the command line.)")
    assert said[1] == "demo is skipped: Broken. (ben on the command line.)"


@pytest.mark.django_db(transaction=True)
def test_what_is_cut_short_is_noted():
    """Some of the rows are done by then, each in a transaction of its own."""
    wheels = [
        make_wheel(make_build(make_version(number)), filename=f"demo-{number}-py3-none-any.whl")
        for number in ("1.0", "2.0", "3.0")
    ]
    updates = 0

    def fail(execute, sql, params, many, context):
        nonlocal updates
        updates += sql.startswith("UPDATE") and Wheel._meta.db_table in sql
        if updates == 2:
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    operator = signed_in("operator")
    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        deeds.act(operator, Wheel, "yank", *wheels, reason="Broken.")

    assert Wheel.objects.filter(yanked=True).count() == 1
    entry = LogEntry.objects.get()
    assert audit.said_of(entry) == f"{audit.UNFINISHED} Reason: Broken."
    assert (entry.user.username, audit.action_of(entry)) == ("some-operator", "yank wheel")


@pytest.mark.django_db(transaction=True)
def test_a_command_that_is_cut_short_is_noted():
    make_built()

    def fail(execute, sql, params, many, context):
        if sql.startswith("UPDATE") and Wheel._meta.db_table in sql:
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        call_command("yank", "demo==1.0", "--reason", "Broken.", "--yes")

    assert audit.said_of(LogEntry.objects.get()).startswith(audit.UNFINISHED)


def test_a_command_that_only_says_what_it_would_do_is_not():
    make_built()

    call_command("skip", "demo", "--reason", "Broken.", "--dry-run")

    assert not LogEntry.objects.exists()
