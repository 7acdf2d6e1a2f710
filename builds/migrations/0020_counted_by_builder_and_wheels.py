"""Keep what was counted of builders and of wheels, so that no page counts millions."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0019_counted'),
    ]

    operations = [
        migrations.AlterField(
            model_name='counting',
            name='thing',
            field=models.CharField(choices=[('queue', 'what waits'), ('days', 'how builds ended'), ('builders', 'how builds ended on each builder'), ('wheels', 'what came out of builds'), ('failures', 'what fails at the moment'), ('campaigns', 'how far campaigns are')], max_length=10, primary_key=True, serialize=False),
        ),
        migrations.CreateModel(
            name='WheelDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('kind', models.CharField(help_text='What runs them: pure, abi3-armhf, cp313-arm64.', max_length=40)),
                ('count', models.PositiveIntegerField(default=0)),
                ('size', models.PositiveBigIntegerField(default=0, help_text='Bytes of all of them.')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('day', 'kind'), name='builds_wheelday_of_a_kind')],
            },
        ),
        migrations.CreateModel(
            name='BuilderDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('dispatched', 'Dispatched'), ('building', 'Building'), ('uploading', 'Uploading'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('lost', 'Lost')], max_length=10)),
                ('count', models.PositiveIntegerField(default=0)),
                ('seconds', models.FloatField(default=0, help_text='How long it was at them, as far as it said.')),
                ('builder', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='builds.builder')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('day', 'builder', 'state'), name='builds_builderday_of_a_kind')],
            },
        ),
    ]
