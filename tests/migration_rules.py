"""What a migration must not do while the code of before it still runs, and how to do it instead."""

import sys

from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from packages.concurrently import AddIndexConcurrently

# Where a migration says why it may do it all the same.
REASON = "OLD_CODE_RUNS"

_NAMED_BY_OLD_CODE = (
    operations.RemoveField,
    operations.RenameField,
    operations.DeleteModel,
    operations.RenameModel,
    operations.AlterModelTable,
)
_DATA = (operations.RunPython, operations.RunSQL)
# What changes no table; an operation for both, as of an index that is made while others write, is not read.
_OF_NO_TABLE = (
    *_DATA,
    operations.SeparateDatabaseAndState,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
)


def reason(migration: Migration) -> str:
    """Return why a migration may do what old code does not expect; "" if it does not say."""
    return str(getattr(sys.modules[type(migration).__module__], REASON, ""))


def complaints(migration: Migration, before: ProjectState) -> list[str]:
    """Return what old code, or whoever writes meanwhile, would not survive."""
    state, found = before.clone(), []
    new = {each.name.lower() for each in migration.operations if isinstance(each, operations.CreateModel)}
    for operation in migration.operations:
        after = state.clone()
        operation.state_forwards(migration.app_label, after)
        if not _model(operation) & new:
            found += _of_one(operation, migration.app_label, state, after)
        state = after
    changes_rows = any(isinstance(each, _DATA) for each in migration.operations)
    if changes_rows and not all(isinstance(each, _OF_NO_TABLE) for each in migration.operations):
        found.append("It changes rows and tables: make two of it.")
    if any(not each.reversible for each in migration.operations):
        found.append("It cannot be taken back: give its RunPython or RunSQL a reverse, noop at least.")
    return found


def _model(operation: Operation) -> set[str]:
    """Return the name of the model that an operation is about, if it is about one."""
    name = getattr(operation, "model_name", None) or getattr(operation, "name", None)
    return {str(name).lower()} if name else set()


def _of_one(operation: Operation, app: str, before: ProjectState, after: ProjectState) -> list[str]:
    """Return what is wrong with one operation on a table that is there already."""
    told = operation.describe()
    if isinstance(operation, _NAMED_BY_OLD_CODE):
        return [f"{told}: old code names it. Stop using it in one release, and remove it in the next."]
    if isinstance(operation, operations.AddField) and _must_be_given(operation.field):
        return [f"{told}: old code inserts rows without it. Give it null=True or a db_default."]
    if isinstance(operation, operations.AlterField) and _is_tightened(operation, app, before, after):
        return [f"{told}: old code writes what it was. Add another field, fill it, and switch to it."]
    if isinstance(operation, operations.AddConstraint | operations.AlterUniqueTogether):
        return [f"{told}: old code knows nothing of it. Keep it in code for a release, and then say so."]
    if isinstance(operation, operations.AddIndex) and not isinstance(operation, AddIndexConcurrently):
        return [f"{told}: nobody can write meanwhile. Use packages.concurrently, as packages/0013 does."]
    return []


def _must_be_given(field: models.Field) -> bool:
    """Whether a row without this field is refused."""
    is_column = field.many_to_many is not True
    return is_column and not field.null and not field.has_db_default()


def _is_tightened(
    operation: operations.AlterField, app: str, before: ProjectState, after: ProjectState
) -> bool:
    """Whether a column takes less than it did, or something else."""
    old, new = (
        state.apps.get_model(app, operation.model_name)._meta.get_field(operation.name)
        for state in (before, after)
    )
    assert isinstance(old, models.Field)
    assert isinstance(new, models.Field)
    takes_less = (old.null and not new.null) or (new.unique and not old.unique)
    is_shorter = (old.max_length or 0) > (new.max_length or 0)
    return type(old) is not type(new) or old.column != new.column or takes_less or is_shorter
