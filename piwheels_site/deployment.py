"""What must be true of the settings before a release is put to work; `manage.py check --deploy` asks it."""

from django.core.checks import CheckMessage, Error

from piwheels_site import couriers


def mails_can_be_sent(**_: object) -> list[CheckMessage]:
    """Find addresses that no mail can go to or come from: what needs a person would be told to nobody."""
    return [Error(said, id="piwheels_site.E001") for said in couriers.wrong_addresses()]
