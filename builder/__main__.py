"""`python -m builder`: starts the worker of the builder that the environment describes.

Exits with 2 when a setting is missing or wrong, with 1 when the clock is, and says which; with 3 after an
operator stopped it.  `python -m builder --check` looks at all that it needs, says what is wrong, and exits
with 0 when nothing is.
"""

import argparse
import logging
import os
import sys
from datetime import UTC, datetime

from builder import cgroup
from builder.check import check
from builder.place import remove_leftovers, workshop
from builder.settings import BadSettings, read
from builder.worker import STOPPED, WrongClock, app, arguments, check_clock, log_as_json, presence


def main() -> int:
    """Read the command line, and work or check."""
    parser = argparse.ArgumentParser(
        prog="python -m builder", description="Builds wheels for a piwheels farm."
    )
    parser.add_argument("--check", action="store_true", help="look at all that a builder needs, and end")
    return check(os.environ) if parser.parse_args().check else work()


def work() -> int:
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
    if settings.log_format == "json":
        log_as_json(settings, sys.stderr)
    cgroup.tidy()
    remove_leftovers(folder)
    # The worker says itself which build it takes and how it ended; Celery's own lines would double it.
    for name in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    app.worker_main(arguments(settings))
    return STOPPED if presence.was_stopped else 0


if __name__ == "__main__":
    sys.exit(main())
