"""The second thing that somebody signs in with: an app's code (TOTP), or a recovery code that works once.

Who has set one up needs it at each sign-in; with `PIWHEELS_TWO_FACTOR` everybody must.
"""

from base64 import b32encode

import segno
from django.contrib.auth.models import AbstractBaseUser, User
from django.db import transaction
from django.db.models import QuerySet
from django_otp import verify_token
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

# So many recovery codes are given at a time.
CODES = 10
# What the app's codes are; a recovery code is longer.
_DIGITS = 6


def confirmed() -> "QuerySet[TOTPDevice]":
    """Return the apps that people sign in with."""
    found: QuerySet[TOTPDevice] = TOTPDevice.objects.filter(confirmed=True)
    return found


def device_of(user: AbstractBaseUser) -> TOTPDevice | None:
    """Return the app that somebody signs in with; None for a password alone."""
    return confirmed().filter(user=user.pk).first()


def pending_of(user: AbstractBaseUser) -> TOTPDevice | None:
    """Return the app that somebody is about to set up."""
    return TOTPDevice.objects.filter(user=user.pk, confirmed=False).first()


@transaction.atomic
def begin(user: User) -> TOTPDevice:
    """Begin to set an app up, with a secret that no earlier try has; the old one works until it is done."""
    TOTPDevice.objects.filter(user=user, confirmed=False).delete()
    return TOTPDevice.objects.create(user=user, name="app", confirmed=False)


@transaction.atomic
def finish(user: User, code: str) -> list[str]:
    """Have an app count whose code this is; return new recovery codes, none for a wrong code."""
    device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False).first()
    if device is None or not device.verify_token(code):
        return []
    confirmed().filter(user=user).delete()
    device.confirmed = True
    device.save(update_fields=["confirmed"])
    return new_codes(user)


@transaction.atomic
def new_codes(user: User) -> list[str]:
    """Give new recovery codes; the old ones open nothing any more."""
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = [StaticToken.random_token() for _ in range(CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def codes_of(user: User) -> StaticDevice | None:
    """Return what somebody's recovery codes are of, if they have any."""
    return StaticDevice.objects.filter(user=user, confirmed=True).first()


def codes_left(user: User) -> int:
    """Return how many recovery codes somebody has."""
    count: int = StaticToken.objects.filter(device__user=user).count()
    return count


@transaction.atomic
def forget(user: User) -> None:
    """Have somebody sign in with a password alone."""
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()


def verify(user: User, code: str) -> TOTPDevice | StaticDevice | None:
    """Return what a code is of; None for a wrong one, one that was used, or one of too many tries."""
    code = "".join(code.split()).lower()
    device: TOTPDevice | StaticDevice | None = device_of(user)
    if not (len(code) == _DIGITS and code.isdigit()):
        device = codes_of(user)
    if device is None:
        return None
    found: TOTPDevice | StaticDevice | None = verify_token(user, device.persistent_id, code)
    return found


def picture(device: TOTPDevice) -> str:
    """Return what an app's camera reads, as the address of a picture; black on white in any theme."""
    made: str = segno.make(device.config_url, micro=False).svg_data_uri(scale=5, border=4, light="#fff")
    return made


def secret(device: TOTPDevice) -> str:
    """Return the same for whoever types it, in groups."""
    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
