import email
import hashlib
import hmac
import itertools
import json
import socket
from datetime import timedelta
from email.policy import default as policy

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from builds.tests.rows import NOON
from piwheels_site import alerts, attention, couriers
from piwheels_site.attention import Matter
from piwheels_site.attention.server import find_messages
from piwheels_site.models import Alert, Message
from piwheels_site.tests import receivers

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

MINUTE = timedelta(minutes=1)


class Farm:
    """What a test says needs a person."""

    def __init__(self):
        self.matters = []
        self.is_broken = False

    def needs(self, *names):
        self.matters = [Matter(name, f"{name} is wrong.", NOON, "/farm/", "Look at it.") for name in names]

    def watch(self, minutes):
        return alerts.watch(NOON + minutes * MINUTE, {"test": self._check})

    def _check(self, now):
        if self.is_broken:
            raise RuntimeError("no database")
        return self.matters


@pytest.fixture
def farm(settings):
    settings.PIWHEELS_ALERT_WEBHOOK = "http://127.0.0.1:9/hook"
    return Farm()


def texts():
    return list(Message.objects.order_by("pk").values_list("text", flat=True))


def test_an_alert_is_told_once_when_it_begins_and_once_when_it_is_over(farm):
    farm.needs("disk")
    for minute in range(10):
        farm.watch(minute)
    farm.needs()
    for minute in range(10, 30):
        farm.watch(minute)

    assert texts() == [
        "disk is wrong. Since 2026-11-24 12:00 UTC.\nLook at it.\n/farm/\n",
        "Over: disk is wrong.\n",
    ]
    assert list(Message.objects.order_by("pk").values_list("subject", flat=True)) == [
        "disk is wrong.",
        "1 over.",
    ]


def test_what_could_not_be_written_is_told_later(farm):
    """The database may go between noting that somebody was told and writing the message."""

    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT") and Message._meta.db_table in sql:
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    farm.needs("disk")
    farm.watch(0)
    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        farm.watch(2)
    assert texts() == []

    farm.watch(3)

    assert len(texts()) == 1


def test_what_is_over_soon_is_told_to_nobody(farm):
    farm.needs("disk")
    farm.watch(0)
    farm.watch(1)
    farm.needs()
    for minute in range(2, 20):
        farm.watch(minute)

    assert texts() == []
    assert not Alert.objects.exists()


def test_what_comes_and_goes_is_one_alert(farm):
    for minute in range(60):
        farm.needs(*(["disk"] if minute % 4 == 0 else []))
        farm.watch(minute)

    assert len(texts()) == 1


def test_what_is_back_after_it_was_over_is_another_alert(farm):
    for start in (0, 20):
        farm.needs("disk")
        for minute in range(start, start + 5):
            farm.watch(minute)
        farm.needs()
        for minute in range(start + 5, start + 20):
            farm.watch(minute)

    assert [text.startswith("Over") for text in texts()] == [False, True, False, True]


def test_what_begins_together_is_one_message_that_does_not_grow_without_end(farm):
    farm.needs(*(f"builder-{number:02}" for number in range(30)))

    farm.watch(0)
    assert farm.watch(2) == 30

    [text] = texts()
    assert "builder-19 is wrong" in text
    assert "builder-20" not in text
    assert "And 10 more." in text
    assert Message.objects.get().subject == "30 things need a person."


def test_a_storm_is_no_more_messages_than_an_hour_may_have(farm, settings):
    settings.PIWHEELS_ALERTS_AN_HOUR = 3
    for minute in range(50):
        farm.needs(*(f"thing-{number}" for number in range(minute + 1)))
        farm.watch(minute)

    assert len(texts()) == 3

    farm.watch(63)
    assert "47 things" in Message.objects.latest("made_at").subject


def test_a_clock_that_is_put_back_keeps_nobody_from_being_told(farm, settings):
    settings.PIWHEELS_ALERTS_AN_HOUR = 1
    day = 24 * 60
    farm.needs("disk")
    for minute in (day, day + 3):
        farm.watch(minute)
    Message.objects.update(not_before=NOON + (day + 10) * MINUTE)
    farm.needs("disk", "sync")
    farm.watch(day + 4)
    for minute in (0, 3):
        farm.watch(minute)
    farm.needs()
    for minute in (4, 64, 70):
        farm.watch(minute)

    assert [text.split(".")[0] for text in texts()] == [
        "disk is wrong",
        "sync is wrong",
        "Over: disk is wrong",
    ]
    assert Message.objects.due(NOON + 80 * MINUTE).count() == 3


def test_a_check_that_fails_ends_nothing(farm, caplog):
    farm.needs("disk")
    farm.watch(0)
    farm.watch(2)
    farm.is_broken = True
    for minute in range(3, 30):
        farm.watch(minute)

    begun, failed = texts()
    assert (begun.partition(".")[0], failed.partition(".")[0]) == (
        "disk is wrong",
        "The look at test failed (RuntimeError), so what is wrong there is not shown",
    )
    assert Alert.objects.going_on().count() == 2
    assert "The look at test failed" in caplog.text

    farm.is_broken = False
    for minute in range(30, 60):
        farm.watch(minute)
    assert Alert.objects.going_on().get().key == "test:disk"


def test_a_check_that_fails_keeps_no_other_from_looking(farm):
    farm.is_broken = True
    found, failed = attention.look(
        NOON, {"broken": farm._check, "good": lambda now: [Matter("x", "x", now, "", "")]}
    )

    assert (set(found), failed) == ({"good:x", "broken:look-failed"}, {"broken"})


def test_with_no_channel_nothing_is_kept_to_be_told_later(settings):
    farm = Farm()
    farm.needs("disk")
    farm.watch(0)
    farm.watch(3)
    settings.PIWHEELS_ALERT_WEBHOOK = "http://127.0.0.1:9/"
    farm.watch(4)

    assert texts() == []


def test_two_beats_tell_it_once(farm):
    farm.needs("disk")
    farm.watch(0)
    begun = Alert.objects.begun(NOON + 3 * MINUTE)[0]

    assert begun.take_beginning(NOON)
    assert not begun.take_beginning(NOON)
    assert farm.watch(3) == 0


def write(channel=Message.Channel.WEBHOOK, **fields):
    defaults = {
        "key": "alerts:1",
        "subject": "A disk is full.",
        "text": "A disk is full: make room.\n",
        "facts": {"event": "alerts"},
        "made_at": NOON,
        "not_before": NOON,
    }
    return Message.objects.create(channel=channel, **{**defaults, **fields})


@pytest.fixture
def hook(settings):
    with receivers.web() as received:
        settings.PIWHEELS_ALERT_WEBHOOK = f"http://127.0.0.1:{received.port}/hook?key=secret"
        yield received


def test_a_webhook_gets_json_with_a_signature_that_can_be_checked(hook, settings):
    settings.PIWHEELS_ALERT_WEBHOOK_SECRET = "long and random"
    write()

    assert couriers.deliver(NOON) == 1

    [(path, headers, body)] = hook.messages
    mac = hmac.new(b"long and random", headers["X-Piwheels-Time"].encode() + b"." + body, hashlib.sha256)
    assert headers["X-Piwheels-Signature"] == f"sha256={mac.hexdigest()}"
    told = json.loads(body)
    assert (path, told["event"], told["id"]) == ("/hook?key=secret", "alerts", "alerts:1")
    assert couriers.deliver(NOON) == 0


def test_without_a_secret_nothing_is_signed(hook):
    write()

    couriers.deliver(NOON)

    assert "X-Piwheels-Signature" not in hook.messages[0][1]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_taken_is_tried_again_later_and_later(hook, status, caplog):
    hook.status = status
    write()
    at, tried = NOON, []
    for _ in range(200):
        before = len(hook.messages)
        couriers.deliver(at)
        if len(hook.messages) > before:
            tried.append(round((at - NOON) / MINUTE))
        at += MINUTE

    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert {path for path, _, _ in hook.messages} == {"/hook?key=secret"}
    # The address is a secret, too.
    assert "secret" not in caplog.text + Message.objects.get().error
    hook.status = 204
    assert couriers.deliver(at + timedelta(hours=1)) == 1


def test_in_the_end_nobody_wants_to_know_any_more(hook):
    hook.status = 500
    write()
    couriers.deliver(NOON + timedelta(days=3))

    assert Message.objects.get().given_up_at
    assert couriers.deliver(NOON + timedelta(days=4)) == 0


def test_one_channel_that_is_dead_stops_no_other(hook, settings):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.PIWHEELS_MASTODON = f"http://127.0.0.1:{closed.getsockname()[1]}"
        write(Message.Channel.MASTODON, key="1")
        write(key="2")

        assert couriers.deliver(NOON) == 1

    assert Message.objects.get(key="1").error == "ConnectionError"


def test_a_run_ends_before_others_may_take_what_it_has(hook, monkeypatch):
    for number in range(3):
        write(key=str(number))
    # As if each took a minute and a half.
    ticks = itertools.count(0, 90)
    monkeypatch.setattr(couriers.time, "monotonic", lambda: float(next(ticks)))

    assert couriers.deliver(NOON) == 1
    assert len(hook.messages) == 1


def test_two_that_deliver_send_it_once(hook):
    message = write()

    assert message.take(NOON)
    assert couriers.deliver(NOON) == 0
    # Who took it has died.
    assert couriers.deliver(NOON + Message.HOLD) == 1


def test_a_channel_that_was_switched_off_is_sent_nothing():
    write()

    assert couriers.deliver(NOON) == 0
    assert Message.objects.get().error == "This channel is no longer set."


@pytest.fixture
def mailbox(settings):
    with receivers.mail() as received:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", received.port
        settings.PIWHEELS_ALERT_MAIL = ["ben@example.org"]
        yield received


def test_a_mail_is_brought_to_a_mail_server(mailbox):
    write(Message.Channel.MAIL)

    assert couriers.deliver(NOON) == 1

    mail = email.message_from_bytes(mailbox.messages[0][2], policy=policy)
    assert (mail["Subject"], mail["To"]) == ("[piwheels] A disk is full.", "ben@example.org")
    assert mail["Message-ID"] == "<alerts.1@piwheels>"
    assert mail.get_content().replace("\r", "") == "A disk is full: make room.\n"


def test_a_mail_server_that_takes_nothing_now_is_asked_again(mailbox):
    mailbox.status = 451
    write(Message.Channel.MAIL)

    assert couriers.deliver(NOON) == 0
    assert Message.objects.get().error == "SMTPDataError"
    mailbox.status = 250
    assert couriers.deliver(NOON + MINUTE) == 1


def test_an_address_that_is_none_is_said_and_stops_no_other_channel(mailbox, hook, settings, capsys):
    settings.PIWHEELS_ALERT_MAIL = ["ann@example.org;ben@example.org"]
    write(Message.Channel.MAIL, key="1")
    write(key="2")

    assert couriers.deliver(NOON) == 1

    mail = Message.objects.get(key="1")
    assert mail.attempts == 1
    assert mail.error.startswith("PIWHEELS_ALERT_MAIL: Invalid address; only ann@example.org could be parsed")
    with pytest.raises(CommandError, match="not taken"):
        call_command("send_test_message")
    assert f"mail: {mail.error}\n" in capsys.readouterr().out


def test_a_message_that_nobody_can_send_stops_no_other(mailbox, hook):
    write(Message.Channel.MAIL, key="1", subject="A disk\nis full.")
    write(key="2")

    assert couriers.deliver(NOON) == 1

    assert Message.objects.get(key="1").error == "BadHeaderError"


def test_mastodon_gets_a_post_that_is_not_too_long_and_comes_once(settings):
    with receivers.web() as received:
        settings.PIWHEELS_MASTODON = f"http://127.0.0.1:{received.port}/"
        settings.PIWHEELS_MASTODON_TOKEN = "token"
        write(Message.Channel.MASTODON, text="x" * 600)

        assert couriers.deliver(NOON) == 1

    [(path, headers, body)] = received.messages
    assert path == "/api/v1/statuses"
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer token", "alerts:1")
    assert json.loads(body)["status"] == "x" * 499 + "…"


@pytest.mark.parametrize(
    ("values", "channels"),
    [
        ({}, []),
        ({"PIWHEELS_ALERT_MAIL": ["ben@example.org"]}, ["mail"]),
        ({"PIWHEELS_ALERT_WEBHOOK": "http://x"}, ["webhook"]),
        ({"PIWHEELS_MASTODON": "http://x"}, []),
        ({"PIWHEELS_MASTODON": "http://x", "PIWHEELS_MASTODON_POSTS": ["alerts"]}, ["mastodon"]),
    ],
)
def test_each_channel_is_off_until_it_is_set(settings, values, channels):
    for name, value in values.items():
        setattr(settings, name, value)

    assert couriers.of_alerts() == channels


def test_pages_are_named_as_the_world_knows_them(settings):
    assert alerts.address("/farm/") == "/farm/"
    settings.CSRF_TRUSTED_ORIGINS = ["https://wheels.example.org"]
    assert alerts.address("/farm/") == "https://wheels.example.org/farm/"


def test_what_is_long_over_is_forgotten(hook):
    write()
    couriers.deliver(NOON)
    write(key="waits")

    assert alerts.tidy(NOON + 2 * Message.KEPT) == 1
    assert Message.objects.get().key == "waits"


def test_a_message_that_does_not_arrive_is_a_matter_until_one_does(settings, farm):
    with receivers.web() as received:
        settings.PIWHEELS_ALERT_WEBHOOK = f"http://127.0.0.1:{received.port}/hook"
        received.status = 500
        farm.needs("disk")
        for minute in (0, 5):
            farm.watch(minute)
        for minute in range(5, 60 * 60, 60):
            couriers.deliver(NOON + minute * MINUTE)
        late = [find_messages(NOON + minute * MINUTE) for minute in (30, 70, 60 * 60)]
        said = [[matter.key for matter in matters] for matters in late]
        assert Message.objects.exclude(given_up_at=None).count() == 1
        received.status = 200
        farm.needs()
        for minute in (60 * 60, 60 * 60 + 10):
            farm.watch(minute)
        couriers.deliver(NOON + (60 * 60 + 10) * MINUTE)

    assert said == [[], ["untold:webhook"], ["untold:webhook"]]
    assert list(find_messages(NOON + (60 * 60 + 11) * MINUTE)) == []


def test_an_operator_finds_out_at_once_whether_messages_arrive(settings, capsys):
    with pytest.raises(CommandError, match="Nobody is told"):
        call_command("send_test_message")
    with receivers.web() as received:
        settings.PIWHEELS_ALERT_WEBHOOK = f"http://127.0.0.1:{received.port}/hook"
        call_command("send_test_message")
        received.status = 500
        with pytest.raises(CommandError, match="not taken"):
            call_command("send_test_message")

    assert capsys.readouterr().out == "webhook: taken\nwebhook: answered 500\n"
    assert json.loads(received.messages[0][2])["event"] == "test"
    assert not Message.objects.exists()


def test_also_a_channel_that_is_told_of_no_alerts_is_tried_out(settings, capsys):
    settings.PIWHEELS_MASTODON, settings.PIWHEELS_MASTODON_POSTS = "http://127.0.0.1:9", ["daily"]

    with pytest.raises(CommandError, match="not taken"):
        call_command("send_test_message")

    assert capsys.readouterr().out == "mastodon: ConnectionError\n"
