"""Leave out of the indexes of builds what is empty, or what another index has as well."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0015_build_lanes'),
        ('packages', '0005_urgent_marks'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='build',
            name='builds_build_finished_at',
        ),
        migrations.AlterField(
            model_name='build',
            name='builder',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='builds', to='builds.builder'),
        ),
        migrations.AlterField(
            model_name='build',
            name='source',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='builds', to='packages.upstreamfile'),
        ),
        migrations.AlterField(
            model_name='build',
            name='target',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='builds', to='builds.target'),
        ),
        migrations.AlterField(
            model_name='build',
            name='version',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='builds', to='packages.version'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['-finished_at'], name='builds_build_finished_at'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['target', 'failure', 'id'], name='builds_build_failed'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('builder__isnull', False)), fields=['builder', '-finished_at'], name='builds_build_of_builder'),
        ),
        migrations.AddIndex(
            model_name='build',
            index=models.Index(condition=models.Q(('source__isnull', False)), fields=['source'], name='builds_build_of_source'),
        ),
    ]
