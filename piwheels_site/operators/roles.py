"""Who may do what: three roles, as groups of Django's that are made right by every `migrate`.

A viewer reads everything but accounts.  An operator decides about builds, wheels, builders, skips, pushes,
recipes, campaigns and notices.  An administrator also enrols, retires and re-keys builders, says what is
built for, deletes files for good, says that upstream is right, and keeps the accounts.  Each makes tokens
for their own programs.  A superuser, whom `manage.py createsuperuser` makes, may do all of that, and nobody
else touches its account.
"""

from enum import Enum
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models import Q


class Role(Enum):
    """What somebody may do; each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


# The apps whose tables every role reads; of others what is named below.
READ = ("packages", "builds", "simple", "piwheels_site")
# What a role may do besides, as "app.verb_model".  Who may delete a wheel may delete its file: rows stay.
_MORE = {
    Role.VIEWER: ["admin.view_logentry", "piwheels_site.add_operatortoken"],
    Role.OPERATOR: [
        *("packages.change_package", "packages.change_version"),
        *("builds.change_build", "builds.change_builder", "builds.change_wheel"),
        *("builds.add_recipe", "builds.change_recipe", "builds.delete_recipe"),
        *("builds.add_skip", "builds.change_skip", "builds.delete_skip"),
        *("builds.add_push", "builds.change_push", "builds.delete_push"),
        *("builds.add_campaign", "builds.change_campaign"),
        *("piwheels_site.add_notice", "piwheels_site.change_notice", "piwheels_site.delete_notice"),
    ],
    Role.ADMINISTRATOR: [
        *("builds.add_builder", "builds.delete_builder", "builds.delete_wheel"),
        *("builds.add_target", "builds.change_target", "builds.delete_target"),
        "packages.change_synccursor",
        *("auth.view_user", "auth.add_user", "auth.change_user"),
    ],
}
_APPS = {*READ, *(name.partition(".")[0] for names in _MORE.values() for name in names)}


def named(role: Role) -> list[str]:
    """Return what a role may do beyond reading, with what the roles before it may."""
    roles = list(Role)
    return [name for each in roles[: roles.index(role) + 1] for name in _MORE[each]]


def settle(app_config: AppConfig, using: str, **_: Any) -> None:  # Any: what else Django tells
    """Make the groups what is said here, as far as one app is concerned; Django calls it after `migrate`."""
    if app_config.label not in _APPS:
        return
    # Django makes them only after this, as its app comes later.
    create_permissions(app_config, verbosity=0, using=using)
    of_app = Permission.objects.using(using).filter(content_type__app_label=app_config.label)
    for role in Role:
        group, _new = Group.objects.using(using).get_or_create(name=role.value)
        wanted = set(of_app.filter(_granted(role, app_config.label)))
        there = set(group.permissions.using(using).filter(content_type__app_label=app_config.label))
        group.permissions.remove(*there - wanted)
        group.permissions.add(*wanted - there)


def _granted(role: Role, app: str) -> Q:
    """Return which permissions of an app a role has."""
    names = [name.partition(".")[2] for name in named(role) if name.startswith(f"{app}.")]
    reading = Q(codename__startswith="view_") if app in READ else Q(pk=None)
    return reading | Q(codename__in=names)
