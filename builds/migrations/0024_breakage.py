"""Keep which new releases fail of packages that were built before."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0023_target_plan_from'),
        ('packages', '0013_few_of_millions'),
    ]

    operations = [
        migrations.AlterField(
            model_name='counting',
            name='thing',
            field=models.CharField(choices=[('queue', 'what waits'), ('days', 'how builds ended'), ('builders', 'how builds ended on each builder'), ('wheels', 'what came out of builds'), ('failures', 'what fails at the moment'), ('broken', 'what was built before and fails'), ('campaigns', 'how far campaigns are')], max_length=10, primary_key=True, serialize=False),
        ),
        migrations.CreateModel(
            name='Breakage',
            fields=[
                ('build', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='breakage', serialize=False, to='builds.build')),
                ('day', models.DateField(help_text='When it failed (UTC).')),
                ('good', models.ForeignKey(db_constraint=False, help_text='The last version before it that was built.', on_delete=django.db.models.deletion.CASCADE, related_name='+', to='packages.version')),
            ],
            options={
                'ordering': ['-day', '-build_id'],
                'indexes': [models.Index(fields=['-day', '-build'], name='builds_breakage_last')],
            },
        ),
    ]
