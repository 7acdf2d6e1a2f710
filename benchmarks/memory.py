"""How much memory the servers and a builder have while there is nothing to do.

The goals are for PSS, in which pages that a server and its own children share count once; RSS counts them in
each process.  PostgreSQL and Redis are listed, but their memory is a matter of their settings.
"""

import time

import requests

from benchmarks.figures import Figure, show
from benchmarks.servers import Servers

OURS = ("web", "worker", "beat")
REST_S = 20


def main() -> int:
    """Measure and print."""
    with Servers("redis", *OURS, "builder") as farm:
        # Every page's code is loaded by the first that is asked for.
        for path in ("/", "/simple/"):
            requests.get(f"{farm.address}{path}", timeout=60)
        time.sleep(REST_S)
        found = farm.memory()
    for name, memory in found.items():
        goal = "under 80 MiB" if name == "builder" else ""
        show(
            Figure(f"{name}, PSS", memory.pss, "MiB", goal),
            Figure(f"{name}, RSS", memory.rss, "MiB", goal),
        )
    together = " + ".join(OURS)
    show(
        Figure(f"{together}, PSS", sum(found[name].pss for name in OURS), "MiB", "under 300 MiB"),
        Figure(f"{together}, RSS", sum(found[name].rss for name in OURS), "MiB", "under 300 MiB"),
    )
    return 0
