"""How operators make tokens for their programs, and take them back."""

import re
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from packages import audit
from packages.clock import database_now
from packages.tests import deeds
from piwheels_site.models import OperatorToken
from piwheels_site.tests.accounts import make_account, signed_in
from piwheels_site.tests.test_second_factor import code_of, set_up, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

LIST = "/admin/piwheels_site/operatortoken/"
FORM = {"name": "Ann's laptop", "expires_at_0": "2099-01-31", "expires_at_1": "12:00"}


def make_token(user, name="laptop"):
    token = OperatorToken(user=user, name=name)
    token.issue(database_now())
    return token


def is_good(token):
    return OperatorToken.objects.good(database_now()).filter(pk=token.pk).exists()


def test_who_signed_in_with_a_second_factor_makes_one_which_is_shown_once(client):
    ann = make_account("ann", "viewer")
    device, _ = set_up(ann)
    sign_in(client, code=code_of(device))

    page = client.post(f"{LIST}add/", FORM)

    [secret] = re.findall(rf"{OperatorToken.PREFIX}[\w-]{{43}}", page.content.decode())
    token = OperatorToken.objects.by_secret(secret, database_now())
    assert (token.user, token.name, token.expires_at.year) == (ann, "Ann's laptop", 2099)
    assert "no-store" in page.headers["Cache-Control"]
    assert secret not in client.get(LIST).content.decode()
    noted = LogEntry.objects.get(change_message__startswith="make operator token")
    assert (noted.user, secret in noted.change_message) == (ann, False)


def test_a_password_alone_makes_none(client):
    make_account("ann", "operator")
    sign_in(client)

    page = client.post(f"{LIST}add/", FORM)

    assert "signed in with a second factor" in page.content.decode()
    assert not OperatorToken.objects.exists()


def test_one_that_is_over_before_it_begins_is_not_made(client):
    device, _ = set_up(make_account("ann", "operator"))
    sign_in(client, code=code_of(device))

    page = client.post(f"{LIST}add/", {**FORM, "expires_at_0": "2020-01-01"})

    assert "That is over" in page.content.decode()
    assert not OperatorToken.objects.exists()


@pytest.mark.parametrize(("role", "revoked"), [("operator", 1), ("administrator", 2)])
def test_each_revokes_their_own_and_an_administrator_all(role, revoked):
    client = signed_in(role)
    client.get(LIST)
    own = make_token(User.objects.get(username=f"some-{role}"))
    other = make_token(make_account("ben", "viewer"))

    deeds.act(client, OperatorToken, "revoke", own, other)

    assert [is_good(own), is_good(other)].count(False) == revoked
    assert not is_good(own)
    assert audit.said_of(LogEntry.objects.latest("pk")).startswith(f"{revoked} operator token")


def test_the_command_line_prints_one():
    ann, out = make_account("ann", "operator"), StringIO()

    call_command("create_operator_token", "ann", "--expires", "2099-01-31", stdout=out)

    token = OperatorToken.objects.by_secret(out.getvalue().strip(), database_now())
    assert (token.user, token.name, str(token.expires_at)) == (
        ann,
        "command line",
        "2099-01-31 00:00:00+00:00",
    )
    assert "on the command line" in LogEntry.objects.get().change_message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "no account nobody"),
        (["ann", "--expires", "2020-01-01"], "has begun"),
        (["ann", "--expires", "tomorrow"], "is no day"),
    ],
)
def test_the_command_line_says_why_not(words, said):
    make_account("ann", "operator")

    with pytest.raises(CommandError, match=said):
        call_command("create_operator_token", *words)

    assert not OperatorToken.objects.exists()
