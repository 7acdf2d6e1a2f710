import json
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from builds.models import Builder
from builds.tests.rows import NOON, make_builder, make_running_build, make_target
from packages import audit

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def run(*words):
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_builder_is_enrolled_with_one_command_that_says_what_to_do_on_the_pi(settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://wheels.example.org"]
    settings.PIWHEELS_ORDERS_URL = "redis://orders:secret@10.8.0.1:6380/0"
    make_target()

    told = run("create_builder", "pi-07", "trixie-armhf-cp313")

    token = told.split("token           ")[1].split()[0]
    password = told.split("Redis password  ")[1].split()[0]
    assert Builder.objects.by_token(token).name == "pi-07"
    assert "user b-pi-07 on #" in told
    assert f"Redis address   redis://b-pi-07:{password}@10.8.0.1:6380/0\n" in told
    # What is typed there is in the history of a shell, in sudo's log and in what ps shows.
    assert told.splitlines()[-1].split() == [
        *("sudo", "deploy/builder-setup", "https://wheels.example.org/", "pi-07"),
    ]


def test_a_program_reads_the_same_as_json():
    make_target()

    keys = json.loads(run("create_builder", "pi-07", "trixie-armhf-cp313", "--json"))

    assert Builder.objects.by_token(keys["token"])
    assert keys["orders_url"].startswith("redis://b-pi-07:")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["create_builder", "pi-07", "no-such-target"], "there are: .*trixie-armhf-cp313"),
        (["create_builder", "Pi 7", "trixie-armhf-cp313"], "is no builder's name"),
        (["builder", "pi-99", "pause"], "There is no builder pi-99"),
    ],
)
def test_what_cannot_be_is_said(words, says):
    make_target()

    with pytest.raises(CommandError, match=says):
        run(*words)


@pytest.mark.parametrize(
    ("deed", "standing"),
    [
        ("pause", "paused"),
        ("drain", "drained"),
        ("stop", "stopped"),
        ("resume", "active"),
        ("show", "active"),
    ],
)
def test_a_deed_is_done_and_said(deed, standing):
    make_builder()

    assert f"pi-07 is {standing}." in run("builder", "pi-07", deed, "--reason", "Dust.")
    assert Builder.objects.get().standing == standing


def test_a_builder_is_retired_and_its_build_goes_back():
    build, ticket = make_running_build()

    assert "1 build went back" in run("builder", "pi-07", "retire", "--yes")

    assert not build.renew(ticket, NOON)


@pytest.mark.parametrize("deed", ["pause", "resume", "drain", "stop", "rekey"])
@pytest.mark.parametrize("yes", ["--yes", "--dry-run"])
def test_a_builder_that_was_let_go_is_taken_in_by_create_builder_alone(deed, yes):
    builder = make_builder()
    builder.retire("Sold.", NOON)

    with pytest.raises(CommandError, match="pi-07 is retired: `create_builder` takes it in again"):
        run("builder", "pi-07", deed, yes)

    found = Builder.objects.get()
    assert (found.standing, found.mode_reason, found.token_hash) == ("retired", "Sold.", builder.token_hash)
    assert not LogEntry.objects.exists()


def test_new_keys_are_shown_once_and_the_old_ones_are_dead():
    builder = make_builder()

    told = run("builder", "pi-07", "rekey", "--yes")

    assert Builder.objects.by_token(builder.token) is None
    assert Builder.objects.by_token(told.split("token           ")[1].split()[0])


def test_what_a_builder_has_is_shown():
    build, _ = make_running_build()

    assert f"It has {build}." in run("builder", "pi-07", "show")


def test_a_known_builder_loses_its_keys_and_target_to_nobody_who_did_not_say_so():
    builder = make_builder()
    other = make_target("bookworm-armhf-cp311")

    with pytest.raises(CommandError, match=f"builds for {other}, and no more for {builder.target}") as fault:
        run("create_builder", "pi-07", other.key)

    assert fault.value.returncode == 2
    assert Builder.objects.by_token(builder.token).target == builder.target
    run("create_builder", "pi-07", other.key, "--yes")
    assert Builder.objects.get().target == other


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (["create_builder", "pi-08", "trixie-armhf-cp313"], "enrol builder"),
        (["create_builder", "pi-07", "trixie-armhf-cp313", "--yes"], "re-key builder"),
        (["builder", "pi-07", "rekey", "--yes"], "re-key builder"),
        (["builder", "pi-07", "retire", "--yes"], "retire builder"),
    ],
)
def test_what_was_done_before_redis_failed_is_on_record(settings, words, action):
    make_builder()
    settings.PIWHEELS_REDIS_ADMIN_URL = "unix:///nowhere/redis.sock"

    with pytest.raises(CommandError, match="look at PIWHEELS_REDIS_ADMIN_URL"):
        run(*words)

    noted = LogEntry.objects.get()
    assert noted.change_message.startswith(f"{action}: {audit.UNFINISHED}")
    assert noted.object_repr == words[1]


def test_to_try_an_enrolment_leaves_the_keys_as_they_are():
    make_target()
    words = "create_builder", "pi-07", "trixie-armhf-cp313"

    assert "pi-07 is enrolled, and builds for" in run(*words, "--dry-run")
    assert not Builder.objects.exists()
    token = json.loads(run(*words, "--json"))["token"]
    assert "pi-07 is known: it gets new keys" in run(*words, "--dry-run")
    with pytest.raises(CommandError, match="is no builder's name"):
        run("create_builder", "Pi 7", "trixie-armhf-cp313", "--dry-run")

    assert Builder.objects.by_token(token)
