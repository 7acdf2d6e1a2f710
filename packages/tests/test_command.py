import io
import os
import sys

import pytest
from django.core.management import CommandError

from packages.command import DestructiveCommand, ManualCommand


class Removing(DestructiveCommand):
    help = "Remove things."
    examples = ("remove all --yes",)
    done = False

    def handle(self, *args, **options):
        if self.may("7 things go.", options):
            self.done = True


class Looking(ManualCommand):
    help = "Look at things."
    examples = ("look",)
    statuses = {1: "something was found"}


@pytest.fixture
def command():
    return Removing(stdout=io.StringIO())


def call(command, *words):
    options = vars(command.create_parser("manage.py", "remove").parse_args(words))
    command.handle(**options)
    return command.stdout.getvalue()


@pytest.fixture
def terminal(monkeypatch):
    """Have somebody sit at a terminal, who types what is written to it."""
    master, slave = os.openpty()
    with os.fdopen(slave) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield lambda text: os.write(master, text.encode())
    os.close(master)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(command):
    assert call(command, "--dry-run", "--yes") == "This would happen: 7 things go.\n"
    assert not command.done


def test_a_script_says_that_it_is_meant(command):
    call(command, "--yes")

    assert command.done


def test_where_nobody_can_be_asked_nothing_is_done(command, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(CommandError, match=r"7 things go\. Nothing was done.*say --yes") as refusal:
        call(command)

    assert (refusal.value.returncode, command.done) == (2, False)


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"])
def test_whoever_says_yes_is_believed(command, terminal, answer):
    terminal(answer)

    assert "7 things go." in call(command)

    assert command.done


# \x04 is the end of what somebody types.
@pytest.mark.parametrize("answer", ["\n", "n\n", "yeah\n", "\x04"])
def test_whatever_else_is_said_is_a_no(command, terminal, answer):
    terminal(answer)

    with pytest.raises(CommandError, match="Nothing was done") as refusal:
        call(command)

    assert (refusal.value.returncode, command.done) == (2, False)


def test_help_is_a_page_of_a_manual():
    told = Looking().create_parser("manage.py", "look").format_help()

    assert "Look at things." in told
    assert "examples:\n  manage.py look\n" in told
    assert "exit status:\n  0  done\n  1  something was found\n  2  wrong arguments" in told
