"""`piwheels-monitor` and `python -m monitor`: show a farm until somebody has seen enough."""

import sys

from monitor.client import Client
from monitor.screen import Monitor
from monitor.settings import BadSettings, read


def main() -> int:
    """Read the command line, and show the farm."""
    try:
        settings = read(sys.argv[1:])
    except BadSettings as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with Client(settings.address, settings.token) as client:
        screen = Monitor(client, address=settings.address, every_s=settings.every_s)
        screen.run()
    return screen.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
