"""Names the app to Django, and the operators' site that its admin is."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.core.checks import register
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string


class SiteConfig(AppConfig):
    """The app `piwheels_site`."""

    name = "piwheels_site"
    verbose_name = "Site"
    default_auto_field = "django.db.models.BigAutoField"
    # The next class is Django's app, and not this one.
    default = True

    def ready(self) -> None:
        """Have roles made after each `migrate`, as there are permissions then, and mails checked."""
        # By their names, as there are no models yet when Django reads this.
        settle = import_string("piwheels_site.operators.roles.settle")
        post_migrate.connect(settle, dispatch_uid="roles")
        register(import_string("piwheels_site.deployment.mails_can_be_sent"), deploy=True)


class OperatorsConfig(SimpleAdminConfig):
    """Django's admin with our site.

    Without its search for admin modules, which `urls.py` makes: worker and beat need no forms in memory.
    """

    default = False
    default_site = "piwheels_site.operators.site.FarmSite"
