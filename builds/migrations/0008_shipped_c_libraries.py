"""Tell the targets that were shipped which C and C++ libraries they have, so that wheels can be shared."""

from django.db import migrations

# Of Debian's packages libc6 and libstdc++6 (its symbols file) in each release.
LIBRARIES = {
    "bullseye": ("2.31", "3.4.28"),
    "bookworm": ("2.36", "3.4.30"),
    "trixie": ("2.41", "3.4.33"),
}


def tell(apps, schema_editor):
    """Fill in what nobody has filled in."""
    Target = apps.get_model("builds", "Target")
    for release, (glibc, glibcxx) in LIBRARIES.items():
        Target.objects.filter(os_release=release, glibc="").update(glibc=glibc, glibcxx=glibcxx)


class Migration(migrations.Migration):
    """Data alone; the schema is in 0003."""

    dependencies = [("builds", "0007_recipe")]
    operations = [migrations.RunPython(tell, migrations.RunPython.noop)]
