"""How operators sign in: passwords, second factors, recovery codes and limits."""

import hashlib
import re
from base64 import b32decode

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from packages import audit
from packages.tests import deeds
from piwheels_site import limits
from piwheels_site.operators import second_factor
from piwheels_site.tests.accounts import PASSWORD, make_account, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

PAGE = "/admin/second-factor/"


def sign_in(client, name="ann", password=PASSWORD, code="", **more):
    form = {"username": name, "password": password, "code": code, "next": "/admin/"}
    return client.post("/admin/login/", form, **more)


def is_in(client):
    return client.get("/admin/builds/build/").status_code == 200


def code_of(device):
    """What the app shows now, as if none of its codes had been used."""
    TOTPDevice.objects.filter(pk=device.pk).update(last_t=-1, throttling_failure_count=0)
    return f"{totp(device.bin_key):06d}"


def set_up(user):
    device = second_factor.begin(user)
    codes = second_factor.finish(user, code_of(device))
    return second_factor.device_of(user), codes


def test_a_password_is_enough_where_nobody_set_more_up(client):
    make_account("ann", "viewer")

    assert sign_in(client).status_code == 302
    assert is_in(client)


def test_a_second_factor_is_set_up_from_its_own_page(client):
    ann = make_account("ann", "viewer")
    sign_in(client)

    begun = client.post(PAGE, {"deed": "begin"})
    page = begun.content.decode()
    assert 'src="data:image/svg+xml' in page
    assert "no-store" in begun.headers["Cache-Control"]
    typed = re.search(r'<pre class="secret" tabindex="0">([A-Z2-7 ]+)</pre>', page).group(1).replace(" ", "")
    key = b32decode(typed + "=" * (-len(typed) % 8))
    assert second_factor.device_of(ann) is None

    done = client.post(PAGE, {"deed": "finish", "code": f"{totp(key):06d}"}).content.decode()

    codes = re.search(r'<pre class="secret" tabindex="0">(.*?)</pre>', done, re.DOTALL).group(1).split()
    assert len(codes) == second_factor.CODES
    assert is_in(client)
    assert not any(code in client.get(PAGE).content.decode() for code in codes)
    assert [audit.action_of(entry) for entry in LogEntry.objects.all()] == ["set up second factor"]


def test_a_wrong_first_code_sets_nothing_up(client):
    ann = make_account("ann", "viewer")
    client.force_login(ann)
    client.post(PAGE, {"deed": "begin"})

    page = client.post(PAGE, {"deed": "finish", "code": "000000"}).content.decode()

    assert "That is not the code" in page
    assert second_factor.device_of(ann) is None


def test_who_has_a_second_factor_needs_it(client):
    device, _ = set_up(make_account("ann", "viewer"))

    assert "password or code is not right" in sign_in(client).content.decode()
    assert not is_in(client)
    assert "password or code is not right" in sign_in(client, code="000000").content.decode()
    assert not is_in(client)

    assert sign_in(client, code=code_of(device)).status_code == 302
    assert is_in(client)


@pytest.mark.parametrize("code", ["", "000000", "x" * 41])
def test_nobody_learns_that_a_password_is_right_without_the_code(code):
    set_up(make_account("ann", "viewer"))

    answers = [sign_in(Client(), password=password, code=code) for password in (PASSWORD, "wrong")]

    right, wrong = (answer.context["form"].errors for answer in answers)
    assert right == wrong
    assert right["__all__"]


def test_a_code_signs_in_once():
    device, _ = set_up(make_account("ann", "viewer"))
    code, first, second = code_of(device), Client(), Client()

    sign_in(first, code=code)
    sign_in(second, code=code)

    assert (is_in(first), is_in(second)) == (True, False)


def test_a_recovery_code_signs_in_once():
    _, codes = set_up(make_account("ann", "viewer"))
    first, second, third = Client(), Client(), Client()

    sign_in(first, code=f" {codes[0].upper()} ")
    sign_in(second, code=codes[0])
    second_factor.StaticDevice.objects.update(throttling_failure_count=0)
    sign_in(third, code=codes[1])

    assert (is_in(first), is_in(second), is_in(third)) == (True, False, True)
    assert second_factor.codes_left(User.objects.get()) == second_factor.CODES - 2


def test_new_recovery_codes_end_the_old_ones(client):
    ann = make_account("ann", "viewer")
    device, old = set_up(ann)
    sign_in(client, code=code_of(device))

    client.post(PAGE, {"deed": "codes"})

    assert second_factor.verify(ann, old[0]) is None
    assert second_factor.codes_left(ann) == second_factor.CODES


def test_new_recovery_codes_end_no_session_that_began_with_an_old_one():
    ann = make_account("ann", "viewer")
    _, old = set_up(ann)
    here, elsewhere = Client(), Client()
    for client, code in ((here, old[0]), (elsewhere, old[1])):
        sign_in(client, code=code)

    here.post(PAGE, {"deed": "codes"})

    assert is_in(here)
    assert here.post(PAGE, {"deed": "codes"}).status_code == 200
    # What began elsewhere with a code that opens nothing any more is over.
    assert not is_in(elsewhere)


def test_the_code_of_somebody_else_is_none(client):
    make_account("ann", "viewer")
    set_up(User.objects.get(username="ann"))
    other, codes = set_up(make_account("ben", "viewer"))

    sign_in(client, code=code_of(other))
    sign_in(client, code=codes[0])

    assert not is_in(client)


def test_a_session_from_before_does_not_pass_by_a_second_factor(client):
    ann = make_account("ann", "viewer")
    client.force_login(ann)
    assert is_in(client)

    set_up(ann)

    assert not is_in(client)
    assert client.get(PAGE).status_code == 302
    assert client.post(PAGE, {"deed": "forget"}).status_code == 302
    assert second_factor.device_of(ann) is not None


def test_a_second_factor_that_is_switched_off_is_asked_for_no_more(client):
    ann = make_account("ann", "viewer")
    device, codes = set_up(ann)
    sign_in(client, code=code_of(device))

    client.post(PAGE, {"deed": "forget"})

    assert sign_in(Client()).status_code == 302
    assert second_factor.verify(ann, codes[0]) is None


def test_where_all_need_one_it_is_set_up_before_anything_else(client, settings):
    settings.PIWHEELS_TWO_FACTOR = True
    ann = make_account("ann", "viewer")

    landed = sign_in(client, follow=True)
    assert landed.redirect_chain[-1][0] == PAGE
    assert "Here everybody needs a second factor" in landed.content.decode()
    assert not is_in(client)

    device = second_factor.begin(ann)
    client.post(PAGE, {"deed": "finish", "code": code_of(device)})
    assert is_in(client)

    client.post(PAGE, {"deed": "forget"})
    assert second_factor.device_of(ann) is not None


def test_a_lost_phone_is_forgotten_by_an_administrator():
    ann = make_account("ann", "viewer")
    set_up(ann)
    root = make_account("root", is_superuser=True)
    set_up(root)

    deeds.act(signed_in("administrator"), User, "forget_second_factor", ann, root, reason="It drowned.")

    assert second_factor.device_of(ann) is None
    assert second_factor.device_of(root) is not None


def test_T55_a_client_that_fails_too_often_waits(client):
    make_account("ann", "viewer")
    for number in range(limits.FAILURES_OF_CLIENT):
        sign_in(client, name=f"nobody-{number}", password="wrong")

    page = sign_in(client).content.decode()

    assert "Too many attempts failed. Try again in" in page
    assert not is_in(client)
    elsewhere = Client(REMOTE_ADDR="10.9.8.7")
    assert sign_in(elsewhere).status_code == 302


def test_T55_many_clients_together_guess_no_password(settings):
    make_account("ann", "viewer")
    fail_from_everywhere()
    # Nor do they make the site forget it, by all that else is counted.
    room = settings.CACHES["limits"]["OPTIONS"]["MAX_ENTRIES"]
    for number in range(room + 1):
        caches["limits"].add(f"x{number}", 1)

    assert "Too many attempts" in sign_in(Client(REMOTE_ADDR="10.9.8.7")).content.decode()


def fail_from_everywhere():
    for number in range(limits.FAILURES_OF_NAME):
        sign_in(Client(REMOTE_ADDR=f"10.0.0.{number}"), password="wrong")


def test_T55_strangers_keep_nobody_out_of_a_browser_that_was_signed_in(client):
    make_account("ann", "viewer")
    make_account("bob", "viewer")
    sign_in(client)
    client.post("/admin/logout/")
    fail_from_everywhere()

    assert "Too many attempts" in sign_in(Client(REMOTE_ADDR="10.9.8.7")).content.decode()
    assert sign_in(client).status_code == 302
    assert is_in(client)


def test_T55_a_neighbour_keeps_nobody_out_of_a_browser_that_was_signed_in(client):
    make_account("ann", "viewer")
    sign_in(client)
    client.post("/admin/logout/")
    for _ in range(limits.FAILURES_OF_CLIENT):
        sign_in(Client(), password="wrong")

    assert "Too many attempts" in sign_in(Client()).content.decode()
    assert sign_in(client).status_code == 302
    assert is_in(client)


@pytest.mark.parametrize("kept", ["forged", "bobs"])
def test_T55_a_browser_is_known_for_whom_it_was_signed_in(client, kept):
    make_account("ann", "viewer")
    make_account("bob", "viewer")
    sign_in(client, name="bob")
    client.post("/admin/logout/")
    if kept == "forged":
        cookie = client.cookies["known-browser"]
        client.cookies["known-browser"] = hashlib.sha256(b"ann").hexdigest() + cookie.value[64:]
    fail_from_everywhere()

    assert "Too many attempts" in sign_in(client).content.decode()


def test_T55_a_known_browser_guesses_no_password_either(client):
    make_account("ann", "viewer")
    sign_in(client)
    client.post("/admin/logout/")
    for number in range(limits.FAILURES_OF_CLIENT):
        sign_in(client, password="wrong", REMOTE_ADDR=f"10.1.0.{number}")

    assert "Too many attempts" in sign_in(client, REMOTE_ADDR="10.9.8.7").content.decode()


def test_wrong_codes_count_as_failures(client):
    set_up(make_account("ann", "viewer"))
    for _ in range(limits.FAILURES_OF_CLIENT):
        sign_in(client, code="000000")

    assert "Too many attempts" in sign_in(client).content.decode()


def test_a_name_may_be_any_text(client):
    assert sign_in(client, name="ann \x07 ü" * 20, password="x").status_code == 200


def test_nobody_signs_in_as_the_command_line(client):
    audit.note_command("cancel", [], model=User, said="Nothing.")

    assert sign_in(client, name=audit.SYSTEM, password="!").status_code == 200
    assert not is_in(client)


def test_secrets_of_second_factors_have_no_list(admin_client):
    assert admin_client.get("/admin/otp_totp/totpdevice/").status_code == 404
    assert admin_client.get("/admin/otp_static/staticdevice/").status_code == 404
