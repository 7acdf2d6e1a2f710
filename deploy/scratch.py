"""What every farm in a scratch folder needs: a port of its own, and nothing that leads to another farm."""

import random
import socket
from contextlib import suppress

# What would lead away from the scratch state, to a farm that somebody uses.
ELSEWHERE = {
    "DATABASE_URL",
    "REDIS_URL",
    "PIWHEELS_ORDERS_URL",
    "PIWHEELS_STORAGE",
    "PIWHEELS_INCOMING",
    "PIWHEELS_PUBLIC",
}

# Below those of which the kernel takes one for its own end of a connection, perhaps before somebody listens.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a port that nothing listens on, and that no connection gets by itself."""
    while True:
        # Others draw at the same time, and tests seed the usual generator.
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
