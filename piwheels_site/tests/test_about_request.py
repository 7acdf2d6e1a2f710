import json
import os
import subprocess
import sys

import pytest
from celery import current_app
from django.test import override_settings

from builder import log_lines
from piwheels_site.celery import Tick, app

pytestmark = pytest.mark.django_db


def test_every_answer_has_the_name_of_its_request(client):
    first, second = (client.get("/faq.html").headers["X-Request-Id"] for _ in range(2))

    assert len(first) == 16
    assert first != second


@pytest.mark.parametrize(
    ("is_behind", "given", "is_believed"),
    [
        (True, "0123456789abcdef0123456789abcdef", True),
        (False, "0123456789abcdef0123456789abcdef", False),
        (True, "x" * 65, False),
        (True, 'a"b\nc{}{}{}', False),
    ],
)
def test_only_a_proxy_names_requests(client, is_behind, given, is_believed):
    with override_settings(PIWHEELS_BEHIND_PROXY=is_behind):
        answer = client.get("/faq.html", headers={"X-Request-Id": given})

    assert (answer.headers["X-Request-Id"] == given) == is_believed


def test_the_index_is_spared(client):
    assert "X-Request-Id" not in client.get("/simple/").headers


def test_what_a_task_logs_says_which_task_it_is():
    seen = []

    @app.task(name="test.seen", shared=False)
    def look():
        seen.append(dict(log_lines._fields.get()))

    try:
        look()
    finally:
        app.tasks.pop("test.seen", None)

    assert seen[0]["task"] == "test.seen"
    assert isinstance(look, Tick)
    assert current_app.main == "piwheels"


@pytest.mark.parametrize(("format", "is_json"), [("json", True), ("line", False)])
def test_a_setting_makes_every_line_json(tmp_path, format, is_json):
    script = "import django, logging; django.setup(); logging.getLogger('packages').warning('Full.')"
    env = {
        **os.environ,
        "LOG_FORMAT": format,
        "PIWHEELS_VAR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "piwheels_site.settings",
    }

    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)

    if is_json:
        assert json.loads(done.stderr)["message"] == "Full."
    else:
        assert done.stderr == "WARNING packages: Full.\n"
