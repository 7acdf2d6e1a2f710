"""Note who shall not have the next attempt of a build, and until when a claim lasts at the most."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0009_builder_mode_at'),
    ]

    operations = [
        migrations.AddField(
            model_name='build',
            name='avoid',
            field=models.ForeignKey(blank=True, db_index=False, help_text='Who lost or failed the attempt before; another gets this one, if there is another.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='builds.builder'),
        ),
        migrations.AddField(
            model_name='build',
            name='must_end_at',
            field=models.DateTimeField(blank=True, help_text='When its ticket dies at the latest; set by the claim.', null=True),
        ),
    ]
