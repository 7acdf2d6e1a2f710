"""What migrations do to large tables while others write to them; such a migration says `atomic = False`."""

from typing import Any

from django.contrib.postgres import operations
from django.db import transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterField
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class _WhereItCan(operations.NotInTransactionMixin, Operation):
    """Works as Django's own operation of the name, which is for PostgreSQL alone, and plainly elsewhere."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Do it."""
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        # SQLite makes some tables anew for it, which must not end half-way.
        with transaction.atomic(schema_editor.connection.alias):
            super(operations.NotInTransactionMixin, self).database_forwards(
                app_label, schema_editor, from_state, to_state
            )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Undo it."""
        if schema_editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            return
        with transaction.atomic(schema_editor.connection.alias):
            super(operations.NotInTransactionMixin, self).database_backwards(
                app_label, schema_editor, from_state, to_state
            )


class AddIndexConcurrently(_WhereItCan, operations.AddIndexConcurrently):
    """Adds an index while others write."""


class RemoveIndexConcurrently(_WhereItCan, operations.RemoveIndexConcurrently):
    """Drops an index while others use it."""


class _ForeignKeyWithoutIndex(operations.NotInTransactionMixin, AlterField):
    """What `LeaveForeignKeyWithoutIndex` does on PostgreSQL."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Drop the index."""
        self._ensure_not_in_transaction(schema_editor)
        editor: Any = schema_editor  # Any: it names indexes by itself, and has no other way to
        model = from_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        named = {index.name for index in model._meta.indexes}
        for index in editor._constraint_names(model, [field.column], index=True, unique=False, exclude=named):
            schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{index}"')

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Make it again."""
        self._ensure_not_in_transaction(schema_editor)
        editor: Any = schema_editor  # Any: as above
        model = to_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        schema_editor.execute(editor._create_index_sql(model, fields=[field], concurrently=True))


class LeaveForeignKeyWithoutIndex(_WhereItCan, _ForeignKeyWithoutIndex):
    """Takes a foreign key's own index away while others use it, where another index leads to it as well.

    Django's operation would have the whole table checked against the key once more, while nobody can write.
    """
