"""Leave out of the indexes of builds what is empty, or what another index has as well.

Where a column loses its index, Django drops every index of that column alone, so also the one that is the
constraint of one build for each builder: that goes before and comes back after.
"""

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
        migrations.RemoveConstraint(
            model_name='build',
            name='builds_build_one_per_builder',
        ),
        migrations.AlterField(
            model_name='build',
            name='builder',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='builds', to='builds.builder'),
        ),
        migrations.AddConstraint(
            model_name='build',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['dispatched', 'building', 'uploading'])), fields=('builder',), name='builds_build_one_per_builder'),
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
