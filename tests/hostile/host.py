"""A builder in a process of its own, as an attack would meet it: it builds what it is told, and lives on.

Run as a program.  Each line of its input is a build and an attempt; for each it answers with one line, "done"
or what went wrong in the builder itself.
"""

import sys
import traceback
from pathlib import Path

from builder import preflight
from builder.build import build
from builder.client import Client
from builder.place import workshop
from builder.sandbox import Level
from builder.settings import Settings
from builder.tests.server import TOKEN


def main(server: str, work: str, level: str) -> None:
    """Build until the input ends."""
    settings = Settings(
        server=server,
        builder="pi-07",
        token=TOKEN,
        orders_url="redis+socket:///nowhere/redis.sock",
        work=Path(work),
        build_disk_bytes=1 << 30,
    )
    kind = preflight.find(workshop(settings), Level(level))
    for line in sys.stdin:
        number, attempt = map(int, line.split())
        try:
            with Client(settings, patience_s=5.0, first_pause_s=0.05) as client:
                build(client.claim(number, attempt), client, settings, kind)
        except Exception:
            print(repr(traceback.format_exc()), flush=True)
        else:
            print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
