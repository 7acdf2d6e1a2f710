"""Names the app to Django."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import import_string


class BuildsConfig(AppConfig):
    """The app `builds`."""

    name = "builds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have `check --deploy` look at storage and uploads, as the setup does before a release works."""
        # It knows models, which are not there yet when this module is read.
        for check in ("storage_can_be_used", "uploads_can_be_taken"):
            register(import_string(f"builds.deployment.{check}"), deploy=True)
