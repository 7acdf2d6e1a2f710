"""What every farm in a scratch folder needs: a port of its own, and nothing that leads to another farm."""

import os
import random
import socket
from collections import deque
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
# Sockets whose names no other process can have while this one lives, one for each of the last ports that it
# drew.  Only their numbers: the system closes them in the end, and Python would complain that nobody did.
_drawn: deque[int] = deque()
_HELD = 100


def free_port() -> int:
    """Return a port that nothing listens on, and that no connection gets by itself."""
    while True:
        # Tests seed the usual generator.
        port = random.SystemRandom().choice(_PORTS)
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe, suppress(OSError):
            # Others draw at the same time, and it may be a while before anybody listens there.
            mark.bind(f"\0piwheels-port-{port}")
            probe.bind(("127.0.0.1", port))
            _drawn.append(mark.detach())
            if len(_drawn) > _HELD:
                os.close(_drawn.popleft())
            return port
        mark.close()
