"""Every migration lets the code of before it go on: an upgrade stops nothing, and can be taken back.

Of two releases, the new one migrates while the old one still serves; CONTRIBUTING.md has the rule.
"""

import sys
from types import ModuleType

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from packages.concurrently import AddIndexConcurrently
from tests.migration_rules import REASON, complaints, reason

# The last of each app before there was a farm that could be upgraded while it runs.
BEFORE_THE_RULE = {"packages": 10, "builds": 21, "simple": 10, "piwheels_site": 2}


def number(name):
    return int(name.split("_")[0])


@pytest.mark.parametrize("app", BEFORE_THE_RULE)
def test_old_code_runs_on_the_new_schema(app):
    loader = MigrationLoader(None)

    wrong = [
        f"{app}/{name}: {complaint}"
        for (of, name), migration in sorted(loader.disk_migrations.items())
        if of == app and number(name) > BEFORE_THE_RULE[app] and not reason(migration)
        for complaint in complaints(migration, loader.project_state((app, name), at_end=False))
    ]

    assert wrong == [], f"or say why it may, in the migration: {REASON} = '...'"


TABLE = migrations.CreateModel(
    "Thing",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20)),
        ("size", models.IntegerField(null=True)),
    ],
)


def made(*operations, said=""):
    """Return a migration of a module of its own, and the state before it."""
    module = ModuleType("made_up_migration")
    setattr(module, REASON, said)
    sys.modules[module.__name__] = module
    kind = type("Migration", (migrations.Migration,), {"__module__": module.__name__})
    migration = kind("0002_more", "packages")
    migration.operations = list(operations)
    before = ProjectState()
    TABLE.state_forwards("packages", before)
    return migration, before


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        (migrations.RemoveField("thing", "size"), "old code names it"),
        (migrations.RenameField("thing", "size", "bytes"), "old code names it"),
        (migrations.DeleteModel("Thing"), "old code names it"),
        (migrations.RenameModel("Thing", "Other"), "old code names it"),
        (migrations.AddField("thing", "kind", models.CharField(max_length=9, default="x")), "without it"),
        (migrations.AlterField("thing", "size", models.IntegerField(default=0)), "writes what it was"),
        (migrations.AlterField("thing", "size", models.TextField(null=True)), "writes what it was"),
        (migrations.AlterField("thing", "name", models.CharField(max_length=10)), "writes what it was"),
        (migrations.AddIndex("thing", models.Index(fields=["size"], name="i")), "concurrently"),
        (
            migrations.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="c")),
            "knows nothing of it",
        ),
        (migrations.RunPython(print), "cannot be taken back"),
    ],
)
def test_what_old_code_would_not_survive_is_found(operation, says):
    (found,) = complaints(*made(operation))

    assert says in found


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("thing", "kind", models.CharField(max_length=9, null=True)),
        migrations.AddField("thing", "kind", models.CharField(max_length=9, default="x", db_default="x")),
        migrations.AlterField("thing", "name", models.CharField(max_length=30, help_text="Its name.")),
        migrations.AlterModelOptions("thing", {"ordering": ["name"]}),
        migrations.RunPython(print, migrations.RunPython.noop),
        AddIndexConcurrently("thing", models.Index(fields=["size"], name="i")),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(print, print)],
            state_operations=[migrations.AddIndex("thing", models.Index(fields=["size"], name="i"))],
        ),
    ],
)
def test_what_old_code_does_not_notice_is_not(operation):
    assert complaints(*made(operation)) == []


def test_a_table_of_its_own_may_have_any_shape():
    other = migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])
    more = migrations.AddField("other", "kind", models.CharField(max_length=9))

    assert complaints(*made(other, more)) == []


def test_rows_and_tables_are_two_migrations():
    more = migrations.AddField("thing", "kind", models.CharField(max_length=9, null=True))

    (found,) = complaints(*made(more, migrations.RunPython(print, print)))

    assert "make two of it" in found


def test_a_migration_may_say_why_it_may():
    migration, _ = made(migrations.DeleteModel("Thing"), said="Nothing has used it since June.")

    assert reason(migration)
