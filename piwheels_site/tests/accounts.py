"""Accounts for the tests of the operators' pages."""

from django.contrib.auth.models import Group, User
from django.test import Client

PASSWORD = "correct horse battery"


def make_account(name, role=None, **fields):
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True, **fields)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def signed_in(role):
    """A browser of somebody with that role, or of nobody in particular."""
    client = Client()
    if role != "anonymous":
        client.force_login(make_account(f"some-{role}", role))
    return client
