"""Names the app to Django."""

from django.apps import AppConfig


class BuildsConfig(AppConfig):
    """The app `builds`."""

    name = "builds"
    default_auto_field = "django.db.models.BigAutoField"
