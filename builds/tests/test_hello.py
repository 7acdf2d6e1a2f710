"""The builders' door: whom it lets in, and what it says to everybody else."""

import json

import pytest
from django.test import Client

from builds.tests.pi import API, Pi, error, facts
from builds.tests.rows import make_builder

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def test_a_builder_says_hello():
    builder = make_builder(heard_at=None)

    response = Pi(builder.token).post("hello", facts())

    assert json.loads(response.content) == {"heartbeat_s": 10.0, "stop": False, "problem": ""}
    builder.refresh_from_db()
    assert builder.heard_at is not None
    assert builder.facts["model"] == "Raspberry Pi 4 Model B"


def test_a_builder_that_speaks_another_contract_is_refused_and_its_operator_sees_why():
    builder = make_builder(heard_at=None)

    assert Pi(builder.token).post("hello", facts(contract=1)).status_code == 400

    builder.refresh_from_db()
    assert "speaks contract 2, the other 1" in builder.problem
    assert builder.heard_at is not None


def test_a_hello_that_is_far_too_long_is_refused():
    response = Pi(make_builder().token).post("hello", facts(model="x" * 70_000))

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"contract": 99}, "contract"),
        ({"load": "high"}, "load"),
        ({"memory_bytes": True}, "memory_bytes"),
        ({"memory_bytes": 10**400}, "memory_bytes"),
        ({"load": 10**400}, "load"),
        ({"load": float("nan")}, "load"),
        ({"load": float("inf")}, "load"),
        ({"model": "a\0b"}, "model"),
        ({"model": "\ud800"}, "model"),
        ({"versions": {"a\0": "b"}}, "versions"),
    ],
)
def test_a_hello_that_breaks_the_contract_is_told_so(change, says):
    response = Pi(make_builder().token).post("hello", facts(**change))

    assert response.status_code == 400
    assert says in error(response)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_message_is_told_so(body):
    assert Pi(make_builder().token).post("hello", body).status_code == 400


def test_a_builder_with_another_python_is_told_so():
    response = Pi(make_builder().token).post("hello", facts(python="3.11"))

    assert "runs Python 3.11" in json.loads(response.content)["problem"]


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer wrong", "Basic abc", "Bearer \u00e9".encode().decode("latin-1")]
)
def test_an_unknown_token_opens_nothing(header, client):
    response = client.post(f"{API}/hello", headers={"Authorization": header})

    assert response.status_code == 401
    assert "token" in error(response)


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_other_methods_are_refused(running, method):
    build, pi = running

    assert getattr(pi.client, method)(f"{API}/builds/{build.pk}/report").status_code == 405


@pytest.mark.parametrize("number", [2**31 - 1, 2**31, 10**9, 2**63 - 1, 2**63, 10**30])
def test_numbers_that_no_row_can_have_are_nobodys_and_no_fault(running, number):
    build, pi = running
    builder = Pi(build.builder.rekey())

    assert builder.post(f"builds/{number}/1/claim").status_code == 404
    assert builder.post(f"builds/{build.pk}/{number}/claim").status_code == 404
    assert pi.post(f"builds/{number}/heartbeat").status_code in (404, 409)
    assert [Client().get(f"/builds/{number}/{page}").status_code for page in ("", "json", "log")] == [404] * 3
