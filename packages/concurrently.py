"""What migrations do to large tables while others write to them; such a migration says `atomic = False`."""

from django.contrib.postgres import operations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
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
        else:
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
        else:
            super(operations.NotInTransactionMixin, self).database_backwards(
                app_label, schema_editor, from_state, to_state
            )


class AddIndexConcurrently(_WhereItCan, operations.AddIndexConcurrently):
    """Adds an index while others write."""


class RemoveIndexConcurrently(_WhereItCan, operations.RemoveIndexConcurrently):
    """Drops an index while others use it."""
