"""That it is seen who tries keys."""

import pytest
from django.urls import reverse

from builds.tests.pi import API

pytestmark = pytest.mark.django_db


def hello(client, address, token="no-such-token"):
    headers = {"Authorization": f"Bearer {token}"}
    return client.post(f"{API}/hello", b"{}", "application/json", REMOTE_ADDR=address, headers=headers)


def sign_in(client, address):
    fields = {"username": "ann", "password": "a secret word"}
    return client.post(reverse("admin:login"), fields, REMOTE_ADDR=address)


def ask_farm(client, address):
    return client.get("/api/v1/operators/farm", REMOTE_ADDR=address)


@pytest.mark.parametrize(
    ("knock", "what"),
    [
        (hello, "a builder's token"),
        (ask_farm, "an operator's token"),
        (sign_in, "a password or code"),
    ],
)
def test_who_tries_keys_is_named_once_and_what_was_tried_is_not(client, caplog, knock, what):
    for address in ("10.9.8.7", "10.9.8.7", "2001:db8::1", "2001:db8::2"):
        knock(client, address)

    assert [record.getMessage() for record in caplog.records if record.name == "piwheels_site.knocks"] == [
        f"{address} tries {what} that opens nothing." for address in ("10.9.8.7", "2001:db8::1")
    ]
    assert not any(tried in caplog.text for tried in ("no-such-token", "ann", "secret"))


def test_who_gets_in_is_not_named(client, caplog):
    client.get("/")

    assert "opens nothing" not in caplog.text
