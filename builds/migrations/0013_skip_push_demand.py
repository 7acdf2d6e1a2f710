"""Keep what operators and people want, and how much."""

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0012_target_policy'),
        ('packages', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Demand',
            fields=[
                ('package', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='demand', serialize=False, to='packages.package')),
                ('downloads', models.PositiveBigIntegerField(default=0, help_text='Of its wheels, in 30 days.')),
                ('misses', models.PositiveBigIntegerField(default=0, help_text='How often pip looked for it in 30 days while there was nothing.')),
                ('dependents', models.PositiveIntegerField(default=0, help_text='Packages with wheels that need it.')),
            ],
            options={
                'verbose_name_plural': 'demand',
            },
        ),
        migrations.CreateModel(
            name='Push',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rank', models.PositiveSmallIntegerField(blank=True, choices=[(1, 'prerelease'), (2, 'history'), (3, 'campaign'), (4, 'newest'), (5, 'release')], help_text='A class: its builds go before all but those that were asked for by name.', null=True)),
                ('reason', models.CharField(blank=True, help_text="As people read it on the build's page.", max_length=200)),
                ('by', models.CharField(blank=True, help_text='Who wants it.', max_length=150)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name_plural': 'pushes',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Skip',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(help_text="As people read it on the package's page.", max_length=200)),
                ('by', models.CharField(blank=True, help_text='Who decided it.', max_length=150)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'ordering': ['package', 'target'],
            },
        ),
        migrations.AddIndex(
            model_name='demand',
            index=models.Index(models.OrderBy(django.db.models.expressions.CombinedExpression(models.F('downloads'), '+', models.F('misses')), descending=True), models.OrderBy(models.F('dependents'), descending=True), models.F('package'), name='builds_demand_most'),
        ),
        migrations.AddField(
            model_name='push',
            name='package',
            field=models.ForeignKey(blank=True, help_text='All its versions.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='pushes', to='packages.package'),
        ),
        migrations.AddField(
            model_name='push',
            name='target',
            field=models.ForeignKey(blank=True, help_text='Empty: for all.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='pushes', to='builds.target'),
        ),
        migrations.AddField(
            model_name='push',
            name='version',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='pushes', to='packages.version'),
        ),
        migrations.AddField(
            model_name='skip',
            name='package',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='skips', to='packages.package'),
        ),
        migrations.AddField(
            model_name='skip',
            name='target',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='skips', to='builds.target'),
        ),
        migrations.AddConstraint(
            model_name='push',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('package__isnull', False), ('rank', None), ('version', None)), models.Q(('package', None), ('rank', None), ('version__isnull', False)), models.Q(('package', None), ('rank__isnull', False), ('version', None)), _connector='OR'), name='builds_push_of_one_thing', violation_error_message='Name a package, a version or a class: one of them.'),
        ),
        migrations.AddConstraint(
            model_name='skip',
            constraint=models.UniqueConstraint(fields=('package', 'target'), name='builds_skip_unique'),
        ),
        migrations.AddConstraint(
            model_name='skip',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='builds_skip_has_reason'),
        ),
    ]
