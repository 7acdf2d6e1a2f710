"""Names the app to Django."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The app `piwheels_site`."""

    name = "piwheels_site"
    verbose_name = "Site"
    default_auto_field = "django.db.models.BigAutoField"
