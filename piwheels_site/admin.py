"""Operators' door to what is told to everybody, to their accounts, and to what they did.

The lists of Django's and of django-otp's that these replace are taken away: groups are made by `roles`, and
the secrets of second factors are for nobody's eyes.
"""

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django_otp.plugins.otp_static.admin import StaticDevice
from django_otp.plugins.otp_totp.admin import TOTPDevice

from packages.record_admin import FarmAdmin, RecordAdmin
from piwheels_site.models import Alert, Message, Notice
from piwheels_site.operators.log import LogEntryAdmin
from piwheels_site.operators.tokens import OperatorTokenAdmin
from piwheels_site.operators.users import AccountAdmin

__all__ = ["AccountAdmin", "LogEntryAdmin", "NoticeAdmin", "OperatorTokenAdmin"]

# Whatever registers them was imported for one of the lines above.
admin.site.unregister([User, Group, TOTPDevice, StaticDevice])
admin.site.register(User, AccountAdmin)


@admin.register(Notice)
class NoticeAdmin(FarmAdmin):
    """News and incidents, which stand on every page from one moment to another."""

    list_display = ["title", "kind", "begins_at", "ends_at"]
    list_filter = ["kind"]
    search_fields = ["title", "text"]


@admin.register(Alert)
class AlertAdmin(RecordAdmin):
    """What needs or needed a person, and when that was told."""

    list_display = ["title", "since", "first_seen_at", "ended_at", "told_at", "end_told_at"]
    search_fields = ["title", "key"]


@admin.register(Message)
class MessageAdmin(RecordAdmin):
    """What was told to whom, and what has not arrived."""

    list_display = ["subject", "channel", "made_at", "sent_at", "attempts", "error", "given_up_at"]
    list_filter = ["channel"]
