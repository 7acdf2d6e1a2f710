"""Names the app to Django."""

from django.apps import AppConfig


class PackagesConfig(AppConfig):
    """The app `packages`."""

    name = "packages"
    default_auto_field = "django.db.models.BigAutoField"
