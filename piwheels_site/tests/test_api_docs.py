"""The page of the API, whose examples are taken from it and run, and its description, by Schemathesis."""

import html
import json
import os
import re
import subprocess
import sys

import pytest
import schemathesis
from django.core.cache import caches
from django.core.management import call_command
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from builds.files import logs
from builds.models import Target
from builds.tests.rows import make_builder, make_target
from packages.clock import database_now
from piwheels_site.api.door import description
from piwheels_site.models import OperatorToken
from piwheels_site.tests.accounts import make_account
from piwheels_site.tests.test_strange_requests import EVERYDAY, published_with_a_build
from simple.bundle.asking import Question
from simple.bundle.asking import ask as ask_for
from simple.tests.rows import make_wheel

SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(description())))
DOORS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
# Of what may be sent, what is answered with what was asked for.
BODIES = {
    "POST /api/v1/bundles": {"text": "demo"},
    "POST /api/v1/operators/builders": {"deed": "halt", "builders": ["pi-99"]},
}
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(autouse=True)
def _nothing_counted():
    caches["limits"].clear()


def examples(page, pattern):
    found = [html.unescape(each) for each in re.findall(pattern, page, re.DOTALL)]
    assert found
    return found


def run(*command, **env):
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **env})


def make_token():
    """A token of an operator's."""
    return OperatorToken(user=make_account("ann", "operator"), name="laptop").issue(database_now())


@pytest.mark.django_db(transaction=True)
def test_the_examples_of_the_page_run(live_server, client):
    call_command("migrate", verbosity=0)  # the roles, which the flush of another such test took away
    token = make_token()
    make_builder(target=make_target("test-armhf-cp313"))
    wheel = make_wheel("demo")
    logs.append(wheel.build_id, 0, b"All is well.\n")
    page = client.get("/api/v1/docs", headers={"Host": live_server.url.removeprefix("http://")})
    text = page.content.decode()
    caches["limits"].clear()

    for command in examples(text, r"<code>(curl .*?)</code>"):
        ran = run("sh", "-c", f"{command} --fail --silent --show-error", PIWHEELS_TOKEN=token)
        assert ran.returncode == 0, (command, ran.stderr)
        assert ran.stdout == "All is well.\n" if "/log" in command else json.loads(ran.stdout)
    said = []
    for program in examples(text, r'<code class="python">(.*?)</code>'):
        ran = run(sys.executable, "-c", program)
        assert ran.returncode == 0, (program, ran.stderr)
        said.append(ran.stdout)
    assert wheel.filename in said[0]
    assert said[1].startswith("demo good")
    assert said[2] == "All is well.\nsucceeded\n"


@pytest.mark.django_db
def test_the_page_shows_every_address_also_of_an_empty_farm(client):
    page = client.get("/api/v1/docs").content.decode()

    assert "/api/v1/openapi.json" in page
    for path in description()["paths"]:
        assert path in page
    assert client.get("/api/")["Location"] == client.get("/api/v1")["Location"] == "/api/v1/docs"


@pytest.mark.django_db
def test_the_page_looks_for_no_more_than_one_wheel_and_builder(client, django_assert_max_num_queries):
    for number in range(3):
        make_wheel(f"demo-{number}")

    # The third one is of the frame: what everybody should know.
    with django_assert_max_num_queries(3):
        assert "demo-2" in client.get("/api/v1/docs").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("label", DOORS)
def test_T51_an_address_answers_as_it_is_described(site, label):
    published_with_a_build()
    filename = "demo-1.0-py3-none-any.whl"
    bundle = ask_for(Question("demo", "", Target.objects.active()[0], None), "192.0.2.1", database_now())
    make_builder("pi-99")
    # Without its token an address of the operators' has only one answer.
    token = {"Authorization": f"Bearer {make_token()}"} if "/operators/" in label else {}
    there_is = {"name": "demo", "build": 1000, "filename": filename, "key": bundle.key}
    statuses = set()

    @settings(EVERYDAY, max_examples=60)
    @given(DOORS[label].as_strategy(), st.booleans())
    def ask(case, is_there):
        caches["limits"].clear()
        if is_there:
            case.path_parameters = {key: there_is[key] for key in case.path_parameters or ()}
            # Of what is drawn, hardly anything is the name of a package and the key of a target.
            case.body = BODIES.get(label, case.body)
        with transaction.atomic():
            answer = case.call(app=site, headers={"Accept-Encoding": "", **(token if is_there else {})})
            case.validate_response(answer, checks=CHECKS)
            transaction.set_rollback(True)
        statuses.add(answer.status_code)

    ask()
    assert 200 in statuses
