"""Let builds be wanted anew and have build tags, and wheels be superseded by rebuilds."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0017_storage_check'),
        ('packages', '0007_shown_revision'),
    ]

    operations = [
        migrations.AddField(
            model_name='build',
            name='build_tag',
            field=models.PositiveIntegerField(blank=True, help_text='That its wheels have, as there were some of this version before it.', null=True),
        ),
        migrations.AddField(
            model_name='build',
            name='rebuild_reason',
            field=models.CharField(blank=True, db_default='', default='', help_text='Why an operator wants it built although there may be wheels; empty: nobody does.', max_length=200),
        ),
        migrations.AddField(
            model_name='wheel',
            name='content_sha256',
            field=models.CharField(blank=True, db_default='', default='', help_text='Of what it installs, whatever its build tag; empty: from before this was noted.', max_length=64),
        ),
        migrations.AddField(
            model_name='wheel',
            name='superseded_by',
            field=models.ForeignKey(blank=True, db_index=False, help_text='The rebuild that took its place, for which it was yanked.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='supersedes', to='builds.wheel'),
        ),
        migrations.AddIndex(
            model_name='wheel',
            index=models.Index(condition=models.Q(('superseded_by__isnull', False)), fields=['superseded_by'], name='builds_wheel_superseded'),
        ),
    ]
