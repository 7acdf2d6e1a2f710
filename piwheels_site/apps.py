"""Names the app to Django, and the operators' site that its admin is."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class SiteConfig(AppConfig):
    """The app `piwheels_site`."""

    name = "piwheels_site"
    verbose_name = "Site"
    default_auto_field = "django.db.models.BigAutoField"
    # The next class is Django's app, and not this one.
    default = True


class OperatorsConfig(SimpleAdminConfig):
    """Django's admin with our site.

    Without its search for admin modules, which `urls.py` makes: worker and beat need no forms in memory.
    """

    default = False
    default_site = "piwheels_site.operators.site.FarmSite"
