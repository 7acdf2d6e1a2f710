"""`manage.py check_requirements`: what a Pi gets of a requirements or lock file, without a browser."""

import argparse
import sys
from pathlib import Path
from typing import Any

from django.core.management import CommandError, CommandParser

from builds.management import named
from packages.command import ManualCommand
from simple.check import Checked, by_verdict, check
from simple.explain import SETUPS, CannotRun, Setup
from simple.machines import BY_KEY
from simple.requirements import CannotRead, read


class Command(ManualCommand):
    """The command."""

    help = (
        "Tell what a Pi gets of a requirements or lock file; exits with 1 unless all installs as it should."
    )
    examples = (
        "check_requirements requirements.txt --target trixie-armhf-cp313",
        "check_requirements uv.lock --target bookworm-armhf-cp311 --model zero",
        "check_requirements - --target trixie-armhf-cp313 < requirements.txt",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file and the Pi."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.add_argument("file", help="a requirements.txt or a lock file; - reads from standard input")
        parser.add_argument("--target", required=True, help="the system, as trixie-armhf-cp313")
        parser.add_argument("--model", choices=sorted(BY_KEY), help="the kind of Pi; any, if it is left out")
        parser.add_argument("--setup", choices=[*SETUPS], default=Setup.PIP, help="how it installs")

    def handle(self, *args: object, **options: Any) -> None:
        """Print what is not as it should be, and one line for all."""
        target = named.target(options["target"])
        try:
            asked = read(self._text(options["file"]))
            checked = check(asked, target, BY_KEY.get(options["model"] or ""), Setup(options["setup"]))
        except (CannotRead, CannotRun) as error:
            raise CommandError(str(error)) from error
        self._print(checked)
        if checked.good < len(checked.lines) or asked.passed_over:
            raise CommandError("Not all of it installs as it should.", returncode=1)

    def _text(self, file: str) -> str:
        """Return what the file holds."""
        try:
            return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from error

    def _print(self, checked: Checked) -> None:
        for verdict, lines in by_verdict(checked).items():
            for line in lines:
                said = f"{line.wanted.name}{line.wanted.wanted}: {verdict.said}"
                self.stdout.write(f"{said} ({line.filename})" if line.filename else said)
        for said in checked.asked.passed_over:
            self.stdout.write(f"passed over: {said}")
        if checked.apt:
            self.stdout.write(f"sudo apt install {' '.join(checked.apt)}")
        self.stdout.write(f"{checked.good} of {len(checked.lines)} packages install without trouble.")
