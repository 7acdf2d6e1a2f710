"""Keep each download for some days; on PostgreSQL in a table that is partitioned by day.

The partition named `simple_rawdownload_default` takes what no day's partition is there for, so that nobody who
counts has to make one.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

PARTITIONED = """
    CREATE TABLE simple_rawdownload (
        day date NOT NULL,
        fingerprint bigint NOT NULL,
        wheel_id bigint NOT NULL,
        client_id bigint NOT NULL,
        hour smallint NOT NULL CHECK (hour >= 0),
        PRIMARY KEY (day, fingerprint)
    ) PARTITION BY RANGE (day);
    CREATE TABLE simple_rawdownload_default PARTITION OF simple_rawdownload DEFAULT;
"""


def create(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the table as this database does best."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(PARTITIONED)
    else:
        schema_editor.create_model(apps.get_model("simple", "RawDownload"))


def drop(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop it with its partitions."""
    schema_editor.execute("DROP TABLE simple_rawdownload")


class CreateRawDownload(migrations.CreateModel):
    """Creates the model where the database has no partitions, and its like where it has."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        create(to_state.apps, schema_editor)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        drop(from_state.apps, schema_editor)


class Migration(migrations.Migration):

    dependencies = [
        ('simple', '0005_download_client'),
    ]

    operations = [
        CreateRawDownload(
            name='RawDownload',
            fields=[
                ('pk', models.CompositePrimaryKey('day', 'fingerprint', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('fingerprint', models.BigIntegerField()),
                ('hour', models.PositiveSmallIntegerField()),
                ('client', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='simple.client')),
                ('wheel', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='builds.wheel')),
            ],
        ),
    ]
