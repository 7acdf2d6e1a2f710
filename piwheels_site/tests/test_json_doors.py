"""The doors that speak JSON answer as tests/openapi.yaml says, whatever they are sent (Schemathesis)."""

import pytest
import schemathesis
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.farm import ROOT
from piwheels_site.tests.test_strange_requests import EVERYDAY, published_with_a_build

pytestmark = pytest.mark.django_db

SCHEMA = schemathesis.openapi.from_path(ROOT / "tests" / "openapi.yaml")
DOORS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
# 5xx is described nowhere but for a site that is not well.
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
# Of what is drawn, hardly anything is there.
THERE_IS = {
    "name": "demo",
    "build": 1000,
    "filename": "demo-1.0-py3-none-any.whl",
    "series": "downloads",
    "os_release": "trixie",
    "names": "demo",
}
THERE_IS_OF_A_BUILD = {"build": 1000, "attempt": 1, "filename": "demo-2.0-py3-none-any.whl"}
JSON = "application/vnd.pypi.simple.v1+json"


@pytest.mark.parametrize("label", DOORS)
def test_T51_a_door_answers_as_it_is_described(site, label):
    token, ticket = published_with_a_build()
    door = DOORS[label]
    there_is = THERE_IS_OF_A_BUILD if "/builder/" in label else THERE_IS
    secret = token if label.endswith(("hello", "claim")) else ticket
    # Schemathesis unpacks nothing that an application answers without a server between them.
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {secret}"} if "/builder/" in label else {"Accept": JSON}

    statuses = set()

    @settings(EVERYDAY, max_examples=40)
    @given(door.as_strategy(), st.booleans())
    def ask(case, is_there):
        if is_there:
            case.path_parameters = {
                key: there_is.get(key, each) for key, each in case.path_parameters.items()
            }
        with transaction.atomic():
            answer = case.call(app=site, headers=headers)
            case.validate_response(answer, checks=CHECKS)
            transaction.set_rollback(True)
        statuses.add(answer.status_code)

    ask()
    # A broker, and a wheel that a builder of ours has made, are more than there is here.
    if "healthz" not in label and "provenance" not in label:
        # The build is claimed already, which is said only to who may know.
        assert (409 if label.endswith("claim") else 200) in statuses
