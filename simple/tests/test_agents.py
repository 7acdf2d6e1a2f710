import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from simple.agents import MAX_LENGTH, Agent, recognise
from simple.models import Client
from simple.tests.log_lines import PIP, UV

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
NAMED = {"name": JSON, "version": JSON}
SAID = st.fixed_dictionaries(
    {},
    optional={
        "installer": JSON | st.fixed_dictionaries({}, optional=NAMED),
        "implementation": JSON | st.fixed_dictionaries({}, optional=NAMED),
        "distro": JSON | st.fixed_dictionaries({}, optional={**NAMED, "libc": JSON}),
        "system": JSON | st.fixed_dictionaries({}, optional={"name": JSON, "release": JSON}),
        "python": JSON,
        "cpu": JSON,
        "ci": JSON,
    },
)


@pytest.mark.parametrize(
    ("agent", "facts"),
    [
        (PIP, Agent("pip", "23.0", "3.11", "raspbian", "12", "armv7l")),
        (UV, Agent("uv", "0.5", "3.13", "ubuntu", "24.04", "aarch64")),
        ("poetry/1.8.3 CPython/3.12.1 Linux/6.1.0", Agent("poetry", "1.8", "3.12", "linux")),
        ("poetry/2.0.0 PyPy/x Windows/10", Agent("poetry", "2.0", "", "windows")),
        ("pdm/2.19.3 CPython/3.11.9", Agent("pdm", "2.19", "3.11")),
        ("pip/1.5.6 CPython/2.7.9 Linux/4.9", Agent("pip", "1.5", "2.7", "linux")),
        ("Mozilla/5.0 (X11; Linux armv7l) Firefox/130.0", Agent("browser")),
        ("curl/8.5.0", Agent("browser")),
        ("python-requests/2.32.3", Agent("other")),
        ("bandersnatch/6.5.0 (CPython 3.12)", Agent("other")),
        ("SomeBot/2.1 (+http://bot.example)", Agent("other")),
        ("Go-http-client/2.0", Agent("other")),
        ("-", Agent()),
        ("", Agent()),
    ],
)
def test_what_real_clients_say_is_understood(agent, facts):
    assert recognise(agent) == facts


@pytest.mark.parametrize(
    ("agent", "facts"),
    [
        ('pip/23.0 {"system": null}', Agent("pip", "23.0")),
        ('pip/23.0 {"cpu": 5}', Agent("pip", "23.0", architecture="other")),
        ('pip/23.0 {"installer": "x"}', Agent("pip", "23.0")),
        ('pip/23.0 {"installer": {"name": "an-installer-of-more-than-20-letters"}}', Agent("other")),
        ('pip/23.0 {"python": "3.11\\u0000"}', Agent("pip", "23.0", "3.11")),
        ("pip/23.0 {broken", Agent("pip", "23.0")),
        ("pip/23.0 " + "[" * 1900, Agent("pip", "23.0")),
        ("pip/23.0 " + "9" * 1900, Agent("pip", "23.0")),
        ("pip/not-a-version", Agent()),
        ("uv/", Agent()),
        ("pip/23.0 \0", Agent()),
        (PIP + " " * MAX_LENGTH, Agent()),
        ('pip/23.0 {"distro": {"name": "My Own Linux", "version": "1"}}', Agent("pip", "23.0")),
        ('pip/23.0 {"cpu": "pdp11", "python": "3.111"}', Agent("pip", "23.0", architecture="other")),
    ],
)
def test_odd_agents_tell_what_they_can(agent, facts):
    assert recognise(agent) == facts


# A busy machine is slow to draw, which says nothing of what is drawn.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text(max_size=300)
    | SAID.map(lambda said: f"pip/23.0.1 {json.dumps(said)}")
    | st.builds("uv/{} {}".format, st.text(max_size=9), SAID.map(json.dumps))
)
@example("twine/" + "1 " * 990)
@example("Bazel/release " * 100)
def test_no_agent_whatsoever_raises_or_says_more_than_a_column_holds(agent):
    facts = recognise(agent)

    for name, fact in facts._asdict().items():
        assert len(fact) <= (Client._meta.get_field(name).max_length or 0)
        assert fact.isascii() and (fact.isprintable() or not fact)
