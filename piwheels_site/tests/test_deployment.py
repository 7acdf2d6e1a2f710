"""A release whose operators would hear nothing by mail is not put to work."""

import pytest
from django.core.checks import run_checks


def found():
    return [
        each.msg for each in run_checks(include_deployment_checks=True) if each.id == "piwheels_site.E001"
    ]


def test_addresses_of_mails_are_well(settings):
    settings.PIWHEELS_ALERT_MAIL = ["ann@example.org", "root"]
    settings.PIWHEELS_MAIL_FROM = "The farm <piwheels@localhost>"

    assert found() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIWHEELS_ALERT_MAIL", ["ben@example.org", "ann@example.org;ben@example.org"]),
        ("PIWHEELS_MAIL_FROM", "ann@"),
    ],
)
def test_an_address_that_no_mail_can_go_to_or_come_from_is_told(settings, name, value):
    settings.PIWHEELS_ALERT_MAIL = ["ben@example.org"]
    setattr(settings, name, value)

    (said,) = found()

    assert said.startswith(f"{name}: Invalid address")


def test_whom_mails_come_from_is_nobodys_business_while_none_are_sent(settings):
    settings.PIWHEELS_MAIL_FROM = "ann@"

    assert found() == []
