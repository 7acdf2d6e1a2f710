"""The Redis servers that the farm's messages go through, as a plain client sees them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from kombu import Connection

# Who asks wants to know now; a server that needs longer is not well.
PATIENCE_S = 2


@contextmanager
def client(celery: Celery[Any]) -> Iterator[Any]:  # Any: kombu's types know no channel of Redis
    """Give the client of an app's broker; raises what that raises when it does not answer."""
    options = {
        **celery.conf.broker_transport_options,
        "socket_timeout": PATIENCE_S,
        "socket_connect_timeout": PATIENCE_S,
        "max_retries": 0,
    }
    with Connection(celery.conf.broker_url, transport_options=options) as connection:
        channel: Any = connection.default_channel
        yield channel.client
