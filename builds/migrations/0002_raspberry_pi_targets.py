"""Ship the targets of Raspberry Pi OS, none of them active until an operator has a builder for it."""

from django.db import migrations

PLATFORMS = {"armhf": ["linux_armv6l", "linux_armv7l"], "arm64": ["linux_aarch64"]}
# What dpkg and apt themselves need, so that no image is without it.
PREINSTALLED = ["libbz2-1.0", "libc6", "libgcc-s1", "liblzma5", "libstdc++6", "zlib1g"]
RELEASES = [
    # (release, name, Python, order); bullseye's packages get no more updates, so it stays read-only.
    ("trixie", "Raspberry Pi OS 13", "3.13", 10),
    ("bookworm", "Raspberry Pi OS 12", "3.11", 20),
    ("bullseye", "Raspberry Pi OS 11", "3.9", 30),
]


def add_targets(apps, schema_editor):
    """Add a target for each release and architecture."""
    Target = apps.get_model("builds", "Target")
    for release, name, python, order in RELEASES:
        for further, (architecture, platforms) in enumerate(PLATFORMS.items()):
            abi = f"cp{python.replace('.', '')}"
            Target.objects.get_or_create(
                key=f"{release}-{architecture}-{abi}",
                defaults={
                    "os_release": release,
                    "os_name": name,
                    "architecture": architecture,
                    "python": python,
                    "abi": abi,
                    "platform_tags": platforms,
                    "order": order + further,
                    "preinstalled": PREINSTALLED,
                },
            )


class Migration(migrations.Migration):
    """Data alone; the schema is in 0001."""

    dependencies = [("builds", "0001_initial")]
    operations = [migrations.RunPython(add_targets, migrations.RunPython.noop)]
