"""Names the app to Django."""

from django.apps import AppConfig
from django.core.checks import register

from builds.deployment import storage_can_be_used


class BuildsConfig(AppConfig):
    """The app `builds`."""

    name = "builds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have `check --deploy` look at the storage, as the setup does before a release works."""
        register(storage_can_be_used, deploy=True)
