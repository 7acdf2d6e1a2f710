"""All commands of ours, each by the same rules."""

import pkgutil
import shlex
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import load_command_class

from packages.command import DestructiveCommand, ManualCommand, TrialCommand

OURS = [
    (app.name, module.name)
    for app in apps.get_app_configs()
    if app.name in ("packages", "builds", "simple", "piwheels_site")
    for module in pkgutil.iter_modules(import_module(f"{app.name}.management.commands").__path__)
]
# What takes something away, or does what nobody can take back.
DESTRUCTIVE = {
    *("builder", "campaign", "check_packages", "check_storage", "create_builder", "distrust"),
    *(
        "import_wheels",
        "move_storage",
        "prepare_miniature",
        "rebuild",
        "reconcile",
        "remove_package",
        "skip",
        "take_down",
        "unyank",
        "yank",
    ),
}
# What else may be tried before it is done.
TRIED = {
    *("add_host_target", "add_package", "count_downloads", "import_piwheels", "rebuild_indexes", "sync_pypi"),
    "unskip",
}
ALL = pytest.mark.parametrize(("app", "name"), OURS, ids=[name for _, name in OURS])


def words(example):
    """Return what a shell makes of an example, without what it does itself."""

    return shlex.split(example.split(" < ")[0])


@ALL
def test_a_commands_help_is_a_page_of_a_manual(app, name):
    command = load_command_class(app, name)
    told = command.create_parser("manage.py", name).format_help()

    assert isinstance(command, ManualCommand)
    assert len(command.help) > 40
    assert f"examples:\n  manage.py {name}" in told
    assert "exit status:\n  0  " in told
    assert max(map(len, told.splitlines())) <= 110


@ALL
def test_each_example_is_one_that_the_command_takes(app, name):
    command = load_command_class(app, name)
    for example in command.examples:
        said, *arguments = words(example)

        assert said == name
        command.create_parser("manage.py", name).parse_args(arguments)


@ALL
def test_what_does_harm_can_be_tried_without_and_asks_first(app, name):
    command = load_command_class(app, name)

    assert isinstance(command, DestructiveCommand) == (name in DESTRUCTIVE)
    if name in DESTRUCTIVE:
        told = command.create_parser("manage.py", name).format_help()
        assert "--dry-run" in told
        assert "--yes" in told


@pytest.mark.parametrize("name", sorted(TRIED | DESTRUCTIVE))
def test_what_changes_something_can_be_tried(name):
    app = next(app for app, known in OURS if known == name)
    command = load_command_class(app, name)

    assert isinstance(command, TrialCommand)
    assert "--dry-run" in command.create_parser("manage.py", name).format_help()


def test_all_of_them_are_known():
    assert {name for _, name in OURS} >= DESTRUCTIVE | TRIED
