"""Tells people what needs one of them: once when it begins, and once when it is over.

A row remembers what was told.  What begins together is one message, and no more than so many go out in an
hour; what has to wait comes in the next.  To send them is `couriers`'.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Least

from piwheels_site import attention, couriers
from piwheels_site.attention import Look, Matter
from piwheels_site.models import Alert, Message

# So many things are said one by one in a message; of the others only how many they are.
NAMED = 20
_HOUR = timedelta(hours=1)


def watch(now: datetime, looks: Mapping[str, Look] | None = None) -> int:
    """Look at what needs a person, and write what is to be told of it; return how many things that are."""
    note(now, looks)
    return tell(now)


def note(now: datetime, looks: Mapping[str, Look] | None = None) -> None:
    """Note what needs a person now, and what no longer does."""
    found, failed = attention.look(now, looks)
    rows = {row.key: row for row in Alert.objects.going_on()}
    Alert.objects.bulk_create(
        [_row(key, matter, now) for key, matter in found.items() if key not in rows], ignore_conflicts=True
    )
    for key, row in rows.items():
        if key in found:
            matter = found[key]
            Alert.objects.filter(pk=row.pk).update(
                title=_line(matter.said),
                said=matter.deed,
                url=matter.url[:500],
                last_seen_at=now,
                # Not in a time to come, from which the database's clock was put back.
                first_seen_at=Least("first_seen_at", now),
            )
        elif key.partition(":")[0] not in failed:
            row.miss(now)


def _row(key: str, matter: Matter, now: datetime) -> Alert:
    """Return the row of something that was not there before."""
    return Alert(
        key=key[:250],
        title=_line(matter.said),
        said=matter.deed,
        url=matter.url[:500],
        since=matter.since or now,
        first_seen_at=now,
        last_seen_at=now,
    )


def _line(title: str) -> str:
    """Return a title as one line, which the subject of a mail must be."""
    return " ".join(title.split()).rstrip(".")[:200]


def tell(now: datetime) -> int:
    """Write messages of what has begun and what is over, if some may go out; return of how many things."""
    written = Message.objects.filter(key__startswith="alerts:", made_at__gt=now - _HOUR, made_at__lte=now)
    if written.values("made_at").distinct().count() >= settings.PIWHEELS_ALERTS_AN_HOUR:
        return 0
    # What nobody wrote was not told.
    with transaction.atomic():
        begun = [
            alert for alert in Alert.objects.begun(now) if alert.has_lasted and alert.take_beginning(now)
        ]
        over = [alert for alert in Alert.objects.over() if alert.take_end(now)]
        if begun or over:
            _write(begun, over, now)
    return len(begun) + len(over)


def _write(begun: Sequence[Alert], over: Sequence[Alert], now: datetime) -> None:
    """Write one message for each channel that takes alerts."""
    counts = [f"{len(begun)} {_things(begun)} a person" if begun else "", f"{len(over)} over" if over else ""]
    subject = f"{begun[0].title}." if len(begun) == 1 and not over else f"{', '.join(filter(None, counts))}."
    key = uuid.uuid4().hex
    Message.objects.bulk_create(
        Message(
            key=f"alerts:{channel}:{key}",
            channel=channel,
            subject=subject[:200],
            text=_text(begun, over),
            facts={"event": "alerts", "begun": _facts(begun), "over": _facts(over)},
            made_at=now,
            not_before=now,
        )
        for channel in couriers.of_alerts()
    )


def _things(alerts: Sequence[Alert]) -> str:
    return "thing needs" if len(alerts) == 1 else "things need"


def _text(begun: Sequence[Alert], over: Sequence[Alert]) -> str:
    """Return what people read."""
    lines = [line for alert in begun[:NAMED] for line in _lines(alert)]
    lines += [f"And {len(begun) - NAMED} more.", ""] if len(begun) > NAMED else []
    lines += [f"Over: {alert.title}." for alert in over[:NAMED]]
    lines += [f"And {len(over) - NAMED} more are over."] if len(over) > NAMED else []
    return "\n".join(lines).strip() + "\n"


def _lines(alert: Alert) -> list[str]:
    """Return what is said of something that has begun."""
    since = f"Since {alert.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
    return [f"{alert.title}. {since}", alert.said, address(alert.url), ""]


def _facts(alerts: Sequence[Alert]) -> list[dict[str, str]]:
    """Return what programs read."""
    return [
        {
            "key": alert.key,
            "title": alert.title,
            "said": alert.said,
            "url": address(alert.url),
            "since": alert.since.isoformat(),
        }
        for alert in alerts
    ]


def address(path: str) -> str:
    """Return where a page of this site is for the world, as far as the settings tell."""
    return f"{settings.CSRF_TRUSTED_ORIGINS[0]}{path}" if settings.CSRF_TRUSTED_ORIGINS else path


def tidy(now: datetime) -> int:
    """Forget alerts and messages of long ago; return how many."""
    alerts, _ = Alert.objects.filter(ended_at__lt=now - Alert.KEPT).delete()
    messages, _ = Message.objects.settled(now - Message.KEPT).delete()
    return alerts + messages
