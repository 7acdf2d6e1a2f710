"""Keep which kind of client downloaded what, roll-ups of it, and how far logs were read."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0001_initial'),
        ('packages', '0001_initial'),
        ('simple', '0002_miss'),
    ]

    operations = [
        migrations.CreateModel(
            name='Client',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('installer', models.CharField(help_text='pip, uv, poetry, pdm, browser, other or unknown.', max_length=20)),
                ('installer_version', models.CharField(blank=True, max_length=20)),
                ('python', models.CharField(blank=True, max_length=10)),
                ('os', models.CharField(blank=True, max_length=20, verbose_name='OS')),
                ('os_release', models.CharField(blank=True, max_length=20, verbose_name='OS release')),
                ('architecture', models.CharField(blank=True, max_length=20)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('installer', 'installer_version', 'python', 'os', 'os_release', 'architecture'), name='simple_client_kind')],
            },
        ),
        migrations.CreateModel(
            name='DailySalt',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('salt', models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='DownloadDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('count', models.PositiveBigIntegerField(default=0)),
                ('in_month', models.BooleanField(default=False, help_text="Whether its downloads are in its month's.")),
            ],
        ),
        migrations.CreateModel(
            name='Log',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('first_line', models.CharField(help_text='Its sha256.', max_length=64, unique=True)),
                ('path', models.CharField(help_text='Where it was when it was read.', max_length=500)),
                ('is_followed', models.BooleanField(default=False, help_text='Read while it grew.')),
                ('is_over', models.BooleanField(default=False, help_text='Nothing was written to it any more.')),
                ('offset', models.PositiveBigIntegerField(default=0, help_text='Bytes read, as they are unpacked.')),
                ('last_line', models.CharField(blank=True, help_text='The sha256 of the last one read.', max_length=64)),
                ('last_line_at', models.PositiveBigIntegerField(default=0, help_text='Where that begins.')),
                ('lines', models.PositiveBigIntegerField(default=0)),
                ('downloads', models.PositiveBigIntegerField(default=0)),
                ('misses', models.PositiveBigIntegerField(default=0)),
                ('refused', models.JSONField(blank=True, default=dict, help_text='Lines that could not be read, by reason.')),
                ('modified_at', models.DateTimeField(help_text='When it was written to, by its file system.', null=True)),
                ('read_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='MonthlyDownload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(help_text='Its first day.')),
                ('count', models.PositiveIntegerField(default=0)),
                ('client', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='simple.client')),
                ('wheel', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='builds.wheel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('month', 'wheel', 'client'), name='simple_monthlydownload_kind')],
            },
        ),
        migrations.CreateModel(
            name='PackageDownload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('count', models.PositiveIntegerField(default=0)),
                ('package', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='downloads', to='packages.package')),
            ],
            options={
                'indexes': [models.Index(fields=['day'], name='simple_packagedownload_day')],
                'constraints': [models.UniqueConstraint(fields=('package', 'day'), name='simple_packagedownload_package_day')],
            },
        ),
        migrations.AddField(
            model_name='download',
            name='client',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='downloads', to='simple.client'),
        ),
    ]
