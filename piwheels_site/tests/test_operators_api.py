"""The operators' part of the API: whom a token lets in, what it does, and what is noted of it."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import caches

from builds.tests.rows import make_builder, make_running_build, make_version
from packages import audit
from packages.clock import database_now
from piwheels_site.models import OperatorToken
from piwheels_site.tests.accounts import make_account

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

FARM, BUILDERS = "/api/v1/operators/farm", "/api/v1/operators/builders"


@pytest.fixture(autouse=True)
def _nothing_remembered():
    for name in ("default", "limits"):
        caches[name].clear()


def make_token(role="operator", **fields):
    token = OperatorToken(user=make_account(f"an-{role}", role), name="laptop", **fields)
    token.secret = token.issue(database_now())
    return token


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def look(client, secret):
    return client.get(FARM, headers=bearer(secret))


def want(client, secret, deed, *names, **more):
    sent = {"deed": deed, "builders": names, **more}
    return client.post(BUILDERS, sent, content_type="application/json", headers=bearer(secret))


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_a_token_may_what_the_role_of_its_account_may(client, role):
    make_builder("pi-1")
    token = make_token(role)

    seen, done = look(client, token.secret), want(client, token.secret, "pause", "pi-1")

    may_act = role != "viewer"
    assert (seen.status_code, seen.json()["may_act"]) == (200, may_act)
    assert seen.json()["user"] == f"an-{role}"
    assert done.status_code == (200 if may_act else 403)
    assert LogEntry.objects.count() == may_act


def test_an_account_without_a_role_sees_nothing(client):
    token = OperatorToken(user=make_account("new"), name="laptop")

    answer = look(client, token.issue(database_now()))

    assert answer.status_code == 403
    assert "role" in answer.json()["error"]


def spoil(token, how):
    """Have a token open nothing any more, in one of the ways there are."""
    now = database_now()
    if how == "revoked":
        token.revoke(now)
    elif how == "expired":
        OperatorToken.objects.update(expires_at=now - timedelta(seconds=1))
    else:
        token.user.is_active, token.user.is_staff = how != "inactive", how != "no staff"
        token.user.save()


@pytest.mark.parametrize("how", ["revoked", "expired", "inactive", "no staff"])
def test_a_token_that_is_over_opens_nothing(client, how):
    make_builder("pi-1")
    token = make_token()
    assert look(client, token.secret).status_code == 200

    spoil(token, how)

    assert look(client, token.secret).status_code == 401
    assert want(client, token.secret, "pause", "pi-1").status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Bearer x", "Basic Og==", "Bearer \u00ff"])
def test_who_brings_no_token_learns_how_to_make_one(client, header):
    answer = client.get(FARM, headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert "create_operator_token" in answer.json()["what_to_do"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_session_of_the_admin_opens_nothing_here(admin_client):
    make_builder("pi-1")

    answer = admin_client.post(
        BUILDERS, {"deed": "pause", "builders": ["pi-1"]}, content_type="application/json"
    )

    assert answer.status_code == 401


def test_no_other_site_may_send_a_token_and_no_cache_keeps_the_answer(client):
    asked = client.options(FARM)
    seen = look(client, make_token().secret)

    assert "Authorization" not in asked.headers["Access-Control-Allow-Headers"]
    assert seen.headers["Cache-Control"] == "private, no-store"
    assert "ETag" not in seen.headers


def test_only_the_hash_of_a_token_is_kept():
    token = make_token()

    kept = OperatorToken.objects.filter(pk=token.pk).values().get()
    assert not any(token.secret.removeprefix(OperatorToken.PREFIX) in str(each) for each in kept.values())


def test_when_a_token_was_used_is_noted_once_a_minute(client):
    token = make_token()
    look(client, token.secret)
    used_at = OperatorToken.objects.get().used_at

    look(client, token.secret)

    assert used_at
    assert OperatorToken.objects.get().used_at == used_at


@pytest.mark.parametrize(
    ("deed", "action", "said"),
    [
        ("pause", "pause builder", "2 builders paused."),
        ("halt", "halt builder", "2 builders halted; 1 build ended and requeued."),
        ("skip", "skip build of builder", "2 builders skipped; 1 build ended and requeued."),
        ("resume", "resume builder", "2 builders resumed."),
        ("stop", "stop builder", "2 builders stopped."),
        ("kill", "kill builder", "2 builders killed; 1 build ended and requeued."),
    ],
)
def test_a_deed_is_done_and_noted_as_those_of_the_admin(client, deed, action, said):
    token = make_token()
    make_builder("pi-1")
    build, _ = make_running_build(make_builder("pi-2"))

    answer = want(client, token.secret, deed, "pi-1", "pi-2", "pi-2", reason="Too hot.").json()

    assert answer["said"] == said
    skipped = {each["name"]: each["skipped"] for each in answer["builders"]}
    is_skip = "build ended" in said
    assert skipped == {"pi-1": None, "pi-2": f"/api/v1/builds/{build.pk}" if is_skip else None}
    noted = LogEntry.objects.get()
    assert (noted.user.username, audit.action_of(noted)) == ("an-operator", action)
    assert audit.said_of(noted) == f"{said} Reason: Too hot."
    assert noted.object_repr == "pi-1, pi-2"


def test_the_reason_stands_in_the_builders_row_and_is_for_operators_alone(client):
    token = make_token()
    make_builder("pi-1", heard_at=database_now())

    want(client, token.secret, "pause", "pi-1", reason="Too \x1b[31mhot.")

    assert look(client, token.secret).json()["reasons"] == {"pi-1": "Too hot. (Paused by an-operator.)"}
    public = client.get("/api/v1/farm").json()["builders"][0]
    assert (public["mode"], public["state"], public["reason"]) == ("paused", "paused", "")


def test_of_names_one_of_which_no_builder_has_none_is_touched(client):
    token = make_token()
    builder = make_builder("pi-1")
    make_builder("pi-old", is_enabled=False)

    answer = want(client, token.secret, "stop", "pi-1", "pi-old")

    assert answer.status_code == 404
    assert "pi-old" in answer.json()["error"]
    builder.refresh_from_db()
    assert (builder.mode, LogEntry.objects.count()) == ("active", 0)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"deed": "retire", "builders": ["pi-1"]},
        {"deed": "pause", "builders": []},
        {"deed": "pause", "builders": ["pi-1\0"]},
        {"deed": "pause", "builders": ["pi-1\n"]},
        {"deed": "pause", "builders": ["pi-1"] * 1001},
        {"deed": "pause", "builders": ["pi-1"], "reason": "x" * 201},
        {"deed": "pause", "builders": ["pi-1"], "by": "root"},
    ],
)
def test_what_is_not_as_described_does_nothing(client, sent):
    builder = make_builder("pi-1")

    answer = client.post(BUILDERS, sent, content_type="application/json", headers=bearer(make_token().secret))

    assert answer.status_code == 422
    builder.refresh_from_db()
    assert builder.mode == "active"


def test_who_asks_too_often_waits_whatever_the_token(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 3
    secret = make_token().secret

    statuses = [look(client, secret).status_code for _ in range(3)] + [look(client, "x").status_code]

    assert statuses == [200, 200, 200, 429]


def test_a_look_costs_the_same_for_many_builders(client, django_assert_max_num_queries):
    secret = make_token().secret
    for number in range(40):
        builder = make_builder(f"pi-{number}", mode_reason="x")
        make_running_build(builder, version=make_version(str(number)))

    with django_assert_max_num_queries(40):
        assert len(look(client, secret).json()["reasons"]) == 40
    with django_assert_max_num_queries(5):
        look(client, secret)


def test_the_server_says_how_its_machine_is(client):
    server = look(client, make_token().secret).json()["server"]

    assert server["processors"] >= 1
    assert 0 < server["memory_used"] < 1
    [disk, *_] = server["disks"]
    assert 0 < disk["free_bytes"] < disk["size_bytes"]
    assert disk["holds"]
