"""Who may do what, page by page and deed by deed.

All pages come from the operators' site itself: one that is in no table here fails the test.
"""

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.urls import get_resolver, reverse
from django.utils import timezone

from builds.tests.rows import NOON, make_builder, make_target
from packages.tests import deeds
from piwheels_site.models import Alert, Message, Notice, OperatorToken
from piwheels_site.operators.roles import Role
from piwheels_site.tests.accounts import make_account, signed_in
from piwheels_site.tests.every_row import make_every_row

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

ROLES = ["anonymous", "viewer", "operator", "administrator"]
NOBODY = "nobody"

# The least role that may see a list and its rows, where that is not a viewer.
SEES = {"auth.user": "administrator"}
# The least role that may add, change and delete a row; nobody may what is not named.
ADDS = {
    **dict.fromkeys(["builds.recipe", "builds.skip", "builds.push", "builds.campaign"], "operator"),
    **dict.fromkeys(["builds.builder", "builds.target", "auth.user"], "administrator"),
    "piwheels_site.notice": "operator",
    # Each for themselves.
    "piwheels_site.operatortoken": "viewer",
}
CHANGES = {
    **dict.fromkeys(["packages.package", "packages.version", "builds.builder", "builds.recipe"], "operator"),
    **dict.fromkeys(["builds.target", "auth.user"], "administrator"),
    "piwheels_site.notice": "operator",
}
DELETES = {
    **dict.fromkeys(["builds.recipe", "builds.skip", "builds.push", "piwheels_site.notice"], "operator"),
    **dict.fromkeys(["builds.builder", "builds.target"], "administrator"),
}
# The least role that may do each deed of each list.
DEEDS = {
    "packages.package": dict.fromkeys(["skip", "unskip", "look_up", "plan", "rejoin"], "operator"),
    "packages.version": dict.fromkeys(["skip", "unskip", "ask"], "operator"),
    "packages.synccursor": {"believe": "administrator"},
    "builds.target": dict.fromkeys(["activate", "deactivate"], "administrator"),
    "builds.builder": {
        **dict.fromkeys(["pause", "resume", "drain", "stop"], "operator"),
        **dict.fromkeys(["retire", "rekey"], "administrator"),
    },
    "builds.build": dict.fromkeys(
        ["requeue", "rebuild", "cancel", "push_version", "push_package", "skip_here", "skip", "recipe"],
        "operator",
    ),
    "builds.wheel": {
        **dict.fromkeys(["release", "yank", "unyank", "withdraw"], "operator"),
        "take_down": "administrator",
    },
    "builds.campaign": {"stop": "operator"},
    "builds.skip": {"take_back": "operator"},
    "builds.push": {"take_back": "operator"},
    "auth.user": {"forget_second_factor": "administrator"},
    "piwheels_site.operatortoken": {"revoke": "viewer"},
}
# Pages that are of no table: those that anybody may see, and those that everybody who is signed in may see.
FOR_ALL = {"login", "second_factor"}
FOR_ANY_ROLE = {
    *("index", "logout", "password_change", "password_change_done", "autocomplete", "jsi18n"),
    *("view_on_site", "app_list"),
}
# Pages of a table beside those that every table has.
OF_TABLES = {"auth_user_password_change": "administrator"}


@pytest.fixture(autouse=True)
def _lists_are_there():
    """They are found when the addresses are read."""
    assert get_resolver().url_patterns


def label(model):
    return f"{model._meta.app_label}.{model._meta.model_name}"


def may(role, least):
    return least != NOBODY and role in ROLES and ROLES.index(role) >= ROLES.index(least)


def url(model, page, *args):
    return reverse(f"admin:{label(model).replace('.', '_')}_{page}", args=args)


@pytest.fixture
def rows():
    """A row of each table that has a list."""
    found = {type(row): row for row in make_every_row()}
    found[Notice] = Notice.objects.create(title="News", begins_at=timezone.now())
    found[Alert] = Alert.objects.create(key="x", title="x", since=NOON, first_seen_at=NOON, last_seen_at=NOON)
    found[Message] = Message.objects.create(
        key="x", channel="mail", subject="x", text="x", made_at=NOON, not_before=NOON
    )
    found[User] = make_account("somebody", "viewer")
    found[OperatorToken] = OperatorToken(user=found[User], name="x")
    found[OperatorToken].issue(NOON)
    found[LogEntry] = LogEntry.objects.create(
        user=found[User],
        content_type=ContentType.objects.get_for_model(User),
        action_flag=CHANGE,
        object_repr="x",
        change_message="cancel: 1 build cancelled.",
    )
    return found


def test_no_page_is_forgotten(rows):
    tables = set(admin.site._registry)
    assert tables == set(rows)

    of_tables = {
        f"{label(model).replace('.', '_')}_{page}"
        for model in tables
        for page in ("changelist", "add", "history", "delete", "change")
    }
    names = {pattern.name for pattern in _patterns(admin.site.get_urls()) if pattern.name}
    assert names == of_tables | OF_TABLES.keys() | FOR_ALL | FOR_ANY_ROLE


def _patterns(patterns):
    for each in patterns:
        yield from _patterns(each.url_patterns) if hasattr(each, "url_patterns") else [each]


def test_no_deed_is_forgotten_or_without_a_permission():
    actions = {
        label(model): {action.__name__: action for action, *_ in model_admin._get_base_actions()}
        for model, model_admin in admin.site._registry.items()
    }

    own = {table: set(some) - {"delete_selected"} for table, some in actions.items()}
    assert {table: names for table, names in own.items() if names} == {
        table: set(names) for table, names in DEEDS.items()
    }
    assert all(action.allowed_permissions for some in actions.values() for action in some.values())


@pytest.mark.parametrize("role", ROLES)
def test_each_page_is_for_those_who_may_see_it(rows, role):
    client = signed_in(role)
    wrong = []

    def check(what, allowed, answer):
        is_in = answer.status_code == 200
        turned_away = 302 if role == "anonymous" else 403
        if is_in != allowed or (not allowed and answer.status_code != turned_away):
            wrong.append((what, answer.status_code, allowed))

    for model, row in rows.items():
        least = SEES.get(label(model), "viewer")
        check(f"{label(model)} list", may(role, least), client.get(url(model, "changelist")))
        check(f"{label(model)} row", may(role, least), client.get(url(model, "change", row.pk)))
        check(f"{label(model)} history", may(role, least), client.get(url(model, "history", row.pk)))
        check(f"{label(model)} add", may(role, ADDS.get(label(model), NOBODY)), client.get(url(model, "add")))
        # A form that is not whole is shown again to those who may send it.
        changed = client.post(url(model, "change", row.pk), {"username": "", "skip_reason": "x" * 999})
        if changed.status_code != 302 or role == "anonymous":
            check(f"{label(model)} change", may(role, CHANGES.get(label(model), NOBODY)), changed)
        elif not may(role, CHANGES.get(label(model), NOBODY)):
            wrong.append((f"{label(model)} change", 302, False))

    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_rows_are_deleted_by_those_who_may(rows, role):
    client = signed_in(role)

    deleted = set()
    for model, row in rows.items():
        client.post(url(model, "delete", row.pk), {"post": "yes"})
        if not model._default_manager.filter(pk=row.pk).exists():
            deleted.add(label(model))

    # Builders and targets that something was built with stay, whoever asks.
    has_builds = {"builds.builder", "builds.target"}
    allowed = {table for table, least in DELETES.items() if may(role, least)}
    assert deleted == allowed - has_builds


@pytest.mark.parametrize("role", ROLES)
def test_each_deed_is_for_those_who_may_do_it(rows, role):
    client = signed_in(role)
    by_label = {label(model): model for model in rows}

    done = {
        (table, action)
        for table, deeds in DEEDS.items()
        for action in deeds
        if _is_asked(client, by_label[table], action, rows[by_label[table]])
    }

    assert done == {
        (table, action)
        for table, deeds in DEEDS.items()
        for action, least in deeds.items()
        if may(role, least)
    }
    # Nor was anything done by those who went past the question.
    assert LogEntry.objects.count() == 1


def _is_asked(client, model, action, row):
    """Try to do something: it is asked about, or leads to a form."""
    chosen = {"action": action, "index": "0", "_selected_action": [row.pk]}
    answer = client.post(url(model, "changelist"), chosen)
    if answer.status_code == 302 and "/recipe/" in answer.headers["Location"]:
        return True
    if answer.status_code == 200 and "question" in (answer.context or {}):
        return True
    confirmed = {"confirmed": "yes", "chosen": str(row.pk), "reason": "Because."}
    client.post(url(model, "changelist"), {**chosen, **confirmed})
    return False


@pytest.mark.parametrize("role", ROLES)
def test_pages_of_no_table(role):
    client = signed_in(role)
    arguments = {"app_list": ["builds"], "view_on_site": ["1", "1"]}

    for name in FOR_ANY_ROLE - {"view_on_site", "logout", "autocomplete"}:
        answer = client.get(reverse(f"admin:{name}", args=arguments.get(name, [])))
        assert answer.status_code == (302 if role == "anonymous" else 200), name
        if role == "anonymous":
            assert answer.headers["Location"].startswith("/admin/login/"), name


@pytest.mark.parametrize("role", ROLES)
def test_passwords_of_others_are_changed_by_administrators(rows, role):
    answer = signed_in(role).get(reverse("admin:auth_user_password_change", args=[rows[User].pk]))

    assert (answer.status_code == 200) == may(role, OF_TABLES["auth_user_password_change"])


@pytest.mark.parametrize(("role", "builds_for"), [("operator", "trixie"), ("administrator", "bookworm")])
def test_what_a_builder_builds_for_is_said_by_whoever_enrols(role, builds_for):
    builder, other = make_builder(), make_target("bookworm-armhf-cp311")

    answer = deeds.change(signed_in(role), builder, size="large", target=other.pk)

    builder.refresh_from_db()
    assert (answer.status_code, builder.size) == (302, "large")
    assert builder.target.os_release == builds_for


def test_somebody_without_a_role_sees_no_list(client, rows):
    client.force_login(make_account("new"))

    assert {client.get(url(model, "changelist")).status_code for model in rows} == {403}


def test_an_administrator_cannot_touch_who_may_do_more(rows):
    above = make_account("root", is_superuser=True)
    client = signed_in("administrator")

    client.post(url(User, "change", above.pk), {"username": "mine"})
    password = client.get(reverse("admin:auth_user_password_change", args=[above.pk]))

    assert password.status_code == 403
    assert User.objects.get(pk=above.pk).username == "root"


def test_an_account_gets_its_role_and_can_come_in(admin_client, client):
    form = {"username": "ann", "usable_password": "true", "role": "operator"}
    secret = "what nobody guesses"

    admin_client.post(url(User, "add"), {**form, "password1": secret, "password2": secret})

    ann = User.objects.get(username="ann")
    assert [group.name for group in ann.groups.all()] == ["operator"]
    assert (ann.is_staff, ann.is_superuser) == (True, False)
    assert client.login(username="ann", password=secret)
    assert client.get(url(Notice, "add")).status_code == 200


def test_a_role_is_changed(admin_client):
    ann = make_account("ann", "viewer")

    admin_client.post(url(User, "change", ann.pk), {"username": "ann", "is_active": "on", "role": "operator"})

    assert [group.name for group in ann.groups.all()] == ["operator"]


@pytest.mark.parametrize("password", ["short", "correct horse", "12345678901234", "ann-the-operator"])
def test_a_password_that_is_easily_guessed_is_refused(admin_client, password):
    form = {"username": "ann-the-operator", "usable_password": "true", "role": "operator"}
    expected = password != "correct horse"

    admin_client.post(url(User, "add"), {**form, "password1": password, "password2": password})

    assert User.objects.filter(username="ann-the-operator").exists() != expected


def test_groups_are_made_right_again():
    group = Group.objects.get(name=Role.VIEWER.value)
    permissions = set(group.permissions.values_list("codename", flat=True))
    group.permissions.set(Group.objects.get(name=Role.ADMINISTRATOR.value).permissions.all())
    Group.objects.filter(name=Role.OPERATOR.value).delete()

    call_command("migrate", verbosity=0)

    assert set(group.permissions.values_list("codename", flat=True)) == permissions
    assert {name for name in permissions if not name.startswith("view_")} == {"add_operatortoken"}
    assert Group.objects.filter(name=Role.OPERATOR.value).exists()
