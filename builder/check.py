"""`python -m builder --check`: does this machine have all that a builder needs?  Says so line by line."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from builder.client import Client, Refused, Unreachable
from builder.contract import BuilderFacts
from builder.place import workshop
from builder.settings import BadSettings, Settings, read
from builder.worker import configuration, presence

# What is looked at, how it is (True: good, False: bad), and a sentence about it.
Finding = tuple[str, bool, str]


def check(environment: Mapping[str, str]) -> int:
    """Print what is right and what is wrong; return 0 when nothing is wrong."""
    good = True
    for what, is_good, sentence in _findings(environment):
        good = good and is_good
        sys.stdout.write(f"{'ok ' if is_good else 'BAD'}  {what}: {sentence}\n")
    return 0 if good else 1


def _findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what there is to say, one thing after the other."""
    try:
        settings = read(environment)
        folder = workshop(settings)
    except BadSettings as error:
        yield "settings", False, str(error)
        return
    yield "settings", True, f"builder {settings.builder} of {settings.server}, builds in {folder}"
    facts = presence.facts(folder)
    yield "system", True, f"{facts.model}, {facts.os_release}, {facts.platform}, Python {facts.python}"
    yield "memory", True, f"{facts.memory_bytes >> 20} MiB, and {facts.swap_bytes >> 20} MiB of swap"
    if not facts.problems:
        yield "disk and clock", True, f"{facts.disk_free_bytes >> 30} GiB free"
    for problem in facts.problems:
        yield "machine", False, problem
    yield "sandbox", True, " ".join((f'level "{facts.sandbox}".', *facts.sandbox_lacks))
    yield _server(settings, facts)
    yield _redis(settings)


def _server(settings: Settings, facts: BuilderFacts) -> Finding:
    """Say hello, and hear what the server makes of it."""
    try:
        with Client(settings) as client:
            welcome = client.hello(facts)
    except Refused as refused:
        if refused.status == 401:
            return (
                "server",
                False,
                "It does not know this token: `manage.py builder NAME rekey` gives another.",
            )
        return "server", False, str(refused)
    except Unreachable as fault:
        return "server", False, str(fault)
    if welcome.stop:
        return "server", False, "It wants this builder stopped: `manage.py builder NAME resume` changes that."
    if welcome.problem:
        return "server", False, f"It gives this builder no builds: {welcome.problem}"
    return "server", True, "It knows this builder and finds nothing wrong with it."


def _redis(settings: Settings) -> Finding:
    """Say whether rings can arrive, asking Redis as the worker does."""
    told: dict[str, Any] = configuration(settings)  # Any: Celery's settings
    try:
        with Connection(
            settings.orders_url, transport_options=told["broker_transport_options"]
        ) as connection:
            connection.ensure_connection(max_retries=1, timeout=10)
            channel: Any = connection.default_channel  # Any: Redis' own, which has a client
            channel.client.ping()
    except (OperationalError, RedisError, OSError) as error:
        return "redis", False, f"{error}: look at PIWHEELS_ORDERS_URL, and at this builder's user in Redis."
    except Exception as error:
        # An address that is none fails in many ways.
        return "redis", False, f"PIWHEELS_ORDERS_URL is not understood ({type(error).__name__})."
    return "redis", True, "It lets this builder in."
