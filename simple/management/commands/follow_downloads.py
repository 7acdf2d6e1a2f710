"""`manage.py follow_downloads PATH`: count what a web server's log tells, as it is written."""

import signal
from argparse import ArgumentParser
from pathlib import Path
from threading import Event

from packages.command import ManualCommand
from simple.follow import Follower


class Command(ManualCommand):
    """Count downloads from a log that grows, until told to stop."""

    help = "Count downloads from nginx's log as it is written (deploy/nginx/log-format.conf), each line once."
    examples = ("follow_downloads /var/log/nginx/piwheels.json.log",)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Describe the arguments."""
        parser.add_argument("path", type=Path, metavar="PATH", help="the log; it need not be there yet")

    def handle(self, *args: object, path: Path, **options: object) -> None:
        """Follow until SIGTERM or Ctrl-C."""
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Follower(path.absolute()).run(stop)
