"""Names the app to Django."""

from django.apps import AppConfig


class SimpleConfig(AppConfig):
    """The app `simple`."""

    name = "simple"
    default_auto_field = "django.db.models.BigAutoField"
