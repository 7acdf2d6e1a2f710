"""Brings messages to people: by mail, by a webhook, by Mastodon; each is off until it is set.

What does not arrive is tried again after growing pauses, and stops nothing else.
"""

import hashlib
import hmac
import json
import logging
import time
import uuid
from collections.abc import Callable
from datetime import datetime

import requests
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.message import sanitize_address

from piwheels_site.models import Message

logger = logging.getLogger(__name__)

# How long another server may take, in seconds.
PATIENCE_S = 10
# A run begins no message after so long: the last one has the rest of `Message.HOLD`, of five minutes.
RUN_S = 120
# What a server of Mastodon takes, unless its operator chose otherwise.
LONGEST_POST = 500

_CHANNEL = Message.Channel


class Refused(Exception):
    """A message is not taken; the text says why, by the other side's answer or by our settings."""


def all_set() -> list[str]:
    """Return the channels with somebody at the other end, whatever is said there."""
    return [str(channel) for channel in _CHANNEL if is_set(channel)]


def of_alerts() -> list[str]:
    """Return the channels that tell what needs a person; on Mastodon that is one thing among others."""
    return [channel for channel in all_set() if channel != _CHANNEL.MASTODON or posts("alerts")]


def posts(what: str) -> bool:
    """Tell whether Mastodon is told of something: alerts, daily or monthly figures."""
    return bool(settings.PIWHEELS_MASTODON) and what in settings.PIWHEELS_MASTODON_POSTS


def deliver(now: datetime, limit: int = 20) -> int:
    """Send what is due; return how many messages arrived.

    Slow servers end it early, as who takes a message has it only for a while from when the run began.
    """
    arrived, until = 0, time.monotonic() + RUN_S
    for message in Message.objects.due(now)[:limit]:
        if time.monotonic() > until:
            break
        if message.take(now):
            arrived += _deliver(message, now)
    return arrived


def _deliver(message: Message, now: datetime) -> bool:
    """Send one message, and note what became of it."""
    if not is_set(message.channel):
        message.give_up("This channel is no longer set.", now)
        return False
    if said := _send(message, now):
        logger.warning("A message by %s did not arrive (%s); it is tried again.", message.channel, said)
        message.fail(said, now)
        return False
    message.arrive(now)
    return True


def try_out(channel: str, now: datetime) -> str:
    """Send a message that asks for nothing; return why it did not arrive, or nothing if it did."""
    message = Message(
        key=f"test:{channel}:{uuid.uuid4().hex}",
        channel=channel,
        subject="This is a test.",
        text="This is a test: what needs a person will come this way.\n",
        facts={"event": "test"},
        made_at=now,
    )
    return _send(message, now)


def _send(message: Message, now: datetime) -> str:
    """Send a message; return why it did not arrive, or nothing if it did."""
    try:
        _SEND[_CHANNEL(message.channel)](message, now)
    except Refused as error:
        return str(error)
    # Whatever it is, it is this message's fault, and those behind it want to be sent too.
    except Exception as error:
        # Its own text may have addresses with secrets in them.
        return type(error).__name__
    return ""


def is_set(channel: str) -> bool:
    """Tell whether there is still somebody at the other end."""
    return bool(
        {
            _CHANNEL.MAIL: settings.PIWHEELS_ALERT_MAIL,
            _CHANNEL.WEBHOOK: settings.PIWHEELS_ALERT_WEBHOOK,
            _CHANNEL.MASTODON: settings.PIWHEELS_MASTODON,
        }[_CHANNEL(channel)]
    )


def wrong_addresses() -> list[str]:
    """Say of each setting with an address that a mail can neither go to nor come from what is wrong."""
    said = []
    for name in ("PIWHEELS_ALERT_MAIL", "PIWHEELS_MAIL_FROM") if settings.PIWHEELS_ALERT_MAIL else ():
        value = getattr(settings, name)
        try:
            for address in [value] if isinstance(value, str) else value:
                sanitize_address(address, "utf-8")
        except ValueError as error:
            said.append(f"{name}: {error}")
    return said


def _mail(message: Message, now: datetime) -> None:
    """Send a message by mail."""
    if wrong := wrong_addresses():
        raise Refused(" ".join(wrong))
    EmailMessage(
        subject=f"[piwheels] {message.subject}",
        body=message.text,
        from_email=settings.PIWHEELS_MAIL_FROM,
        to=settings.PIWHEELS_ALERT_MAIL,
        # The same for each attempt, so that a reader's program shows one that came twice once.
        headers={"Message-ID": f"<{message.key.replace(':', '.')}@piwheels>"},
    ).send()


def _webhook(message: Message, now: datetime) -> None:
    """Send a message to a program, signed if a secret is set."""
    facts = {
        "id": message.key,
        "at": message.made_at.isoformat(),
        "subject": message.subject,
        "text": message.text,
        **message.facts,
    }
    body = json.dumps(facts, sort_keys=True).encode()
    headers = {"Content-Type": "application/json"}
    if settings.PIWHEELS_ALERT_WEBHOOK_SECRET:
        headers |= signed(body, settings.PIWHEELS_ALERT_WEBHOOK_SECRET, now)
    _post(settings.PIWHEELS_ALERT_WEBHOOK, headers, body)


def signed(body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """Return the headers by which a receiver knows that a body is ours, and that it is not an old one."""
    time = str(int(now.timestamp()))
    mac = hmac.new(secret.encode(), time.encode() + b"." + body, hashlib.sha256)
    return {"X-Piwheels-Time": time, "X-Piwheels-Signature": f"sha256={mac.hexdigest()}"}


def _toot(message: Message, now: datetime) -> None:
    """Publish a message on Mastodon; the key keeps a second attempt from being a second post."""
    text = message.text.strip()
    post = text if len(text) <= LONGEST_POST else f"{text[: LONGEST_POST - 1].rstrip()}…"
    headers = {
        "Authorization": f"Bearer {settings.PIWHEELS_MASTODON_TOKEN}",
        "Idempotency-Key": message.key,
        "Content-Type": "application/json",
    }
    body = json.dumps({"status": post, "visibility": "public"}).encode()
    _post(f"{settings.PIWHEELS_MASTODON.rstrip('/')}/api/v1/statuses", headers, body)


def _post(url: str, headers: dict[str, str], body: bytes) -> None:
    """Send something to another server, which must take it as it is: a secret follows no redirect."""
    answer = requests.post(url, body, headers=headers, timeout=PATIENCE_S, allow_redirects=False, stream=True)
    answer.close()
    if not 200 <= answer.status_code < 300:
        raise Refused(f"answered {answer.status_code}")


_SEND: dict[Message.Channel, Callable[[Message, datetime], None]] = {
    _CHANNEL.MAIL: _mail,
    _CHANNEL.WEBHOOK: _webhook,
    _CHANNEL.MASTODON: _toot,
}
