"""Let operators write recipes."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0006_wheel_runs_where'),
        ('packages', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Recipe',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('failure', models.CharField(blank=True, help_text='A class of failure; used for builds that failed so before.', max_length=30)),
                ('apt', models.JSONField(blank=True, default=list, help_text='Debian packages to build with: ["libffi-dev"].')),
                ('environment', models.JSONField(blank=True, default=dict, help_text='Variables: {"CYTHON_FORCE": "1"}.')),
                ('memory_bytes', models.BigIntegerField(blank=True, help_text='The most that a build may use.', null=True)),
                ('time_limit_s', models.PositiveIntegerField(blank=True, help_text="Seconds; empty: the farm's.", null=True)),
                ('size', models.CharField(blank=True, choices=[('small', 'Small'), ('medium', 'Medium'), ('large', 'Large')], help_text='The smallest builder.', max_length=6)),
                ('rung', models.CharField(blank=True, help_text='The rung of the ladder to begin with.', max_length=30)),
                ('note', models.TextField(blank=True, help_text='Why, for whoever comes next.')),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.AddField(
            model_name='recipe',
            name='package',
            field=models.OneToOneField(blank=True, help_text='Empty: for a class.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='recipe', to='packages.package'),
        ),
        migrations.AddConstraint(
            model_name='recipe',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('failure', ''), ('package__isnull', False)), models.Q(('package__isnull', True), models.Q(('failure', ''), _negated=True)), _connector='OR'), name='builds_recipe_for_one_thing'),
        ),
        migrations.AddConstraint(
            model_name='recipe',
            constraint=models.UniqueConstraint(condition=models.Q(('failure', ''), _negated=True), fields=('failure',), name='builds_recipe_failure_unique'),
        ),
    ]
