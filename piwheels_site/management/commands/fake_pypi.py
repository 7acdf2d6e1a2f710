"""`manage.py fake_pypi`: serve a synthetic PyPI of any size, for trying a farm without the real one."""

import signal
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from packages.command import ManualCommand

# The fake is a part of the tests, which only a checkout has.
try:
    from tests.synthetic_pypi import SyntheticPyPI
    from tests.weather import Weather
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "tests":
        raise
    IS_CHECKOUT = False
else:
    IS_CHECKOUT = True

# How often something happens; several things at once where that is too seldom.
TICK_S = 0.1
# How often something goes wrong, with --faults.
WEATHER_S = 2


class Command(ManualCommand):
    """Serve a synthetic PyPI until somebody ends it."""

    help = "Serve a synthetic PyPI on this machine; give its address to a farm in PIWHEELS_PYPI."
    examples = (
        "fake_pypi --projects 1000 --port 9000",
        "fake_pypi --projects 100000 --events-per-second 5 --faults",
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        parser.add_argument("--projects", type=int, default=100_000, help="how many there are (%(default)s)")
        parser.add_argument("--versions", type=float, default=10, help="of each, on average (%(default)s)")
        parser.add_argument("--seed", type=int, default=1, help="another seed, another PyPI (%(default)s)")
        parser.add_argument("--port", type=int, default=9000, help="0 takes a free one (%(default)s)")
        parser.add_argument("--events-per-second", type=float, default=1.0, metavar="N", help="(%(default)s)")
        parser.add_argument("--faults", action="store_true", help="let things go wrong, another every 2 s")
        parser.add_argument("--html", action="store_true", help="have no simple API in JSON")
        parser.add_argument("--no-files", action="store_true", help="show files that nobody can have; faster")
        parser.add_argument("--no-json-api", action="store_true")
        parser.add_argument("--no-xmlrpc", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        """Serve, and let things happen."""
        if not IS_CHECKOUT:
            raise CommandError(
                "The fake PyPI is a part of the tests, which are not here: clone the repository and run this"
                " command there. A farm elsewhere follows it with the PIWHEELS_PYPI that it prints."
            )
        if options["projects"] < 1 or options["versions"] < 1 or options["events_per_second"] < 0:
            raise CommandError("There has to be a project, with a version, and no less than no events.")
        try:
            upstream = SyntheticPyPI(
                options["projects"],
                options["seed"],
                options["versions"],
                is_hollow=options["no_files"],
                json=not options["html"],
                json_api=not options["no_json_api"],
                xmlrpc=not options["no_xmlrpc"],
                port=options["port"],
            )
        except OSError as error:
            raise CommandError(f"Port {options['port']}: {error.strerror}. Take another --port.") from error
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with upstream:
            self.stdout.write(
                f"{options['projects']} projects are at {upstream.simple_url} (Ctrl-C ends them):"
                f" PIWHEELS_PYPI={upstream.simple_url}"
            )
            self.stdout.flush()
            _live(upstream, options["events_per_second"], options["faults"])


def _live(upstream: "SyntheticPyPI", events_per_second: float, has_faults: bool) -> None:
    """Let things happen, for ever."""
    weather = Weather(upstream, upstream.somebody)
    began = time.monotonic()
    turns = 0
    while True:
        passed_s = time.monotonic() - began
        upstream.happen(int(passed_s * events_per_second) - upstream.happened)
        if has_faults and passed_s / WEATHER_S > turns:
            turns += 1
            weather.turn()
        time.sleep(TICK_S)
