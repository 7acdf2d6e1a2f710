"""`python -m builder`: starts the worker of the builder that the environment describes.

Exits with 2 when a setting is missing or wrong, with 1 when the clock is, and says which.
"""

import logging
import os
import sys
from datetime import UTC, datetime

from builder import cgroup
from builder.place import remove_leftovers, workshop
from builder.settings import BadSettings, read
from builder.worker import WrongClock, app, arguments, check_clock


def main() -> int:
    """Check what must be right, tidy up, and work until told to end."""
    try:
        settings = read(os.environ)
        folder = workshop(settings)
        check_clock(datetime.now(UTC))
    except BadSettings as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except WrongClock as error:
        sys.stderr.write(f"{error}\n")
        return 1
    cgroup.tidy()
    remove_leftovers(folder)
    # The worker says itself which build it takes and how it ended; Celery's own lines would double it.
    for name in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    app.worker_main(arguments(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
